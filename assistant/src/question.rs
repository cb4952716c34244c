//! A question, ready to be compared with passages and sentences.

use std::collections::HashSet;

use embedder::Embedder;
use vectordb::Db;

use crate::words;
use crate::{Error, Result};

/// Longer questions are cut: the rest of a pasted page says nothing about what is asked.
const MAX_QUESTION_CHARS: usize = 2_000;
/// Terms that are weighed; each costs one look into the index.
const MAX_TERMS: usize = 64;

/// What may stand around a quotation.
const QUOTATION_MARKS: [char; 10] = ['"', '“', '”', '„', '«', '»', '「', '」', '『', '』'];

/// A question's vector, and its terms with their weights.
pub(crate) struct Question {
    pub text: String,
    /// Unit length.
    pub vector: Vec<f32>,
    /// (term, idf), each term once.
    terms: Vec<(String, f32)>,
}

impl Question {
    pub(crate) async fn new(text: &str, db: &Db, embedder: &Embedder) -> Result<Self> {
        let text: String = text.trim().chars().take(MAX_QUESTION_CHARS).collect();
        if !text.chars().any(char::is_alphanumeric) {
            return Err(Error::EmptyQuestion);
        }
        let vector = embedder.embed_query(&text).await?;
        let terms = weigh(&text, db)?;
        Ok(Self { text, vector, terms })
    }

    /// The same question with its quotations as plain words.
    pub(crate) fn unquoted(&self) -> Self {
        let text = self.text.replace(QUOTATION_MARKS, " ");
        Self { text, vector: self.vector.clone(), terms: self.terms.clone() }
    }

    /// Share of the question's terms, by weight, that `terms` has: 0 to 1. A question without terms
    /// ("Who was he?") is covered by nothing.
    pub(crate) fn coverage(&self, terms: &HashSet<String>) -> f32 {
        let total: f32 = self.terms.iter().map(|(_, weight)| weight).sum();
        if total <= 0.0 {
            return 0.0;
        }
        let covered = self.terms.iter().filter(|(term, _)| terms.contains(term));
        covered.map(|(_, weight)| weight).sum::<f32>() / total
    }

    /// Cosine of the question to a unit vector.
    pub(crate) fn cosine(&self, vector: &[f32]) -> f32 {
        dot(&self.vector, vector)
    }
}

/// Weight of a term by how few passages have it, as in BM25.
fn weigh(text: &str, db: &Db) -> Result<Vec<(String, f32)>> {
    let n_chunks = db.stats()?.n_chunks as f32;
    let mut seen = HashSet::new();
    let mut weighed = Vec::new();
    for term in words::terms(text).into_iter().take(MAX_TERMS) {
        if !seen.insert(term.clone()) {
            continue;
        }
        let n_with_term = db.n_chunks_with(&term) as f32;
        let idf = (1.0 + (n_chunks - n_with_term + 0.5) / (n_with_term + 0.5)).ln();
        weighed.push((term, idf));
    }
    Ok(weighed)
}

/// Cosine of unit vectors.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
