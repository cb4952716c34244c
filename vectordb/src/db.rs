//! The store as its users see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cozo::DataValue;

use crate::analysis::{Analyzer, with_whole_words};
use crate::collections::checked_tags;
use crate::engine::{Engine, Params};
use crate::fuse::{LEG_DEPTH, fuse};
use crate::index::Index;
use crate::load::{self, Catalog, Header, Stored};
use crate::migrate;
use crate::pages::Pages;
use crate::postings::{self, Terms};
use crate::query::Query;
use crate::schema::{self, MAX_PART_CHUNKS, Transaction};
use crate::values::{Columns, words};
use crate::{
    ChunkId, ChunkRow, CollectionId, DocumentId, DocumentInfo, DocumentText, EmbedderTag, Error, Filter, Hit,
    NewChunk, NewDocument, Placement, Result, SentenceVectors, Stats,
};

/// Chunks of one document. One commit holds them all in memory: at 384 dimensions and 1 kB of text
/// about 8 kB each with their terms and sentences, so 400 MB at most; 50,000 chunks are some 20,000 pages.
pub const MAX_DOCUMENT_CHUNKS: usize = 50_000;

/// Passages that are read at once to find a quotation.
const QUOTATION_BATCH: usize = 128;

/// A knowledge base: documents with their passages, a vector for each passage, a text index, settings.
pub struct Db {
    pub(crate) engine: Engine,
    /// Shared with the search rules of the engine.
    index: Arc<RwLock<Index>>,
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

