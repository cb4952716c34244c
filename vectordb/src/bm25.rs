//! Text search: an inverted index in memory, scored by Okapi BM25 (Robertson, Zaragoza 2009).

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::ops::Range;
use std::sync::OnceLock;

use rustc_hash::{FxHashMap, FxHasher};

use crate::analysis::Analyzer;
use crate::postings::Terms;
use crate::query::{Query, Word};
use crate::sketch::{Sketch, mixed};
use crate::top::Top;
use crate::{ChunkId, DocumentId, Filter, Hit, NearDuplicate};

/// How soon more occurrences of a term stop counting more.
const K1: f32 = 1.2;
/// How much longer chunks are held against themselves.
const B: f32 = 0.75;

/// What a passage gets for a word that stands in the place of one that no passage has, as a share of
/// what it would get for that word.
const ALTERNATIVE_SHARE: f32 = 0.5;
/// Terms that stand in the place of an unknown word; the most frequent ones.
const MAX_ALTERNATIVES: usize = 32;
/// Letters from which on an unknown word may be the beginning of a known one.
const MIN_PREFIX_CHARS: usize = 3;
/// Letters that stemming may have taken from a word that is longer than the beginning of it asked for.
const MAX_STEMMED_CHARS: usize = 3;

/// A word that a document repeats more often counts as often in its sketch: words that hold sentences
/// together would drown the others.
const MAX_COUNTED: u64 = 64;

