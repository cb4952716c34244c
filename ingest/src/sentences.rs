//! Sentence boundaries.

use crate::Span;

/// The sentences of `text`, in order, without surrounding blanks.
pub fn sentences(text: &str) -> Vec<Span> {
    vec![Span::new(0, text.chars().count() as u32)]
}
