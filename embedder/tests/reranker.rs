//! Cross-encoders against sentence-transformers' CrossEncoder (`fixtures/make/embedders.py`), on both tiers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use embedder::Reranker;
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice, Tokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    query: String,
    text: String,
    ids: Vec<u32>,
    types: Option<Vec<u32>>,
    logit: f32,
    score: f32,
}

fn fixture(folder: &str) -> String {
    format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"))
}

fn golden(folder: &str) -> Vec<Row> {
    let json = std::fs::read(format!("{}/golden.json", fixture(folder))).unwrap();
    serde_json::from_slice::<Golden>(&json).unwrap().rows
}

async fn load(folder: &str, tier: TierChoice) -> (Runtime, Reranker) {
    let rt = Runtime::open(&Options { tier, ..Options::default() }).await.unwrap();
    let files = ModelFiles::from_folder(folder, &fixture(folder)).await.unwrap();
    let reranker = Reranker::load(&rt, &files).await.unwrap();
    (rt, reranker)
}

#[test]
fn pairs_are_read_and_scored_as_the_original_does() {
    platform::block_on(async {
        for (folder, is_probability) in [("reranker", false), ("reranker_multilingual", true)] {
            let rows = golden(folder);
            let json = std::fs::read(format!("{}/tokenizer.json", fixture(folder))).unwrap();
            let tokenizer = Tokenizer::from_json(&json).unwrap();
            let mut by_query: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
            for row in &rows {
                let pair = tokenizer.encode_pair(&row.query, &row.text, 40).unwrap();
                assert_eq!(pair.ids, row.ids, "{folder} {:?} {:?}", row.query, row.text);
                let types = row.types.clone().unwrap_or(vec![0; row.ids.len()]);
                assert_eq!(pair.token_types, types, "{folder} {:?} {:?}", row.query, row.text);
                by_query.entry(&row.query).or_default().push(row);
            }
            assert!(rows.len() > 25 && rows.iter().any(|row| row.ids.len() == 40));
            for tier in [TierChoice::Cpu, TierChoice::Gpu] {
                let (_rt, reranker) = load(folder, tier).await;
                for (query, rows) in &by_query {
                    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
                    let scores = reranker.score(query, &texts).await.unwrap();
                    for (row, score) in rows.iter().zip(scores) {
                        let logit = if is_probability { (score / (1.0 - score)).ln() } else { score };
                        // Logits of a few units, from products in 16 bits.
                        assert!(
                            (logit - row.logit).abs() < 2e-3,
                            "{folder} {row:?}: {logit}",
                            row = row.text,
                            logit = logit
                        );
                        assert!((score - row.score).abs() < 2e-3, "{folder}: {score}, not {}", row.score);
                    }
                }
                assert!(reranker.score("the", &[]).await.unwrap().is_empty());
            }
        }
    });
}

#[test]
fn a_score_survives_the_loss_of_the_device() {
    platform::block_on(async {
        let (rt, reranker) = load("reranker", TierChoice::Gpu).await;
        let texts = ["the quick brown fox", "Pack my box"];
        let before = reranker.score("fox", &texts).await.unwrap();
        rt.destroy_device();
        assert_eq!(reranker.score("fox", &texts).await.unwrap(), before);
    });
}

#[test]
fn a_length_that_leaves_no_room_is_refused() {
    platform::block_on(async {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            std::fs::copy(format!("{}/{name}", fixture("reranker")), folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"model_max_length": 3}"#).unwrap();
        let rt = Runtime::open(&Options { tier: TierChoice::Cpu, ..Options::default() }).await.unwrap();
        let files = ModelFiles::from_folder("short", folder.path().to_str().unwrap()).await.unwrap();
        let error = Reranker::load(&rt, &files).await.err().unwrap();
        assert!(error.to_string().contains("model_max_length: 3 leaves no room"), "{error}");
    });
}

#[test]
fn an_embedder_is_no_reranker() {
    platform::block_on(async {
        let rt = Runtime::open(&Options { tier: TierChoice::Cpu, ..Options::default() }).await.unwrap();
        let files = ModelFiles::from_folder("bert", &fixture("bert")).await.unwrap();
        let error = Reranker::load(&rt, &files).await.err().unwrap();
        assert!(error.to_string().contains("num_labels = 2 is not supported"), "{error}");
    });
}
