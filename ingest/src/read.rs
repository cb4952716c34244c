//! The one way in: bytes to a document, by the parser of their kind.

use crate::archive::Archive;
use crate::blocks::{ByteBlock, complete, to_blocks};
use crate::compose::Composer;
use crate::table::MAX_CELLS;
use crate::text::truncate_chars;
use crate::{
    Document, Hint, Kind, Limits, Refusal, Warning, WarningCode, code, csv, decode, epub, html, json, mail,
    markdown, odf, office, pdf, plain, rst, sniff, subtitles,
};

/// Reads a file that is one document. What could not be read of it is told in the warnings.
///
/// Archives and the attachments of mail are several: [`ingest_all`](crate::ingest_all).
///
/// # Errors
///
/// A [`Refusal`] if there is no document to be had from the bytes.
pub fn ingest(bytes: &[u8], hint: &Hint, limits: &Limits) -> Result<(Document, Vec<Warning>), Refusal> {
    let name = || hint.name.to_owned();
    if bytes.is_empty() {
        return Err(Refusal::Empty { name: name() });
    }
    let n_bytes = bytes.len() as u64;
    if n_bytes > limits.max_bytes {
        return Err(Refusal::TooLarge { name: name(), n_bytes, max_bytes: limits.max_bytes });
    }
    if sniff::is_zip(bytes) {
        return packed(bytes, hint, limits);
    }
    let kind = sniff::kind_of(bytes, hint)?;
    if kind == Kind::Pdf {
        return pdf::read(bytes, hint, limits);
    }
    if matches!(kind, Kind::Email | Kind::Mailbox) {
        return mail::read(bytes, kind, hint, limits);
    }
    if kind == Kind::Html && n_bytes > MAX_HTML_BYTES {
        return Err(Refusal::TooLarge { name: name(), n_bytes, max_bytes: MAX_HTML_BYTES });
    }
    let mut warnings = Vec::new();
    let text = decode_text(bytes, kind, hint, limits, &mut warnings);
    if text.trim().is_empty() {
        return Err(Refusal::Empty { name: name() });
    }
    match kind {
        Kind::Csv | Kind::Json | Kind::JsonLines | Kind::Subtitles => {
            composed(&text, kind, hint, limits, warnings)
        }
        Kind::Html => {
            let page = html::parse(&text);
            if page.text.is_empty() {
                let reason = "the page has no text".to_owned();
                return Err(Refusal::Unreadable { name: name(), reason });
            }
            let (mut document, warnings) = document(kind, page.text, page.title, page.blocks, warnings);
            (document.authors, document.created) = (page.authors, page.created);
            Ok((document, warnings))
        }
        _ => {
            let (title, blocks) = match kind {
                Kind::Markdown => markdown::parse(&text),
                Kind::Rst => rst::parse(&text),
                Kind::Code => (None, code::parse(&text)),
                _ => (None, plain::parse(&text)),
            };
            let (authors, created) =
                if kind == Kind::Markdown { markdown::about(&text) } else { (vec![], None) };
            let (document, warnings) = document(kind, text, title, blocks, warnings);
            Ok((Document { authors, created, ..document }, warnings))
        }
    }
}

fn document(
    kind: Kind,
    text: String,
    title: Option<String>,
    blocks: Vec<ByteBlock>,
    warnings: Vec<Warning>,
) -> (Document, Vec<Warning>) {
    let blocks = to_blocks(&text, &complete(&text, blocks), &[]);
    let (authors, created) = (Vec::new(), None);
    (Document { kind, title, authors, created, text, blocks, page_starts: Vec::new() }, warnings)
}

/// Reads text that is data: its values are written anew, with their names.
fn composed(
    text: &str,
    kind: Kind,
    hint: &Hint,
    limits: &Limits,
    warnings: Vec<Warning>,
) -> Result<(Document, Vec<Warning>), Refusal> {
    let mut composer = Composer::new(hint, limits);
    composer.warnings = warnings;
    let has_lines = kind == Kind::Json && json::looks_like_lines(text);
    let kind = if has_lines { Kind::JsonLines } else { kind };
    let trouble = match kind {
        Kind::Json => json::parse(text, &mut composer).err(),
        Kind::JsonLines => json::parse_lines(text, &mut composer).err(),
        Kind::Subtitles => {
            subtitles::parse(text, &mut composer);
            None
        }
        _ => {
            let sheet = csv::parse(text);
            composer.table(&sheet.rows);
            if sheet.is_cut {
                let message =
                    format!("only the first {MAX_CELLS} cells were read; split it to have the rest");
                composer.warn(WarningCode::Truncated, message);
            }
            None
        }
    };
    if composer.is_empty() {
        // It only looked like data.
        return Ok(document(Kind::PlainText, text.to_owned(), None, plain::parse(text), composer.warnings));
    }
    if let Some(trouble) = trouble {
        let message = format!("{} is damaged at line {}", hint.name, trouble.line);
        composer.warn(WarningCode::Damaged, message);
    }
    composer.finish(kind)
}

/// Reads a document that is an archive of parts.
fn packed(bytes: &[u8], hint: &Hint, limits: &Limits) -> Result<(Document, Vec<Warning>), Refusal> {
    let unreadable =
        |reason: &str| Refusal::Unreadable { name: hint.name.to_owned(), reason: reason.to_owned() };
    let archive = Archive::open(bytes, limits).ok_or_else(|| unreadable("it is damaged"))?;
    match sniff::archive_kind(&archive) {
        Ok(kind @ (Kind::Odt | Kind::Ods | Kind::Odp)) => odf::read(&archive, kind, hint, limits),
        Ok(Kind::Epub) => epub::read(&archive, hint, limits),
        Ok(kind) => office::read(archive, kind, hint, limits),
        Err(looks_like) => Err(sniff::unknown(hint, looks_like)),
    }
}

/// 32 MiB: the tree of an HTML page takes tens of bytes per byte of source.
const MAX_HTML_BYTES: u64 = 32 << 20;

fn decode_text(
    bytes: &[u8],
    kind: Kind,
    hint: &Hint,
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> String {
    let in_mime = || hint.mime.and_then(decode::declared_in_mime);
    let declared = match kind {
        Kind::Html => in_mime().or_else(|| decode::declared_in_markup(bytes)),
        _ => in_mime(),
    };
    let (mut text, warning) = decode::decode(bytes, declared, hint.name);
    warnings.extend(warning);
    if truncate_chars(&mut text, limits.max_text_chars) {
        warnings.push(Warning {
            code: WarningCode::Truncated,
            message: format!(
                "{} was read up to its first {} characters; split it to have the rest",
                hint.name, limits.max_text_chars
            ),
        });
    }
    text
}
