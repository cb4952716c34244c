//! Bringing up what is kept in memory from the rows of a file, and refusing rows that contradict
//! each other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::{Engine, Params, Sink};
use crate::failure::Failure;
use crate::index::Index;
use crate::postings::Terms;
use crate::schema;
use crate::values::{Columns, floats};
use crate::{ChunkId, DocumentId, DocumentInfo, EmbedderTag, Error, MAX_DOCUMENT_CHUNKS, Result};

/// A stored document, and where the ids of its chunks begin.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) info: DocumentInfo,
    pub(crate) first_chunk: u64,
}

impl Stored {
    fn chunks(&self) -> impl Iterator<Item = ChunkId> + use<> {
        (self.first_chunk..).take(self.info.n_chunks as usize).map(ChunkId)
    }
}

/// The small facts of a store, held in memory.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) documents: BTreeMap<DocumentId, Stored>,
    pub(crate) next_document: u64,
    pub(crate) next_chunk: u64,
}

/// Reads the header, compares it, and lists the documents.
pub(crate) fn catalog(engine: &Engine, tag: &EmbedderTag) -> Result<Catalog> {
    let mut meta = HashMap::new();
    for row in engine.read(schema::META, Params::new())? {
        let mut columns = Columns::of(&row);
        meta.insert(columns.text()?.to_owned(), columns.text()?.to_owned());
    }
    let entry =
        |key: &str| meta.get(key).ok_or_else(|| Failure::corrupt(format!("its header has no `{key}`")));
    let number = |key: &str| {
        let text = entry(key)?;
        text.parse::<u64>().map_err(|_| Failure::corrupt(format!("`{key}` in its header is no number")))
    };
    let found = number("format")?;
    if found != schema::FORMAT {
        return Err(Error::UnknownFormat { found, supported: schema::FORMAT });
    }
    let stored: EmbedderTag = serde_json::from_str(entry("embedder")?)
        .map_err(|_| Failure::corrupt("`embedder` in its header cannot be read"))?;
    if stored != *tag {
        return Err(Error::EmbedderMismatch { stored: Box::new(stored), asked: Box::new(tag.clone()) });
    }
    let mut documents = BTreeMap::new();
    for row in engine.read(schema::DOCUMENTS, Params::new())? {
        let document = document(&row)?;
        documents.insert(document.info.id, document);
    }
    Ok(Catalog { documents, next_document: number("next_document")?, next_chunk: number("next_chunk")? })
}

fn document(row: &[cozo::DataValue]) -> std::result::Result<Stored, Failure> {
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
    };
    let first_chunk: u64 = columns.number()?;
    if info.n_chunks as usize > MAX_DOCUMENT_CHUNKS || first_chunk.checked_add(info.n_chunks.into()).is_none()
    {
        return Err(Failure::corrupt("a document has more passages than can be"));
    }
    Ok(Stored { info, first_chunk })
}

/// Fills the indexes from the rows of all vectors and terms.
pub(crate) fn index(engine: &Engine, catalog: &Catalog, n_dims: usize) -> Result<Index> {
    let n_chunks = catalog.documents.values().map(|stored| stored.info.n_chunks as usize).sum();
    let mut index = Index::new(n_dims);
    index.vectors.reserve(n_chunks);
    let index = Arc::new(Mutex::new(index));
    engine.each_row("vector", vector_sink(&index, catalog, n_dims))?;
    engine.each_row("terms", terms_sink(&index, catalog))?;
    let index = Arc::into_inner(index).expect("the sinks are gone with the scans");
    let index = index.into_inner().unwrap_or_else(PoisonError::into_inner);
    if index.vectors.n_rows() != n_chunks || index.text.n_chunks() != n_chunks {
        return Err(Error::Corrupt { detail: "passages are missing in an index".to_owned() });
    }
    Ok(index)
}

/// Takes rows of `vector`, which must be just those of the listed documents.
fn vector_sink(index: &Arc<Mutex<Index>>, catalog: &Catalog, n_dims: usize) -> Sink {
    let index = Arc::clone(index);
    let stored: Vec<Stored> = catalog.documents.values().cloned().collect();
    let mut expected =
        stored.into_iter().flat_map(|stored| stored.chunks().map(move |chunk| (stored.info.id, chunk)));
    Box::new(move |row| {
        let mut columns = Columns::of(row);
        let chunk = ChunkId(columns.number()?);
        let document = DocumentId(columns.number()?);
        if expected.next() != Some((document, chunk)) {
            return Err(Failure::corrupt("a vector belongs to no passage"));
        }
        let values = floats(columns.bytes()?).filter(|values| values.len() == n_dims);
        let values = values.ok_or_else(|| Failure::corrupt("a vector has a wrong length"))?;
        index.lock().unwrap_or_else(PoisonError::into_inner).vectors.push(document, chunk, values);
        Ok(())
    })
}

/// Takes rows of `terms`, which must be just those of the listed documents.
fn terms_sink(index: &Arc<Mutex<Index>>, catalog: &Catalog) -> Sink {
    let index = Arc::clone(index);
    let parts = catalog.documents.values().cloned().flat_map(|stored| {
        let chunks: Vec<ChunkId> = stored.chunks().collect();
        let parts = chunks.chunks(schema::MAX_PART_CHUNKS).map(<[ChunkId]>::to_vec);
        (0u64..).zip(parts).map(|(part, chunks)| (stored.info.id, part, chunks)).collect::<Vec<_>>()
    });
    let mut expected = parts.collect::<Vec<_>>().into_iter();
    Box::new(move |row| {
        let mut columns = Columns::of(row);
        let key = (DocumentId(columns.number()?), columns.number::<u64>()?);
        let terms = Terms::parse(columns.bytes()?);
        let terms = terms.ok_or_else(|| Failure::corrupt("a row of index terms cannot be read"))?;
        let part = expected
            .next()
            .filter(|(id, part, chunks)| (*id, *part) == key && chunks.len() == terms.n_terms().len());
        let (document, _, chunks) =
            part.ok_or_else(|| Failure::corrupt("index terms belong to no passage"))?;
        let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
        index.text.add(document, chunks.into_iter(), &terms);
        Ok(())
    })
}
