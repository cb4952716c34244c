//! What can go wrong between this program and the system below it.

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the file system or the network refused. Each message names the file or address and says
/// what to do where something can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No file or folder of that name.
    #[error("{path} does not exist")]
    NotFound {
        /// The path as it was asked for.
        path: String,
    },
    /// Another handle, tab or process has the file open for longer than [`crate::MAX_LOCK_WAIT_MS`].
    #[error("{path} is in use by another tab or program; close it and try again")]
    Locked {
        /// The path as it was asked for.
        path: String,
    },
    /// The disk, or what the browser grants this site, is full.
    #[error(
        "no room for {needed_bytes} more bytes in {path}; free some disk space, or delete documents or models, and try again"
    )]
    QuotaExceeded {
        /// The file that was being written.
        path: String,
        /// How many bytes the refused write asked for.
        needed_bytes: u64,
    },
    /// A read went past the end of the file.
    #[error(
        "{path} ends at byte {file_bytes}, but {wanted_bytes} bytes at {offset} were needed; the file is truncated"
    )]
    UnexpectedEof {
        /// The file that was being read.
        path: String,
        /// Where the read began.
        offset: u64,
        /// How many bytes it wanted.
        wanted_bytes: u64,
        /// How long the file is.
        file_bytes: u64,
    },
    /// The file system refused for another reason.
    #[error("{path} could not be {action}: {reason}")]
    Io {
        /// The path as it was asked for.
        path: String,
        /// What was tried, as in "could not be written".
        action: &'static str,
        /// The system's own words.
        reason: String,
    },
    /// The server answered with a status that brings no file.
    #[error("{url} answered with HTTP status {status}")]
    Http {
        /// The address asked for.
        url: String,
        /// The status code.
        status: u16,
    },
    /// The server asks to be left alone for a while.
    #[error("{url} is busy (HTTP status {status}); try again later")]
    Busy {
        /// The address asked for.
        url: String,
        /// The status code: 429 or 503.
        status: u16,
        /// For how many seconds, if it says so.
        wait_s: Option<u32>,
    },
    /// The server could not be reached, or the connection broke or stalled.
    #[error("{url} could not be downloaded: {reason}; check the connection and try again")]
    Network {
        /// The address asked for.
        url: String,
        /// The system's own words.
        reason: String,
    },
    /// This system, or this kind of thread, cannot do it.
    #[error("{what} is not available here")]
    Unsupported {
        /// What is missing.
        what: String,
    },
}
