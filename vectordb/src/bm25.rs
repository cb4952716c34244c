//! Text search: an inverted index in memory, scored by Okapi BM25 (Robertson, Zaragoza 2009).

use std::collections::BTreeMap;
use std::ops::Range;

use rustc_hash::FxHashMap;

use crate::postings::Terms;
use crate::top::Top;
use crate::{ChunkId, DocumentId, Filter, Hit};

/// How soon more occurrences of a term stop counting more.
const K1: f32 = 1.2;
/// How much longer chunks are held against themselves.
const B: f32 = 0.75;

/// Counts are exact at every moment: removing a document takes its postings out.
#[derive(Debug, Default)]
pub(crate) struct TextIndex {
    /// Where in `postings` a term's are. Terms of removed documents stay until gaps are closed.
    term_ids: FxHashMap<Box<str>, u32>,
    /// Ascending by slot.
    postings: Vec<Vec<Posting>>,
    /// Places in `postings` that no term uses.
    free_ids: Vec<u32>,
    /// Chunks by slot. Slots of removed chunks stay empty until there are more of them than others.
    slots: Vec<Slot>,
    documents: BTreeMap<DocumentId, Entry>,
    n_chunks: usize,
    /// Terms of all present chunks, repeated ones counted.
    n_terms: u64,
    n_postings: usize,
}

#[derive(Debug, Clone, Copy)]
struct Posting {
    slot: u32,
    count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    chunk: ChunkId,
    n_terms: u32,
}

#[derive(Debug, Default)]
struct Entry {
    slots: Range<u32>,
    /// The ids of its distinct terms.
    terms: Vec<u32>,
}

impl TextIndex {
    pub(crate) fn n_distinct_terms(&self) -> usize {
        self.postings.iter().filter(|postings| !postings.is_empty()).count()
    }

    pub(crate) fn n_chunks(&self) -> usize {
        self.n_chunks
    }

