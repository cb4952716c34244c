//! A knowledge base without models: what is in it, and how its owner puts it in order.

use std::io::{Read, Write};

use platform::{File, OpenMode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vectordb::{
    Collection, CollectionId, Contents, Conversation, ConversationId, Db, DocumentId, DocumentInfo,
    EmbedderTag, Exported, Filter, Imported, Job, Message, Role, Stats, Tag,
};

use crate::open::{Options, Place};
use crate::types::{Answer, Source};
use crate::{Error, Result};

/// Characters of a question that become the title of the conversation it begins.
const MAX_TITLE_CHARS: usize = 80;

/// What may be done with a knowledge base that is opened without models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing is ever written, not even to mend what a crash left; others may read at the same time.
    ReadOnly,
    /// Alone.
    ReadWrite,
}

/// A knowledge base. [`crate::Assistant::library`] has the one it asks; [`Library::open`] opens one
/// alone, in milliseconds, for what needs no model.
pub struct Library {
    pub(crate) db: Db,
}

/// Which documents a question is asked of, by names. Empty conditions let everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Documents in any of these collections, by name.
    pub collections: Vec<String>,
    /// Documents that have all of these tags.
    pub tags: Vec<String>,
    /// Documents added at this time or later, in milliseconds since 1970 (UTC).
    pub added_from_unix_ms: Option<i64>,
    /// Documents added before this time.
    pub added_before_unix_ms: Option<i64>,
    /// Documents with an author whose name has this in it.
    pub author: Option<String>,
    /// Documents that say they were written then or later (ISO 8601, or the beginning of such a date).
    pub created_from: Option<String>,
    /// Documents that say they were written before.
    pub created_before: Option<String>,
}

impl Library {
    /// Opens a knowledge base that is there, whichever embedder it was made for.
    ///
    /// # Errors
    /// When there is none at that place, or it cannot be read.
    pub async fn open(path: &str, access: Access) -> Result<Self> {
        let db = match access {
            Access::ReadOnly => Db::open_read_only(File::open(path, OpenMode::Read).await?)?,
            Access::ReadWrite => Db::open_existing(File::open(path, OpenMode::ReadWrite).await?)?,
        };
        Ok(Self { db })
    }

    /// Opens a knowledge base for an embedder, or makes one.
    pub(crate) async fn of_embedder(options: &Options, tag: &EmbedderTag) -> Result<Self> {
        let db = match (&options.kb, options.access) {
            (Place::File(path), Access::ReadOnly) => {
                let library = Self::open(path, Access::ReadOnly).await?;
                library.db.check_tag(tag)?;
                return Ok(library);
            }
            (Place::File(path), Access::ReadWrite) => {
                Db::open(File::open(path, OpenMode::ReadWrite).await?, tag)?
            }
            (Place::Memory, _) => Db::in_memory(tag)?,
        };
        Ok(Self { db })
    }

    /// Whether changes are refused.
    pub fn is_read_only(&self) -> bool {
        self.db.is_read_only()
    }

