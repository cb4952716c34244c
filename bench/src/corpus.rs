//! Documents that are made up: words as frequent as in texts, and vectors in clusters.

use vectordb::{About, EmbedderTag, NewChunk, NewDocument, SentenceVectors};

pub(crate) const DIMENSIONS: usize = 384;
pub(crate) const CHUNKS_PER_DOCUMENT: usize = 100;
const WORDS_PER_CHUNK: usize = 150;
/// Sentences of a passage, which have vectors of their own.
const SENTENCES_PER_CHUNK: usize = 5;
const VOCABULARY: u64 = 20_000;

/// Vectors lie around so many centres, in so many of the dimensions. Real embeddings are easier to
/// search: fewer directions count in them.
const N_CLUSTERS: usize = 500;
const N_LATENT: usize = 128;
/// How far vectors are from their centre, and from the latent dimensions, where centres are 1 from
/// each other's in each latent dimension.
const WITHIN: f32 = 1.2;
const NOISE: f32 = 0.5;

pub(crate) struct Corpus {
    state: u64,
    /// [N_LATENT, DIMENSIONS]
    axes: Vec<f32>,
    /// [N_CLUSTERS, N_LATENT]
    centres: Vec<f32>,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        let mut corpus = Self { state: 0x9e37_79b9_7f4a_7c15, axes: Vec::new(), centres: Vec::new() };
        let scale = (N_LATENT as f32).sqrt().recip();
        corpus.axes = (0..N_LATENT * DIMENSIONS).map(|_| corpus.normal() * scale).collect();
        corpus.centres = (0..N_CLUSTERS * N_LATENT).map(|_| corpus.normal()).collect();
        corpus
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

    /// A normally distributed number, nearly: the sum of four even ones.
    fn normal(&mut self) -> f32 {
        let bits = self.random();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xFFFF).sum();
        // The deviation of one is 65,536 / sqrt(12); of four, twice that.
        (sum as f32 - 131_070.0) / 37_837.2
    }

    /// A unit vector: [DIMENSIONS].
    pub(crate) fn vector(&mut self) -> Vec<f32> {
        let cluster = (self.random() % N_CLUSTERS as u64) as usize;
        let mut vector: Vec<f32> = (0..DIMENSIONS).map(|_| NOISE * self.normal()).collect();
        for latent in 0..N_LATENT {
            let along = self.centres[cluster * N_LATENT + latent] + WITHIN * self.normal();
            let axis = &self.axes[latent * DIMENSIONS..(latent + 1) * DIMENSIONS];
            vector.iter_mut().zip(axis).for_each(|(x, a)| *x += along * a);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.into_iter().map(|x| x / norm).collect()
    }

    pub(crate) fn words(&mut self, n_words: usize) -> String {
        let mut text = String::new();
        for _ in 0..n_words {
            let rank = (VOCABULARY as f64).powf(self.unit()) as u64;
            text.push_str(&word(rank));
            text.push(' ');
        }
        text
    }

    /// A document of [`CHUNKS_PER_DOCUMENT`] passages.
    pub(crate) fn document(&mut self, i: usize) -> NewDocument {
        let mut text = String::new();
        let chunks = (0..CHUNKS_PER_DOCUMENT)
            .map(|_| {
                let start = text.len() as u32;
                let words = self.words(WORDS_PER_CHUNK);
                text.push_str(&words);
                let vector = self.vector();
                NewChunk {
                    start,
                    end: text.len() as u32,
                    page: None,
                    heading_path: Vec::new(),
                    sentences: sentences(&words, &vector),
                    text: words,
                    vector,
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
            about: About::default(),
            chunks,
        }
    }
}

/// Vectors of a passage's sentences: as many numbers as real ones have, from turning the passage's.
fn sentences(text: &str, vector: &[f32]) -> SentenceVectors {
    let n_letters = text.len() / SENTENCES_PER_CHUNK;
    let mut sentences = SentenceVectors::default();
    for i in 0..SENTENCES_PER_CHUNK {
        let mut turned = vector.to_vec();
        turned.rotate_left(i + 1);
        sentences.push((i * n_letters) as u32, ((i + 1) * n_letters) as u32, &turned);
    }
    sentences
}

/// The word of a rank: consonants and vowels in turns, so that no stemmer and no language knows it.
fn word(rank: u64) -> String {
    let mut word = String::from("z");
    let mut rest = rank;
    while rest > 0 {
        word.push(char::from(b"bdfgklmnprtv"[(rest % 12) as usize]));
        rest /= 12;
        word.push(char::from(b"aou"[(rest % 3) as usize]));
        rest /= 3;
    }
    word
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

/// The figure below which the `share` of them lie.
pub(crate) fn percentile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share).round() as usize]
}
