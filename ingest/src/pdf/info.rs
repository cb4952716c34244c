//! What a PDF says about itself (ISO 32000-1, 14.3.3).

use super::standard::Encoding;
use super::streams;
use pdf_extract::Document;

/// The title in the file's metadata, unless it is a file name or a placeholder.
pub(super) fn title(file: &Document) -> Option<String> {
    let title = entry(file, b"Title")?;
    let title = title.strip_prefix("Microsoft Word - ").unwrap_or(&title).trim();
    let lower = title.to_lowercase();
    let is_placeholder = ["untitled", "unbenannt", "document", "title", "none"]
        .iter()
        .any(|p| lower.starts_with(p) && lower.len() < p.len() + 4);
    let is_file = lower.rsplit_once('.').is_some_and(|(_, ext)| {
        matches!(
            ext,
            "doc"
                | "docx"
                | "pdf"
                | "tex"
                | "dvi"
                | "indd"
                | "ps"
                | "odt"
                | "xls"
                | "ppt"
                | "pptx"
                | "html"
                | "txt"
                | "rtf"
        )
    });
    (!title.is_empty() && !is_placeholder && !is_file).then(|| title.to_owned())
}

/// The authors, and when it was made, as `2024-01-31T12:00:00`.
pub(super) fn authors_and_date(file: &Document) -> (Vec<String>, Option<String>) {
    let created = entry(file, b"CreationDate").and_then(|date| iso_date(&date));
    (entry(file, b"Author").into_iter().collect(), created)
}

/// A text string: UTF-16 or UTF-8 by its mark, else nearly Latin-1 (ISO 32000-1, 7.9.2.2).
pub(super) fn decode_text(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => {
            let is_big = bytes[0] == 0xfe;
            let units = bytes[2..].chunks_exact(2).map(|pair| {
                let pair = [pair[0], pair[1]];
                if is_big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
            });
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => bytes.iter().map(|&b| Encoding::WinAnsi.char(b).unwrap_or(char::from(b))).collect::<String>(),
    };
    // Escapes name the language of what follows.
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or("").to_owned();
    parts.enumerate().filter(|(i, _)| i % 2 == 1).fold(first, |text, (_, part)| text + part)
}

/// A text of the information dictionary, unless it is blank.
fn entry(file: &Document, key: &[u8]) -> Option<String> {
    let info = streams::get_dict(file, &file.trailer, b"Info")?;
    let Some(pdf_extract::Object::String(bytes, _)) = streams::get(file, info, key) else { return None };
    let text = decode_text(bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    (!text.is_empty()).then(|| text.to_owned())
}

/// `D:20240131120000+01'00'` in ISO 8601, without the zone; parts may be missing from the right.
fn iso_date(date: &str) -> Option<String> {
    let date = date.strip_prefix("D:").unwrap_or(date);
    let digits: String = date.chars().take_while(char::is_ascii_digit).take(14).collect();
    let part = |start: usize, end: usize| digits.get(start..end);
    let mut iso = part(0, 4)?.to_owned();
    for (mark, start) in [('-', 4), ('-', 6), ('T', 8), (':', 10), (':', 12)] {
        // An hour without its minutes is no time.
        let Some(digits) = part(start, start + 2).filter(|_| start != 8 || digits.len() >= 12) else { break };
        iso.push(mark);
        iso.push_str(digits);
    }
    Some(iso)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_strings() {
        for (bytes, want) in [
            (&b"caf\xe9 \x93"[..], "café “"),
            (b"\xfe\xff\0a\x20\xac\xd8\0", "a€\u{fffd}"),
            (b"\xff\xfea\0", "a"),
            (b"\xef\xbb\xbf\xc3\xa9", "é"),
            (b"\xfe\xff\0\x1b\0d\0e\0\x1b\0a", "a"),
            (b"", ""),
        ] {
            assert_eq!(decode_text(bytes), want);
        }
    }

    #[test]
    fn dates() {
        for (date, want) in [
            ("D:20240131120500+01'00'", Some("2024-01-31T12:05:00")),
            ("D:202401311205", Some("2024-01-31T12:05")),
            ("2024013112", Some("2024-01-31")),
            ("D:2024", Some("2024")),
            ("yesterday", None),
        ] {
            assert_eq!(iso_date(date).as_deref(), want);
        }
    }
}