    /// All documents, in the order in which they were added.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn documents(&self) -> Result<Vec<DocumentInfo>> {
        Ok(self.db.documents()?)
    }

    /// The document of that name.
    pub fn document_named(&self, name: &str) -> Option<u64> {
        self.db.document_id(name).map(|id| id.0)
    }

    /// A document's text.
    ///
    /// # Errors
    /// [`Error::UnknownDocument`], or when the store cannot be read.
    pub fn source(&self, id: u64) -> Result<Source> {
        let found = self.db.document(DocumentId(id))?.ok_or(Error::UnknownDocument { id })?;
        Ok(Source {
            id,
            name: found.info.name,
            kind: found.info.kind,
            text: found.text,
            page_starts: found.page_starts,
        })
    }

    /// Removes documents with their passages, all in one step; gives how many there were.
    ///
    /// # Errors
    /// When the store cannot be written; nothing has changed then.
    pub fn remove(&mut self, ids: &[u64]) -> Result<usize> {
        Ok(self.db.remove_documents(&documents(ids))?)
    }

    /// All collections, in the order of their names.
    pub fn collections(&self) -> Vec<Collection> {
        self.db.collections()
    }

    /// Makes an empty collection and gives its id.
    ///
    /// # Errors
    /// When the name is taken or cannot be one, or the store cannot be written.
    pub fn create_collection(&mut self, name: &str) -> Result<u64> {
        Ok(self.db.create_collection(name, platform::unix_ms())?.0)
    }

    /// The collection of that name, made if there is none.
    ///
    /// # Errors
    /// As [`Library::create_collection`].
    pub fn collection_named(&mut self, name: &str) -> Result<u64> {
        match self.db.collection_named(name) {
            Some(id) => Ok(id.0),
            None => self.create_collection(name),
        }
    }

    /// Gives a collection another name.
    ///
    /// # Errors
    /// When there is no such collection, the name cannot be used, or the store cannot be written.
    pub fn rename_collection(&mut self, id: u64, name: &str) -> Result<()> {
        Ok(self.db.rename_collection(CollectionId(id), name)?)
    }

    /// Deletes a collection, and as `contents` says its documents with it. Gives those that were in it.
    ///
    /// # Errors
    /// When there is no such collection, or the store cannot be written.
    pub fn delete_collection(&mut self, id: u64, contents: Contents) -> Result<Vec<u64>> {
        let inside = self.db.delete_collection(CollectionId(id), contents)?;
        Ok(inside.into_iter().map(|id| id.0).collect())
    }

    /// Moves documents into a collection, or with `None` out of theirs.
    ///
    /// # Errors
    /// When one of them or the collection is not there; nothing is moved then.
    pub fn move_documents(&mut self, ids: &[u64], to: Option<u64>) -> Result<()> {
        Ok(self.db.move_documents(&documents(ids), to.map(CollectionId))?)
    }

    /// All tags with the number of documents that have them.
    pub fn tags(&self) -> Vec<Tag> {
        self.db.tags()
    }

    /// Gives a document exactly these tags.
    ///
    /// # Errors
    /// When the document is not there, or a tag cannot be one.
    pub fn set_tags(&mut self, document: u64, tags: &[String]) -> Result<()> {
        Ok(self.db.set_tags(DocumentId(document), tags)?)
    }

    /// All conversations, the last changed first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn conversations(&self) -> Result<Vec<Conversation>> {
        Ok(self.db.conversations()?)
    }

    /// The messages of a conversation, first to last. The `details` of an answer are its
    /// [`Answer`] as JSON.
    ///
    /// # Errors
    /// When the conversation is not there or cannot be read.
    pub fn messages(&self, conversation: u64) -> Result<Vec<Message>> {
        Ok(self.db.messages(ConversationId(conversation))?)
    }

    /// Keeps a question and its answer, in one step: at the end of a conversation, or with `None` in
    /// a new one that the question gives its title. Gives the conversation. The same question of the
    /// same moment is kept once, as when a browser's engine ended before it could say so.
    ///
    /// # Errors
    /// When the conversation is not there or is full, or the store cannot be written.
    pub fn keep_exchange(
        &mut self,
        conversation: Option<u64>,
        (question, asked_unix_ms): (&str, i64),
        answer: &Answer,
    ) -> Result<u64> {
        if let Some(kept) = self.kept_in(conversation, question, asked_unix_ms)? {
            return Ok(kept);
        }
        let message = |role, text: &str, details| Message {
            role,
            text: text.to_owned(),
            details,
            created_unix_ms: asked_unix_ms,
        };
        let details = serde_json::to_value(answer).unwrap_or(serde_json::Value::Null);
        let exchange = [
            message(Role::Question, question, serde_json::Value::Null),
            message(Role::Answer, &answer.answer, details),
        ];
        let id = match conversation {
            Some(id) => ConversationId(id),
            None => self.db.create_conversation(&title(question), asked_unix_ms)?,
        };
        self.db.append_messages(id, &exchange)?;
        Ok(id.0)
    }

    /// The conversation that has this very question already.
    fn kept_in(&self, conversation: Option<u64>, question: &str, asked_unix_ms: i64) -> Result<Option<u64>> {
        let begun = |listed: &Conversation| listed.created_unix_ms == asked_unix_ms;
        let candidates: Vec<ConversationId> = match conversation {
            Some(id) => vec![ConversationId(id)],
            None => self.db.conversations()?.iter().filter(|listed| begun(listed)).map(|c| c.id).collect(),
        };
        for id in candidates {
            let is_it = |message: &Message| {
                message.role == Role::Question
                    && message.created_unix_ms == asked_unix_ms
                    && message.text == question
            };
            if self.db.messages(id)?.iter().any(is_it) {
                return Ok(Some(id.0));
            }
        }
        Ok(None)
    }

    /// Gives a conversation another title.
    ///
    /// # Errors
    /// When the conversation is not there, the title cannot be one, or the store cannot be written.
    pub fn rename_conversation(&mut self, id: u64, title: &str) -> Result<()> {
        Ok(self.db.rename_conversation(ConversationId(id), title)?)
    }

    /// Deletes a conversation; `false` if there was none of that id.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn delete_conversation(&mut self, id: u64) -> Result<bool> {
        Ok(self.db.delete_conversation(ConversationId(id))?)
    }

    /// The queue of files, in the order in which they came.
    pub fn jobs(&self) -> Vec<Job> {
        self.db.jobs().cloned().collect()
    }

    /// The documents that a scope lets through.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`] for a name that no collection has, [`Error::NothingInScope`] when
    /// no document is left.
    pub fn filter(&self, scope: &Scope) -> Result<Filter> {
        if *scope == Scope::default() {
            return Ok(Filter::default());
        }
        let id = |name: &String| {
            self.db.collection_named(name).ok_or_else(|| Error::UnknownCollection { name: name.clone() })
        };
        let collections = scope.collections.iter().map(id).collect::<Result<Vec<_>>>()?;
        let filter = Filter {
            documents: None,
            collections: (!collections.is_empty()).then_some(collections),
            tags: scope.tags.clone(),
            added_from_unix_ms: scope.added_from_unix_ms,
            added_before_unix_ms: scope.added_before_unix_ms,
            author: scope.author.clone(),
            created_from: scope.created_from.clone(),
            created_before: scope.created_before.clone(),
        };
        match self.db.matching(&filter) {
            Some(documents) if documents.is_empty() => Err(Error::NothingInScope),
            _ => Ok(filter),
        }
    }

    /// The documents that a scope lets through, in the order in which they were added.
    ///
    /// # Errors
    /// As [`Library::filter`].
    pub fn in_scope(&self, scope: &Scope) -> Result<Vec<DocumentInfo>> {
        let mut documents = self.documents()?;
        if let Some(allowed) = self.db.matching(&self.filter(scope)?) {
            documents.retain(|info| allowed.contains(&info.id));
        }
        Ok(documents)
    }

    /// Writes the whole knowledge base, but for the queue of files, to `out`. Others are let in between two
    /// documents; dropping the future gives it up.
    ///
    /// # Errors
    /// When it cannot be read, or `out` not written.
    pub async fn export(&self, out: &mut dyn Write) -> Result<Exported> {
        let mut export = self.db.begin_export(out, platform::unix_ms())?;
        loop {
            if let Some(exported) = export.step()? {
                return Ok(exported);
            }
            platform::yield_now().await;
        }
    }

    /// Takes in what [`Library::export`] wrote and merges it with what is here: all of it or nothing.
    /// Others are let in between two documents; dropping the future gives it up.
    ///
    /// # Errors
    /// When the stream is no whole export or of another embedder, or the store cannot be written.
    pub async fn import(&mut self, input: &mut dyn Read) -> Result<Imported> {
        let mut import = self.db.begin_import(input)?;
        loop {
            if let Some(imported) = import.step()? {
                return Ok(imported);
            }
            platform::yield_now().await;
        }
    }

    /// Makes the file as small as what it holds allows; gives how many bytes it lost.
    ///
    /// # Errors
    /// When the file cannot be written; what is in it stays.
    pub fn compact(&mut self) -> Result<u64> {
        Ok(self.db.compact()?)
    }

    /// How much is stored.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        Ok(self.db.stats()?)
    }
}

/// SHA-256 of a file's bytes, by which the queue and [`crate::SyncPlan`] know it.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn documents(ids: &[u64]) -> Vec<DocumentId> {
    ids.iter().copied().map(DocumentId).collect()
}

/// The beginning of a question, on one line.
fn title(question: &str) -> String {
    let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().filter(|c| !c.is_control()).take(MAX_TITLE_CHARS).collect();
    if cut.len() < line.len() { format!("{}…", cut.trim_end()) } else { cut }
}