/// Counts are exact at every moment: removing a document takes its postings out.
#[derive(Debug, Default)]
pub(crate) struct TextIndex {
    /// Where in `postings` a term's are. Terms of removed documents stay until gaps are closed.
    term_ids: FxHashMap<Box<str>, u32>,
    /// Ascending by slot.
    postings: Vec<Vec<Posting>>,
    /// A hash of each term, by the same ids.
    hashes: Vec<u64>,
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
    /// Made when it is asked for.
    sketch: OnceLock<Sketch>,
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
        let per_term = size_of::<(Box<str>, u32)>() + size_of::<Vec<Posting>>() + 24;
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
            self.documents.entry(document).or_insert(Entry { slots: first..first, ..Entry::default() });
        entry.sketch.take();
        assert_eq!(entry.slots.end, first, "parts of one document stand together");
        entry.slots.end = end;
        part.each(|term, list| {
            let id = match self.term_ids.get(term) {
                Some(&id) => id,
                None => {
                    let id = self.free_ids.pop().unwrap_or_else(|| {
                        self.postings.push(Vec::new());
                        self.hashes.push(0);
                        self.postings.len() as u32 - 1
                    });
                    self.hashes[id as usize] = hash_of(term);
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
    /// as it stands there. Chunks without any of the terms are no hits, and neither are, where the
    /// question has phrases, chunks without all terms of these.
    ///
    /// A word that no chunk has counts as the words that it may be a misspelling or the beginning of.
    pub(crate) fn search(&self, query: &Query, analyzer: &Analyzer, k: usize, filter: &Filter) -> Vec<Hit> {
        let allowed = match filter.documents.as_ref().map(|documents| self.slots_of(documents)) {
            allowed if query.phrases.is_empty() => allowed,
            allowed => Some(self.slots_with(query.phrases.iter().flatten(), allowed.as_deref())),
        };
        let mut scores = vec![0f32; self.slots.len()];
        for word in &query.words {
            match self.term_ids.get(word.term.as_str()).map(|id| self.postings[*id as usize].as_slice()) {
                Some(postings) if !postings.is_empty() => {
                    self.score(postings, 1.0, allowed.as_deref(), &mut scores);
                }
                _ => {
                    let postings = self.merged(&self.alternatives(word, analyzer));
                    self.score(&postings, ALTERNATIVE_SHARE, allowed.as_deref(), &mut scores);
                }
            }
        }
        let mut top = Top::new(k);
        for (slot, &score) in self.slots.iter().zip(&scores).filter(|(_, score)| **score > 0.0) {
            top.offer(score, || slot.chunk.0);
        }
        top.into_hits()
    }

    /// Adds what each chunk gets for a term of these postings.
    fn score(&self, postings: &[Posting], share: f32, allowed: Option<&[Range<u32>]>, scores: &mut [f32]) {
        let mean_terms = self.n_terms as f32 / self.n_chunks.max(1) as f32;
        let weight = share * idf(self.n_chunks, postings.len());
        let mut add = |postings: &[Posting]| {
            for posting in postings {
                let n_terms = self.slots[posting.slot as usize].n_terms as f32;
                scores[posting.slot as usize] +=
                    weight * saturation(posting.count as f32, n_terms, mean_terms);
            }
        };
        match allowed {
            None => add(postings),
            Some(ranges) => ranges.iter().for_each(|slots| add(&postings[within(postings, slots)])),
        }
    }

    /// The slots of chunks that have all of `terms`, within `allowed`.
    fn slots_with<'a>(
        &self,
        terms: impl Iterator<Item = &'a String>,
        allowed: Option<&[Range<u32>]>,
    ) -> Vec<Range<u32>> {
        let mut slots: Option<Vec<u32>> = None;
        for term in terms {
            let id = self.term_ids.get(term.as_str());
            let postings = id.map_or(&[][..], |id| self.postings[*id as usize].as_slice());
            let has_it = |slot: &u32| postings.binary_search_by_key(slot, |posting| posting.slot).is_ok();
            match &mut slots {
                Some(slots) => slots.retain(has_it),
                None => slots = Some(postings.iter().map(|posting| posting.slot).collect()),
            }
        }
        let is_allowed = |slot: &u32| {
            allowed.is_none_or(|ranges| {
                let range = ranges.partition_point(|range| range.end <= *slot);
                ranges.get(range).is_some_and(|range| range.start <= *slot)
            })
        };
        slots.unwrap_or_default().into_iter().filter(is_allowed).map(|slot| slot..slot + 1).collect()
    }

    /// The known terms that an unknown word may be meant for: one letter away from it, or begun by it.
    fn alternatives(&self, word: &Word, analyzer: &Analyzer) -> Vec<u32> {
        let mut ids = Vec::new();
        let n_chunks_with = |id: u32| self.postings[id as usize].len();
        analyzer.misspellings(&word.written, &mut |term| {
            ids.extend(self.term_ids.get(term).filter(|id| n_chunks_with(**id) > 0));
        });
        if word.written.chars().nth(MIN_PREFIX_CHARS - 1).is_some() {
            let begun = self.term_ids.iter().filter(|(term, _)| may_begin(&word.written, term));
            ids.extend(begun.map(|(_, id)| *id).filter(|id| n_chunks_with(*id) > 0));
        }
        ids.sort_unstable();
        ids.dedup();
        ids.sort_by_key(|id| std::cmp::Reverse(n_chunks_with(*id)));
        ids.truncate(MAX_ALTERNATIVES);
        ids
    }

    /// The postings of several terms as if they were one.
    fn merged(&self, ids: &[u32]) -> Vec<Posting> {
        let mut merged: Vec<Posting> =
            ids.iter().flat_map(|id| self.postings[*id as usize].iter().copied()).collect();
        merged.sort_unstable_by_key(|posting| posting.slot);
        merged.dedup_by(|later, first| {
            let is_same = later.slot == first.slot;
            if is_same {
                first.count += later.count;
            }
            is_same
        });
        merged
    }

    /// The other documents that share at least `overlap` of their words with `document`; the nearest
    /// first.
    pub(crate) fn near_duplicates(&self, document: DocumentId, overlap: f32) -> Vec<NearDuplicate> {
        let Some(entry) = self.documents.get(&document) else { return Vec::new() };
        let others = self.documents.iter().filter(|(id, _)| **id != document);
        let all = others.map(|(id, other)| NearDuplicate {
            document: *id,
            overlap: self.sketch(entry).overlap(self.sketch(other)),
        });
        let mut near: Vec<NearDuplicate> = all.filter(|other| other.overlap >= overlap).collect();
        near.sort_by(|a, b| b.overlap.total_cmp(&a.overlap).then(a.document.cmp(&b.document)));
        near
    }

    /// Of a document's words; the second, third.. time that a word stands there is a member of its own.
    fn sketch<'a>(&self, entry: &'a Entry) -> &'a Sketch {
        entry.sketch.get_or_init(|| {
            let members = entry.terms.iter().flat_map(|&id| {
                let postings = &self.postings[id as usize];
                let here = &postings[within(postings, &entry.slots)];
                let n_times = here.iter().map(|posting| u64::from(posting.count)).sum::<u64>();
                let hash = self.hashes[id as usize];
                (0..n_times.min(MAX_COUNTED)).map(move |n| mixed(hash.wrapping_add(n)))
            });
            Sketch::of(members)
        })
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

fn hash_of(term: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(term.as_bytes());
    mixed(hasher.finish())
}

/// Whether a word of which `term` is the stem may begin with `written`: the stem does, or it ends
/// within the last letters of `written`, which stemming took.
fn may_begin(written: &str, term: &str) -> bool {
    term.starts_with(written)
        || written.strip_prefix(term).is_some_and(|rest| {
            term.chars().nth(MIN_PREFIX_CHARS).is_some() && rest.chars().count() <= MAX_STEMMED_CHARS
        })
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
        let bytes = encode(texts, &mut |text, emit| text.split_whitespace().for_each(emit));
        let part = Terms::parse(&bytes).unwrap();
        index.add(DocumentId(document), (first..).take(texts.len()).map(ChunkId), &part);
    }

    fn search(index: &TextIndex, question: &str, filter: &Filter) -> Vec<(u64, f32)> {
        let analyzer = Analyzer::new();
        let query = Query::parse(question, &analyzer);
        index.search(&query, &analyzer, 10, filter).iter().map(|hit| (hit.chunk.0, hit.score)).collect()
    }

    fn chunks(index: &TextIndex, question: &str) -> Vec<u64> {
        search(index, question, &Filter::default()).iter().map(|hit| hit.0).collect()
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
    fn an_unknown_word_counts_as_what_it_may_be_meant_for() {
        let mut index = TextIndex::default();
        let analyzed = |texts: &[&str]| {
            let analyzer = Analyzer::new();
            encode(texts, &mut |text, emit| analyzer.terms(text, emit))
        };
        let texts = ["elephants and refrigerators", "a phone", "книги о войне", "the elephant phoned", "x"];
        let bytes = analyzed(&texts);
        index.add(DocumentId(1), (1..).take(texts.len()).map(ChunkId), &Terms::parse(&bytes).unwrap());
        // Misspelled, and begun.
        for word in ["elephnats", "refridgerators", "refri", "refrigera", "refrigeratorss"] {
            assert!(chunks(&index, word).contains(&1), "{word}");
        }
        assert_eq!(chunks(&index, "книгаа"), [3]);
        assert_eq!(chunks(&index, "phonw"), [2, 4]);
        // Known words are taken as they are, quoted ones too; short ones are not guessed at.
        assert_eq!(chunks(&index, "x"), [5]);
        for word in ["\"elephnats\"", "y", "wy", "12", "volcano"] {
            assert_eq!(chunks(&index, word), [0; 0], "{word}");
        }
        let exact = search(&index, "elephants", &Filter::default());
        let guessed = search(&index, "elephnats", &Filter::default());
        assert!((guessed[0].1 - exact[0].1 * ALTERNATIVE_SHARE).abs() < 1e-6);
        // A word that is gone is unknown again.
        index.remove(DocumentId(1));
        assert_eq!(chunks(&index, "elephnats"), [0; 0]);
    }

    #[test]
    fn documents_of_nearly_the_same_words_are_told() {
        let mut index = TextIndex::default();
        let text = |n: usize| (0..300).map(|i| format!("w{} ", (i * i + n * i) % 211)).collect::<String>();
        let versions = [text(0), text(0).replace("w100 ", "w9000 w9001 "), text(5)];
        for (document, text) in (1..).zip(&versions) {
            add(&mut index, document, document * 10, &[text]);
        }
        let near = index.near_duplicates(DocumentId(1), 0.8);
        assert!(near.len() == 1 && near[0].document == DocumentId(2) && near[0].overlap < 1.0, "{near:?}");
        assert_eq!(index.near_duplicates(DocumentId(2), 0.8)[0].overlap, near[0].overlap);
        assert!(index.near_duplicates(DocumentId(3), 0.8).is_empty());
        assert!(index.near_duplicates(DocumentId(4), 0.0).is_empty());
        // The same in two parts, and what is removed is near nothing.
        let (first, rest) = versions[0].split_at(versions[0][..600].rfind(' ').unwrap());
        add(&mut index, 5, 50, &[first]);
        assert!(index.near_duplicates(DocumentId(5), 0.9).is_empty());
        add(&mut index, 5, 51, &[rest]);
        let same = NearDuplicate { document: DocumentId(1), overlap: 1.0 };
        assert_eq!(index.near_duplicates(DocumentId(5), 0.9)[0], same);
        index.remove(DocumentId(1));
        index.remove(DocumentId(2));
        assert!(index.near_duplicates(DocumentId(5), 0.8).is_empty());
    }

    #[test]
    fn all_terms_of_a_phrase_are_required() {
        let mut index = TextIndex::default();
        add(&mut index, 1, 1, &["heat pump", "pump", "heat"]);
        add(&mut index, 2, 4, &["heat the pump", "cold"]);
        assert_eq!(chunks(&index, "\"heat pump\" cold"), [1, 4]);
        assert_eq!(chunks(&index, "\"heat pump\" \"cold pump\""), [0; 0]);
        assert_eq!(chunks(&index, "\"cold\""), [5]);
        let only = Filter { documents: Some(vec![DocumentId(2)]), ..Filter::default() };
        assert_eq!(search(&index, "\"heat pump\"", &only).iter().map(|h| h.0).collect::<Vec<_>>(), [4]);
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
