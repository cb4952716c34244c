//! What can go wrong between a question and its answer, in words a user can act on.

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The errors of the crates below, and the few of this one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing has been added yet.
    #[error("the knowledge base is empty; add documents, then ask")]
    NoDocuments,
    /// The question has no word in it.
    #[error("the question is empty; type what you want to know")]
    EmptyQuestion,
    /// A scope lets no document through.
    #[error("no document is in the chosen collections with the chosen tags and dates; choose more of them")]
    NothingInScope,
    /// No collection has this name.
    #[error("there is no collection named `{name}`")]
    UnknownCollection {
        /// The name asked for.
        name: String,
    },
    /// A document of this id is not stored.
    #[error("there is no document {id}; it may have been removed")]
    UnknownDocument {
        /// The id asked for.
        id: u64,
    },
    /// The bytes that were given for a job are of another file.
    #[error("this is not the `{name}` that was added before; cancel that and add this file instead")]
    OtherFile {
        /// The file that was added.
        name: String,
    },
    /// A file cannot wait in the queue.
    #[error("no room left to keep `{name}` until its turn; free some space, then give it again")]
    NoRoomToWait {
        /// The file.
        name: String,
    },
    /// A new file was asked for, and one of that name exists.
    #[error("{path} is there already; name a new file")]
    AlreadyThere {
        /// The file.
        path: String,
    },
    /// Text was asked for, and no generator is loaded.
    #[error("no generator is loaded: {reason}")]
    NoGenerator {
        /// Why.
        reason: String,
    },
    /// A file could not be read as a document. Others are not affected.
    #[error(transparent)]
    Refused(#[from] ingest::Refusal),
    /// A model is missing or damaged.
    #[error(transparent)]
    Models(#[from] models::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] vectordb::Error),
    /// The embedder failed.
    #[error(transparent)]
    Embedder(#[from] embedder::Error),
    /// The generator failed.
    #[error(transparent)]
    Generator(#[from] generator::Error),
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// Files or storage failed.
    #[error(transparent)]
    Platform(#[from] platform::Error),
}

impl Error {
    /// Whether the GPU is gone and could not be replaced: open another assistant.
    pub fn is_device_lost(&self) -> bool {
        self.of_runtime().is_some_and(runtime::Error::is_device_lost)
    }

    /// Whether a model or a result had no room.
    pub fn is_out_of_memory(&self) -> bool {
        self.of_runtime().is_some_and(runtime::Error::is_out_of_memory)
    }

    /// Whether the knowledge base is damaged, or what stands in its place is none: [`crate::repair`]
    /// copies what is readable.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Store(vectordb::Error::Corrupt { .. } | vectordb::Error::NotAStore))
    }

    fn of_runtime(&self) -> Option<&runtime::Error> {
        match self {
            Self::Runtime(error)
            | Self::Embedder(embedder::Error::Runtime(error))
            | Self::Generator(generator::Error::Runtime(error)) => Some(error),
            _ => None,
        }
    }
}
