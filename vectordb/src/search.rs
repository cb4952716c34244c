//! The searches: by meaning, by words, by both.

use cozo::DataValue;

use crate::analysis::with_whole_words;
use crate::documents::chunk;
use crate::engine::Params;
use crate::fuse::{LEG_DEPTH, fuse};
use crate::query::Query;
use crate::schema;
use crate::values::{Columns, words};
use crate::{ChunkId, ChunkRow, Db, DocumentId, Error, Filter, Hit, Meaning, Result};

/// Passages that are read at once to find a quotation.
const QUOTATION_BATCH: usize = 128;
/// Passages whose documents tell in what language a question is asked.
const BACKGROUND_DEPTH: usize = 10;

impl Db {
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

    /// The mean dot product of `query` with the vectors of documents that have words of `text`, of all that a
    /// filter lets through where none has: what a passage has that fits no better than any other. Documents in
    /// other languages say nothing about that.
    ///
    /// # Errors
    /// `BadQuery` as [`Self::search_vector`].
    pub fn background(&self, query: &[f32], text: &str, filter: &Filter) -> Result<f32> {
        self.check_query(query)?;
        let words = Query::parse(text, &self.analyzer);
        let mut filter = self.resolved(filter);
        let hits = self.index().text.search(&words, &self.analyzer, BACKGROUND_DEPTH, &filter);
        if !hits.is_empty() {
            let mut documents: Vec<DocumentId> =
                hits.iter().filter_map(|hit| self.index().vectors.document_of(hit.chunk)).collect();
            documents.sort_unstable();
            documents.dedup();
            filter.documents = Some(documents);
        }
        Ok(self.index().vectors.spread(query, &filter).mean)
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
    pub fn search<'a>(
        &self,
        query: impl Into<Meaning<'a>>,
        text: &str,
        k: usize,
        filter: &Filter,
    ) -> Result<Vec<Hit>> {
        let Meaning { vector: query, trust } = query.into();
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
        Ok(fuse(&by_meaning, (trust, spread), &by_words, k))
    }

    fn check_query(&self, query: &[f32]) -> Result<()> {
        let expected = self.tag().dimensions as usize;
        let got = query.iter().filter(|value| value.is_finite()).count();
        if got == expected && query.len() == expected {
            Ok(())
        } else {
            Err(Error::BadQuery { expected, got })
        }
    }
}