    fn found_in(&mut self, file: platform::File) {
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
        *write(&index) = load::index(&engine, &catalog, stored.dimensions as usize)?;
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

    /// Stores a document with all its passages, vectors and terms in one durable transaction. A
    /// stored document of the same name is replaced in the same transaction and leaves its collection
    /// and its tags to the new one; if it has the same SHA-256 too, nothing happens and its id comes
    /// back. The same file under another name is not stored twice: the id of that document comes back,
    /// and what had the name `new.name` is removed.
    ///
    /// # Errors
    /// `BadDocument` when a part of it cannot be stored; `Full` and `Io` with the store as it was.
    pub fn put_document(&mut self, new: &NewDocument) -> Result<DocumentId> {
        self.put_document_at(new, &Placement::default())
    }

    /// As [`Db::put_document`], with where the document is put. If the very document is stored, it
    /// is only put there.
    ///
    /// # Errors
    /// As [`Db::put_document`]; `UnknownCollection`, `BadName` for a tag, `UnknownJob`.
    pub fn put_document_at(&mut self, new: &NewDocument, place: &Placement) -> Result<DocumentId> {
        check(new, self.tag.dimensions as usize)?;
        self.refresh()?;
        let older = self.document_named(&new.name).cloned();
        let same = self.same_file(new, older.as_ref())?;
        let (collection, tags) = self.order_of(same.as_ref().or(older.as_ref()), place)?;
        let mut transaction = Transaction::default();
        if let Some(job) = &place.job {
            self.need_jobs(std::slice::from_ref(job))?;
            self.end_work(&mut transaction, job)?;
        }
        let id = match same {
            Some(same) => {
                let info = DocumentInfo { collection, tags, ..same.info.clone() };
                let gone: Vec<Stored> =
                    older.into_iter().filter(|older| older.info.id != same.info.id).collect();
                transaction.remove_documents(&gone);
                let id = self.reorder(transaction, &same, info)?;
                let gone: Vec<DocumentId> = gone.iter().map(|stored| stored.info.id).collect();
                self.forget(&gone);
                id
            }
            None => {
                let info = DocumentInfo { collection, tags, ..self.info_of(new) };
                self.replace(transaction, new, older, info)?
            }
        };
        self.note_jobs(place.job.iter().cloned().collect());
        Ok(id)
    }

    fn reorder(
        &mut self,
        mut transaction: Transaction,
        older: &Stored,
        info: DocumentInfo,
    ) -> Result<DocumentId> {
        let id = info.id;
        if info.collection != older.info.collection {
            transaction.set_collection(&[id], info.collection);
        }
        if info.tags != older.info.tags {
            transaction.set_tags(id, &older.info.tags, &info.tags);
        }
        self.commit(transaction)?;
        self.catalog.documents.insert(id, Stored { info, ..older.clone() });
        Ok(id)
    }

    fn replace(
        &mut self,
        mut transaction: Transaction,
        new: &NewDocument,
        older: Option<Stored>,
        info: DocumentInfo,
    ) -> Result<DocumentId> {
        let has_sentences = new.chunks.iter().any(|chunk| !chunk.sentences.is_empty());
        let stored = Stored { info, first_chunk: self.catalog.next_chunk, has_sentences };
        let older: Vec<Stored> = older.into_iter().collect();
        let parts = self.encode_terms(new);
        transaction.remove_documents(&older);
        transaction.put_document(new, &stored, parts.clone());
        let (id, first_chunk) = (stored.info.id, stored.first_chunk);
        let next_chunk = first_chunk + u64::from(stored.info.n_chunks);
        transaction.set_counter("next_document", id.0 + 1);
        transaction.set_counter("next_chunk", next_chunk);
        self.commit(transaction)?;

        let mut index = write(&self.index);
        for older in &older {
            index.remove(older.info.id);
            self.catalog.documents.remove(&older.info.id);
        }
        let parts: Vec<Terms<'_>> =
            parts.iter().map(|part| Terms::parse(part).expect("just encoded")).collect();
        index.add(id, first_chunk, new.chunks.iter().map(|chunk| chunk.vector.as_slice()), &parts);
        self.catalog.next_document = id.0 + 1;
        self.catalog.next_chunk = next_chunk;
        self.catalog.documents.insert(id, stored);
        drop(index);
        keep_up(&self.index);
        Ok(id)
    }

    /// Collection and tags of a document that comes to a place.
    fn order_of(
        &self,
        older: Option<&Stored>,
        place: &Placement,
    ) -> Result<(Option<CollectionId>, Vec<String>)> {
        if let Some(id) = place.collection.filter(|id| !self.catalog.collections.contains_key(id)) {
            return Err(Error::UnknownCollection { id });
        }
        let older = older.map(|older| &older.info);
        let collection = place.collection.or(older.and_then(|older| older.collection));
        let mut tags = place.tags.clone();
        tags.extend(older.iter().flat_map(|older| older.tags.iter().cloned()));
        Ok((collection, checked_tags(&tags)?))
    }

    /// Gives a document another name.
    ///
    /// # Errors
    /// `UnknownDocument`, `BadName` when it is empty or another document has it; `ReadOnly`, `Full`,
    /// `Io`.
    pub fn rename_document(&mut self, id: DocumentId, name: &str) -> Result<()> {
        self.refresh()?;
        let mut stored = self.catalog.documents.get(&id).cloned().ok_or(Error::UnknownDocument { id })?;
        if name.is_empty() || self.document_id(name).is_some_and(|other| other != id) {
            let reason = format!("a document cannot be named `{name}`, because another one is");
            return Err(Error::BadName { reason });
        }
        stored.info.name = name.to_owned();
        let mut transaction = Transaction::default();
        transaction.put_document_row(&stored);
        self.commit(transaction)?;
        self.catalog.documents.insert(id, stored);
        Ok(())
    }

    /// As [`Self::put_document`], with the ids that the document had elsewhere. Later documents must
    /// come later.
    pub(crate) fn put_at(&mut self, id: DocumentId, first_chunk: u64, new: &NewDocument) -> Result<()> {
        self.keep_ids(id.0, first_chunk);
        self.put_document(new).map(drop)
    }

    /// Gives out no id below these.
    pub(crate) fn keep_ids(&mut self, next_document: u64, next_chunk: u64) {
        self.catalog.next_document = self.catalog.next_document.max(next_document);
        self.catalog.next_chunk = self.catalog.next_chunk.max(next_chunk);
    }

    /// Removes a document and all that belongs to it; `false` when there is none of that id.
    pub fn remove_document(&mut self, id: DocumentId) -> Result<bool> {
        Ok(self.remove_documents(&[id])? > 0)
    }

    /// Removes documents in one transaction; gives how many of these ids there were.
    ///
    /// # Errors
    /// `ReadOnly`, `Full`, `Io` with the store as it was.
    pub fn remove_documents(&mut self, ids: &[DocumentId]) -> Result<usize> {
        self.refresh()?;
        let gone = self.stored(ids);
        let mut transaction = Transaction::default();
        transaction.remove_documents(&gone);
        self.commit(transaction)?;
        let gone: Vec<DocumentId> = gone.iter().map(|stored| stored.info.id).collect();
        self.forget(&gone);
        Ok(gone.len())
    }

    /// Those of the documents that are stored, each once.
    pub(crate) fn stored(&self, ids: &[DocumentId]) -> Vec<Stored> {
        let ids: BTreeSet<DocumentId> = ids.iter().copied().collect();
        ids.iter().filter_map(|id| self.catalog.documents.get(id).cloned()).collect()
    }

    /// Takes removed documents out of what is held in memory.
    pub(crate) fn forget(&mut self, gone: &[DocumentId]) {
        let mut index = write(&self.index);
        for id in gone {
            index.remove(*id);
            self.catalog.documents.remove(id);
        }
        drop(index);
        keep_up(&self.index);
    }

    /// What is known of all documents, in the order in which they were added.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = &DocumentInfo> {
        self.catalog.documents.values().map(|stored| &stored.info)
    }

