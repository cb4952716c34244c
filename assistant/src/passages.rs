//! The passages an answer is made from, without those that say the same again.

use std::collections::{BTreeMap, HashSet};

use vectordb::{ChunkRow, Db, Hit};

use crate::{Result, words};

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
    /// Other documents that say the same, in passages that were left out.
    pub also_in: Vec<String>,
}

/// The first `k` of the hits as passages, near-duplicates left out.
pub(crate) fn load(db: &Db, hits: &[Hit], k: usize) -> Result<Vec<Passage>> {
    let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    let rows = db.chunks(&ids)?;
    let scores: BTreeMap<_, _> = hits.iter().map(|hit| (hit.chunk, hit.score)).collect();
    let mut passages: Vec<Passage> = Vec::new();
    for chunk in rows {
        let document = db.info(chunk.document).map(|info| info.name.clone()).unwrap_or_default();
        let headings = chunk.heading_path.join(" ");
        let terms = words::term_set(&format!("{} {headings} {document}", chunk.text));
        let is_full = passages.len() >= k;
        let same = passages.iter_mut().find(|kept| jaccard(&kept.terms, &terms) >= DUPLICATE_OVERLAP);
        match same {
            Some(kept) if kept.document != document && !kept.also_in.contains(&document) => {
                kept.also_in.push(document);
            }
            None if !is_full => {
                let score = scores.get(&chunk.id).copied().unwrap_or_default();
                passages.push(Passage { chunk, document, score, terms, also_in: Vec::new() });
            }
            _ => {}
        }
    }
    Ok(passages)
}

fn jaccard(a: &HashSet<String>, b: &HashSet<String>) -> f32 {
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
