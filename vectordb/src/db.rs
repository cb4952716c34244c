//! The store as its users see it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cozo::DataValue;

use crate::analysis::Analyzer;
use crate::engine::{Engine, Params};
use crate::fuse::{LEG_DEPTH, fuse};
use crate::index::Index;
use crate::load::{self, Catalog, Stored};
use crate::pages::Pages;
use crate::postings::{self, Terms};
use crate::schema::{self, MAX_PART_CHUNKS, Transaction};
use crate::values::{Columns, words};
use crate::{
    ChunkId, ChunkRow, DocumentId, DocumentInfo, DocumentText, EmbedderTag, Error, Filter, Hit, NewChunk,
    NewDocument, Result, Stats,
};

/// Chunks of one document. One commit holds them all in memory: at 384 dimensions and 1 kB of text
/// about 4 kB each with their terms, so 200 MB at most; 50,000 chunks are some 20,000 pages.
pub const MAX_DOCUMENT_CHUNKS: usize = 50_000;

/// A knowledge base: documents with their passages, a vector for each passage, a text index, settings.
pub struct Db {
    engine: Engine,
    /// Shared with the search rules of the engine.
    index: Arc<RwLock<Index>>,
    catalog: Catalog,
    /// A commit failed, and whether it is in the file shows only when that is read again.
    is_stale: bool,
    analyzer: Analyzer,
    tag: EmbedderTag,
    file: Option<platform::File>,
}

impl Db {
    /// Opens the store in `file`, or makes one in an empty file. Reads all vectors and terms.
    ///
    /// # Errors
    /// `EmbedderMismatch` when the file's vectors are of another embedder than `tag` (the file stays
    /// as it is), `UnknownFormat`, `Corrupt`, `Io`, `Full`.
    pub fn open(file: platform::File, tag: &EmbedderTag) -> Result<Self> {
        let mut db = Self::over(Pages::in_file(file.clone()), tag)?;
        db.file = Some(file);
        Ok(db)
    }

    /// A store that is forgotten when it is dropped.
    pub fn in_memory(tag: &EmbedderTag) -> Result<Self> {
        Self::over(Pages::in_memory(), tag)
    }

    pub(crate) fn over(pages: Pages, tag: &EmbedderTag) -> Result<Self> {
        let n_dims = tag.dimensions as usize;
        let index = Arc::new(RwLock::new(Index::new(n_dims)));
        let engine = Engine::open(pages, &index)?;
        if engine.is_empty()? {
            create(&engine, tag)?;
        }
        let catalog = load::catalog(&engine, tag)?;
        *write(&index) = load::index(&engine, &catalog, n_dims)?;
        keep_up(&index);
        Ok(Self {
            engine,
            index,
            catalog,
            is_stale: false,
            analyzer: Analyzer::new(),
            tag: tag.clone(),
            file: None,
        })
    }

    /// The embedder of the stored vectors.
    pub fn tag(&self) -> &EmbedderTag {
        &self.tag
    }

    /// Stores a document with all its passages, vectors and terms in one durable transaction. A
    /// stored document of the same name is replaced in the same transaction; if it has the same
    /// SHA-256 too, nothing happens and its id comes back.
    ///
    /// # Errors
    /// `BadDocument` when a part of it cannot be stored; `Full` and `Io` with the store as it was.
    pub fn put_document(&mut self, new: &NewDocument) -> Result<DocumentId> {
        check(new, self.tag.dimensions as usize)?;
        self.refresh()?;
        let older = self.catalog.documents.values().find(|stored| stored.info.name == new.name).cloned();
        if let Some(older) = older.as_ref().filter(|older| older.info.sha256 == new.sha256) {
            return Ok(older.info.id);
        }
        let info = self.info_of(new);
        let first_chunk = self.catalog.next_chunk;
        let parts = self.encode_terms(new);
        let mut transaction = Transaction::default();
        if let Some(older) = &older {
            transaction.remove(&older.info, older.first_chunk);
        }
        transaction.put(new, &info, first_chunk, parts.clone());
        self.commit(transaction)?;

        let id = info.id;
        let mut index = write(&self.index);
        if let Some(older) = &older {
            index.remove(older.info.id);
            self.catalog.documents.remove(&older.info.id);
        }
        let parts: Vec<Terms<'_>> =
            parts.iter().map(|part| Terms::parse(part).expect("just encoded")).collect();
        index.add(id, first_chunk, new.chunks.iter().map(|chunk| chunk.vector.as_slice()), &parts);
        self.catalog.next_document = id.0 + 1;
        self.catalog.next_chunk = first_chunk + u64::from(info.n_chunks);
        self.catalog.documents.insert(id, Stored { info, first_chunk });
        drop(index);
        keep_up(&self.index);
        Ok(id)
    }

