//! Collections and tags: how documents are put in order by their owner.
//!
//! A document is in one collection or in none, and has any number of tags. Both stay with it when a
//! newer version of the file replaces it.

use std::collections::{BTreeMap, BTreeSet};

use cozo::DataValue;
use serde::{Deserialize, Serialize};

use crate::schema::Transaction;
use crate::values::int;
use crate::{Db, DocumentId, Error, Result};

/// Characters of a collection's or conversation's name.
pub(crate) const MAX_NAME_CHARS: usize = 200;
/// Characters of a tag.
pub const MAX_TAG_CHARS: usize = 64;
/// Tags of one document.
pub const MAX_DOCUMENT_TAGS: usize = 64;

/// Names a collection for as long as it is stored; never given out twice in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CollectionId(pub u64);

/// Documents under a common name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// The collection.
    pub id: CollectionId,
    /// Its name, unique among collections.
    pub name: String,
    /// When it was made, in milliseconds since 1970 (UTC).
    pub created_unix_ms: i64,
    /// Documents in it.
    pub n_documents: u64,
}

/// What the catalog knows of a collection.
#[derive(Debug, Clone)]
pub(crate) struct StoredCollection {
    pub(crate) name: String,
    pub(crate) created_unix_ms: i64,
}

/// What becomes of the documents of a collection that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// They stay, in no collection.
    Keep,
    /// They are deleted in the same transaction.
    Delete,
}

/// A tag and how many documents have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The tag.
    pub name: String,
    /// Documents that have it.
    pub n_documents: u64,
}

impl Db {
    /// All collections, in the order of their names.
    pub fn collections(&self) -> Vec<Collection> {
        let mut n_documents: BTreeMap<CollectionId, u64> = BTreeMap::new();
        for id in self.catalog.documents.values().filter_map(|stored| stored.info.collection) {
            *n_documents.entry(id).or_default() += 1;
        }
        let listed = self.catalog.collections.iter().map(|(&id, stored)| Collection {
            id,
            name: stored.name.clone(),
            created_unix_ms: stored.created_unix_ms,
            n_documents: n_documents.get(&id).copied().unwrap_or_default(),
        });
        let mut listed: Vec<Collection> = listed.collect();
        listed.sort_by(|a, b| a.name.to_lowercase().cmp(&b.name.to_lowercase()).then(a.id.cmp(&b.id)));
        listed
    }

    /// The collection of that name.
    pub fn collection_named(&self, name: &str) -> Option<CollectionId> {
        let name = name.trim();
        self.catalog.collections.iter().find(|(_, stored)| stored.name == name).map(|(id, _)| *id)
    }

    /// Makes an empty collection.
    ///
    /// # Errors
    /// `BadName` when the name is empty, too long, or taken; `ReadOnly`, `Full`, `Io`.
    pub fn create_collection(&mut self, name: &str, now_unix_ms: i64) -> Result<CollectionId> {
        self.refresh()?;
        let name = self.free_collection_name(name, None)?;
        let id = CollectionId(self.catalog.next_collection);
        let stored = StoredCollection { name, created_unix_ms: now_unix_ms };
        let mut transaction = Transaction::default();
        transaction.put_collection(id, &stored);
        transaction.set_counter("next_collection", id.0 + 1);
        self.commit(transaction)?;
        self.catalog.next_collection = id.0 + 1;
        self.catalog.collections.insert(id, stored);
        Ok(id)
    }

    /// Gives a collection another name.
    ///
    /// # Errors
    /// `UnknownCollection`, and as [`Db::create_collection`].
    pub fn rename_collection(&mut self, id: CollectionId, name: &str) -> Result<()> {
        self.refresh()?;
        let mut stored = self.catalog.collections.get(&id).cloned().ok_or(Error::UnknownCollection { id })?;
        stored.name = self.free_collection_name(name, Some(id))?;
        let mut transaction = Transaction::default();
        transaction.put_collection(id, &stored);
        self.commit(transaction)?;
        self.catalog.collections.insert(id, stored);
        Ok(())
    }

    /// Deletes a collection, in one transaction with what becomes of its documents. Gives the
    /// documents that were in it.
    ///
    /// # Errors
    /// `UnknownCollection`; `ReadOnly`, `Full`, `Io` with the store as it was.
    pub fn delete_collection(&mut self, id: CollectionId, contents: Contents) -> Result<Vec<DocumentId>> {
        self.refresh()?;
        if !self.catalog.collections.contains_key(&id) {
            return Err(Error::UnknownCollection { id });
        }
        let inside: Vec<DocumentId> = self.documents_in(Some(id));
        let mut transaction = Transaction::default();
        transaction.rm("collection", "id", [vec![int(id.0)]]);
        match contents {
            Contents::Keep => transaction.set_collection(&inside, None),
            Contents::Delete => transaction.remove_documents(&self.stored(&inside)),
        }
        self.commit(transaction)?;
        self.catalog.collections.remove(&id);
        match contents {
            Contents::Keep => self.note_collection(&inside, None),
            Contents::Delete => self.forget(&inside),
        }
        Ok(inside)
    }