    /// What is known of a document.
    pub fn info(&self, id: DocumentId) -> Option<&DocumentInfo> {
        self.catalog.documents.get(&id).map(|stored| &stored.info)
    }

    /// The document of that name.
    pub fn document_id(&self, name: &str) -> Option<DocumentId> {
        self.document_named(name).map(|stored| stored.info.id)
    }

    fn document_named(&self, name: &str) -> Option<&Stored> {
        self.catalog.documents.values().find(|stored| stored.info.name == name)
    }

    /// All documents, in the order in which they were added.
    pub fn documents(&self) -> Result<Vec<DocumentInfo>> {
        Ok(self.catalog.documents.values().map(|stored| stored.info.clone()).collect())
    }

    /// A document with its text.
    pub fn document(&self, id: DocumentId) -> Result<Option<DocumentText>> {
        let Some(stored) = self.catalog.documents.get(&id) else { return Ok(None) };
        let params = Params::from([("document".to_owned(), crate::values::int(id.0))]);
        let rows = self.engine.read(schema::DOCUMENT_TEXT, params)?;
        let row =
            rows.first().ok_or_else(|| Error::Corrupt { detail: "a document has no text".to_owned() })?;
        let mut columns = Columns::of(row);
        let text = columns.text()?.to_owned();
        let (page_starts, _) = columns.bytes()?.as_chunks::<4>();
        let page_starts = page_starts.iter().map(|&start| u32::from_le_bytes(start)).collect();
        Ok(Some(DocumentText { info: stored.info.clone(), text, page_starts }))
    }