    /// Number of passages that have any of `terms`.
    pub(crate) fn n_chunks_with(&self, terms: &[String]) -> usize {
        let known = terms.iter().filter_map(|term| self.term_ids.get(term.as_str()));
        let mut slots: Vec<u32> =
            known.flat_map(|id| self.postings[*id as usize].as_slice()).map(|posting| posting.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.len()
    }

    /// What the index holds, within the accuracy of what hash tables cost.
    pub(crate) fn n_bytes(&self) -> usize {
        let per_term = size_of::<(Box<str>, u32)>() + size_of::<Vec<Posting>>() + 16;
        let n_document_terms: usize = self.documents.values().map(|entry| entry.terms.len()).sum();
        self.postings.len() * per_term
            + self.n_postings * size_of::<Posting>()
            + n_document_terms * size_of::<u32>()
            + self.slots.len() * size_of::<Slot>()
    }

    /// Adds chunks of a document; parts of one document come one after the other, with no other
    /// document between. There are as many `chunks` as the terms tell of.
    pub(crate) fn add(
        &mut self,
        document: DocumentId,
        chunks: impl Iterator<Item = ChunkId>,
        part: &Terms<'_>,
    ) {
        let first = self.slots.len() as u32;
        self.slots.extend(chunks.zip(part.n_terms()).map(|(chunk, &n_terms)| Slot { chunk, n_terms }));
        let end = self.slots.len() as u32;
        assert_eq!((end - first) as usize, part.n_terms().len(), "one chunk id for each chunk");
        let entry =
            self.documents.entry(document).or_insert(Entry { slots: first..first, terms: Vec::new() });
        assert_eq!(entry.slots.end, first, "parts of one document stand together");
        entry.slots.end = end;
        part.each(|term, list| {
            let id = match self.term_ids.get(term) {
                Some(&id) => id,
                None => {
                    let id = self.free_ids.pop().unwrap_or_else(|| {
                        self.postings.push(Vec::new());
                        self.postings.len() as u32 - 1
                    });
                    self.term_ids.insert(term.into(), id);
                    id
                }
            };
            let postings = &mut self.postings[id as usize];
            if postings.last().is_none_or(|last| last.slot < entry.slots.start) {
                entry.terms.push(id);
            }
            postings.extend(list.iter().map(|o| Posting { slot: first + o.chunk_idx, count: o.count }));
            self.n_postings += list.len();
        });
        self.n_chunks += part.n_terms().len();
        self.n_terms += part.n_terms().iter().map(|&n| u64::from(n)).sum::<u64>();
    }

    pub(crate) fn remove(&mut self, document: DocumentId) {
        let Some(entry) = self.documents.remove(&document) else { return };
        for &id in &entry.terms {
            let postings = &mut self.postings[id as usize];
            let gone = within(postings, &entry.slots);
            self.n_postings -= gone.len();
            postings.drain(gone);
        }
        let slots = entry.slots.start as usize..entry.slots.end as usize;
        self.n_chunks -= slots.len();
        for slot in &mut self.slots[slots] {
            self.n_terms -= u64::from(std::mem::take(&mut slot.n_terms));
        }
        if self.slots.len() > 2 * self.n_chunks {
            self.close_gaps();
        }
    }

    /// Renumbers the slots without the removed ones, in the same order, and forgets unused terms.
    fn close_gaps(&mut self) {
        self.term_ids.retain(|_, id| {
            let is_used = !self.postings[*id as usize].is_empty();
            if !is_used {
                self.free_ids.push(*id);
            }
            is_used
        });
        let mut entries: Vec<&mut Entry> = self.documents.values_mut().collect();
        entries.sort_by_key(|entry| entry.slots.start);
        let mut new_slots = Vec::with_capacity(self.n_chunks);
        let mut new_number = vec![u32::MAX; self.slots.len()];
        for entry in entries {
            let first = new_slots.len() as u32;
            for old in entry.slots.clone() {
                new_number[old as usize] = new_slots.len() as u32;
                new_slots.push(self.slots[old as usize]);
            }
            entry.slots = first..new_slots.len() as u32;
        }
        self.slots = new_slots;
        for posting in self.postings.iter_mut().flatten() {
            posting.slot = new_number[posting.slot as usize];
        }
    }

    /// The `k` chunks of largest score for the question's terms, a repeated term counting as often
    /// as it stands there. Chunks without any of the terms are no hits.
    pub(crate) fn search(&self, terms: &[String], k: usize, filter: &Filter) -> Vec<Hit> {
        let allowed = filter.documents.as_ref().map(|documents| self.slots_of(documents));
        let mean_terms = self.n_terms as f32 / self.n_chunks.max(1) as f32;
        let mut scores = vec![0f32; self.slots.len()];
        for term in terms {
            let Some(&id) = self.term_ids.get(term.as_str()) else { continue };
            let postings = self.postings[id as usize].as_slice();
            let idf = idf(self.n_chunks, postings.len());
            let mut score = |postings: &[Posting]| {
                for posting in postings {
                    let n_terms = self.slots[posting.slot as usize].n_terms as f32;
                    scores[posting.slot as usize] +=
                        idf * saturation(posting.count as f32, n_terms, mean_terms);
                }
            };
            match &allowed {
                None => score(postings),
                Some(ranges) => ranges.iter().for_each(|slots| score(&postings[within(postings, slots)])),
            }
        }
        let mut top = Top::new(k);
        for (slot, &score) in self.slots.iter().zip(&scores).filter(|(_, score)| **score > 0.0) {
            top.offer(score, || slot.chunk.0);
        }
        top.into_hits()
    }

    fn slots_of(&self, documents: &[DocumentId]) -> Vec<Range<u32>> {
        let mut slots: Vec<_> =
            documents.iter().filter_map(|id| Some(self.documents.get(id)?.slots.clone())).collect();
        slots.sort_by_key(|slots| slots.start);
        slots.dedup();
        slots
    }
}

/// Where in `postings`, which ascend, those of `slots` stand.
fn within(postings: &[Posting], slots: &Range<u32>) -> Range<usize> {
    let start = postings.partition_point(|posting| posting.slot < slots.start);
    let end = postings.partition_point(|posting| posting.slot < slots.end);
    start..end
}

/// The rarer the term, the more it says; never negative.
fn idf(n_chunks: usize, n_with_term: usize) -> f32 {
    let (n, df) = (n_chunks as f32, n_with_term as f32);
    ((n - df + 0.5) / (df + 0.5)).ln_1p()
}

fn saturation(count: f32, n_terms: f32, mean_terms: f32) -> f32 {
    count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * n_terms / mean_terms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postings::encode;

    fn add(index: &mut TextIndex, document: u64, first: u64, texts: &[&str]) {
        let bytes = encode(texts, &|text, emit| text.split_whitespace().for_each(emit));
        let part = Terms::parse(&bytes).unwrap();
        index.add(DocumentId(document), (first..).take(texts.len()).map(ChunkId), &part);
    }

    fn search(index: &TextIndex, question: &str, filter: &Filter) -> Vec<(u64, f32)> {
        let terms: Vec<String> = question.split_whitespace().map(str::to_owned).collect();
        index.search(&terms, 10, filter).iter().map(|hit| (hit.chunk.0, hit.score)).collect()
    }

    #[test]
    fn scores_are_those_of_the_formula() {
        let mut index = TextIndex::default();
        add(&mut index, 1, 1, &["cat sat mat", "dog"]);
        add(&mut index, 2, 3, &["cat cat ran far away"]);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(index.n_chunks_with(&words(&["cat"])), 2);
        assert_eq!(index.n_chunks_with(&words(&["cat", "dog", "sat"])), 3);
        assert_eq!(index.n_chunks_with(&words(&["bird"])), 0);
        // n = 3, df(cat) = 2, mean length 3.
        let idf = (1.0f32 + 1.5 / 2.5).ln();
        let first = idf * 2.2 / (1.0 + 1.2);
        let third = idf * 2.0 * 2.2 / (2.0 + 1.2 * (0.25 + 0.75 * 5.0 / 3.0));
        let hits = search(&index, "cat", &Filter::default());
        assert_eq!(hits.len(), 2);
        assert!((hits[0].1 - third).abs() < 1e-6 && hits[0].0 == 3, "{hits:?}");
        assert!((hits[1].1 - first).abs() < 1e-6 && hits[1].0 == 1, "{hits:?}");
    }

    #[test]
    fn a_removed_document_leaves_no_trace() {
        let mut index = TextIndex::default();
        let mut fresh = TextIndex::default();
        for round in 0..20u64 {
            add(&mut index, round, round * 10, &["alpha beta", "beta gamma gamma", "delta"]);
            if round % 3 != 0 {
                index.remove(DocumentId(round));
            } else {
                add(&mut fresh, round, round * 10, &["alpha beta", "beta gamma gamma", "delta"]);
            }
        }
        for question in ["alpha", "gamma beta", "delta delta", "absent"] {
            assert_eq!(
                search(&index, question, &Filter::default()),
                search(&fresh, question, &Filter::default())
            );
        }
        assert_eq!(index.n_distinct_terms(), fresh.n_distinct_terms());
        let only = Filter { documents: Some(vec![DocumentId(9), DocumentId(1)]), ..Filter::default() };
        assert_eq!(search(&index, "beta", &only).iter().map(|h| h.0).collect::<Vec<_>>(), [90, 91]);
    }

    #[test]
    fn an_empty_index_answers() {
        let mut index = TextIndex::default();
        assert!(search(&index, "cat", &Filter::default()).is_empty());
        add(&mut index, 1, 1, &["", "cat"]);
        index.remove(DocumentId(1));
        index.remove(DocumentId(1));
        assert!(search(&index, "cat", &Filter::default()).is_empty());
        assert_eq!((index.n_postings, index.n_terms, index.n_chunks), (0, 0, 0));
    }
}
