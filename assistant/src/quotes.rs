//! The sentences of the passages that fit the question best, as exact spans of the source.

use std::collections::HashSet;

use embedder::Embedder;
use ingest::Span;
use vectordb::{ChunkId, Db};

use crate::letters::Letters;
use crate::passages::{Passage, jaccard};
use crate::pieces::pieces;
use crate::question::{Question, dot};
use crate::{Quote, Result, injection, words};

/// Sentences without a stored vector that are embedded, best by words first, as all are in a knowledge base
/// that was made before there were any. On xquad-en 8 find nearly the same quotes as all; 8 of some 30 tokens
/// cost a browser's CPU about 120 ms.
const MAX_EMBEDDED: usize = 8;
/// Weights of the parts of a sentence's score, chosen on a plateau: of 300 questions on xquad-en .793 have their
/// quote first and .943 among the first three; with the weights of five-fold cross-validation, of the questions
/// left out, .773 and .943. The parts are the question's terms that a sentence has, weighed by how few of the
/// sentences at hand have them; those that it has together with its neighbours ("He was born in Ulm." after the
/// name); the question's pairs of words that stand in it as they are; what it means; and how well its passage fits.
const COVERAGE_WEIGHT: f32 = 0.4;
const CONTEXT_WEIGHT: f32 = 0.2;
const PAIRS_WEIGHT: f32 = 0.2;
const COSINE_WEIGHT: f32 = 0.7;
const PASSAGE_WEIGHT: f32 = 0.5;
/// Where the embedder does not know the language, also the question's letters that a sentence has. Between .4 and
/// .8, of 2,000 questions in ten languages, .02 more have their quote first.
const LETTERS_WEIGHT: f32 = 0.6;
/// What speaks to the model is quoted only where nothing else is.
const ORDER_PENALTY: f32 = 1.0;
/// What stands beside such an order may be said for its sake: another passage that says nearly as much
/// of what was asked is quoted first.
const BESIDE_ORDER_PENALTY: f32 = 0.3;
/// Two sentences that share this part of their terms (Jaccard) say the same.
const DUPLICATE_OVERLAP: f32 = 0.85;
/// Quotes further below the best one than this share of its score are left out.
const MIN_SHARE_OF_BEST: f32 = 0.5;

/// A document speaks beside another one that would have all quotes if its best sentence has this share of the
/// best score. Between .6 and .9 that costs no quote on xquad-en; a bound on the quotes of a passage does.
const OTHER_SHARE: f32 = 0.7;

/// A sentence of a passage and how well it fits.
pub(crate) struct Candidate {
    /// Index of its passage.
    pub passage: usize,
    /// In code points of the document's text.
    pub span: Span,
    pub text: String,
    pub coverage: f32,
    /// Share of the question's letters, as its passage's.
    pub letters: f32,
    /// `None` before it is compared by meaning.
    pub cosine: Option<f32>,
    /// That is to the vector that was stored with its passage.
    pub is_stored: bool,
    pub score: f32,
}

/// The sentences of `passages` (best passage first), best first. Vectors of sentences are stored with their
/// passages; of those that have none only the first few by words are looked at.
pub(crate) async fn rank(
    question: &Question,
    letters: Option<&Letters>,
    passages: &[Passage],
    (db, embedder): (&Db, &Embedder),
) -> Result<Vec<Candidate>> {
    let mut candidates = by_words(question, letters, passages);
    compare_stored(question, passages, db, &mut candidates)?;
    let mut n_embedded = 0;
    candidates.retain(|c| {
        n_embedded += usize::from(c.cosine.is_none());
        c.cosine.is_some() || n_embedded <= MAX_EMBEDDED
    });
    let mut unknown: Vec<&mut Candidate> = candidates.iter_mut().filter(|c| c.cosine.is_none()).collect();
    let texts: Vec<&str> = unknown.iter().map(|c| c.text.as_str()).collect();
    let cosines = cosines(question, &texts, embedder).await?;
    for (candidate, cosine) in unknown.iter_mut().zip(cosines) {
        candidate.cosine = Some(cosine);
    }
    for candidate in &mut candidates {
        candidate.score += COSINE_WEIGHT * candidate.cosine.unwrap_or_default();
    }
    sort(&mut candidates);
    Ok(candidates)
}

