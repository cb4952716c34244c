//! What the page asks about models, and what it learns of them.

use assistant::Offer;
use models::{CopyProgress, FetchProgress};
use serde::{Deserialize, Serialize};

/// A part of [`crate::Request`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelsRequest {
    /// Which generators there are, and which suit this machine. Answered by `Offers`.
    List,
    /// Fetch a model, beside everything else. Answered by `Fetching`.. and `Here`.
    Fetch {
        /// Its name, or a repository of the hub (`owner/name`).
        id: String,
    },
    /// Write answers with another generator from now on. Answered by `Offers`.
    Use {
        /// Its name.
        id: String,
    },
    /// Take in the model whose files come beside this, beside everything else. Answered by `Copying`.. and `Here`.
    Import {
        /// The names of its files.
        names: Vec<String>,
        /// What it is called, where its files do not say.
        name: Option<String>,
    },
    /// Delete a model's files. Answered by `Offers`.
    Remove {
        /// Its name.
        id: String,
    },
    /// Where a model's files are. Answered by `Files`.
    Export {
        /// Its name.
        id: String,
    },
}

/// A part of [`crate::Event`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ModelsEvent {
    /// The generators, the smallest first; told to every tab when they have changed.
    Offers(Vec<Offer>),
    /// How far a download is.
    Fetching(FetchProgress),
    /// How far an import is.
    Copying(CopyProgress),
    /// A model was fetched or taken in.
    Here {
        /// Its name.
        id: String,
    },
    /// The files of a model.
    Files {
        /// Path in the origin's private file system, and the name to give it.
        files: Vec<(String, String)>,
    },
}

impl ModelsEvent {
    /// Whether this is the last event of its request.
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Fetching(_) | Self::Copying(_))
    }
}