    /// The passages of these ids, in the order of `ids`; an id that is not stored is left out.
    pub fn chunks(&self, ids: &[ChunkId]) -> Result<Vec<ChunkRow>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let params = Params::from([("ids".to_owned(), schema::ids(ids))]);
        let rows = self.engine.read(schema::CHUNKS, params)?;
        let rows = rows.iter().map(|row| chunk(&mut Columns::of(row))).collect::<Result<Vec<_>>>()?;
        let find = |id: &ChunkId| rows.iter().find(|row| row.id == *id).cloned();
        Ok(ids.iter().filter_map(find).collect())
    }

    /// The vectors of the sentences of these passages. A passage is left out if it is not stored, or was stored
    /// without.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub fn sentence_vectors(&self, ids: &[ChunkId]) -> Result<BTreeMap<ChunkId, SentenceVectors>> {
        let n_dims = self.tag.dimensions as usize;
        let params = Params::from([("ids".to_owned(), schema::ids(ids))]);
        let mut found = BTreeMap::new();
        for row in self.engine.read(schema::SENTENCES, params)? {
            let mut columns = Columns::of(&row);
            let chunk = ChunkId(columns.number()?);
            let vectors = SentenceVectors::parse(columns.bytes()?, n_dims)?;
            if !vectors.is_empty() {
                found.insert(chunk, vectors);
            }
        }
        Ok(found)
    }

    /// The `k` passages whose vectors have the largest dot product with `query`, best first. Exact up
    /// to 16,384 passages (within the filter); of more, one in a hundred may be missed (modules `slab`
    /// and `ann`).
    ///
    /// # Errors
    /// `BadQuery` when `query` has not as many finite numbers as the stored vectors.
    pub fn search_vector(&self, query: &[f32], k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        self.check_query(query)?;
        Ok(self.index().nearest(query, k, &self.resolved(filter)))
    }

    /// The same, exact at any number of passages, and slower where there are many.
    ///
    /// # Errors
    /// As [`Self::search_vector`].
    pub fn search_vector_exactly(&self, query: &[f32], k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        self.check_query(query)?;
        Ok(self.index().vectors.search_exactly(query, k, &self.resolved(filter)))
    }

    /// The mean dot product of `query` with all vectors that a filter lets through: what a passage has that
    /// fits no better than any other.
    ///
    /// # Errors
    /// `BadQuery` as [`Self::search_vector`].
    pub fn background(&self, query: &[f32], filter: &Filter) -> Result<f32> {
        self.check_query(query)?;
        Ok(self.index().vectors.spread(query, &self.resolved(filter)).mean)
    }

    /// As [`Self::search_vector`], with the passages, in one query.
    pub fn nearest(&self, query: &[f32], k: usize, filter: &Filter) -> Result<Vec<(ChunkRow, f32)>> {
        self.check_query(query)?;
        let params = Params::from([
            ("query".to_owned(), words(query.iter().map(|value| value.to_le_bytes()))),
            ("k".to_owned(), DataValue::from(k.try_into().unwrap_or(i64::MAX))),
            ("documents".to_owned(), schema::documents(self.matching(filter).as_deref())),
        ]);
        let rows = self.engine.read(schema::NEAREST, params)?;
        let nearest = rows.iter().map(|row| {
            let score = row.first().and_then(DataValue::get_float).unwrap_or_default() as f32;
            Ok((chunk(&mut Columns::of(&row[1..]))?, score))
        });
        nearest.collect()
    }

    /// The `k` passages that match the words of `text` best, by BM25. Any text is a valid question;
    /// passages without any of its words are no hits.
    ///
    /// Two words or more in quotation marks must stand in a passage in the same order; of passages that
    /// have the words, the 10,000 best are looked through. A word that no passage has is taken for one
    /// that differs from it by a letter, or that it begins.
    ///
    /// # Errors
    /// When passages must be read to find a quotation, and cannot be.
    pub fn search_text(&self, text: &str, k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        let (query, filter) = (Query::parse(text, &self.analyzer), self.resolved(filter));
        if query.phrases.is_empty() {
            return Ok(self.index().text.search(&query, &self.analyzer, k, &filter));
        }
        let candidates = self.index().text.search(&query, &self.analyzer, usize::MAX, &filter);
        let mut hits = Vec::new();
        for batch in candidates.chunks(QUOTATION_BATCH) {
            let ids: Vec<ChunkId> = batch.iter().map(|hit| hit.chunk).collect();
            let rows = self.chunks(&ids)?;
            let quoting = batch.iter().zip(&rows).filter(|(_, row)| query.is_quoted_in(&self.terms_of(row)));
            hits.extend(quoting.map(|(hit, _)| *hit));
            if hits.len() >= k {
                break;
            }
        }
        hits.truncate(k);
        Ok(hits)
    }

    /// The terms of each heading of a passage, and of its text as it is and with parted words whole.
    fn terms_of(&self, row: &ChunkRow) -> Vec<Vec<String>> {
        let whole = with_whole_words(&row.text);
        let texts = row.heading_path.iter().chain([&row.text]).chain(&whole);
        let terms = texts.map(|text| {
            let mut terms = Vec::new();
            self.analyzer.terms(text, &mut |term| terms.push(term.to_owned()));
            terms
        });
        terms.collect()
    }

    /// Number of passages that have any word of `text`.
    pub fn n_chunks_with(&self, text: &str) -> usize {
        let mut terms = Vec::new();
        self.analyzer.terms(text, &mut |term| terms.push(term.to_owned()));
        self.index().text.n_chunks_with(&terms)
    }

    /// The `k` passages that fit a question best by meaning and by words: both rankings, fused by
    /// their scores (module `fuse`). Where the question has a quotation, all of them hold it.
    ///
    /// # Errors
    /// `BadQuery` as [`Self::search_vector`].
    pub fn search(&self, query: &[f32], text: &str, k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        let depth = k.max(LEG_DEPTH);
        let filter = &self.resolved(filter);
        self.check_query(query)?;
        let by_words = self.search_text(text, depth, filter)?;
        let by_meaning = if Query::parse(text, &self.analyzer).phrases.is_empty() {
            self.index().nearest(query, depth, filter)
        } else {
            self.index().vectors.nearest_of(query, depth, by_words.iter().map(|hit| hit.chunk))
        };
        let spread = self.index().vectors.spread(query, filter);
        Ok(fuse(&by_meaning, spread, &by_words, k))
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

    fn check_query(&self, query: &[f32]) -> Result<()> {
        let expected = self.tag.dimensions as usize;
        let got = query.iter().filter(|value| value.is_finite()).count();
        if got == expected && query.len() == expected {
            Ok(())
        } else {
            Err(Error::BadQuery { expected, got })
        }
    }

    fn info_of(&self, new: &NewDocument) -> DocumentInfo {
        DocumentInfo {
            id: DocumentId(self.catalog.next_document),
            name: new.name.clone(),
            kind: new.kind.clone(),
            title: new.title.clone(),
            sha256: new.sha256,
            n_bytes: new.n_bytes,
            added_unix_ms: new.added_unix_ms,
            n_chars: new.text.chars().count() as u64,
            n_pages: new.page_starts.len() as u32,
            n_chunks: new.chunks.len() as u32,
            warnings: new.warnings.clone(),
            collection: None,
            tags: Vec::new(),
            about: new.about.clone(),
        }
    }

    /// The rows of `terms`.
    pub(crate) fn encode_terms(&self, new: &NewDocument) -> Vec<Vec<u8>> {
        let terms = |chunk: &NewChunk, emit: &mut dyn FnMut(&str)| {
            // A heading that is the document's title stands above all its passages and tells none of
            // them from the others: with it MRR@10 is .004 lower on English articles.
            let headings = chunk.heading_path.iter().filter(|heading| new.title.as_ref() != Some(heading));
            for heading in headings {
                self.analyzer.terms(heading, emit);
            }
            self.analyzer.terms(&chunk.text, emit);
        };
        new.chunks.chunks(MAX_PART_CHUNKS).map(|chunks| postings::encode(chunks, &terms)).collect()
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
            write(&self.index).replace(load::index(&self.engine, &catalog, n_dims)?);
            self.catalog = catalog;
            self.is_stale = false;
        }
        Ok(())
    }
}

