//! E-mail (RFC 5322, MIME) and mailboxes (RFC 4155): the subject as heading, who wrote to whom and when,
//! then the text; forwarded messages below, each with its own subject.

mod header;
mod mime;
mod transfer;

use crate::blocks::ByteBlock;
use crate::compose::Composer;
use crate::{BlockKind, Document, Hint, Kind, Limits, Refusal, Warning, html, plain};
use mime::Part;

/// Messages forwarded within forwarded messages.
const MAX_DEPTH: u8 = 8;
/// 16 MiB: longer texts are no letters, and the tree of an HTML page takes tens of bytes per byte.
const MAX_BODY_BYTES: usize = 16 << 20;

/// A file that came with a message.
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// The kind of mail that some bytes look like: a mailbox, a message, or none.
pub(crate) fn kind_of(bytes: &[u8]) -> Option<Kind> {
    const KNOWN: [&str; 13] = [
        "from",
        "to",
        "cc",
        "subject",
        "date",
        "received",
        "message-id",
        "mime-version",
        "return-path",
        "content-type",
        "delivered-to",
        "reply-to",
        "x-mailer",
    ];
    let head = &bytes[..bytes.len().min(8 << 10)];
    let (head, is_mailbox) = match head.strip_prefix(b"From ") {
        Some(rest) => (&rest[rest.iter().position(|&b| b == b'\n')? + 1..], true),
        None => (head, false),
    };
    let mut n_known = 0;
    for line in head.split(|&b| b == b'\n').take(60) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let name = line.split(|&b| b == b':').next().filter(|name| name.len() < line.len())?;
        if name.is_empty() || !name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return None;
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        n_known += u8::from(KNOWN.contains(&name.as_str()));
    }
    (n_known >= 2).then_some(if is_mailbox { Kind::Mailbox } else { Kind::Email })
}

/// Reads a message or a mailbox.
pub(crate) fn read(
    bytes: &[u8],
    kind: Kind,
    hint: &Hint,
    limits: &Limits,
) -> Result<(Document, Vec<Warning>), Refusal> {
    let mut composer = Composer::new(hint, limits);
    if kind == Kind::Mailbox {
        for message in messages(bytes) {
            if composer.is_full() {
                break;
            }
            write(&Part::parse(&unescaped(message)), 1, &mut composer);
        }
        let (mut document, warnings) = composer.finish(kind)?;
        // A mailbox is not called what its first message is about.
        document.title = None;
        return Ok((document, warnings));
    }
    let message = Part::parse(bytes);
    write(&message, 1, &mut composer);
    composer.about.title = message.header("subject");
    composer.about.authors.extend(message.header("from"));
    composer.about.created = message.header("date").map(|date| header::iso_date(&date).unwrap_or(date));
    composer.finish(kind)
}

/// The files that came with a message.
pub(crate) fn attachments(bytes: &[u8]) -> Vec<Attachment> {
    let message = Part::parse(bytes);
    let files = message.leaves().into_iter().filter(|part| part.file_name().is_some());
    files
        .map(|part| Attachment { name: part.file_name().unwrap_or_default(), bytes: part.content() })
        .collect()
}

/// The messages of a mailbox: each begins with a line `From ..` after a blank one.
fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |at| at + 1);
        let body = &rest[start..];
        let end = body.windows(7).position(|w| w.ends_with(b"\nFrom ") && matches!(w[0], b'\n' | b'\r'));
        let end = end.map_or(body.len(), |at| at + 2);
        rest = &body[end..];
        Some(&body[..end])
    })
}

/// Lines that begin with `From ` were given a `>` when they were put into the mailbox.
fn unescaped(message: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|&b| b == b'\n') {
        let quoted = line.iter().take_while(|&&b| b == b'>').count();
        let is_escaped = quoted > 0 && line[quoted..].starts_with(b"From ");
        plain.extend_from_slice(&line[usize::from(is_escaped)..]);
    }
    plain
}

fn write(message: &Part<'_>, depth: u8, composer: &mut Composer<'_>) {
    let subject = message.header("subject").unwrap_or_default();
    composer.heading(depth, &subject);
    let mut about = String::new();
    for (name, label) in [("from", "From"), ("to", "To"), ("cc", "Cc"), ("date", "Date")] {
        if let Some(value) = message.header(name) {
            about.push_str(&format!("{label}: {value}\n"));
        }
    }
    let leaves = message.leaves();
    let names: Vec<String> = leaves.iter().filter_map(Part::file_name).collect();
    if !names.is_empty() {
        about.push_str(&format!("Attachments: {}\n", names.join(", ")));
    }
    composer.paragraph(&about);
    write_body(&leaves, composer);
    for part in leaves.iter().filter(|part| part.mime == "message/rfc822" && depth < MAX_DEPTH) {
        write(&Part::parse(&part.content()), depth + 1, composer);
    }
}

/// The plain texts; the HTML ones only where there is no plain one.
fn write_body(leaves: &[Part<'_>], composer: &mut Composer<'_>) {
    let bodies = |mime: &str| -> Vec<String> {
        let parts = leaves.iter().filter(|part| part.mime == mime && part.file_name().is_none());
        parts.map(Part::text).filter(|text| !text.trim().is_empty() && text.len() <= MAX_BODY_BYTES).collect()
    };
    let plain_bodies = bodies("text/plain");
    for text in &plain_bodies {
        let blocks = plain::parse(text);
        let (text, blocks) = trimmed(text, blocks);
        composer.append(text, &blocks);
    }
    if plain_bodies.is_empty() {
        for source in bodies("text/html") {
            let page = html::parse(&source);
            // Headings within a letter are below its subject.
            let lowered = |kind| match kind {
                BlockKind::Heading { level } => BlockKind::Heading { level: (level + 1).min(6) },
                kind => kind,
            };
            let blocks: Vec<ByteBlock> =
                page.blocks.iter().map(|b| ByteBlock { kind: lowered(b.kind), ..*b }).collect();
            composer.append(&page.text, &blocks);
        }
    }
}

/// The text without blanks around it, and its blocks moved along.
fn trimmed(text: &str, blocks: Vec<ByteBlock>) -> (&str, Vec<ByteBlock>) {
    let n_before = text.len() - text.trim_start().len();
    let moved = blocks.into_iter().map(|b| ByteBlock {
        kind: b.kind,
        start: b.start.saturating_sub(n_before),
        end: b.end.saturating_sub(n_before),
    });
    let moved = moved.collect();
    (text.trim(), moved)
}
