//! What the page asks about the knowledge base as a whole: its order, its conversations, its queue of
//! files, its copies. What changes the shelf, the conversations or the queue is told to every tab.

use assistant::{
    Collection, Contents, Conversation, Enqueued, Exported, Imported, Message, QueueState, SyncPlan, Tag,
};
use serde::{Deserialize, Serialize};

use crate::DocumentRow;

/// A part of [`crate::Request`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LibraryRequest {
    /// What is stored. Answered by `Shelf`, as all changes of it are.
    Shelf,
    /// Make an empty collection.
    CreateCollection {
        /// Its name.
        name: String,
    },
    /// Give a collection another name.
    RenameCollection {
        /// The collection.
        collection: u64,
        /// Its new name.
        name: String,
    },
    /// Delete a collection.
    DeleteCollection {
        /// The collection.
        collection: u64,
        /// What becomes of its documents.
        contents: Contents,
    },
    /// Put documents into a collection.
    MoveDocuments {
        /// The documents.
        documents: Vec<u64>,
        /// The collection; `None` takes them out of theirs.
        to: Option<u64>,
    },
    /// Give a document exactly these tags.
    SetTags {
        /// The document.
        document: u64,
        /// Its tags.
        tags: Vec<String>,
    },
    /// Forget documents.
    RemoveDocuments {
        /// The documents.
        documents: Vec<u64>,
    },
    /// The kept conversations. Answered by `Conversations`, as all changes of them are.
    Conversations,
    /// The messages of a conversation. Answered by `Messages`.
    Messages {
        /// The conversation.
        conversation: u64,
    },
    /// Give a conversation another title.
    RenameConversation {
        /// The conversation.
        conversation: u64,
        /// Its new title.
        title: String,
    },
    /// Delete a conversation.
    DeleteConversation {
        /// The conversation.
        conversation: u64,
    },
    /// Write the whole knowledge base to a file of the origin. Answered by `Exported`.
    Export,
    /// Take in an export, which comes beside this message. Answered by `Imported`, then `Shelf`.
    Import,
    /// Make the file of the knowledge base small. Answered by `Compacted`.
    Compact,
}

/// A part of [`crate::Request`]. Answered by `Queue`, where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueRequest {
    /// How far the queue is.
    State,
    /// Put files, which come beside this message in the same order, at its end. Answered by
    /// `Enqueued`. The engine reads them when it has nothing else to do.
    Enqueue {
        /// The files.
        files: Vec<FileName>,
        /// Where their documents go.
        collection: Option<u64>,
    },
    /// Stop jobs until they are resumed.
    Pause {
        /// The jobs.
        jobs: Vec<u64>,
    },
    /// Let jobs that are paused or have failed wait for their turn.
    Resume {
        /// The jobs.
        jobs: Vec<u64>,
    },
    /// Take jobs out of the queue.
    Cancel {
        /// The jobs.
        jobs: Vec<u64>,
    },
    /// Take those that are done out of the list.
    ClearDone,
    /// Give the file of a job that needs it again; it comes beside this message.
    GiveFile {
        /// The job.
        job: u64,
    },
    /// Compare a folder, whose files come beside this message in the same order, with the documents
    /// that came from it. Answered by `SyncPlanned`; the engine keeps the files until another plan.
    PlanSync {
        /// The folder's name.
        folder: String,
        /// Paths of its files below it.
        paths: Vec<String>,
    },
    /// Do what was planned. Answered by `Synced`.
    ApplySync {
        /// Remove the documents whose files are gone.
        delete_gone: bool,
        /// Where new documents go.
        collection: Option<u64>,
    },
}

/// A file that comes beside a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileName {
    /// Its name, with the folders above it where it came in one.
    pub name: String,
    /// The media type the browser claims; empty when it knows none.
    pub mime: String,
}

/// A part of [`crate::Event`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LibraryEvent {
    /// What is stored now.
    Shelf(Shelf),
    /// The kept conversations, the last changed first.
    Conversations(Vec<Conversation>),
    /// A conversation. The `details` of an answer are its `Answer`.
    Messages {
        /// The conversation.
        conversation: u64,
        /// First to last.
        messages: Vec<Message>,
    },
    /// A question and its answer were kept; comes before `Answered`.
    Kept {
        /// The conversation.
        conversation: u64,
    },
    /// A question and its answer could not be kept; comes before `Answered`.
    NotKept {
        /// Says what to do.
        message: String,
    },
    /// How far an export or import is.
    Copying {
        /// Bytes so far.
        done_bytes: u64,
        /// All of them, where that is known.
        total_bytes: Option<u64>,
    },
    /// The knowledge base was written to a file.
    Exported {
        /// Path of the file from the root of the origin-private file system.
        path: String,
        /// What is in it.
        exported: Exported,
    },
    /// An export was taken in.
    Imported(Imported),
    /// The file was made small.
    Compacted {
        /// How many bytes it lost.
        n_bytes: u64,
    },
    /// The queue has changed; also told by itself, under id 0.
    Queue(QueueState),
    /// Files were put into the queue, or not.
    Enqueued {
        /// In the order of the files; an error says why one cannot be taken.
        files: Vec<Result<Enqueued, String>>,
    },
    /// What has to be done for a folder.
    SyncPlanned(SyncPlan),
    /// It was done; files to be read wait in the queue.
    Synced {
        /// Documents that were removed.
        n_removed: usize,
        /// Files that were put into the queue.
        n_enqueued: usize,
    },
}

/// What is stored, and how it is put in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// All documents, in the order in which they were added.
    pub documents: Vec<DocumentRow>,
    /// All collections, by name.
    pub collections: Vec<Collection>,
    /// All tags, by name.
    pub tags: Vec<Tag>,
}
