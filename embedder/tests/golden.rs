//! The embedder against sentence-transformers (`fixtures/make/minilm.py`) and PyTorch
//! (`fixtures/make/tiny.py`), on both tiers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use embedder::Embedder;
use models::{Catalog, ModelFiles, Store, default_folder};
use runtime::{KernelPolicy, KernelVariant, Options, Runtime, TierChoice};
use serde::Deserialize;

/// Lowest cosine to the reference.
const MIN_COSINE: f64 = 0.9999;
/// Longer rows, but for the longest, are left out where every kernel variant is tried: a software GPU
/// takes seconds for them.
const MAX_TOKENS_WITH_VARIANTS: usize = 24;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    name: String,
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

fn golden(json: &str) -> Vec<Row> {
    let golden: Golden = serde_json::from_str(json).unwrap();
    golden.rows
}

fn minilm_rows() -> Vec<Row> {
    golden(include_str!("../../fixtures/golden/minilm.json"))
}

async fn minilm_files() -> ModelFiles {
    let folder = default_folder().expect("a home folder, or FOOTNOTE_MODELS");
    let opened = Store::open(&folder, None, None).open_model(&Catalog::builtin().default_embedder().id).await;
    opened.unwrap_or_else(|e| panic!("{e}\n`cargo xtask test` fetches the models that tests need"))
}

async fn minilm(tier: TierChoice) -> Embedder {
    let rt = Runtime::open(&Options { tier, ..Options::default() }).await.unwrap();
    Embedder::load(&rt, &minilm_files().await).await.unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Embeds all rows in one call and compares them with the reference.
async fn check(embedder: &Embedder, rows: &[Row], min_cosine: f64) {
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let vectors = embedder.embed_passages(&texts).await.unwrap();
    assert_eq!(vectors.len(), rows.len());
    for (row, vector) in rows.iter().zip(&vectors) {
        let length =
            cosine(vector, vector).sqrt() * vector.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "{}: length {length}", row.name);
        let cosine = cosine(vector, &row.vector);
        assert!(cosine >= min_cosine, "{} {:?}: cosine {cosine}", row.name, row.text);
        let content = embedder.count_tokens(&row.text).min(embedder.max_tokens());
        assert_eq!(content as usize + 2, row.ids.len(), "{}: tokens", row.name);
    }
}

#[test]
fn minilm_equals_sentence_transformers_on_the_cpu() {
    platform::block_on(async {
        let rows = minilm_rows();
        assert!(rows.len() >= 25 && rows.iter().any(|row| row.ids.len() == 256));
        let embedder = minilm(TierChoice::Cpu).await;
        check(&embedder, &rows, MIN_COSINE).await;
        let tag = embedder.tag();
        assert_eq!((tag.dimensions, tag.pooling.as_str(), tag.prefix.as_str()), (384, "mean", ""));
        assert_eq!(embedder.max_tokens(), 254);
    });
}

#[test]
fn minilm_equals_sentence_transformers_on_the_gpu() {
    platform::block_on(async {
        check(&minilm(TierChoice::Gpu).await, &minilm_rows(), MIN_COSINE).await;
    });
}

/// What hardware runs: plain kernels, f32 variants, and tiles in f16.
#[test]
fn minilm_equals_sentence_transformers_with_every_kernel_variant() {
    use KernelVariant::{AttentionTiles, HalfTiles, Subgroups, WideTiles};
    platform::block_on(async {
        let mut rows = minilm_rows();
        rows.retain(|row| row.ids.len() <= MAX_TOKENS_WITH_VARIANTS || row.ids.len() == 256);
        assert!(rows.len() >= 10 && rows.iter().any(|row| row.ids.len() == 256));
        let sets: [&[KernelVariant]; 3] = [
            &[],
            &[WideTiles, AttentionTiles, Subgroups],
            // Both factors in 11 bits: a cosine of 1 - 1.2e-6 at worst.
            &[WideTiles, AttentionTiles, HalfTiles],
        ];
        for variants in sets {
            let kernels = KernelPolicy::Forced(variants.to_vec());
            let rt = Runtime::open(&Options { tier: TierChoice::Gpu, kernels, ..Options::default() })
                .await
                .unwrap();
            let report = rt.describe().kernels.unwrap();
            let wrong = report.rejected.iter().find(|rejected| !rejected.reason.contains("does not offer"));
            assert_eq!(wrong, None, "what is offered computes rightly");
            let embedder = Embedder::load(&rt, &minilm_files().await).await.unwrap();
            check(&embedder, &rows, MIN_COSINE).await;
        }
    });
}

