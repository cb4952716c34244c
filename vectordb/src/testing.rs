//! What the tests of this crate share: small documents, and a naive store to compare with.

use crate::{About, EmbedderTag, NewChunk, NewDocument, SentenceVectors};

pub(crate) const N_DIMS: usize = 12;

pub(crate) fn tag() -> EmbedderTag {
    EmbedderTag {
        id: "test".into(),
        revision: "1".into(),
        dimensions: N_DIMS as u32,
        pooling: "mean".into(),
        prefix: String::new(),
    }
}

/// Numbers that look random and are the same on each run (SplitMix64).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn unit_vector(&mut self, n_dims: usize) -> Vec<f32> {
        let vector: Vec<f32> = (0..n_dims).map(|_| self.next() as i32 as f32 / i32::MAX as f32).collect();
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter().map(|value| value / length).collect()
    }
}

const WORDS: [&str; 14] = [
    "amber", "birch", "Crane", "dune", "élan", "fjord", "grove", "harbour", "iris", "jasper", "語言", "kelp",
    "loam", "running",
];

/// A document of `n_chunks` passages made of a few words.
pub(crate) fn document(rng: &mut Rng, name: &str, n_chunks: usize) -> NewDocument {
    let mut text = String::new();
    let mut chunks = Vec::new();
    for idx in 0..n_chunks {
        let start = text.chars().count() as u32;
        let words: Vec<&str> = (0..1 + rng.below(9)).map(|_| WORDS[rng.below(WORDS.len())]).collect();
        let passage = words.join(" ");
        let n_chars = passage.chars().count() as u32;
        text.push_str(&passage);
        chunks.push(NewChunk {
            start,
            end: text.chars().count() as u32,
            page: (idx % 3 != 0).then_some(idx as u32 / 3 + 1),
            heading_path: (0..idx % 3).map(|level| format!("Part {level}")).collect(),
            text: passage,
            vector: rng.unit_vector(N_DIMS),
            sentences: sentences(rng, n_chunks, n_chars),
        });
        text.push('\n');
    }
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&rng.next().to_le_bytes());
    NewDocument {
        name: name.to_owned(),
        kind: "markdown".into(),
        title: (n_chunks % 2 == 1).then(|| format!("Title of {name}")),
        sha256,
        n_bytes: text.len() as u64,
        added_unix_ms: rng.below(1 << 40) as i64,
        page_starts: (0..n_chunks as u32 / 3).map(|page| page * 7).collect(),
        warnings: (0..n_chunks % 3).map(|n| format!("warning \"{n}\"")).collect(),
        about: About {
            authors: (0..n_chunks % 3).map(|n| format!("Author {n}")).collect(),
            created: n_chunks.is_multiple_of(2).then(|| "2026-11-25".to_owned()),
        },
        text,
        chunks,
    }
}

/// Every second document has vectors of sentences, and every third of its passages none.
fn sentences(rng: &mut Rng, n_chunks: usize, n_chars: u32) -> SentenceVectors {
    let mut vectors = SentenceVectors::default();
    let n_sentences = if n_chunks.is_multiple_of(2) { rng.below(3) as u32 } else { 0 };
    for n in 0..n_sentences {
        vectors.push(n_chars * n / n_sentences, n_chars * (n + 1) / n_sentences, &rng.unit_vector(N_DIMS));
    }
    vectors
}
