//! From a question to ranked passages: words and meaning, fused by the store, then looked at closer.

use std::collections::{BTreeMap, HashSet};

use vectordb::{ChunkId, ChunkRow, Db, Filter, Hit};

use crate::question::Question;
use crate::types::SearchOptions;
use crate::{Leg, Result, words};

/// Passages that are looked at closer, and how many more than are asked for.
const MIN_DEPTH: usize = 24;
const SPARE: usize = 8;
/// Passages that are looked up for each name that is meant letter by letter.
const EXACT_DEPTH: usize = 24;
/// What a passage gains that has all of a question's terms, where a perfect score of the search is 1.
/// A search by words counts a rare word that is repeated more than all the others together; an answer
/// mostly has something of everything that was asked. Between .1 and .4 the gain hardly changes. It fades
/// with the embedder's knowledge of the language: our list of words that say nothing is English, and in
/// other languages the share of a question's words is for the most part one of its grammar.
const COVERAGE_BONUS: f32 = 0.3;

/// A passage that was found, with its terms.
pub(crate) struct Found {
    pub row: ChunkRow,
    pub score: f32,
    /// Terms of text and headings.
    pub terms: HashSet<String>,
}

/// The best passages of the documents that a filter lets through, best first.
pub(crate) fn search(
    db: &Db,
    question: &Question,
    options: &SearchOptions,
    filter: &Filter,
) -> Result<Vec<Found>> {
    let (k, leg) = (options.k, options.leg);
    let hits = match leg {
        Leg::Dense => db.search_vector(&question.vector, k, filter)?,
        Leg::Bm25 => db.search_text(question.search_text(), k, filter)?,
        Leg::Fused => candidates(db, question, (k + SPARE).max(MIN_DEPTH), filter)?,
    };
    let scores: BTreeMap<ChunkId, f32> = hits.iter().map(|hit| (hit.chunk, hit.score)).collect();
    let ids: Vec<ChunkId> = hits.iter().map(|hit| hit.chunk).collect();
    let bonus = COVERAGE_BONUS * question.clarity;
    let found = |row: ChunkRow| {
        let text = format!("{}\n{}", row.heading_path.join("\n"), row.text);
        let terms = words::term_set(&text);
        let mut score = scores.get(&row.id).copied().unwrap_or_default();
        if leg == Leg::Fused {
            score += bonus * question.coverage(&terms) + question.exact.bonus(&text);
        }
        Found { row, score, terms }
    };
    let mut found: Vec<Found> = db.chunks(&ids)?.into_iter().map(found).collect();
    if leg == Leg::Fused {
        // Equal ones keep the order of the search.
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(k);
    }
    Ok(found)
}

/// What the store's search finds, and what has the names that are meant letter by letter: one of
/// frequent words need not be among the best otherwise.
fn candidates(db: &Db, question: &Question, depth: usize, filter: &Filter) -> Result<Vec<Hit>> {
    let mut hits = db.search(&question.vector, question.search_text(), depth, filter)?;
    for part in question.exact.looked_up() {
        for hit in db.search_text(part, EXACT_DEPTH, filter)? {
            if hits.iter().all(|known| known.chunk != hit.chunk) {
                hits.push(Hit { score: 0.0, ..hit });
            }
        }
    }
    Ok(hits)
}