#[cfg(feature = "hnsw")]
impl Db {
    /// From so many passages on the approximate index serves; `MIN_CHUNKS` (module `ann`) if nothing is
    /// said. `usize::MAX` for never.
    pub fn use_graph_from(&mut self, min_chunks: usize) {
        write(&self.index).graph.set_min_chunks(min_chunks);
        keep_up(&self.index);
    }

    /// Returns when the approximate index has all passages, and lies beside the store's file.
    pub fn finish_graph(&self) {
        crate::ann::wait(&self.index);
    }

    fn restore_graph(&self, file: &platform::File) {
        let mut index = write(&self.index);
        let Index { graph, vectors, .. } = &mut *index;
        graph.restore(std::path::Path::new(file.path()), vectors, !self.is_read_only);
        drop(index);
        keep_up(&self.index);
    }
}

#[cfg(all(test, feature = "hnsw"))]
impl Db {
    pub(crate) fn open_with_graph_from(file: platform::File, tag: &EmbedderTag, n: usize) -> Result<Self> {
        let mut db = Self::over(Pages::in_file(file.clone()), tag)?;
        write(&db.index).graph.set_min_chunks(n);
        db.found_in(file);
        Ok(db)
    }

    pub(crate) fn n_graph_points(&self) -> usize {
        self.index().graph.n_points()
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

fn write(index: &RwLock<Index>) -> RwLockWriteGuard<'_, Index> {
    index.write().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the approximate index follow the rows, where there is one.
fn keep_up(_index: &Arc<RwLock<Index>>) {
    #[cfg(feature = "hnsw")]
    crate::ann::keep_up(_index);
}

fn same_tag(stored: &EmbedderTag, asked: &EmbedderTag) -> Result<()> {
    if stored == asked {
        return Ok(());
    }
    Err(Error::EmbedderMismatch { stored: Box::new(stored.clone()), asked: Box::new(asked.clone()) })
}

/// A passage from its columns, in the order of the relation.
pub(crate) fn chunk(columns: &mut Columns<'_>) -> Result<ChunkRow> {
    Ok(ChunkRow {
        id: ChunkId(columns.number()?),
        document: DocumentId(columns.number()?),
        start: columns.number()?,
        end: columns.number()?,
        page: columns.optional_number()?,
        heading_path: columns.json()?,
        text: columns.text()?.to_owned(),
    })
}

fn check(new: &NewDocument, n_dims: usize) -> Result<()> {
    let bad = |reason: String| Err(Error::BadDocument { name: new.name.clone(), reason });
    if new.name.is_empty() {
        return bad("it has no name".to_owned());
    }
    if new.chunks.len() > MAX_DOCUMENT_CHUNKS {
        return bad(format!(
            "it has {} passages; split it into parts of {MAX_DOCUMENT_CHUNKS}",
            new.chunks.len()
        ));
    }
    if i64::try_from(new.n_bytes).is_err() {
        return bad(format!("a size of {} bytes is no file's", new.n_bytes));
    }
    for (idx, chunk) in new.chunks.iter().enumerate() {
        if chunk.vector.len() != n_dims {
            return bad(format!(
                "the vector of passage {idx} has {} numbers and not {n_dims}",
                chunk.vector.len()
            ));
        }
        if chunk.vector.iter().any(|value| !value.is_finite()) {
            return bad(format!("the vector of passage {idx} has numbers that are not finite"));
        }
        if !chunk.sentences.fits(n_dims) {
            return bad(format!("the sentences of passage {idx} have vectors of another length"));
        }
        if chunk.start > chunk.end {
            return bad(format!("passage {idx} ends before it starts"));
        }
    }
    Ok(())
}
