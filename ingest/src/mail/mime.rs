//! Messages and their parts (RFC 2045, 2046).

use super::header::{self, Parameters};
use super::transfer;
use crate::decode;
use encoding_rs::Encoding;
use std::borrow::Cow;

/// Parts within parts; mail programs nest three or four.
const MAX_DEPTH: usize = 16;
/// Parts of one message.
const MAX_PARTS: usize = 1_000;
/// Headers of one part, and the length of one. Bytes.
const MAX_HEADERS: usize = 1_000;
const MAX_HEADER_BYTES: usize = 64 << 10;

/// A message, or a part of one.
#[derive(Clone)]
pub(super) struct Part<'a> {
    /// Names in lower case, values unfolded but not decoded.
    headers: Vec<(String, String)>,
    /// The media type in lower case, without parameters.
    pub(super) mime: String,
    parameters: Parameters,
    body: &'a [u8],
}

impl<'a> Part<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Self {
        let (headers, body) = split_headers(bytes);
        let content_type = find(&headers, "content-type").unwrap_or("text/plain");
        let (mime, parameters) = header::parameters(content_type);
        Self { headers, mime, parameters, body }
    }

    /// A header's value with its encoded words decoded.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let value = header::decoded(find(&self.headers, name)?);
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        (!value.is_empty()).then_some(value)
    }

    /// The name of the file, if this part is one.
    pub(super) fn file_name(&self) -> Option<String> {
        let (disposition, parameters) =
            header::parameters(find(&self.headers, "content-disposition").unwrap_or(""));
        let name = parameters.get("filename").or_else(|| self.parameters.get("name"));
        let is_text = self.mime.starts_with("text/") || self.mime == "message/rfc822";
        match name {
            // A text shown in the letter may have a name as well.
            Some(name) if disposition != "inline" || !is_text => Some(name),
            None if disposition == "attachment" => Some("attachment".to_owned()),
            _ => None,
        }
    }

    /// The parts that hold something, in order; a message without parts is its own.
    pub(super) fn leaves(&self) -> Vec<Part<'a>> {
        let mut leaves = Vec::new();
        let mut waiting = vec![(self.clone(), 0)];
        while let Some((part, depth)) = waiting.pop()
            && leaves.len() + waiting.len() < MAX_PARTS
        {
            let boundary = part.parameters.get("boundary").filter(|_| part.mime.starts_with("multipart/"));
            match boundary.filter(|_| depth < MAX_DEPTH) {
                Some(boundary) => {
                    let parts = split_parts(part.body, &boundary);
                    waiting.extend(parts.into_iter().rev().map(|bytes| (Part::parse(bytes), depth + 1)));
                }
                None => leaves.push(part),
            }
        }
        leaves
    }

    /// The content, its transfer encoding undone.
    pub(super) fn content(&self) -> Vec<u8> {
        let encoding =
            find(&self.headers, "content-transfer-encoding").unwrap_or("").trim().to_ascii_lowercase();
        match encoding.as_str() {
            "base64" => transfer::base64(self.body),
            "quoted-printable" => transfer::quoted_printable(self.body),
            _ => self.body.to_vec(),
        }
    }

    /// The content as text.
    pub(super) fn text(&self) -> String {
        let bytes = self.content();
        let charset = self.parameters.get("charset");
        let declared = charset.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
        // ASCII is written where nothing else was asked for, and is what everything else contains.
        let declared = declared.filter(|_| !bytes.is_ascii() || bytes.contains(&0x1b));
        let text = match declared {
            Some(encoding) => encoding.decode_without_bom_handling(&bytes).0,
            None => Cow::Owned(decode::decode(&bytes, None, "").0),
        };
        let text = text.replace("\r\n", "\n");
        let is_flowed =
            self.parameters.get("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed"));
        if is_flowed { unflowed(&text) } else { text }
    }
}

fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The headers, continuation lines joined, and what follows them.
fn split_headers(bytes: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return (headers, after);
        }
        let text = match std::str::from_utf8(line) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(decode::decode(line, None, "").0),
        };
        if text.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut().filter(|(_, value)| value.len() < MAX_HEADER_BYTES) {
                value.push(' ');
                value.push_str(text.trim());
            }
        } else if let Some((name, value)) = text.split_once(':') {
            if headers.len() < MAX_HEADERS {
                headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        } else if !text.starts_with("From ") {
            // No header: the text has begun without a blank line.
            return (headers, rest);
        }
        rest = after;
    }
    (headers, rest)
}

/// What stands between lines that begin with `--` and the boundary.
fn split_parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mark = [b"--", boundary.as_bytes()].concat();
    let mut parts = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in body.split_inclusive(|&b| b == b'\n') {
        if line.starts_with(&mark) {
            let after = line[mark.len()..].trim_ascii();
            if after.is_empty() || after == b"--" {
                parts.extend(start.map(|start| &body[start..at]));
                start = after.is_empty().then_some(at + line.len());
                if parts.len() >= MAX_PARTS {
                    return parts;
                }
            }
        }
        at += line.len();
    }
    parts.extend(start.map(|start| &body[start..]));
    parts
}

/// Lines that end in a blank go on in the next one (RFC 3676).
fn unflowed(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.strip_prefix(' ').unwrap_or(line);
        joined.push_str(line);
        if !line.ends_with(' ') || line == "-- " {
            joined.push('\n');
        }
    }
    joined
}
