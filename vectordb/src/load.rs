//! Bringing up what is kept in memory from the rows of a file, and refusing rows that contradict
//! each other.

use std::collections::{BTreeMap, HashMap};

use crate::bm25::TextIndex;
use crate::collections::StoredCollection;
use crate::engine::{Engine, Params};
use crate::failure::Failure;
use crate::index::Index;
use crate::jobs::job;
use crate::postings::Terms;
use crate::schema;
use crate::slab::Slab;
use crate::values::{Columns, floats};
use crate::{
    About, ChunkId, CollectionId, DocumentId, DocumentInfo, EmbedderTag, Error, Job, JobId,
    MAX_DOCUMENT_CHUNKS, Result,
};

/// A stored document, and where the ids of its chunks begin.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) info: DocumentInfo,
    pub(crate) first_chunk: u64,
    /// Each of its passages has a row for the vectors of its sentences; else none has.
    pub(crate) has_sentences: bool,
}

impl Stored {
    pub(crate) fn chunks(&self) -> impl Iterator<Item = ChunkId> + use<> {
        (self.first_chunk..).take(self.info.n_chunks as usize).map(ChunkId)
    }
}

/// The small facts of a store, held in memory.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) documents: BTreeMap<DocumentId, Stored>,
    pub(crate) collections: BTreeMap<CollectionId, StoredCollection>,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) n_conversations: u64,
    pub(crate) next_document: u64,
    pub(crate) next_chunk: u64,
    pub(crate) next_collection: u64,
    pub(crate) next_conversation: u64,
    pub(crate) next_job: u64,
}

/// What stands at the head of a store.
pub(crate) struct Header(HashMap<String, String>);

impl Header {
    pub(crate) fn read(engine: &Engine) -> Result<Self> {
        let mut meta = HashMap::new();
        for row in engine.read(schema::META, Params::new())? {
            let mut columns = Columns::of(&row);
            meta.insert(columns.text()?.to_owned(), columns.text()?.to_owned());
        }
        Ok(Self(meta))
    }

    fn entry(&self, key: &str) -> Result<&str> {
        let missing = || Failure::corrupt(format!("its header has no `{key}`"));
        Ok(self.0.get(key).map(String::as_str).ok_or_else(missing)?)
    }

    pub(crate) fn number(&self, key: &str) -> Result<u64> {
        let no_number = |_| Failure::corrupt(format!("`{key}` in its header is no number"));
        Ok(self.entry(key)?.parse::<u64>().map_err(no_number)?)
    }

    /// The embedder whose vectors are stored.
    pub(crate) fn tag(&self) -> Result<EmbedderTag> {
        let unreadable = |_| Failure::corrupt("`embedder` in its header cannot be read");
        Ok(serde_json::from_str(self.entry("embedder")?).map_err(unreadable)?)
    }
}

/// Reads all that is held in memory but for the indexes.
pub(crate) fn catalog(engine: &Engine) -> Result<Catalog> {
    let header = Header::read(engine)?;
    let mut catalog = Catalog {
        next_document: header.number("next_document")?,
        next_chunk: header.number("next_chunk")?,
        next_collection: header.number("next_collection")?,
        next_conversation: header.number("next_conversation")?,
        next_job: header.number("next_job")?,
        ..Catalog::default()
    };
    for row in engine.read(schema::CONVERSATIONS, Params::new())? {
        let id: u64 = Columns::of(&row).number()?;
        catalog.n_conversations += 1;
        catalog.next_conversation = catalog.next_conversation.max(id + 1);
    }
    for row in engine.read(schema::DOCUMENTS, Params::new())? {
        let document = document(&row)?;
        catalog.documents.insert(document.info.id, document);
    }
    for row in engine.read(schema::COLLECTIONS, Params::new())? {
        let mut columns = Columns::of(&row);
        let id = CollectionId(columns.number()?);
        let stored =
            StoredCollection { name: columns.text()?.to_owned(), created_unix_ms: columns.number()? };
        catalog.collections.insert(id, stored);
    }
    for row in engine.read(schema::JOBS, Params::new())? {
        let job = job(&row)?;
        catalog.jobs.insert(job.id, job);
    }
    // A repair copies rows and makes the header anew, whose counters then begin too low.
    let behind = |last: Option<u64>| last.map_or(1, |id| id + 1);
    let last_collection = catalog.collections.last_key_value().map(|(id, _)| id.0);
    catalog.next_collection = catalog.next_collection.max(behind(last_collection));
    let last_job = catalog.jobs.last_key_value().map(|(id, _)| id.0);
    catalog.next_job = catalog.next_job.max(behind(last_job));
    catalog.read_order(engine)?;
    catalog.read_about(engine)?;
    Ok(catalog)
}

impl Catalog {
    /// Reads which documents are in which collections and what tags they have. Rows of a document or a
    /// collection that a repair could not rescue stand for nothing: ids are never given out again.
    fn read_order(&mut self, engine: &Engine) -> Result<()> {
        for row in engine.read(schema::MEMBERS, Params::new())? {
            let mut columns = Columns::of(&row);
            let stored = self.documents.get_mut(&DocumentId(columns.number()?));
            let collection = CollectionId(columns.number()?);
            if let Some(stored) = stored.filter(|_| self.collections.contains_key(&collection)) {
                stored.info.collection = Some(collection);
            }
        }
        for row in engine.read(schema::TAGS, Params::new())? {
            let mut columns = Columns::of(&row);
            if let Some(stored) = self.documents.get_mut(&DocumentId(columns.number()?)) {
                stored.info.tags.push(columns.text()?.to_owned());
            }
        }
        for stored in self.documents.values_mut() {
            stored.info.tags.sort();
        }
        Ok(())
    }
}

