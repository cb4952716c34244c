//! The store and the search of a knowledge base: documents, their passages, one vector per passage.
//!
//! - `vectordb` does not know what an embedding model is: vectors come with a tag and are compared.

mod db;
mod error;
mod fuse;
mod types;

pub use db::Db;
pub use error::{Error, Result};
pub use fuse::fuse;
pub use types::{
    ChunkId, ChunkRow, DocumentId, DocumentInfo, DocumentText, EmbedderTag, Filter, Hit, NewChunk,
    NewDocument, Stats,
};
