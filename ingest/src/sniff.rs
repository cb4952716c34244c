//! What kind of file some bytes are.

use crate::archive::Archive;
use crate::{Hint, Kind, Refusal, code, csv, decode, json, mail, subtitles};

/// A PDF header may stand anywhere in the first kilobyte (ISO 32000-1, annex H.3.4.1).
const MAX_PDF_HEADER_AT: usize = 1024;

/// Text is judged by its first 8 KiB, a whole number of characters of any encoding of fixed width.
const MAX_SNIFF_BYTES: usize = 8 << 10;

const SUPPORTED: &str =
    "supported are PDF, DOCX, PPTX, XLSX, ODT, ODS, ODP, EPUB, HTML, e-mail, ZIP and all kinds of text";

/// The kind by content; the name only decides between kinds of text.
pub(crate) fn kind_of(bytes: &[u8], hint: &Hint) -> Result<Kind, Refusal> {
    let head = &bytes[..bytes.len().min(MAX_PDF_HEADER_AT)];
    if find(head, b"%PDF-").is_some() {
        return Ok(Kind::Pdf);
    }
    if let Some(looks_like) = looks_like(bytes) {
        return Err(unknown(hint, looks_like));
    }
    let extension = extension(hint.name);
    let may_be_mail =
        matches!(extension.as_str(), "" | "eml" | "email" | "mht" | "mhtml" | "mbox" | "mbx" | "txt");
    if let Some(kind) = mail::kind_of(bytes).filter(|_| may_be_mail) {
        return Ok(kind);
    }
    if decode::is_binary(bytes) {
        return Err(unknown(hint, "binary data"));
    }
    let (start, _) = decode::decode(&bytes[..bytes.len().min(MAX_SNIFF_BYTES)], None, hint.name);
    if is_html(&start, &extension, hint.mime) {
        return Ok(Kind::Html);
    }
    Ok(text_kind(&start, &extension, hint.mime))
}

/// The kind of a text by its beginning; the name decides where the content could be several.
fn text_kind(start: &str, extension: &str, mime: Option<&str>) -> Kind {
    if subtitles::looks_like_subtitles(start) {
        return Kind::Subtitles;
    }
    let is_braced = start.trim_start().starts_with(['{', '[']);
    match extension {
        "md" | "markdown" | "mdown" | "mkd" | "mkdn" | "mdx" | "rmd" | "qmd" => return Kind::Markdown,
        "rst" | "rest" => return Kind::Rst,
        "csv" | "tsv" | "tab" | "psv" => return Kind::Csv,
        "jsonl" | "ndjson" if is_braced => return Kind::JsonLines,
        "json" | "geojson" | "" | "txt" | "log" | "dat" if json::looks_like_lines(start) => {
            return Kind::JsonLines;
        }
        "json" | "geojson" | "jsonld" | "ipynb" | "har" | "webmanifest" if is_braced => return Kind::Json,
        "" | "txt" | "dat" if csv::looks_like_table(start) => return Kind::Csv,
        _ if code::is_extension(extension) => return Kind::Code,
        "" => {}
        _ => return Kind::PlainText,
    }
    // Nothing but the content is left to judge by.
    match mime.unwrap_or("").split(';').next().unwrap_or("") {
        "text/markdown" => Kind::Markdown,
        "text/csv" | "text/tab-separated-values" => Kind::Csv,
        _ if start.starts_with("#!") => Kind::Code,
        _ if looks_like_markdown(start) => Kind::Markdown,
        "application/json" => Kind::Json,
        _ if is_braced && (start.contains("\":") || start.contains("\" :")) => Kind::Json,
        _ => Kind::PlainText,
    }
}

pub(crate) fn unknown(hint: &Hint, looks_like: &str) -> Refusal {
    Refusal::UnknownKind {
        name: hint.name.to_owned(),
        looks_like: looks_like.to_owned(),
        supported: SUPPORTED.to_owned(),
    }
}

/// The name's last extension in lower case, without the dot.
fn extension(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension.to_ascii_lowercase(),
        _ => String::new(),
    }
}