/// The largest cosine of the question to one of the best sentences, each by itself: a vector from the pass of a
/// whole passage has something of all of it.
pub(crate) async fn largest_cosine_alone(
    question: &Question,
    candidates: &[Candidate],
    embedder: &Embedder,
) -> Result<f32> {
    let texts: Vec<&str> = candidates.iter().take(MAX_EMBEDDED).map(|c| c.text.as_str()).collect();
    Ok(cosines(question, &texts, embedder).await?.into_iter().fold(0.0, f32::max))
}

async fn cosines(question: &Question, texts: &[&str], embedder: &Embedder) -> Result<Vec<f32>> {
    let vectors = embedder.embed_passages(texts).await?;
    Ok(vectors.iter().map(|vector| dot(question.focus(), vector)).collect())
}

/// Compares the sentences by meaning whose vectors are stored.
fn compare_stored(
    question: &Question,
    passages: &[Passage],
    db: &Db,
    candidates: &mut [Candidate],
) -> Result<()> {
    let ids: Vec<ChunkId> = passages.iter().map(|passage| passage.chunk.id).collect();
    let stored = db.sentence_vectors(&ids)?;
    for candidate in candidates {
        let chunk = &passages[candidate.passage].chunk;
        let (start, end) = (candidate.span.start - chunk.start, candidate.span.end - chunk.start);
        let own = stored.get(&chunk.id);
        let vector = own.and_then(|own| own.iter().find(|one| (one.start, one.end) == (start, end)));
        candidate.cosine = vector.map(|vector| vector.dot(question.focus()));
        candidate.is_stored = vector.is_some();
    }
    Ok(())
}

/// All sentences, best first by words.
fn by_words(question: &Question, letters: Option<&Letters>, passages: &[Passage]) -> Vec<Candidate> {
    let sentences: Vec<Vec<(Span, &str)>> = passages.iter().map(|p| pieces(&p.chunk.text)).collect();
    let terms: Vec<Vec<HashSet<String>>> = sentences
        .iter()
        .map(|pieces| pieces.iter().map(|(_, text)| words::term_set(text)).collect())
        .collect();
    let here = question.weighed_among(terms.iter().flatten());
    let mut candidates = Vec::new();
    for (passage_idx, passage) in passages.iter().enumerate() {
        let terms = &terms[passage_idx];
        let speaks_to_model = sentences[passage_idx].iter().any(|(_, text)| injection::is_order(text));
        let penalty = |text: &str| match () {
            () if injection::is_order(text) => ORDER_PENALTY,
            () if speaks_to_model => BESIDE_ORDER_PENALTY,
            () => 0.0,
        };
        for (i, (span, text)) in sentences[passage_idx].iter().enumerate() {
            let neighbours = &terms[i.saturating_sub(1)..terms.len().min(i + 2)];
            let context = question.coverage(&neighbours.iter().flatten().cloned().collect());
            let letters = letters.map_or(0.0, |letters| letters.coverage(text));
            let score = COVERAGE_WEIGHT * here.coverage(&terms[i])
                + CONTEXT_WEIGHT * context
                + PAIRS_WEIGHT * question.share_of_pairs(text)
                + PASSAGE_WEIGHT * passage.score
                + LETTERS_WEIGHT * (1.0 - question.clarity) * letters
                + question.exact.bonus(text)
                - penalty(text);
            candidates.push(Candidate {
                passage: passage_idx,
                span: Span::new(passage.chunk.start + span.start, passage.chunk.start + span.end),
                text: (*text).to_owned(),
                coverage: question.coverage(&terms[i]),
                letters,
                cosine: None,
                is_stored: false,
                score,
            });
        }
    }
    sort(&mut candidates);
    candidates
}

