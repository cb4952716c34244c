//! From a question to ranked passages: words and meaning, fused by the store, then looked at closer.

use std::collections::{BTreeMap, HashSet};

use vectordb::{ChunkId, ChunkRow, Db, Filter, Hit, Meaning, SentenceVectors};

use crate::pieces::pieces;
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
/// mostly has something of everything that was asked. Between .3 and .6 the gain hardly changes. It fades
/// with the embedder's knowledge of the language: our list of words that say nothing is English, and in
/// other languages the share of a question's words is for the most part one of its grammar.
const COVERAGE_BONUS: f32 = 0.45;
/// What it gains by the cosine of its best sentence, which says more than that of all its sentences together
/// where one of them answers and the others speak of something else; and what it gains by the sentence that has
/// most of the question's pairs of neighbouring words. Both fade in the same way. In replay, with .3 to .6
/// and .1 to .3, MRR@10 is .003 to .008 higher on English articles, .02 to .03 on state_of_the_union, up to .015
/// on wikitexts, .01 lower on finance, and the same or .005 higher in ten languages.
const SENTENCE_BONUS: f32 = 0.5;
const PAIRS_BONUS: f32 = 0.2;

/// What a passage gains that has all runs of letters of the question, weighed by how few of the passages at hand
/// have them, where the embedder does not know the language: words are stemmed by the rules of English there, if
/// at all.
const LETTERS_BONUS: f32 = 0.4;

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
    let sentences = if leg == Leg::Fused { best_sentences(db, question, &ids)? } else { BTreeMap::new() };
    // Passages that were stored without vectors of sentences are neither better nor worse for it.
    let usual = sentences.values().sum::<f32>() / sentences.len().max(1) as f32;
    let found = |row: ChunkRow| {
        let text = format!("{}\n{}", row.heading_path.join("\n"), row.text);
        let terms = words::term_set(&text);
        let mut score = scores.get(&row.id).copied().unwrap_or_default();
        if leg == Leg::Fused {
            let sentence = sentences.get(&row.id).copied().unwrap_or(usual);
            let shares = pieces(&row.text).into_iter().map(|(_, text)| question.share_of_pairs(text));
            let gain = COVERAGE_BONUS * question.coverage(&terms)
                + SENTENCE_BONUS * sentence
                + PAIRS_BONUS * shares.fold(0.0, f32::max);
            score += question.clarity * gain + question.exact.bonus(&text);
        }
        Found { row, score, terms }
    };
    let mut found: Vec<Found> = db.chunks(&ids)?.into_iter().map(found).collect();
    if leg == Leg::Fused {
        add_letters(question, &mut found);
        // Equal ones keep the order of the search.
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(k);
    }
    Ok(found)
}

/// Adds what passages gain by letters.
fn add_letters(question: &Question, found: &mut [Found]) {
    let Some(letters) = question.letters_among(found) else { return };
    for found in found {
        found.score += LETTERS_BONUS * (1.0 - question.clarity) * letters.coverage_of_row(&found.row);
    }
}

/// The cosine of each passage's best sentence, of those whose vectors are stored.
fn best_sentences(db: &Db, question: &Question, ids: &[ChunkId]) -> Result<BTreeMap<ChunkId, f32>> {
    let best = |vectors: &SentenceVectors| {
        vectors.iter().map(|vector| vector.dot(question.focus())).fold(f32::MIN, f32::max)
    };
    Ok(db.sentence_vectors(ids)?.iter().map(|(id, vectors)| (*id, best(vectors))).collect())
}

/// What the store's search finds, and what has the names that are meant letter by letter: one of
/// frequent words need not be among the best otherwise.
fn candidates(db: &Db, question: &Question, depth: usize, filter: &Filter) -> Result<Vec<Hit>> {
    let meaning = Meaning { vector: &question.vector, trust: question.clarity };
    let mut hits = db.search(meaning, question.search_text(), depth, filter)?;
    for part in question.exact.looked_up() {
        for hit in db.search_text(part, EXACT_DEPTH, filter)? {
            if hits.iter().all(|known| known.chunk != hit.chunk) {
                hits.push(Hit { score: 0.0, ..hit });
            }
        }
    }
    Ok(hits)
}
