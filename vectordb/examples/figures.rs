//! Prints what storing and searching cost: `cargo run -p vectordb --example figures -- [CHUNKS]`.
//! Vectors are clustered and random, texts have a vocabulary whose words follow Zipf's law.

use std::time::Instant;

use platform::{File, OpenMode};
use vectordb::{Db, EmbedderTag, Filter, NewChunk, NewDocument, Result};

const N_DIMS: usize = 384;
const N_DOCUMENT_CHUNKS: usize = 100;
const N_CHUNK_WORDS: usize = 150;

fn main() -> Result<()> {
    let n_chunks: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let path = std::env::temp_dir().join(format!("footnote-figures-{}.kb", std::process::id()));
    let path = path.display().to_string();
    let open = || Db::open(platform::block_on(File::open(&path, OpenMode::ReadWrite))?, &tag());
    let mut db = open()?;
    let mut rng = Rng(1);
    let mut put_ms = Vec::new();
    let centres: Vec<Vec<f32>> = (0..200).map(|_| rng.vector()).collect();
    for idx in 0..n_chunks / N_DOCUMENT_CHUNKS {
        let new = document(&mut rng, &centres, idx);
        let start = Instant::now();
        db.put_document(&new)?;
        put_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("put of {N_DOCUMENT_CHUNKS} chunks: {}", spread(&mut put_ms));
    let stats = db.stats()?;
    println!("{stats:?}, {} file bytes per chunk", stats.file_bytes / stats.n_chunks);
    let start = Instant::now();
    drop(db);
    println!("close: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let db = open()?;
    println!("open: {:.1} ms, {} file bytes", start.elapsed().as_secs_f64() * 1e3, db.stats()?.file_bytes);
    searches(&db, &mut rng, &centres)?;
    drop(db);
    platform::block_on(platform::remove(&path))?;
    Ok(())
}

fn searches(db: &Db, rng: &mut Rng, centres: &[Vec<f32>]) -> Result<()> {
    let queries: Vec<Vec<f32>> = (0..200).map(|_| rng.near_one_of(centres)).collect();
    let questions: Vec<String> = (0..200).map(|_| rng.words(8)).collect();
    let all = Filter::default();
    let time = |name: &str, search: &mut dyn FnMut(usize) -> Result<usize>| -> Result<()> {
        let mut ms = Vec::new();
        let mut n_hits = 0;
        for idx in 0..queries.len() {
            let start = Instant::now();
            n_hits += search(idx)?;
            ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
        println!("{name}: {}, {} hits each", spread(&mut ms), n_hits / queries.len());
        Ok(())
    };
    time("vector search", &mut |idx| Ok(db.search_vector(&queries[idx], 10, &all)?.len()))?;
    time("vector search joined in Datalog", &mut |idx| Ok(db.nearest(&queries[idx], 10, &all)?.len()))?;
    time("vector search, then chunks", &mut |idx| {
        let ids: Vec<_> = db.search_vector(&queries[idx], 10, &all)?.iter().map(|hit| hit.chunk).collect();
        Ok(db.chunks(&ids)?.len())
    })?;
    time("text search", &mut |idx| Ok(db.search_text(&questions[idx], 10, &all)?.len()))
}

fn spread(ms: &mut [f64]) -> String {
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| ms[((ms.len() - 1) as f64 * share) as usize];
    format!("median {:.3} ms, p95 {:.3} ms, worst {:.3} ms", at(0.5), at(0.95), at(1.0))
}

fn tag() -> EmbedderTag {
    EmbedderTag {
        id: "figures".into(),
        revision: String::new(),
        dimensions: N_DIMS as u32,
        pooling: "mean".into(),
        prefix: String::new(),
    }
}

fn document(rng: &mut Rng, centres: &[Vec<f32>], idx: usize) -> NewDocument {
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&rng.next().to_le_bytes());
    let mut text = String::new();
    let chunks = (0..N_DOCUMENT_CHUNKS)
        .map(|_| {
            let start = text.len() as u32;
            let passage = rng.words(N_CHUNK_WORDS);
            text.push_str(&passage);
            NewChunk {
                start,
                end: text.len() as u32,
                page: Some(1),
                heading_path: vec!["A heading".into()],
                text: passage,
                vector: rng.near_one_of(centres),
            }
        })
        .collect();
    NewDocument {
        name: format!("document {idx}"),
        kind: "text".into(),
        title: None,
        sha256,
        n_bytes: text.len() as u64,
        added_unix_ms: 0,
        page_starts: vec![0],
        warnings: Vec::new(),
        text,
        chunks,
    }
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In -1 .. 1.
    fn number(&mut self) -> f32 {
        self.next() as i32 as f32 / i32::MAX as f32
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..N_DIMS).map(|_| self.number()).collect()
    }

    /// A unit vector about one of the centres.
    fn near_one_of(&mut self, centres: &[Vec<f32>]) -> Vec<f32> {
        let centre = &centres[(self.next() % centres.len() as u64) as usize];
        let vector: Vec<f32> = centre.iter().map(|value| value + self.number()).collect();
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter().map(|value| value / length).collect()
    }

    fn words(&mut self, n_words: usize) -> String {
        let word = |rng: &mut Self| {
            let rank = 20_000f64.powf((rng.next() >> 11) as f64 / (1u64 << 53) as f64) as u64;
            format!("w{}", rank * 7919 % 100_003)
        };
        (0..n_words).map(|_| word(self)).collect::<Vec<_>>().join(" ")
    }
}
