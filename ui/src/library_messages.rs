//! What the page asks about the knowledge base as a whole: its order, its conversations, its queue of
//! files, its copies. What changes the shelf, the conversations or the queue is told to every tab.

use assistant::{
    Collection, Contents, Conversation, Enqueued, Exported, Imported, Message, NearCopy, QueueState,
    Repaired, SyncPlan, Tag,
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
    /// The documents that say nearly the same as one. Answered by `Copies`.
    Copies {
        /// The document.
        document: u64,
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
    /// Write what is readable of a damaged knowledge base to a file of the origin. Answered by `Exported`.
    Rescue,
    /// Put what is readable of a damaged knowledge base in its place, and keep that beside it. Answered by
    /// `Rebuilt`, which is told to every tab; the engine has to be opened again.
    Rebuild,
    /// Delete what `Rebuild` has kept. Answered by `Shelf`.
    ForgetDamaged,
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
    /// Stop jobs until they are resumed: without a list all that wait or are at work.
    Pause {
        /// The jobs.
        jobs: Jobs,
    },
    /// Let jobs that are paused or have failed wait for their turn: without a list all that are paused.
    Resume {
        /// The jobs.
        jobs: Jobs,
    },
    /// Take jobs out of the queue: without a list all that wait, are at work or are paused.
    Cancel {
        /// The jobs.
        jobs: Jobs,
    },
    /// Try a job that waits for a password with this one, which is kept nowhere.
    Unlock {
        /// The job.
        job: u64,
        /// The password of its file.
        password: String,
    },
    /// Take those that are done out of the list. The engine does it when nothing is left to do.
    ClearDone,
    /// Give the file of a job that needs it again; it comes beside this message.
    GiveFile {
        /// The job.
        job: u64,
    },
    /// Compare a folder, whose files come beside this message in the same order, with the documents
    /// that came from it. Nothing is changed. Answered by `Comparing`.. and `SyncPlanned`.
    PlanSync {
        /// The folder's name.
        folder: String,
        /// Paths of its files below it.
        paths: Vec<String>,
    },
    /// Do what a plan says about documents that are stored; the files to be read are put into the queue
    /// by `Enqueue`. Answered by `Synced`.
    ApplySync {
        /// The plan.
        plan: SyncPlan,
        /// Remove the documents whose files are gone.
        delete_gone: bool,
    },
}

/// Which jobs of the queue are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Jobs {
    /// All to which it applies.
    All,
    /// These; what is not in the queue any more is passed over.
    These(Vec<u64>),
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
    /// The documents that say nearly the same as one, the nearest first.
    Copies {
        /// The document.
        document: u64,
        /// The others.
        near: Vec<NearCopy>,
    },
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
    /// A damaged knowledge base was replaced by what is readable of it.
    Rebuilt(Repaired),
    /// The file was made small.
    Compacted {
        /// How many bytes it lost.
        n_bytes: u64,
    },
    /// The queue has changed; also told by itself, under id 0.
    Queue(QueueState),
    /// A file of the queue was read, and its documents are stored; told to every tab, under id 0.
    Read {
        /// The file's name.
        name: String,
        /// Sentences for the user: copies that were noticed, parts that could not be read.
        notes: Vec<String>,
    },
    /// Files were put into the queue, or not.
    Enqueued {
        /// In the order of the files; an error says why one cannot be taken.
        files: Vec<Result<Enqueued, String>>,
    },
    /// How far the comparison of a folder is.
    Comparing {
        /// Files that were read.
        n_done: usize,
        /// All of them.
        n_total: usize,
    },
    /// What has to be done for a folder.
    SyncPlanned(SyncPlan),
    /// It was done to the documents that are stored.
    Synced {
        /// Documents that were removed.
        n_removed: usize,
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