/// Known formats that cannot be read, by their first bytes.
fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 34] = [
        (b"\x1f\x8b", "a gzip archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\xfd7zXZ\0", "an xz archive"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"Rar!\x1a\x07", "a RAR archive"),
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF87a", "a GIF image"),
        (b"GIF89a", "a GIF image"),
        (b"BM\0\0", "a BMP image"),
        (b"II*\0", "a TIFF image"),
        (b"MM\0*", "a TIFF image"),
        (b"\0\0\x01\0", "an icon"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document (DOC, XLS, PPT)"),
        (b"{\\rtf", "an RTF document"),
        (b"%!PS", "a PostScript document"),
        (b"AT&TFORM", "a DjVu document"),
        (b"ITSF", "a compiled HTML help file"),
        (b"\x7fELF", "a Linux program"),
        (b"MZ\x90\0", "a Windows program"),
        (b"\xca\xfe\xba\xbe", "a Java class or macOS program"),
        (b"\xcf\xfa\xed\xfe", "a macOS program"),
        (b"\0asm", "a WebAssembly module"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"ID3", "an MP3 recording"),
        (b"\xff\xfb", "an MP3 recording"),
        (b"OggS", "an Ogg recording"),
        (b"fLaC", "a FLAC recording"),
        (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
        (b"wOFF", "a font"),
        (b"wOF2", "a font"),
        (b"OTTO\0", "a font"),
        (b"GGUF", "a GGUF model file"),
    ];
    if bytes.starts_with(b"RIFF") && bytes.len() > 12 {
        return Some(match &bytes[8..12] {
            b"WEBP" => "a WebP image",
            b"WAVE" => "a WAV recording",
            _ => "a RIFF media file",
        });
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some("an MP4 or HEIC media file");
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|&(_, name)| name)
}

/// What an archive is called that is no document.
pub(crate) const ZIP: &str = "a ZIP archive";

/// Whether the bytes are a ZIP archive.
pub(crate) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// Office documents and e-books are ZIP archives; what is in them gives them away.
pub(crate) fn archive_kind(archive: &Archive<'_>) -> Result<Kind, &'static str> {
    let has = |name: &str| archive.find(name).is_some();
    if let Ok(mime) = archive.read("mimetype") {
        let mime = String::from_utf8_lossy(&mime);
        match mime.trim().strip_prefix("application/").unwrap_or("") {
            "epub+zip" => return Ok(Kind::Epub),
            m if m.starts_with("vnd.oasis.opendocument.text") => return Ok(Kind::Odt),
            m if m.starts_with("vnd.oasis.opendocument.spreadsheet") => return Ok(Kind::Ods),
            m if m.starts_with("vnd.oasis.opendocument.presentation") => return Ok(Kind::Odp),
            m if m.starts_with("vnd.oasis.opendocument") => return Err("an OpenDocument drawing or formula"),
            _ => {}
        }
    }
    if has("META-INF/container.xml") && archive.members().any(|m| m.name.ends_with(".opf")) {
        return Ok(Kind::Epub);
    }
    let has_folder = |name: &str| archive.members().any(|m| m.name.starts_with(name));
    match archive.find("[Content_Types].xml").is_some() {
        true if has("word/document.xml") => return Ok(Kind::Docx),
        true if has("ppt/presentation.xml") => return Ok(Kind::Pptx),
        true if has("xl/workbook.xml") => return Ok(Kind::Xlsx),
        true if has("xl/workbook.bin") => return Err("a binary Excel workbook (XLSB)"),
        true if has_folder("visio/") => return Err("a Visio drawing"),
        true if has_folder("word/") => return Ok(Kind::Docx),
        _ => {}
    }
    if has_folder("Index/") && archive.members().any(|m| m.name.ends_with(".iwa")) {
        return Err("an Apple iWork document");
    }
    Err(ZIP)
}

fn is_html(start: &str, extension: &str, mime: Option<&str>) -> bool {
    let mut rest = start.trim_start();
    // Comments and the XML declaration may come first.
    while rest.starts_with("<!--") || rest.starts_with("<?") {
        let Some(end) = rest.find('>') else {
            return false;
        };
        rest = rest[end + 1..].trim_start();
    }
    let lower: String = rest.chars().take(32).collect::<String>().to_ascii_lowercase();
    if lower.starts_with("<!doctype") {
        return lower.contains("html");
    }
    let starts = ["html", "head", "body", "title", "meta", "script", "style", "link"];
    if let Some(tag) = lower.strip_prefix('<')
        && starts
            .iter()
            .any(|t| tag.strip_prefix(t).is_some_and(|r| r.starts_with(['>', ' ', '\n', '\r', '\t', '/'])))
    {
        return true;
    }
    let claims = matches!(extension, "html" | "htm" | "xhtml" | "shtml")
        || (extension.is_empty() && mime.is_some_and(|m| m.starts_with("text/html") || m.contains("xhtml")));
    claims && start.contains('<') && start.contains('>')
}

fn looks_like_markdown(start: &str) -> bool {
    let marks = start
        .lines()
        .filter(|line| {
            let text = line.trim_start_matches('#');
            let is_heading = (1..=6).contains(&(line.len() - text.len())) && text.starts_with(' ');
            is_heading || line.starts_with("```") || line.contains("](")
        })
        .count();
    marks > 0 && !start.starts_with("#!")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_and_names_only_where_it_is_ambiguous() {
        let cases: [(&str, &[u8], Result<Kind, &str>); 34] = [
            ("a.pdf", b"%PDF-1.4", Ok(Kind::Pdf)),
            ("a.txt", b"junk before\n%PDF-1.4", Ok(Kind::Pdf)),
            ("a.pdf", b"# Not a PDF\n", Ok(Kind::PlainText)),
            ("a.md", b"plain words", Ok(Kind::Markdown)),
            ("A.MARKDOWN", b"plain words", Ok(Kind::Markdown)),
            ("a.txt", b"# heading\n", Ok(Kind::PlainText)),
            ("README", b"# heading\n\ntext", Ok(Kind::Markdown)),
            ("script", b"#!/bin/sh\n# comment\n", Ok(Kind::Code)),
            ("notes", b"just words", Ok(Kind::PlainText)),
            (".md", b"just words", Ok(Kind::PlainText)),
            ("a.py", b"# comment\nprint()", Ok(Kind::Code)),
            ("a.rst", b"words", Ok(Kind::Rst)),
            ("a.txt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nx", Ok(Kind::Subtitles)),
            ("a.csv", b"a,b", Ok(Kind::Csv)),
            ("a.txt", b"a;b;c\n1;2;3\n4;5;6\n7;8;9\n", Ok(Kind::Csv)),
            ("a.txt", b"{\"a\": 1}\n{\"a\": 2}\n", Ok(Kind::JsonLines)),
            ("a.json", b"{\"a\": 1}", Ok(Kind::Json)),
            ("a", b"[{\"a\": 1}]", Ok(Kind::Json)),
            ("a.json", b"# no JSON", Ok(Kind::PlainText)),
            ("a", b"From: a@b.example\r\nSubject: s\r\n\r\n\0\x01\x02\x03\x04\x05", Ok(Kind::Email)),
            ("a.mbox", b"From a@b.example Wed\nFrom: a\n b\nTo: c\n\n", Ok(Kind::Mailbox)),
            ("a.md", b"From: x\nDate: y\n\ntext", Ok(Kind::Markdown)),
            ("a.txt", b"From here on\nDate: y\n", Ok(Kind::PlainText)),
            ("a.md", b"<!DOCTYPE html><p>x", Ok(Kind::Html)),
            ("a", b"\n <!-- c --><html lang=en>", Ok(Kind::Html)),
            ("a.xml", b"<?xml version='1.0'?><!DOCTYPE html PUBLIC>", Ok(Kind::Html)),
            ("a.htm", b"<p>fragment</p>", Ok(Kind::Html)),
            ("a.html", b"no tags", Ok(Kind::PlainText)),
            ("a.md", b"<p align=center>badge</p>\n\n# Title", Ok(Kind::Markdown)),
            ("a.txt", b"<header> is a tag", Ok(Kind::PlainText)),
            ("a.txt", b"\x89PNG\r\n\x1a\n", Err("a PNG image")),
            (
                "a.pdf",
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                Err("an old Microsoft Office document (DOC, XLS, PPT)"),
            ),
            ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", Err("a WebP image")),
            ("a.bin", &[1, 2, 3, 4, 5, 6, 7, 0, 1], Err("binary data")),
        ];
        for (name, bytes, want) in cases {
            let hint = Hint { name, ..Hint::default() };
            let got = kind_of(bytes, &hint).map_err(|refusal| match refusal {
                Refusal::UnknownKind { looks_like, .. } => looks_like,
                other => other.to_string(),
            });
            assert_eq!(got, want.map_err(str::to_owned), "{name}");
        }
    }

    #[test]
    fn a_refusal_names_the_file_and_what_is_supported() {
        let refusal =
            kind_of(b"\x89PNG", &Hint { name: "scan.pdf", ..Hint::default() }).expect_err("an image");
        assert_eq!(
            refusal.to_string(),
            format!("scan.pdf looks like a PNG image, which cannot be read; {SUPPORTED}")
        );
    }
}
