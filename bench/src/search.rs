//! How fast passages are found among 10,000.

use vectordb::{Db, EmbedderTag, Filter, NewChunk, NewDocument};

use crate::{Args, Outcome, Row};

const DIMENSIONS: usize = 384;
const CHUNKS: usize = 10_000;
const CHUNKS_PER_DOCUMENT: usize = 100;
const WORDS_PER_CHUNK: usize = 150;
const VOCABULARY: u64 = 20_000;
const QUERIES: usize = 100;
const QUERY_WORDS: usize = 8;
const TOP: usize = 10;

pub(crate) fn rows(args: &Args) -> Outcome<Vec<Row>> {
    let mut corpus = Corpus::new();
    let mut db = Db::in_memory(&tag())?;
    for i in 0..CHUNKS / CHUNKS_PER_DOCUMENT {
        db.put_document(&corpus.document(i, CHUNKS_PER_DOCUMENT))?;
    }
    let vectors: Vec<Vec<f32>> = (0..QUERIES).map(|_| corpus.vector()).collect();
    let texts: Vec<String> = (0..QUERIES).map(|_| corpus.words(QUERY_WORDS)).collect();
    let all = Filter::default();
    let per_query = |mut row: Row| {
        for figure in [&mut row.ours.median, &mut row.ours.min, &mut row.ours.max] {
            *figure /= QUERIES as f64;
        }
        row
    };
    let vector = Row::timed(format!("vector search, {CHUNKS} passages, top {TOP}"), args.runs, || {
        for query in &vectors {
            db.search_vector(query, TOP, &all)?;
        }
        Ok(())
    })?;
    let joined = format!("the same joined with passages in one Datalog query, {CHUNKS} passages, top {TOP}");
    let joined = Row::timed(joined, args.runs, || {
        for query in &vectors {
            db.nearest(query, TOP, &all)?;
        }
        Ok(())
    })?;
    let text = Row::timed(
        format!("BM25 search of {QUERY_WORDS} words, {CHUNKS} passages, top {TOP}"),
        args.runs,
        || {
            for query in &texts {
                db.search_text(query, TOP, &all)?;
            }
            Ok(())
        },
    )?;
    Ok(vec![per_query(vector), per_query(joined), per_query(text)])
}

pub(crate) fn tag() -> EmbedderTag {
    EmbedderTag {
        id: "bench".into(),
        revision: String::new(),
        dimensions: DIMENSIONS as u32,
        pooling: "mean".into(),
        prefix: String::new(),
    }
}

/// Documents of random words with Zipf-like frequencies, and random unit vectors.
pub(crate) struct Corpus {
    state: u64,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.random() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn vector(&mut self) -> Vec<f32> {
        let raw: Vec<f32> = (0..DIMENSIONS).map(|_| self.unit() as f32 - 0.5).collect();
        let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
        raw.into_iter().map(|x| x / norm).collect()
    }

    pub(crate) fn words(&mut self, n_words: usize) -> String {
        let mut text = String::new();
        for _ in 0..n_words {
            let rank = (VOCABULARY as f64).powf(self.unit()) as u64;
            text.push_str(&format!("w{rank} "));
        }
        text
    }

    pub(crate) fn document(&mut self, i: usize, n_chunks: usize) -> NewDocument {
        let mut text = String::new();
        let chunks = (0..n_chunks)
            .map(|_| {
                let start = text.len() as u32;
                let words = self.words(WORDS_PER_CHUNK);
                text.push_str(&words);
                NewChunk {
                    start,
                    end: text.len() as u32,
                    page: None,
                    heading_path: Vec::new(),
                    text: words,
                    vector: self.vector(),
                }
            })
            .collect();
        let mut sha256 = [0; 32];
        sha256[..8].copy_from_slice(&(i as u64).to_le_bytes());
        NewDocument {
            name: format!("document {i}"),
            kind: "text".into(),
            title: None,
            sha256,
            n_bytes: text.len() as u64,
            added_unix_ms: 0,
            text,
            page_starts: Vec::new(),
            warnings: Vec::new(),
            chunks,
        }
    }
}
