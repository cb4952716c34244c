//! The options of the commands about a knowledge base as a whole.

use std::path::PathBuf;

use assistant::Scope;
use clap::{Args, Subcommand};

use crate::error::Result;
use crate::when;

/// A knowledge base that is there.
#[derive(Debug, Clone, Args)]
pub struct KbArgs {
    /// The knowledge base's file
    #[arg(long, value_name = "FILE")]
    pub kb: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which documents are searched.
#[derive(Debug, Clone, Default, Args)]
pub struct ScopeArgs {
    /// Only documents of this collection; may be repeated
    #[arg(long = "collection", value_name = "NAME")]
    pub collections: Vec<String>,
    /// Only documents with this tag; repeated, with all of them
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Only documents added since: 2026-11-25, 2026-11-25T08:30 (UTC), or 7d, 12h, 30min ago
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only documents added before
    #[arg(long, value_name = "WHEN")]
    pub before: Option<String>,
    /// Only documents with an author whose name has this in it
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
    /// Only documents that say they were written since: 2026, 2026-11 or 2026-11-25
    #[arg(long, value_name = "DATE")]
    pub written_since: Option<String>,
    /// Only documents that say they were written before
    #[arg(long, value_name = "DATE")]
    pub written_before: Option<String>,
}

impl ScopeArgs {
    /// The scope that the options tell.
    pub fn scope(&self) -> Result<Scope> {
        let time = |text: &Option<String>| {
            text.as_deref().map(|text| when::parse(text, platform::unix_ms())).transpose()
        };
        let date = |text: &Option<String>| text.as_deref().map(when::checked_date).transpose();
        Ok(Scope {
            collections: self.collections.clone(),
            tags: self.tags.clone(),
            added_from_unix_ms: time(&self.since)?,
            added_before_unix_ms: time(&self.before)?,
            author: self.author.clone(),
            created_from: date(&self.written_since)?,
            created_before: date(&self.written_before)?,
        })
    }
}

#[derive(Debug, Args)]
pub struct DocsArgs {
    #[command(subcommand)]
    pub command: DocsCommand,
}

#[derive(Debug, Subcommand)]
pub enum DocsCommand {
    /// The documents, with their collections and tags
    List {
        #[command(flatten)]
        kb: KbArgs,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Remove documents
    Remove {
        #[command(flatten)]
        kb: KbArgs,
        /// Names of documents
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Change the tags of documents
    Tag {
        #[command(flatten)]
        kb: KbArgs,
        /// Names of documents
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Add this tag; may be repeated
        #[arg(long, value_name = "TAG")]
        add: Vec<String>,
        /// Take this tag away; may be repeated
        #[arg(long, value_name = "TAG")]
        remove: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct CollectionsArgs {
    #[command(subcommand)]
    pub command: CollectionsCommand,
}

#[derive(Debug, Subcommand)]
pub enum CollectionsCommand {
    /// The collections, and how many documents are in each
    List {
        #[command(flatten)]
        kb: KbArgs,
    },
    /// Make an empty collection
    Create {
        #[command(flatten)]
        kb: KbArgs,
        /// Its name
        name: String,
    },
    /// Give a collection another name
    Rename {
        #[command(flatten)]
        kb: KbArgs,
        /// Its name
        name: String,
        /// Its new name
        to: String,
    },
    /// Delete a collection; its documents stay, unless --with-documents is given
    Delete {
        #[command(flatten)]
        kb: KbArgs,
        /// Its name
        name: String,
        /// Delete the documents in it, too
        #[arg(long)]
        with_documents: bool,
    },
    /// Move documents into a collection
    Move {
        #[command(flatten)]
        kb: KbArgs,
        /// The collection; without it they are taken out of theirs
        #[arg(long, value_name = "COLLECTION")]
        to: Option<String>,
        /// Names of documents
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct ConversationsArgs {
    #[command(subcommand)]
    pub command: ConversationsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ConversationsCommand {
    /// The conversations, the last changed first
    List {
        #[command(flatten)]
        kb: KbArgs,
    },
    /// The questions and answers of one
    Show {
        #[command(flatten)]
        kb: KbArgs,
        /// Its number, as `list` shows it
        id: u64,
    },
    /// Give one another title
    Rename {
        #[command(flatten)]
        kb: KbArgs,
        /// Its number
        id: u64,
        /// Its new title
        title: String,
    },
    /// Delete one
    Delete {
        #[command(flatten)]
        kb: KbArgs,
        /// Its number
        id: u64,
    },
}

#[derive(Debug, Args)]
pub struct JobsArgs {
    #[command(subcommand)]
    pub command: JobsCommand,
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// The queue, and how far each file is
    List {
        #[command(flatten)]
        kb: KbArgs,
    },
    /// Put files and folders into the queue; `run` reads them
    Add {
        #[command(flatten)]
        kb: KbArgs,
        /// Files and folders
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Put the documents into this collection, which is made if it is not there
        #[arg(long, value_name = "NAME")]
        collection: Option<String>,
    },
    /// Read what waits; stopped at any moment, it goes on there when it is run again
    Run {
        #[command(flatten)]
        kb: KbArgs,
    },
    /// Stop jobs until they are resumed
    Pause {
        #[command(flatten)]
        kb: KbArgs,
        /// Their numbers
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
    },
    /// Let jobs that are paused or have failed wait for their turn again
    Resume {
        #[command(flatten)]
        kb: KbArgs,
        /// Their numbers
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
    },
    /// Take jobs out of the queue
    Cancel {
        #[command(flatten)]
        kb: KbArgs,
        /// Their numbers
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
    },
    /// Take those that are done out of the list
    Clear {
        #[command(flatten)]
        kb: KbArgs,
    },
}

#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(flatten)]
    pub kb: KbArgs,
    /// The folder; its documents are called by its name and their paths below it
    pub dir: PathBuf,
    /// Put new documents into this collection, which is made if it is not there
    #[arg(long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Remove the documents whose files are gone, without asking
    #[arg(long)]
    pub delete: bool,
    /// Only tell what would be done
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub kb: KbArgs,
    /// The file to write; one that is there is not overwritten
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    pub kb: KbArgs,
    /// A file that `export` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}
