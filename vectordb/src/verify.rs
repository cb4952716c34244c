//! Whether a store is what it says: every page, every row, every index.

use cozo::DataValue;

use crate::engine::Params;
use crate::index::Index;
use crate::load::{self, Stored};
use crate::postings::Terms;
use crate::query::Query;
use crate::schema;
use crate::values::{Columns, floats, int};
use crate::{About, ChunkId, ChunkRow, Db, Error, Filter, NewChunk, NewDocument, Result, SentenceVectors};

/// As many contradictions are listed; one is enough to repair a file.
pub const MAX_PROBLEMS: usize = 100;
/// An older version may have taken other words for terms, and its files are sound all the same. Tests
/// read what they have just written.
const EXPECTS_SAME_TERMS: bool = cfg!(test);
/// Passages that the indexes in memory are asked for, spread over all.
const MAX_SAMPLES: usize = 64;

/// Reads a whole file and compares everything in it: page checksums, row checksums, that every
/// document has exactly its rows, that index terms can be read, and that the indexes in memory find
/// what the rows hold. The file is only read. Gives what contradicts, in sentences; nothing for a good
/// file.
///
/// # Errors
/// `NotAStore`, `UnknownFormat`, or `Corrupt` and `Io` when the file cannot even be opened.
pub fn verify(file: platform::File) -> Result<Vec<String>> {
    if file.len()? == 0 {
        return Err(Error::NotAStore);
    }
    Db::open_read_only(file)?.verify()
}

impl Db {
    /// As [`verify`], for a store that is open.
    ///
    /// # Errors
    /// When a row cannot be read: `Corrupt` or `Io`.
    pub fn verify(&mut self) -> Result<Vec<String>> {
        self.refresh()?;
        let mut problems = Vec::new();
        if !self.engine.check_pages()? {
            problems.push("some pages did not match their checksums".to_owned());
        }
        let mut samples = Vec::new();
        let n_chunks = self.index().n_chunks();
        let step = n_chunks.div_ceil(MAX_SAMPLES).max(1);
        let mut n_seen = 0;
        for stored in self.catalog.documents.values() {
            for problem in self.verify_document(stored, &mut |chunk, vector| {
                if n_seen % step == 0 {
                    samples.push((chunk.text.clone(), vector.to_vec()));
                }
                n_seen += 1;
            })? {
                problems.push(format!("{}: {problem}", stored.info.name));
            }
            if problems.len() >= MAX_PROBLEMS {
                return Ok(problems);
            }
        }
        problems.extend(self.verify_counts(n_chunks)?);
        problems.extend(self.verify_indexes(&samples)?);
        Ok(problems)
    }

