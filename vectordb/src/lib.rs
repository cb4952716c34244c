//! The store and the search of a knowledge base: documents, their passages, one vector per passage.
//!
//! Floor 2. cozo is the system of record, over one redb file; vectors and index terms are held in
//! memory besides. `docs/FORMAT.md` describes the file.
//!
//! ```
//! use vectordb::{Db, EmbedderTag, Filter, NewChunk, NewDocument};
//!
//! # fn main() -> vectordb::Result<()> {
//! let tag = EmbedderTag {
//!     id: "tiny".into(),
//!     revision: "1".into(),
//!     dimensions: 2,
//!     pooling: "mean".into(),
//!     prefix: "".into(),
//! };
//! let mut db = Db::in_memory(&tag)?;
//! let text = "Redwoods grow tall.".to_string();
//! let chunk = NewChunk {
//!     start: 0,
//!     end: 19,
//!     page: None,
//!     heading_path: vec!["Trees".into()],
//!     text: text.clone(),
//!     vector: vec![0.6, 0.8],
//!     sentences: Default::default(),
//! };
//! let document = NewDocument {
//!     name: "trees.md".into(),
//!     kind: "markdown".into(),
//!     title: None,
//!     sha256: [7; 32],
//!     n_bytes: 19,
//!     added_unix_ms: 0,
//!     text,
//!     page_starts: vec![],
//!     warnings: vec![],
//!     about: Default::default(),
//!     chunks: vec![chunk],
//! };
//! let id = db.put_document(&document)?;
//! let hits = db.search(&[0.6, 0.8], "tallest redwood", 3, &Filter::default())?;
//! assert_eq!(db.chunks(&[hits[0].chunk])?[0].document, id);
//! assert!(db.remove_document(id)?);
//! # Ok(())
//! # }
//! ```
//!
//! Invariants:
//! - `vectordb` does not know what an embedding model is: vectors come with a tag and are compared.
//! - A change is one transaction. After a failure or a crash anywhere in it, the file holds exactly the
//!   state before or after, and the store goes on without being opened anew.
//! - Opening for reading only never writes to the file, whatever state it is in.
//! - What searches look into is derived from committed rows only, and agrees with them.
//! - No bytes of a file, and no text of a question, make it panic; user text is no query syntax.
//! - It reads no clock, and on the web starts no thread.

mod analysis;
#[cfg(feature = "hnsw")]
mod ann;
mod bm25;
mod check;
mod collections;
mod conversations;
mod copies;
mod db;
mod documents;
mod engine;
mod error;
mod export;
mod failure;
mod filter;
mod framing;
mod fuse;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(feature = "hnsw")]
mod graph_file;
mod import;
mod index;
mod jobs;
mod load;
mod migrate;
mod overlay;
mod pages;
mod postings;
mod query;
mod rows;
mod salvage;
mod scan;
mod schema;
mod search;
mod sentences;
mod signs;
mod sketch;
mod slab;
mod storage;
mod top;
mod types;
mod values;
mod verify;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod library_crash_tests;
#[cfg(test)]
mod library_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod transfer_tests;

pub use analysis::terms;
pub use collections::{Collection, CollectionId, Contents, MAX_DOCUMENT_TAGS, MAX_TAG_CHARS, Tag};
pub use conversations::{
    Conversation, ConversationId, MAX_CONVERSATION_MESSAGES, MAX_MESSAGE_BYTES, Message, Role,
};
pub use copies::MIN_OVERLAP;
pub use db::Db;
pub use documents::MAX_DOCUMENT_CHUNKS;
pub use error::{Error, Result};
pub use export::{Export, Exported};
pub use filter::Filter;
pub use import::{Import, Imported};
pub use jobs::{Job, JobId, JobStage, MAX_JOBS, NewJob};
pub use salvage::{Loss, Salvage};
pub use sentences::{SentenceVector, SentenceVectors};
pub use types::{
    About, ChunkId, ChunkRow, ChunkVectors, DocumentId, DocumentInfo, DocumentText, EmbedderTag, Hit,
    Meaning, NearDuplicate, NewChunk, NewDocument, Placement, Stats,
};
pub use verify::{MAX_PROBLEMS, verify};
