//! The store as its users see it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cozo::DataValue;

use crate::analysis::Analyzer;
use crate::engine::{Engine, Params};
use crate::index::Index;
use crate::load::{self, Catalog, Header};
use crate::migrate;
use crate::pages::Pages;
use crate::schema::{self, Transaction};
use crate::values::Columns;
use crate::{EmbedderTag, Error, Result, Stats};

/// A knowledge base: documents with their passages, a vector for each passage, a text index, settings.
pub struct Db {
    pub(crate) engine: Engine,
    /// Shared with the search rules of the engine.
    pub(crate) index: Arc<RwLock<Index>>,
    pub(crate) catalog: Catalog,
    /// A commit failed, and whether it is in the file shows only when that is read again.
    pub(crate) is_stale: bool,
    pub(crate) analyzer: Analyzer,
    tag: EmbedderTag,
    pub(crate) file: Option<platform::File>,
    is_read_only: bool,
}

impl Db {
    /// Opens the store in `file`, or makes one in an empty file. Reads all vectors and terms. A file
    /// of an older format is brought to this version's first, in one transaction.
    ///
    /// # Errors
    /// `EmbedderMismatch` when the file's vectors are of another embedder than `tag` (the file stays
    /// as it is), `UnknownFormat`, `Corrupt`, `Io`, `Full`.
    pub fn open(file: platform::File, tag: &EmbedderTag) -> Result<Self> {
        let mut db = Self::over(Pages::in_file(file.clone()), tag)?;
        db.found_in(file);
        Ok(db)
    }

    /// Opens the store in `file` for the embedder that it was made for, [`Db::tag`].
    ///
    /// # Errors
    /// As [`Db::open`]; `Corrupt` when the file is empty.
    pub fn open_existing(file: platform::File) -> Result<Self> {
        let mut db = Self::over_any(Pages::in_file(file.clone()), None)?;
        db.found_in(file);
        Ok(db)
    }

    /// Opens the store in `file` without ever writing to it: searches work, changes are refused. A
    /// file of an older format, or one that was left by a crash, is mended in memory only. The file
    /// may be open for reading elsewhere, and must not change meanwhile.
    ///
    /// # Errors
    /// As [`Db::open_existing`].
    pub fn open_read_only(file: platform::File) -> Result<Self> {
        let mut db = Self::over_any(Pages::over_unchanged(Pages::in_file(file.clone())), None)?;
        db.is_read_only = true;
        db.found_in(file);
        Ok(db)
    }

    pub(crate) fn found_in(&mut self, file: platform::File) {
        #[cfg(feature = "hnsw")]
        self.restore_graph(&file);
        self.file = Some(file);
    }

    /// A store that is forgotten when it is dropped.
    pub fn in_memory(tag: &EmbedderTag) -> Result<Self> {
        Self::over(Pages::in_memory(), tag)
    }

    pub(crate) fn over(pages: Pages, tag: &EmbedderTag) -> Result<Self> {
        Self::over_any(pages, Some(tag))
    }

    fn over_any(pages: Pages, tag: Option<&EmbedderTag>) -> Result<Self> {
        let index = Arc::new(RwLock::new(Index::new(0)));
        let engine = Engine::open(pages, &index)?;
        if engine.is_empty()? {
            let empty = || Error::Corrupt { detail: "it is empty".to_owned() };
            migrate::create(&engine, tag.ok_or_else(empty)?)?;
        }
        let header = Header::read(&engine)?;
        let stored = header.tag()?;
        if let Some(asked) = tag {
            same_tag(&stored, asked)?;
        }
        migrate::migrate(&engine, &header)?;
        let catalog = load::catalog(&engine)?;
        let loaded = load::index(&engine, &catalog, stored.dimensions as usize)?;
        *index.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(Self {
            engine,
            index,
            catalog,
            is_stale: false,
            analyzer: Analyzer::new(),
            tag: stored,
            file: None,
            is_read_only: false,
        })
    }

    /// The embedder of the stored vectors.
    pub fn tag(&self) -> &EmbedderTag {
        &self.tag
    }

    /// Refuses to be asked with vectors of another embedder.
    ///
    /// # Errors
    /// `EmbedderMismatch`.
    pub fn check_tag(&self, asked: &EmbedderTag) -> Result<()> {
        same_tag(&self.tag, asked)
    }

    /// Whether changes are refused.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// A setting by its key.
    pub fn setting(&self, key: &str) -> Result<Option<serde_json::Value>> {
        let params = Params::from([("key".to_owned(), DataValue::from(key))]);
        let rows = self.engine.read(schema::SETTING, params)?;
        Ok(rows.first().map(|row| Columns::of(row).json()).transpose()?)
    }

    /// Stores a setting durably.
    pub fn set_setting(&mut self, key: &str, value: &serde_json::Value) -> Result<()> {
        let mut transaction = Transaction::default();
        let row = vec![DataValue::from(key), DataValue::from(value.to_string())];
        transaction.put("setting", "key => value", [row]);
        self.commit(transaction)
    }

    /// Makes the file as small as what it holds allows; gives how many bytes it lost. A crash in the
    /// middle costs nothing but the gain.
    ///
    /// # Errors
    /// `ReadOnly`, `Full`, `Io`.
    pub fn compact(&mut self) -> Result<u64> {
        if self.is_read_only {
            return Err(Error::ReadOnly);
        }
        let n_bytes = || self.file.as_ref().map_or(Ok(0), platform::File::len);
        let before = n_bytes()?;
        self.engine.compact()?;
        Ok(before.saturating_sub(n_bytes()?))
    }

    /// How much is stored.
    pub fn stats(&self) -> Result<Stats> {
        let index = self.index();
        Ok(Stats {
            n_documents: self.catalog.documents.len() as u64,
            n_chunks: index.vectors.n_rows() as u64,
            n_collections: self.catalog.collections.len() as u64,
            n_conversations: self.catalog.n_conversations,
            n_terms: index.text.n_distinct_terms() as u64,
            file_bytes: self.file.as_ref().map_or(Ok(0), platform::File::len)?,
            index_bytes: index.n_bytes() as u64,
        })
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the approximate index follow the rows, where there is one.
    pub(crate) fn keep_up(&self) {
        #[cfg(feature = "hnsw")]
        crate::ann::keep_up(&self.index);
    }

    pub(crate) fn commit(&mut self, transaction: Transaction) -> Result<()> {
        if self.is_read_only {
            return Err(Error::ReadOnly);
        }
        if transaction.script.is_empty() {
            return Ok(());
        }
        let done = self.engine.write(&transaction.script, transaction.params);
        if done.is_err() {
            self.is_stale = true;
            // If this fails too, the next change tries again; searches go on in what was there.
            let _ = self.refresh();
        }
        done
    }

    /// Reads everything again if a failed commit left it open what the file holds.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        if self.is_stale {
            let catalog = load::catalog(&self.engine)?;
            let n_dims = self.tag.dimensions as usize;
            let index = load::index(&self.engine, &catalog, n_dims)?;
            self.index_mut().replace(index);
            self.catalog = catalog;
            self.is_stale = false;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n_documents = self.catalog.documents.len();
        f.debug_struct("Db")
            .field("tag", &self.tag)
            .field("n_documents", &n_documents)
            .finish_non_exhaustive()
    }
}

fn same_tag(stored: &EmbedderTag, asked: &EmbedderTag) -> Result<()> {
    if stored == asked {
        return Ok(());
    }
    Err(Error::EmbedderMismatch { stored: Box::new(stored.clone()), asked: Box::new(asked.clone()) })
}
