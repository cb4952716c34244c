//! Documents that are made up, each from its number alone: so whoever opens a store of them knows
//! what must be in it. The program of this folder and `tests/tests/store.rs` share them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vectordb::{Db, EmbedderTag, Filter, NewChunk, NewDocument, terms};

pub(crate) const N_DIMS: usize = 384;
/// Documents that a store holds at most; each further one replaces the oldest.
pub(crate) const N_KEPT: u64 = 24;
const WORDS_PER_CHUNK: usize = 40;
const VOCABULARY: f64 = 20_000.0;

pub(crate) fn tag() -> EmbedderTag {
    EmbedderTag {
        id: "browser tests".into(),
        revision: String::new(),
        dimensions: N_DIMS as u32,
        pooling: "mean".into(),
        prefix: String::new(),
    }
}

/// The document of a number. It has the name of the one that it replaces.
pub(crate) fn document(n: u64, n_chunks: usize) -> NewDocument {
    let mut text = String::new();
    let mut chunks = Vec::with_capacity(n_chunks);
    let mut state = n;
    for idx in 0..n_chunks {
        let start = text.len() as u32;
        let words: Vec<String> = (0..WORDS_PER_CHUNK).map(|_| word(&mut state)).collect();
        let passage = words.join(" ");
        text.push_str(&passage);
        chunks.push(NewChunk {
            start,
            end: text.len() as u32,
            page: None,
            heading_path: Vec::new(),
            text: passage,
            vector: vector(n, idx),
            sentences: Default::default(),
        });
        text.push('\n');
    }
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&n.to_le_bytes());
    NewDocument {
        name: format!("document {}", n % N_KEPT),
        kind: "text".into(),
        title: None,
        sha256,
        n_bytes: text.len() as u64,
        added_unix_ms: 0,
        text,
        page_starts: Vec::new(),
        warnings: Vec::new(),
        about: Default::default(),
        chunks,
    }
}

/// That the store is sound and holds exactly the newest documents, from `first` up to some number, each
/// whole, with indexes that agree with them; gives that number.
pub(crate) fn check(db: &mut Db, first: u64, n_chunks_of: fn(u64) -> usize) -> Result<Option<u64>, String> {
    if let Some(problem) = db.verify().map_err(words)?.first() {
        return Err(problem.clone());
    }
    let documents = db.documents().map_err(words)?;
    let number = |sha256: &[u8; 32]| sha256.iter().take(8).rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
    let mut numbers: Vec<u64> = documents.iter().map(|info| number(&info.sha256)).collect();
    numbers.sort_unstable();
    let Some(&last) = numbers.last() else { return Ok(None) };
    let expected: Vec<u64> = ((last + 1).saturating_sub(N_KEPT).max(first)..=last).collect();
    if numbers != expected {
        return Err(format!("{numbers:?} are stored instead of {expected:?}"));
    }
    let mut n_chunks_with = BTreeMap::new();
    for info in documents {
        let n = number(&info.sha256);
        let new = document(n, n_chunks_of(n));
        let stored = db.document(info.id).map_err(words)?.ok_or("a document is gone")?;
        if (info.name, stored.text) != (new.name, new.text) || info.n_chunks as usize != new.chunks.len() {
            return Err(format!("document {n} is not what was stored"));
        }
        for chunk in &new.chunks {
            let hits = db.search_vector(&chunk.vector, 1, &Filter::default()).map_err(words)?;
            let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
            let found = db.chunks(&ids).map_err(words)?;
            if found.first().is_none_or(|row| row.document != info.id || row.text != chunk.text) {
                return Err(format!("a passage of document {n} is not found by its vector"));
            }
            for term in terms(&chunk.text).into_iter().collect::<BTreeSet<_>>() {
                *n_chunks_with.entry(term).or_insert(0) += 1;
            }
        }
    }
    match n_chunks_with.iter().find(|(term, n)| db.n_chunks_with(term) != **n) {
        Some((term, n)) => Err(format!("{} passages have {term} instead of {n}", db.n_chunks_with(term))),
        None => Ok(Some(last)),
    }
}

/// What a store holds and finds, to be compared with the same of another.
pub(crate) fn contents(db: &Db) -> Result<Value, String> {
    let (mut documents, mut found) = (Vec::new(), Vec::new());
    for info in db.documents().map_err(words)? {
        let stored = db.document(info.id).map_err(words)?.ok_or("a document is gone")?;
        let question: String = stored.text.chars().take(60).collect();
        let hits = db.search_text(&question, 5, &Filter::default()).map_err(words)?;
        found.push(hits.iter().map(|hit| hit.chunk).collect::<Vec<_>>());
        documents.push(stored);
    }
    Ok(json!({"documents": documents, "found": found}))
}

/// An error, for a message.
pub(crate) fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn word(state: &mut u64) -> String {
    let share = (random(state) >> 11) as f64 / (1_u64 << 53) as f64;
    format!("w{}", VOCABULARY.powf(share) as u64)
}

/// A unit vector.
fn vector(n: u64, idx: usize) -> Vec<f32> {
    let mut state = n << 20 | idx as u64;
    let values: Vec<f32> = (0..N_DIMS).map(|_| random(&mut state) as i32 as f32).collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter().map(|value| value / length).collect()
}