impl Catalog {
    /// Reads what documents say of themselves.
    fn read_about(&mut self, engine: &Engine) -> Result<()> {
        for row in engine.read(schema::ABOUT, Params::new())? {
            let (document, about, has_sentences) = about(&row)?;
            if let Some(stored) = self.documents.get_mut(&document) {
                stored.info.about = about;
                stored.has_sentences = has_sentences;
            }
        }
        Ok(())
    }
}

/// What a document says of itself, from the columns of [`schema::ABOUT`], and whether it has vectors of
/// sentences.
pub(crate) fn about(row: &[cozo::DataValue]) -> std::result::Result<(DocumentId, About, bool), Failure> {
    let mut columns = Columns::of(row);
    let document = DocumentId(columns.number()?);
    let about = About { authors: columns.json()?, created: columns.optional_text()? };
    Ok((document, about, columns.truth()?))
}

/// A document from its columns, in the order of [`schema::DOCUMENTS`].
pub(crate) fn document(row: &[cozo::DataValue]) -> std::result::Result<Stored, Failure> {
    let mut columns = Columns::of(row);
    let info = DocumentInfo {
        id: DocumentId(columns.number()?),
        name: columns.text()?.to_owned(),
        kind: columns.text()?.to_owned(),
        title: columns.optional_text()?,
        sha256: columns.bytes()?.try_into().map_err(|_| Failure::corrupt("a document has no SHA-256"))?,
        n_bytes: columns.number()?,
        added_unix_ms: columns.number()?,
        n_chars: columns.number()?,
        n_pages: columns.number()?,
        n_chunks: columns.number()?,
        warnings: columns.json()?,
        collection: None,
        tags: Vec::new(),
        about: About::default(),
    };
    let first_chunk: u64 = columns.number()?;
    if info.n_chunks as usize > MAX_DOCUMENT_CHUNKS || first_chunk.checked_add(info.n_chunks.into()).is_none()
    {
        return Err(Failure::corrupt("a document has more passages than can be"));
    }
    Ok(Stored { info, first_chunk, has_sentences: false })
}

/// Fills the indexes from the rows of all vectors and terms.
pub(crate) fn index(engine: &Engine, catalog: &Catalog, n_dims: usize) -> Result<Index> {
    let n_chunks = catalog.documents.values().map(|stored| stored.info.n_chunks as usize).sum();
    let mut index = Index::new(n_dims);
    index.vectors.reserve(n_chunks);
    vectors(engine, catalog, &mut index.vectors)?;
    terms(engine, catalog, &mut index.text)?;
    if index.vectors.n_rows() != n_chunks || index.text.n_chunks() != n_chunks {
        return Err(Error::Corrupt { detail: "passages are missing in an index".to_owned() });
    }
    Ok(index)
}

/// Takes the rows of `vector`, which must be just those of the listed documents.
fn vectors(engine: &Engine, catalog: &Catalog, slab: &mut Slab) -> Result<()> {
    let stored = catalog.documents.values();
    let mut expected = stored.flat_map(|stored| stored.chunks().map(|chunk| (stored.info.id, chunk)));
    engine.each_row("vector", &mut |row| {
        let mut columns = Columns::of(row);
        let chunk = ChunkId(columns.number()?);
        let document = DocumentId(columns.number()?);
        if expected.next() != Some((document, chunk)) {
            return Err(Failure::corrupt("a vector belongs to no passage"));
        }
        let values = floats(columns.bytes()?).filter(|values| values.len() == slab.n_dims());
        let values = values.ok_or_else(|| Failure::corrupt("a vector has a wrong length"))?;
        slab.push(document, chunk, values);
        Ok(())
    })
}

/// Takes the rows of `terms`, which must be just those of the listed documents.
fn terms(engine: &Engine, catalog: &Catalog, text: &mut TextIndex) -> Result<()> {
    let mut expected = catalog.documents.values().flat_map(|stored| {
        let chunks: Vec<ChunkId> = stored.chunks().collect();
        let parts = chunks.chunks(schema::MAX_PART_CHUNKS).map(<[ChunkId]>::to_vec);
        (0u64..).zip(parts).map(|(part, chunks)| (stored.info.id, part, chunks)).collect::<Vec<_>>()
    });
    engine.each_row("terms", &mut |row| {
        let mut columns = Columns::of(row);
        let key = (DocumentId(columns.number()?), columns.number::<u64>()?);
        let terms = Terms::parse(columns.bytes()?);
        let terms = terms.ok_or_else(|| Failure::corrupt("a row of index terms cannot be read"))?;
        let part = expected
            .next()
            .filter(|(id, part, chunks)| (*id, *part) == key && chunks.len() == terms.n_terms().len());
        let (document, _, chunks) =
            part.ok_or_else(|| Failure::corrupt("index terms belong to no passage"))?;
        text.add(document, chunks.into_iter(), &terms);
        Ok(())
    })
}
