//! What can go wrong in the store, and what to do about it.

use crate::EmbedderTag;

/// Everything that `vectordb` refuses or fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file was filled by another embedder; its vectors cannot be compared with the asked one's.
    #[error(
        "the knowledge base was built with the embedder {stored} and this one is {asked}: \
         add the documents again to a new knowledge base, or choose the embedder it was built with"
    )]
    EmbedderMismatch {
        /// The embedder whose vectors are in the file.
        stored: Box<EmbedderTag>,
        /// The embedder that the caller wanted to use.
        asked: Box<EmbedderTag>,
    },
    /// The file is of a format that this version does not read.
    #[error(
        "the knowledge base has format {found}, and this version reads formats up to {supported}: update Footnote"
    )]
    UnknownFormat {
        /// Format number in the file.
        found: u64,
        /// The newest format that is understood.
        supported: u64,
    },
    /// The bytes of the file contradict their checksums or the format.
    #[error(
        "the knowledge base is damaged ({detail}): restore a copy, or add the documents again to a new one"
    )]
    Corrupt {
        /// What was found to be wrong.
        detail: String,
    },
    /// The device or the browser's quota is full. The store is unchanged.
    #[error("no room left to store this ({detail}): free some space or delete documents; nothing was lost")]
    Full {
        /// The operating system's or browser's words.
        detail: String,
    },
    /// Reading or writing failed. The store is unchanged.
    #[error("the knowledge base could not be read or written ({detail}); the last change was not kept")]
    Io {
        /// The operating system's or browser's words.
        detail: String,
    },
    /// A document that cannot be stored as it is.
    #[error("`{name}` cannot be stored: {reason}")]
    BadDocument {
        /// The document's name.
        name: String,
        /// Which of its parts is wrong.
        reason: String,
    },
    /// A query vector with another number of dimensions than the stored ones, or with NaN in it.
    #[error("a query vector needs {expected} finite numbers and has {got}")]
    BadQuery {
        /// Dimensions of the stored vectors.
        expected: usize,
        /// How many finite numbers came.
        got: usize,
    },
    /// The file could not be opened.
    #[error(transparent)]
    File(#[from] platform::Error),
    /// The query engine refused a statement of this crate: a bug, not a matter of data.
    #[error("the query engine failed: {detail}")]
    Engine {
        /// The engine's words.
        detail: String,
    },
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;
