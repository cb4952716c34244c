//! The store and the search of a knowledge base: documents, their passages, one vector per passage.
//!
//! - `vectordb` does not know what an embedding model is: vectors come with a tag and are compared.

mod analysis;
#[cfg(feature = "hnsw")]
mod ann;
mod bm25;
mod db;
mod engine;
mod error;
mod failure;
mod fuse;
mod index;
mod load;
mod pages;
mod postings;
mod schema;
mod slab;
mod storage;
mod top;
mod types;
mod values;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod testing;

pub use analysis::terms; // `assistant` compares sentences by the same terms
pub use db::{Db, MAX_DOCUMENT_CHUNKS};
pub use error::{Error, Result};
pub use types::{
    ChunkId, ChunkRow, DocumentId, DocumentInfo, DocumentText, EmbedderTag, Filter, Hit, NewChunk,
    NewDocument, Stats,
};