    /// Puts documents into a collection, or with `None` into none. All of them or, on an error, none
    /// are moved.
    ///
    /// # Errors
    /// `UnknownCollection`, `UnknownDocument`; `ReadOnly`, `Full`, `Io`.
    pub fn move_documents(&mut self, documents: &[DocumentId], to: Option<CollectionId>) -> Result<()> {
        self.refresh()?;
        if let Some(id) = to.filter(|id| !self.catalog.collections.contains_key(id)) {
            return Err(Error::UnknownCollection { id });
        }
        self.need_documents(documents)?;
        if documents.is_empty() {
            return Ok(());
        }
        let mut transaction = Transaction::default();
        transaction.set_collection(documents, to);
        self.commit(transaction)?;
        self.note_collection(documents, to);
        Ok(())
    }

    /// All tags, in their order, with the number of documents that have them.
    pub fn tags(&self) -> Vec<Tag> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for tag in self.catalog.documents.values().flat_map(|stored| &stored.info.tags) {
            *counts.entry(tag).or_default() += 1;
        }
        counts.into_iter().map(|(name, n_documents)| Tag { name: name.to_owned(), n_documents }).collect()
    }

    /// Gives a document exactly these tags.
    ///
    /// # Errors
    /// `UnknownDocument`, `BadName` for a tag that is empty or too long or for too many of them;
    /// `ReadOnly`, `Full`, `Io`.
    pub fn set_tags(&mut self, document: DocumentId, tags: &[String]) -> Result<()> {
        self.refresh()?;
        self.need_documents(&[document])?;
        let tags = checked_tags(tags)?;
        let mut transaction = Transaction::default();
        let older = &self.catalog.documents[&document].info.tags;
        transaction.set_tags(document, older, &tags);
        self.commit(transaction)?;
        if let Some(stored) = self.catalog.documents.get_mut(&document) {
            stored.info.tags = tags;
        }
        Ok(())
    }

    pub(crate) fn need_documents(&self, documents: &[DocumentId]) -> Result<()> {
        match documents.iter().find(|id| !self.catalog.documents.contains_key(id)) {
            Some(&id) => Err(Error::UnknownDocument { id }),
            None => Ok(()),
        }
    }

    fn documents_in(&self, collection: Option<CollectionId>) -> Vec<DocumentId> {
        let documents = self.catalog.documents.values();
        documents.filter(|stored| stored.info.collection == collection).map(|stored| stored.info.id).collect()
    }

    fn note_collection(&mut self, documents: &[DocumentId], to: Option<CollectionId>) {
        for id in documents {
            if let Some(stored) = self.catalog.documents.get_mut(id) {
                stored.info.collection = to;
            }
        }
    }

    fn free_collection_name(&self, name: &str, own: Option<CollectionId>) -> Result<String> {
        let name = checked_name(name, "a collection's name", MAX_NAME_CHARS)?;
        match self.collection_named(&name).filter(|&id| Some(id) != own) {
            Some(_) => {
                Err(Error::BadName { reason: format!("there is a collection named `{name}` already") })
            }
            None => Ok(name),
        }
    }
}

/// A name without space around it, on one line.
pub(crate) fn checked_name(name: &str, what: &str, max_chars: usize) -> Result<String> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Error::BadName { reason: format!("{what} needs at least one character") });
    }
    if name.chars().count() > max_chars {
        return Err(Error::BadName { reason: format!("{what} has at most {max_chars} characters") });
    }
    if name.chars().any(char::is_control) {
        return Err(Error::BadName { reason: format!("{what} is one line of text") });
    }
    Ok(name.to_owned())
}

/// Each tag once, in order.
pub(crate) fn checked_tags(tags: &[String]) -> Result<Vec<String>> {
    let tags: Result<BTreeSet<String>> =
        tags.iter().map(|tag| checked_name(tag, "a tag", MAX_TAG_CHARS)).collect();
    let tags = tags?;
    if tags.len() > MAX_DOCUMENT_TAGS {
        return Err(Error::BadName { reason: format!("a document has at most {MAX_DOCUMENT_TAGS} tags") });
    }
    Ok(tags.into_iter().collect())
}

impl Transaction {
    fn put_collection(&mut self, id: CollectionId, stored: &StoredCollection) {
        let row =
            vec![int(id.0), DataValue::from(stored.name.as_str()), DataValue::from(stored.created_unix_ms)];
        self.put("collection", "id => name, created_unix_ms", [row]);
    }
}