#[test]
fn a_vector_does_not_depend_on_its_neighbours() {
    platform::block_on(async {
        let embedder = minilm(TierChoice::Cpu).await;
        let rows = minilm_rows();
        let texts: Vec<&str> =
            rows.iter().map(|row| row.text.as_str()).filter(|text| text.len() < 300).collect();
        let together = embedder.embed_passages(&texts).await.unwrap();
        let reversed: Vec<&str> = texts.iter().rev().copied().collect();
        let backwards = embedder.embed_passages(&reversed).await.unwrap();
        for (i, text) in texts.iter().enumerate() {
            let alone = embedder.embed_query(text).await.unwrap();
            for other in [&together[i], &backwards[texts.len() - 1 - i]] {
                let largest = alone.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                // Sums may be taken in another order in another batch; unit vectors of 384 elements
                // have elements near .05, of which 1e-6 is some 200 roundings.
                assert!(largest <= 1e-6, "{text:?}: {largest}");
            }
        }
        assert!(embedder.embed_passages(&[]).await.unwrap().is_empty());
    });
}

async fn tiny(folder: &str, tier: TierChoice) -> Embedder {
    let path = format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = ModelFiles::from_folder(folder, &path).await.unwrap();
    let rt = Runtime::open(&Options { tier, ..Options::default() }).await.unwrap();
    Embedder::load(&rt, &files).await.unwrap()
}

#[test]
fn tiny_models_with_mean_and_cls_pooling() {
    platform::block_on(async {
        for tier in [TierChoice::Cpu, TierChoice::Gpu] {
            let mean = tiny("bert", tier).await;
            check(&mean, &golden(include_str!("../../fixtures/tiny/bert/golden.json")), 0.999_999).await;
            assert_eq!((mean.tag().dimensions, mean.max_tokens()), (36, 22));
            let cls = tiny("bert_cls", tier).await;
            check(&cls, &golden(include_str!("../../fixtures/tiny/bert_cls/golden.json")), 0.999_999).await;
            assert_eq!(cls.tag().pooling, "cls");
        }
    });
}

#[test]
fn damaged_files_are_errors_that_say_so() {
    platform::block_on(async {
        let source = format!("{}/../fixtures/tiny/bert", env!("CARGO_MANIFEST_DIR"));
        let rt = Runtime::open(&Options { tier: TierChoice::Cpu, ..Options::default() }).await.unwrap();
        // (file, bytes kept of it, what the message speaks of); none kept: the file is not there.
        let cases = [
            ("model.safetensors", Some(5_000), "damaged"),
            ("model.safetensors", Some(0), ""),
            ("config.json", Some(20), "config.json"),
            ("tokenizer.json", Some(100), "tokenizer"),
            ("pooling.json", None, "pooling.json"),
        ];
        for (name, kept, expect) in cases {
            let folder = tempfile::tempdir().unwrap();
            for entry in std::fs::read_dir(&source).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
            let path = folder.path().join(name);
            match kept {
                Some(n) => {
                    let bytes = std::fs::read(&path).unwrap();
                    std::fs::write(&path, &bytes[..n]).unwrap();
                }
                None => std::fs::remove_file(&path).unwrap(),
            }
            let files = ModelFiles::from_folder("tiny", folder.path().to_str().unwrap()).await.unwrap();
            let error = Embedder::load(&rt, &files)
                .await
                .err()
                .unwrap_or_else(|| panic!("{name} cut to {kept:?} loads"));
            let message = error_chain(&error);
            assert!(message.contains(expect), "{name} cut to {kept:?}: {message}");
        }
    });
}

fn error_chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", error_chain(source)),
        None => error.to_string(),
    }
}
