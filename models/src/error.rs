//! What can go wrong with model files, in words a user can act on.

use std::fmt;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A model file could not be found, fetched or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No model of that name is in the catalog.
    #[error(
        "there is no model \"{id}\"; known are: {known}; others by their repository on the hub (owner/name) or \
         by a folder with their files"
    )]
    UnknownModel {
        /// The name asked for.
        id: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The model is not in the folder yet.
    #[error("model {id}: {file} is not in {folder}; fetch the model first")]
    Missing {
        /// The model.
        id: String,
        /// The file that is not there.
        file: String,
        /// Where it was looked for.
        folder: String,
    },
    /// The file is there and is not what it should be.
    #[error("model file {path} is damaged: {reason}; fetch the model again")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No source could give the file.
    #[error(
        "cannot fetch {file} of model {id} ({done_bytes} of {total_bytes} bytes are here); tried: {}; \
             check the network and fetch again (it goes on where it stopped), \
             or put the file into the model folder",
        list(tried)
    )]
    Unavailable {
        /// The model.
        id: String,
        /// The file.
        file: String,
        /// Bytes already in the `.part` file.
        done_bytes: u64,
        /// Size of the file.
        total_bytes: u64,
        /// Every source that was asked, and why it did not give the file.
        tried: Vec<Attempt>,
    },
    /// The disk, or what the browser grants this site, has no room for the model.
    #[error(
        "model {id} needs {} MB more, and {} MB are free; delete something, or choose a smaller model",
        needed_bytes.div_ceil(1_000_000),
        free_bytes / 1_000_000
    )]
    NoRoom {
        /// The model.
        id: String,
        /// Bytes that are still to be written, with what is left free for other work.
        needed_bytes: u64,
        /// Bytes that are free.
        free_bytes: u64,
    },
    /// A file that was to be imported is of no use, or its name is taken.
    #[error("{name} cannot be taken in: {reason}")]
    NotImported {
        /// The file, or the model's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// [`crate::Cancel`] was set.
    #[error(
        "fetching {file} was stopped at {done_bytes} of {total_bytes} bytes; fetch again to go on from there"
    )]
    Cancelled {
        /// The file.
        file: String,
        /// Bytes already in the `.part` file.
        done_bytes: u64,
        /// Size of the file.
        total_bytes: u64,
    },
    /// The disk or the browser's storage refused.
    #[error("model file {path}: {source}")]
    Storage {
        /// The file.
        path: String,
        /// What the platform said.
        source: platform::Error,
    },
}

/// One source that was asked, and why it did not give the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The source: a folder, an address or a package.
    pub source: String,
    /// Why it failed.
    pub reason: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.source, self.reason)
    }
}

fn list(tried: &[Attempt]) -> String {
    if tried.is_empty() {
        return "nothing, for no source is set".into();
    }
    tried.iter().map(Attempt::to_string).collect::<Vec<_>>().join(", ")
}

pub(crate) trait AtPath<T> {
    fn at(self, path: &str) -> Result<T>;
}

impl<T> AtPath<T> for platform::Result<T> {
    fn at(self, path: &str) -> Result<T> {
        self.map_err(|source| Error::Storage { path: path.into(), source })
    }
}