/// The best candidates as numbered quotes, nothing said twice. Where all would be of one document and another
/// one says nearly as much, that has the last word.
pub(crate) fn choose(candidates: &[Candidate], passages: &[Passage], max_quotes: usize) -> Vec<Quote> {
    let best = candidates.first().map_or(0.0, |c| c.score);
    let mut distinct: Vec<(&Candidate, HashSet<String>)> = Vec::new();
    for candidate in candidates.iter().filter(|c| c.score >= MIN_SHARE_OF_BEST * best) {
        let terms = words::term_set(&candidate.text);
        let says_the_same = |(other, others_terms): &(&Candidate, HashSet<String>)| {
            other.text == candidate.text
                || !terms.is_empty() && jaccard(others_terms, &terms) >= DUPLICATE_OVERLAP
        };
        if !distinct.iter().any(says_the_same) {
            distinct.push((candidate, terms));
        }
    }
    let document = |c: &Candidate| passages[c.passage].chunk.document;
    let n_kept = distinct.len().min(max_quotes);
    let is_of_one = |kept: &[(&Candidate, _)]| kept.iter().all(|(c, _)| document(c) == document(kept[0].0));
    if n_kept > 1 && is_of_one(&distinct[..n_kept]) {
        let first = document(distinct[0].0);
        let is_other = |(c, _): &(&Candidate, _)| document(c) != first && c.score >= OTHER_SHARE * best;
        if let Some(at) = distinct[n_kept..].iter().position(is_other) {
            distinct.swap(n_kept - 1, n_kept + at);
        }
    }
    let quote = |(n, (candidate, _)): (u32, &(&Candidate, HashSet<String>))| {
        let passage = &passages[candidate.passage];
        Quote {
            n,
            text: candidate.text.clone(),
            document_id: passage.chunk.document.0,
            document: passage.document.clone(),
            page: passage.chunk.page,
            start: candidate.span.start,
            end: candidate.span.end,
            score: candidate.score,
        }
    };
    (1..).zip(&distinct[..n_kept]).map(quote).collect()
}

fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::add::embed_chunks;
    use crate::assistant::tag_of;
    use crate::passages;
    use crate::retrieve;
    use crate::types::SearchOptions;
    use models::ModelFiles;
    use runtime::{Options, Runtime, TierChoice};
    use vectordb::{About, Filter, NewChunk, NewDocument, SentenceVectors};

    const TEXT: &str = "Bees dance. A worker bee lives for six weeks in summer. The queen may live for five years. \
        The drones of a hive are thrown out in autumn. Wax is made by young bees of the hive. A swarm leaves \
        the hive in May. Bees see no red at all. Honey keeps for many years. Pollen feeds the young of the hive. \
        Smoke makes bees calm for a while. The bees of the north are dark.";

    async fn embedder() -> Embedder {
        let runtime = Runtime::open(&Options { tier: TierChoice::Cpu, ..Options::default() }).await.unwrap();
        let path = format!("{}/../fixtures/tiny/bert", env!("CARGO_MANIFEST_DIR"));
        Embedder::load(&runtime, &ModelFiles::from_folder("bert", &path).await.unwrap()).await.unwrap()
    }

    /// A store of one passage, with the vectors of its sentences or without.
    async fn store(embedder: &Embedder, with_sentences: bool) -> Db {
        let span = Span::new(0, TEXT.chars().count() as u32);
        let chunk = ingest::Chunk { span, page: None, heading_path: Vec::new(), text: TEXT.to_owned() };
        let vectors = embed_chunks(embedder, &[chunk], "").await.unwrap().remove(0);
        let mut db = Db::in_memory(&tag_of(embedder)).unwrap();
        let document = NewDocument {
            name: "bees.txt".into(),
            kind: "text".into(),
            title: None,
            sha256: [1; 32],
            n_bytes: 1,
            added_unix_ms: 0,
            text: TEXT.into(),
            page_starts: Vec::new(),
            warnings: Vec::new(),
            about: About::default(),
            chunks: vec![NewChunk {
                start: span.start,
                end: span.end,
                page: None,
                heading_path: Vec::new(),
                text: TEXT.into(),
                vector: vectors.passage,
                sentences: if with_sentences { vectors.sentences } else { SentenceVectors::default() },
            }],
        };
        db.put_document(&document).unwrap();
        db
    }

    #[test]
    fn another_document_has_the_last_word_where_it_says_nearly_as_much() {
        let passage = |document: u64| Passage {
            chunk: vectordb::ChunkRow {
                id: ChunkId(document),
                document: vectordb::DocumentId(document),
                start: 0,
                end: 100,
                page: None,
                heading_path: Vec::new(),
                text: String::new(),
            },
            document: document.to_string(),
            score: 1.0,
            terms: HashSet::new(),
            letters: 0.0,
            also_in: Vec::new(),
        };
        let passages = [passage(1), passage(2)];
        let candidate = |n: usize, (passage, score): (usize, f32)| Candidate {
            passage,
            span: Span::new(0, 10),
            text: format!("sentence w{n} x{n} y{n}"),
            coverage: 0.0,
            letters: 0.0,
            cosine: None,
            is_stored: false,
            score,
        };
        for (scores, expected) in [
            (&[(0, 1.0), (0, 0.9), (0, 0.9), (0, 0.85), (1, 0.8)][..], &["1", "1", "2"][..]),
            (&[(0, 1.0), (0, 0.9), (0, 0.9), (0, 0.85), (1, 0.6)], &["1", "1", "1"]),
            (&[(0, 1.0), (1, 0.9), (0, 0.9), (0, 0.85), (1, 0.8)], &["1", "2", "1"]),
            (&[(0, 1.0), (1, 0.4)], &["1"]),
            (&[], &[]),
        ] {
            let candidates: Vec<Candidate> =
                scores.iter().enumerate().map(|(n, &scored)| candidate(n, scored)).collect();
            let quotes = choose(&candidates, &passages, 3);
            assert_eq!(quotes.iter().map(|quote| quote.document.as_str()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn sentences_are_compared_by_their_stored_vectors_and_embedded_where_there_are_none() {
        platform::block_on(async {
            let embedder = embedder().await;
            let n_pieces = pieces(TEXT).len();
            assert!(n_pieces > MAX_EMBEDDED, "{n_pieces}");
            for with_sentences in [true, false] {
                let db = store(&embedder, with_sentences).await;
                let (filter, options) = (Filter::default(), SearchOptions::default());
                let question = "How long does a bee live?";
                let question = Question::new(question, &[], (&db, &filter), &embedder).await.unwrap();
                let found = retrieve::search(&db, &question, &options, &filter).unwrap();
                let passages = passages::load(&db, found, 5);
                let ranked = rank(&question, None, &passages, (&db, &embedder)).await.unwrap();
                // The tiny model reads the first words of the passage only.
                let stored = db.sentence_vectors(&[ChunkId(1)]).unwrap();
                let n_stored = stored.values().map(|vectors| vectors.iter().count()).sum::<usize>();
                assert_eq!(n_stored > 0, with_sentences);
                assert_eq!(ranked.iter().filter(|c| c.is_stored).count(), n_stored);
                assert_eq!(ranked.len(), n_pieces.min(n_stored + MAX_EMBEDDED));
                assert!(ranked.is_sorted_by(|a, b| a.score >= b.score));
                for candidate in &ranked {
                    let cosine = candidate.cosine.unwrap();
                    if !candidate.is_stored {
                        let alone = embedder.embed_passages(&[&candidate.text]).await.unwrap();
                        assert!((dot(question.focus(), &alone[0]) - cosine).abs() < 1e-5);
                    }
                    assert_eq!(ingest::slice(TEXT, candidate.span), candidate.text);
                }
            }
        });
    }
}
