//! The passages an answer is made from, without those that say the same again.

use std::collections::HashSet;

use vectordb::{ChunkRow, Db};

use crate::retrieve::Found;
use crate::words;

/// Two passages that share this part of their terms (Jaccard) say the same.
const DUPLICATE_OVERLAP: f32 = 0.85;
/// Passages looked up for near-duplicates to be left out of.
pub(crate) const SPARE_PASSAGES: usize = 8;

/// A passage with its document's name and its terms.
pub(crate) struct Passage {
    pub chunk: ChunkRow,
    pub document: String,
    /// Fused score of the search.
    pub score: f32,
    /// Terms of text, headings and document name.
    pub terms: HashSet<String>,
    /// Share of the question's letters that it has, by weight; 0 where the embedder knows the language.
    pub letters: f32,
    /// Other documents that say the same, in passages that were left out.
    pub also_in: Vec<String>,
}

/// The first `k` of what was found as passages, near-duplicates left out.
pub(crate) fn load(db: &Db, found: Vec<Found>, k: usize) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    for Found { row, score, mut terms } in found {
        let document = db.info(row.document).map(|info| info.name.clone()).unwrap_or_default();
        terms.extend(words::terms(&document));
        let is_full = passages.len() >= k;
        let same = passages.iter_mut().find(|kept| jaccard(&kept.terms, &terms) >= DUPLICATE_OVERLAP);
        match same {
            Some(kept) if kept.document != document && !kept.also_in.contains(&document) => {
                kept.also_in.push(document);
            }
            None if !is_full => {
                passages.push(Passage {
                    chunk: row,
                    document,
                    score,
                    terms,
                    letters: 0.0,
                    also_in: Vec::new(),
                });
            }
            _ => {}
        }
    }
    passages
}

/// Share of the terms of either that both have; two empty sets are the same.
pub(crate) fn jaccard(a: &HashSet<String>, b: &HashSet<String>) -> f32 {
    let n_shared = a.intersection(b).count();
    let n_all = a.len() + b.len() - n_shared;
    if n_all == 0 { 1.0 } else { n_shared as f32 / n_all as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_of_term_sets() {
        let set = |text: &str| words::term_set(text);
        assert_eq!(jaccard(&set("green tea"), &set("tea green")), 1.0);
        assert_eq!(jaccard(&set("green tea"), &set("black coffee")), 0.0);
        assert_eq!(jaccard(&set(""), &set("")), 1.0);
    }
}
