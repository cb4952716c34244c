//! From the bytes of a file to text with structure, and from there to passages.
#![forbid(unsafe_code)]

mod chunk;
mod document;
mod limits;
mod sentences;
mod text;

pub use chunk::{Chunk, ChunkPolicy, chunk};
pub use document::{Block, BlockKind, Document, Kind, Refusal, Span, Warning, WarningCode};
pub use limits::{Hint, Limits};
pub use sentences::sentences;
pub use text::slice;

/// Reads a file.
pub fn ingest(
    bytes: &[u8],
    hint: &Hint,
    limits: &Limits,
) -> Result<(Document, Vec<Warning>), Refusal> {
    let _ = limits;
    let text = String::from_utf8_lossy(bytes).into_owned();
    if text.trim().is_empty() {
        return Err(Refusal::Empty { name: hint.name.to_owned() });
    }
    let span = Span::new(0, text.chars().count() as u32);
    let blocks = vec![Block { kind: BlockKind::Paragraph, span, page: None }];
    Ok((Document { kind: Kind::PlainText, title: None, text, blocks, page_starts: Vec::new() }, Vec::new()))
}
