//! What ends a command, in words a user can act on.

use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Assistant(#[from] assistant::Error),
    #[error(transparent)]
    Models(#[from] models::Error),
    #[error(transparent)]
    Generator(#[from] generator::Error),
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}, line {line}: {reason}")]
    Question { path: PathBuf, line: usize, reason: String },
    #[error("there is no knowledge base {path}; make it with `footnote index --kb {path} PATH..`")]
    NoKnowledgeBase { path: String },
    #[error(
        "no document could be read from {paths}; give files or folders with documents, books, tables, letters or text"
    )]
    NothingRead { paths: String },
    #[error("no folder for models is known; name one with --models DIR or FOOTNOTE_MODELS")]
    NoModelFolder,
    #[error("there is no document named `{name}`; `footnote docs list` names them")]
    NoDocument { name: String },
    #[error("there is no collection named `{name}`; `footnote collections list` names them")]
    NoCollection { name: String },
    #[error("`{text}` is no date; give one like 2026-11-25, 2026-11-25T08:30, or 7d, 12h, 30min ago")]
    NoDate { text: String },
    #[error("{0}")]
    Usage(String),
    #[error("cannot write the result: {0}")]
    Output(#[from] serde_json::Error),
}

/// Names the file in an I/O error.
pub trait AtPath<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> AtPath<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::File { path: path.into(), source })
    }
}
