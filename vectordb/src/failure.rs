//! Failures of the page store on their way through cozo: cozo carries them as reports, and they come
//! out again as [`Error`].

use std::io;

use crate::Error;

/// What went wrong below cozo.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Failure {
    kind: Kind,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Io,
    /// redb gave up on the open database before.
    Earlier,
    Corrupt,
    Foreign,
    Refused,
}

impl miette::Diagnostic for Failure {}

impl Failure {
    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self { kind: Kind::Corrupt, detail: detail.into() }
    }

    pub(crate) fn io(detail: impl Into<String>) -> Self {
        Self { kind: Kind::Io, detail: detail.into() }
    }

    /// The file is none of ours.
    pub(crate) fn foreign() -> Self {
        Self { kind: Kind::Foreign, detail: "it does not begin like one".into() }
    }

    /// Whether redb gives up on the open database after this.
    pub(crate) fn needs_reopening(&self) -> bool {
        matches!(self.kind, Kind::Full | Kind::Io | Kind::Earlier)
    }

    /// Whether it is the echo of an earlier failure, so that what was asked may still succeed.
    pub(crate) fn is_of_earlier(&self) -> bool {
        self.kind == Kind::Earlier
    }
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        let kind = match &error {
            redb::Error::Io(io) => match io.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Full,
                // redb's word for bytes that are no database, and for pages behind the end.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Kind::Corrupt,
                _ => Kind::Io,
            },
            redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_) => {
                Kind::Earlier
            }
            redb::Error::ValueTooLarge(_) => Kind::Refused,
            _ => Kind::Corrupt,
        };
        Self { kind, detail: error.to_string() }
    }
}

macro_rules! through_redb_error {
    ($($from:ty),*) => {
        $(impl From<$from> for Failure {
            fn from(error: $from) -> Self {
                redb::Error::from(error).into()
            }
        })*
    };
}
through_redb_error!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::CompactionError,
    redb::DatabaseError
);

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let detail = failure.detail;
        match failure.kind {
            Kind::Full => Self::Full { detail },
            Kind::Io | Kind::Earlier => Self::Io { detail },
            Kind::Corrupt => Self::Corrupt { detail },
            Kind::Foreign => Self::NotAStore,
            Kind::Refused => Self::Engine { detail },
        }
    }
}

impl From<miette::Report> for Error {
    fn from(report: miette::Report) -> Self {
        match report.downcast_ref::<Failure>() {
            Some(failure) => failure.clone().into(),
            None => Self::Engine { detail: report.to_string() },
        }
    }
}