    /// Removes a document and all that belongs to it; `false` when there is none of that id.
    pub fn remove_document(&mut self, id: DocumentId) -> Result<bool> {
        self.refresh()?;
        let Some(stored) = self.catalog.documents.get(&id) else { return Ok(false) };
        let mut transaction = Transaction::default();
        transaction.remove(&stored.info, stored.first_chunk);
        self.commit(transaction)?;
        write(&self.index).remove(id);
        self.catalog.documents.remove(&id);
        keep_up(&self.index);
        Ok(true)
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

    /// The `k` passages whose vectors have the largest dot product with `query`, best first. Exact;
    /// with the feature `hnsw`, an unfiltered search of more than `MIN_CHUNKS` passages (module `ann`)
    /// may miss one in a hundred.
    ///
    /// # Errors
    /// `BadQuery` when `query` has not as many finite numbers as the stored vectors.
    pub fn search_vector(&self, query: &[f32], k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        self.check_query(query)?;
        Ok(self.index().nearest(query, k, filter))
    }

    /// As [`Self::search_vector`], with the passages, in one query.
    pub fn nearest(&self, query: &[f32], k: usize, filter: &Filter) -> Result<Vec<(ChunkRow, f32)>> {
        self.check_query(query)?;
        let params = Params::from([
            ("query".to_owned(), words(query.iter().map(|value| value.to_le_bytes()))),
            ("k".to_owned(), DataValue::from(k.try_into().unwrap_or(i64::MAX))),
            ("documents".to_owned(), schema::documents(filter.documents.as_deref())),
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
    pub fn search_text(&self, text: &str, k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        let mut terms = Vec::new();
        self.analyzer.terms(text, &mut |term| terms.push(term.to_owned()));
        Ok(self.index().text.search(&terms, k, filter))
    }

    /// Number of passages that have any word of `text`.
    pub fn n_chunks_with(&self, text: &str) -> usize {
        let mut terms = Vec::new();
        self.analyzer.terms(text, &mut |term| terms.push(term.to_owned()));
        self.index().text.n_chunks_with(&terms)
    }

    /// The `k` passages that fit a question best by meaning and by words: both rankings, fused by
    /// their scores (module `fuse`).
    ///
    /// # Errors
    /// `BadQuery` as [`Self::search_vector`].
    pub fn search(&self, query: &[f32], text: &str, k: usize, filter: &Filter) -> Result<Vec<Hit>> {
        let depth = k.max(LEG_DEPTH);
        let by_meaning = self.search_vector(query, depth, filter)?;
        let by_words = self.search_text(text, depth, filter)?;
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
        let rows = schema::list([vec![DataValue::from(key), DataValue::from(value.to_string())]]);
        self.engine.write(schema::SET_SETTING, Params::from([("rows".to_owned(), rows)]))
    }

    /// How much is stored.
    pub fn stats(&self) -> Result<Stats> {
        let index = self.index();
        Ok(Stats {
            n_documents: self.catalog.documents.len() as u64,
            n_chunks: index.vectors.n_rows() as u64,
            n_terms: index.text.n_distinct_terms() as u64,
            file_bytes: self.file.as_ref().map_or(Ok(0), platform::File::len)?,
            index_bytes: index.n_bytes() as u64,
        })
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
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
        }
    }

    /// The rows of `terms`.
    fn encode_terms(&self, new: &NewDocument) -> Vec<Vec<u8>> {
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

    fn commit(&mut self, transaction: Transaction) -> Result<()> {
        let done = self.engine.write(&transaction.script, transaction.params);
        if done.is_err() {
            self.is_stale = true;
            // If this fails too, the next change tries again; searches go on in what was there.
            let _ = self.refresh();
        }
        done
    }

    /// Reads everything again if a failed commit left it open what the file holds.
    fn refresh(&mut self) -> Result<()> {
        if self.is_stale {
            let catalog = load::catalog(&self.engine, &self.tag)?;
            *write(&self.index) = load::index(&self.engine, &catalog, self.tag.dimensions as usize)?;
            self.catalog = catalog;
            self.is_stale = false;
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "hnsw"))]
impl Db {
    pub(crate) fn use_graph_from(&mut self, min_chunks: usize) {
        write(&self.index).graph = crate::ann::Graph::new(min_chunks);
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

fn create(engine: &Engine, tag: &EmbedderTag) -> Result<()> {
    let embedder = serde_json::to_string(tag).map_err(|error| Error::Engine { detail: error.to_string() })?;
    let mut meta = vec![
        vec![DataValue::from("format"), DataValue::from(schema::FORMAT.to_string())],
        vec![DataValue::from("embedder"), DataValue::from(embedder)],
    ];
    meta.extend(schema::counters(1, 1));
    engine.write(schema::CREATE, Params::from([("meta".to_owned(), schema::list(meta))]))
}

fn chunk(columns: &mut Columns<'_>) -> Result<ChunkRow> {
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
        if chunk.start > chunk.end {
            return bad(format!("passage {idx} ends before it starts"));
        }
    }
    Ok(())
}