    fn verify_document(
        &self,
        stored: &Stored,
        see: &mut dyn FnMut(&ChunkRow, &[f32]),
    ) -> Result<Vec<&'static str>> {
        let Stored { info, first_chunk, .. } = stored;
        let mut problems = Vec::new();
        let n_chars = self.document(info.id)?.map_or(0, |stored| stored.text.chars().count() as u64);
        if n_chars != info.n_chars {
            problems.push("its text has another length than it should");
        }
        let last = first_chunk + u64::from(info.n_chunks);
        if info.id.0 >= self.catalog.next_document || last > self.catalog.next_chunk {
            problems.push("its ids would be given out again");
        }
        let ids: Vec<ChunkId> = (*first_chunk..last).map(ChunkId).collect();
        for (part, ids) in ids.chunks(schema::MAX_PART_CHUNKS).enumerate() {
            let rows = self.engine.read(schema::CHUNKS, Params::from([("ids".into(), schema::ids(ids))]))?;
            let mut chunks = rows
                .iter()
                .map(|row| crate::documents::chunk(&mut Columns::of(row)))
                .collect::<Result<Vec<_>>>()?;
            chunks.sort_by_key(|chunk| chunk.id);
            if !chunks.iter().map(|chunk| chunk.id).eq(ids.iter().copied()) {
                problems.push("passages are missing");
                continue;
            }
            let is_inside =
                |chunk: &ChunkRow| chunk.start <= chunk.end && u64::from(chunk.end) <= info.n_chars;
            if !chunks.iter().all(|chunk| chunk.document == info.id && is_inside(chunk)) {
                problems.push("passages are not of its text");
            }
            let vectors = self.stored_vectors(ids)?;
            if vectors.len() != ids.len() || !vectors.iter().all(|vector| self.is_vector(vector)) {
                problems.push("vectors are missing or are none");
                continue;
            }
            chunks.iter().zip(&vectors).for_each(|(chunk, vector)| see(chunk, vector));
            let sentences = self.sentence_vectors(ids)?;
            let is_of_text = |chunk: &ChunkRow| {
                let n_chars = chunk.end.saturating_sub(chunk.start);
                sentences.get(&chunk.id).is_none_or(|own| own.iter().all(|one| one.end <= n_chars))
            };
            if !chunks.iter().all(is_of_text) {
                problems.push("vectors of sentences are not of its passages");
            }
            let n_chunks = chunks.len();
            let postings = self.postings(info.id, part as u64)?;
            let is_readable = Terms::parse(&postings).is_some_and(|terms| terms.n_terms().len() == n_chunks);
            if !is_readable
                || (EXPECTS_SAME_TERMS && postings != self.expected_postings(info.title.clone(), chunks))
            {
                problems.push("index terms are not those of its passages");
            }
        }
        Ok(problems)
    }

    fn is_vector(&self, vector: &[f32]) -> bool {
        vector.len() == self.tag().dimensions as usize && vector.iter().all(|value| value.is_finite())
    }

    /// The stored vectors of these passages, as far as they are there.
    fn stored_vectors(&self, ids: &[ChunkId]) -> Result<Vec<Vec<f32>>> {
        let mut rows = self.engine.read(schema::VECTORS, Params::from([("ids".into(), schema::ids(ids))]))?;
        rows.sort_by_key(|row| row.first().and_then(DataValue::get_int));
        let vector = |row: &Vec<DataValue>| Some(floats(row.get(1)?.get_bytes()?)?.collect());
        Ok(rows.iter().filter_map(vector).collect())
    }

    fn postings(&self, document: crate::DocumentId, part: u64) -> Result<Vec<u8>> {
        let params = Params::from([("document".into(), int(document.0)), ("part".into(), int(part))]);
        let rows = self.engine.read(schema::POSTINGS, params)?;
        Ok(rows
            .first()
            .map(|row| Columns::of(row).bytes().map(<[u8]>::to_vec))
            .transpose()?
            .unwrap_or_default())
    }

    /// The postings that these passages should have.
    fn expected_postings(&self, title: Option<String>, chunks: Vec<ChunkRow>) -> Vec<u8> {
        let chunk = |row: ChunkRow| NewChunk {
            start: row.start,
            end: row.end,
            page: row.page,
            heading_path: row.heading_path,
            text: row.text,
            vector: Vec::new(),
            sentences: SentenceVectors::default(),
        };
        let document = NewDocument {
            name: String::new(),
            kind: String::new(),
            title,
            sha256: [0; 32],
            n_bytes: 0,
            added_unix_ms: 0,
            text: String::new(),
            page_starts: Vec::new(),
            warnings: Vec::new(),
            about: About::default(),
            chunks: chunks.into_iter().map(chunk).collect(),
        };
        self.encode_terms(&document).pop().unwrap_or_default()
    }

    /// That no relation has rows of documents that are not there.
    fn verify_counts(&self, n_chunks: usize) -> Result<Vec<String>> {
        let documents = || self.catalog.documents.values();
        let n_parts =
            documents().map(|stored| (stored.info.n_chunks as usize).div_ceil(schema::MAX_PART_CHUNKS)).sum();
        let n_documents = documents().len();
        let with_sentences = documents().filter(|stored| stored.has_sentences);
        let n_with_sentences = with_sentences.map(|stored| stored.info.n_chunks as usize).sum();
        let expected = [
            ("document", "id", n_documents),
            ("document_text", "document", n_documents),
            ("chunk", "id", documents().map(|stored| stored.info.n_chunks as usize).sum()),
            ("vector", "chunk", n_chunks),
            ("terms", "document, part", n_parts),
            ("about", "document", n_documents),
            ("sentences", "chunk", n_with_sentences),
        ];
        let mut problems = Vec::new();
        for (relation, keys, n_expected) in expected {
            let n = self.engine.count(relation, keys)?;
            if n != n_expected as u64 {
                problems.push(format!("`{relation}` has {n} rows and should have {n_expected}"));
            }
        }
        Ok(problems)
    }

    /// That what is held in memory answers as what a new opening would hold.
    fn verify_indexes(&self, samples: &[(String, Vec<f32>)]) -> Result<Vec<String>> {
        let fresh = load::index(&self.engine, &self.catalog, self.tag().dimensions as usize)?;
        let index = self.index();
        let (k, all) = (10, Filter::default());
        let mut problems = Vec::new();
        if (index.n_chunks(), index.text.n_chunks(), index.text.n_distinct_terms())
            != (fresh.n_chunks(), fresh.text.n_chunks(), fresh.text.n_distinct_terms())
        {
            problems.push("the indexes in memory count otherwise than the file".to_owned());
        }
        for (text, vector) in samples {
            if index.vectors.search_exactly(vector, k, &all) != fresh.vectors.search_exactly(vector, k, &all)
            {
                problems.push("the vectors in memory are not those of the file".to_owned());
            }
            let query = Query::of_terms(crate::terms(text));
            let hits = |index: &Index| index.text.search(&query, &self.analyzer, k, &all);
            if hits(&index) != hits(&fresh) {
                problems.push("the text index in memory is not that of the file".to_owned());
            }
            if !problems.is_empty() {
                break;
            }
        }
        Ok(problems)
    }
}
