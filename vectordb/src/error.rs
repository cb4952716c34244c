//! What can go wrong in the store, and what to do about it.

use crate::{CollectionId, ConversationId, DocumentId, EmbedderTag, JobId};

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
    /// The file is something else. It was not touched.
    #[error(
        "the file is no knowledge base of Footnote and was left as it is: name another file, or a new one"
    )]
    NotAStore,
    /// The bytes of the file contradict their checksums or the format.
    #[error(
        "the knowledge base is damaged ({detail}): repair it, which copies all that is still readable to a \
         new one and says what is lost, or restore a copy"
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
    /// The store was opened for reading only.
    #[error("the knowledge base is open for reading only: open it for writing to change it")]
    ReadOnly,
    /// A name or a tag that cannot be used.
    #[error("{reason}")]
    BadName {
        /// What is wrong with it.
        reason: String,
    },
    /// A document of this id is not stored.
    #[error("there is no document {}; it may have been removed", id.0)]
    UnknownDocument {
        /// The id asked for.
        id: DocumentId,
    },
    /// A collection of this id is not stored.
    #[error("there is no collection {}; it may have been deleted", id.0)]
    UnknownCollection {
        /// The id asked for.
        id: CollectionId,
    },
    /// A conversation of this id is not stored.
    #[error("there is no conversation {}; it may have been deleted", id.0)]
    UnknownConversation {
        /// The id asked for.
        id: ConversationId,
    },
    /// A message that is too large, or one too many.
    #[error("the message was not kept: {reason}")]
    BadMessage {
        /// Which bound it breaks.
        reason: String,
    },
    /// A job of this id is not in the queue.
    #[error("there is no job {}; it may have been removed", id.0)]
    UnknownJob {
        /// The id asked for.
        id: JobId,
    },
    /// The queue holds as many jobs as it may.
    #[error("the queue holds at most {max_jobs} files: add the others when these are read")]
    QueueFull {
        /// How many it may hold.
        max_jobs: usize,
    },
    /// A file that is no whole export of a knowledge base. The store is unchanged.
    #[error("nothing was imported, because the file is not a whole export ({detail}): export it again")]
    BadExport {
        /// What was found to be wrong.
        detail: String,
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
