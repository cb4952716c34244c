//! Code points and bytes.

use crate::Span;

/// The part of `text` within `span`, clamped to the text.
pub fn slice(text: &str, span: Span) -> &str {
    let start = byte_of(text, span.start as usize);
    let n_chars = span.len() as usize;
    let end = start + byte_of(&text[start..], n_chars);
    &text[start..end]
}

/// Byte offset of the `n`th code point, or the length if there are fewer.
fn byte_of(text: &str, n: usize) -> usize {
    text.char_indices().nth(n).map_or(text.len(), |(at, _)| at)
}
