//! From the bytes of a file to text with structure, and from there to passages.
//!
//! ```
//! use ingest::{ChunkPolicy, Hint, Limits, chunk, ingest, slice};
//!
//! let file = b"# Harbour\n\nThe lighthouse was built in 1862.\n";
//! let hint = Hint { name: "harbour.md", ..Hint::default() };
//! let (document, warnings) = ingest(file, &hint, &Limits::default())?;
//! assert_eq!(document.title.as_deref(), Some("Harbour"));
//! assert!(warnings.is_empty());
//!
//! let count_words = |text: &str| text.split_whitespace().count() as u32;
//! let chunks = chunk(&document, &ChunkPolicy::default(), &count_words);
//! assert_eq!(chunks[0].heading_path, ["Harbour"]);
//! assert_eq!(chunks[0].text, slice(&document.text, chunks[0].span));
//! # Ok::<(), ingest::Refusal>(())
//! ```
//!
//! # Invariants
//!
//! - Any bytes may come in; a document with warnings or a refusal comes out, never a panic
//!   (where panics unwind) and never a hang: work is bounded by [`Limits`] and named constants.
//! - Pure: no files, clock, threads or network, so the same on every platform.
//! - All places are spans of Unicode code points of [`Document::text`]. Text is never rewritten
//!   after spans are taken: what is shown under a span is what the file says.
//! - [`chunk`] loses nothing: in order, without overlap, every character that is not blank lies
//!   in exactly one chunk, but for running titles and page numbers; each chunk's text is the slice
//!   of its span.
//! - It knows no model: token counts come in as a function.
#![forbid(unsafe_code)]

mod all;
mod archive;
mod blocks;
mod chunk;
mod code;
mod compose;
mod csv;
mod decode;
mod document;
mod epub;
mod html;
mod json;
mod limits;
mod mail;
mod markdown;
mod odf;
mod office;
mod paths;
mod pdf;
mod plain;
mod read;
mod reading;
mod rst;
mod sentences;
mod sniff;
mod subtitles;
mod table;
mod text;
mod xml;

pub use all::{Entry, Told, ingest_all, ingest_each};
pub use chunk::{Chunk, ChunkPolicy, chunk, with_whole_words};
pub use document::{Block, BlockKind, Document, Kind, Refusal, Span, Warning, WarningCode};
pub use limits::{Hint, Limits};
pub use read::ingest;
pub use reading::Reading;
pub use sentences::sentences;
pub use text::slice;
