//! Small models of each family against sentence-transformers (`fixtures/make/embedders.py`), on both tiers:
//! token ids equal, vectors alike.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use embedder::{Embedder, Error};
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

/// Lowest cosine to the reference.
const MIN_COSINE: f64 = 0.9999;
const TIERS: [TierChoice; 2] = [TierChoice::Cpu, TierChoice::Gpu];

#[derive(Deserialize)]
struct Golden {
    passages: Vec<Row>,
    #[serde(default)]
    queries: Vec<Row>,
    /// Cut to 8 dimensions.
    #[serde(default)]
    cut: Vec<Row>,
    /// Pooled by the last token.
    #[serde(default)]
    last: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

fn fixture(folder: &str) -> String {
    format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"))
}

fn golden(folder: &str) -> Golden {
    serde_json::from_slice(&std::fs::read(format!("{}/golden.json", fixture(folder))).unwrap()).unwrap()
}

async fn load(id: &str, folder: &str, tier: TierChoice) -> Result<Embedder, Error> {
    let rt = Runtime::open(&Options { tier, ..Options::default() }).await.unwrap();
    Embedder::load(&rt, &ModelFiles::from_folder(id, folder).await.unwrap()).await
}

/// A folder with a copy of a fixture.
fn copy(from: &str) -> tempfile::TempDir {
    fn copy_all(from: &Path, to: &Path) {
        for entry in std::fs::read_dir(from).unwrap() {
            let (path, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
            if path.is_dir() {
                std::fs::create_dir(to.join(&name)).unwrap();
                copy_all(&path, &to.join(&name));
            } else {
                std::fs::copy(&path, to.join(&name)).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy_all(Path::new(&fixture(from)), folder.path());
    folder
}

fn check_ids(folder: &str, prefix: &str, rows: &[Row]) {
    let tokenizer =
        Tokenizer::from_json(&std::fs::read(format!("{}/tokenizer.json", fixture(folder))).unwrap()).unwrap();
    for row in rows {
        let mut ids = tokenizer.encode(&format!("{prefix}{}", row.text), true).unwrap().ids;
        if ids.len() > 40 {
            ids.drain(39..ids.len() - 1);
        }
        assert_eq!(ids, row.ids, "{folder}: {:?}", row.text);
    }
}

#[track_caller]
fn check_vectors(what: &str, rows: &[Row], vectors: &[Vec<f32>]) {
    assert!(rows.len() >= 14 && rows.len() == vectors.len(), "{what}");
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    for (row, vector) in rows.iter().zip(vectors) {
        assert_eq!(vector.len(), row.vector.len(), "{what}");
        let cosine = dot(vector, &row.vector) / dot(&row.vector, &row.vector).sqrt();
        assert!((cosine - 1.0).abs() <= 1.0 - MIN_COSINE, "{what} {:?}: cosine {cosine}", row.text);
        assert!((dot(vector, vector) - 1.0).abs() < 1e-5, "{what}: length");
    }
}

/// Passages in one call, and each question.
async fn check(what: &str, embedder: &Embedder, passages: &[Row], queries: &[Row]) {
    let texts: Vec<&str> = passages.iter().map(|row| row.text.as_str()).collect();
    check_vectors(what, passages, &embedder.embed_passages(&texts).await.unwrap());
    let mut vectors = Vec::new();
    for row in queries {
        vectors.push(embedder.embed_query(&row.text).await.unwrap());
    }
    if !queries.is_empty() {
        check_vectors(&format!("{what}, queries"), queries, &vectors);
    }
}

async fn check_family(folder: &str, pooling: &str, query_prefix: &str, passage_prefix: &str) {
    let golden = golden(folder);
    check_ids(folder, passage_prefix, &golden.passages);
    check_ids(folder, query_prefix, &golden.queries);
    for tier in TIERS {
        let embedder = load(folder, &fixture(folder), tier).await.unwrap();
        check(folder, &embedder, &golden.passages, &golden.queries).await;
        let tag = embedder.tag();
        assert_eq!(
            (tag.pooling.as_str(), tag.prefix.as_str(), tag.dimensions),
            (pooling, passage_prefix, 32)
        );
    }
}

#[test]
fn bge_with_cls_pooling_a_query_prompt_and_halves() {
    platform::block_on(check_family("bge", "cls", "quick read the label: ", ""));
}

#[test]
fn multilingual_e5_with_a_unigram_vocabulary() {
    platform::block_on(check_family("e5_multilingual", "mean", "query: ", "passage: "));
}

#[test]
fn distilbert() {
    platform::block_on(check_family("distilbert", "mean", "", ""));
}

#[test]
fn the_last_token_is_pooled() {
    platform::block_on(async {
        let folder = copy("bge");
        std::fs::write(folder.path().join("1_Pooling/config.json"), r#"{"pooling_mode_lasttoken": true}"#)
            .unwrap();
        for tier in TIERS {
            let embedder = load("bge", folder.path().to_str().unwrap(), tier).await.unwrap();
            check("last", &embedder, &golden("bge").last, &[]).await;
            assert_eq!(embedder.tag().pooling, "last");
        }
    });
}

#[test]
fn vectors_are_cut_where_the_model_was_trained_for_it() {
    platform::block_on(async {
        let refused = load("bge", &fixture("bge"), TierChoice::Cpu).await.unwrap().with_dimensions(8);
        let message = refused.err().unwrap().to_string();
        assert!(
            message.contains("bge was not trained for vectors of 8 elements (possible: 32)"),
            "{message}"
        );

        let folder = copy("bge");
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["matryoshka_dimensions"] = vec![64, 16, 8, 0].into();
        std::fs::write(&path, config.to_string()).unwrap();
        for tier in TIERS {
            let whole = load("bge", folder.path().to_str().unwrap(), tier).await.unwrap();
            let tag = whole.tag();
            let embedder = whole.with_dimensions(8).unwrap();
            check("cut", &embedder, &golden("bge").cut, &[]).await;
            assert_eq!(embedder.tag().dimensions, 8);
            assert_ne!(embedder.tag(), tag, "no store takes both");
            let message = embedder.with_dimensions(64).err().unwrap().to_string();
            assert!(message.contains("(possible: 16, 8, 32)"), "{message}");
        }
    });
}

/// Files that the hub has for these models say nothing of prompts.
#[test]
fn known_models_have_their_prompts() {
    platform::block_on(async {
        let folder = copy("bge");
        std::fs::remove_file(folder.path().join("config_sentence_transformers.json")).unwrap();
        for (id, prefix) in [("e5-small-v2", "passage: "), ("bge-small-en-v1.5", ""), ("someone's own", "")] {
            let embedder = load(id, folder.path().to_str().unwrap(), TierChoice::Cpu).await.unwrap();
            assert_eq!(embedder.tag().prefix, prefix, "{id}");
            let (query, passage) =
                (embedder.embed_query("the label").await, embedder.embed_passages(&["the label"]).await);
            assert_eq!(query.unwrap() != passage.unwrap()[0], id != "someone's own", "{id}");
        }
    });
}

#[test]
fn a_checkpoint_in_parts_is_read_through_its_index() {
    platform::block_on(async {
        let folder = copy("bge");
        let whole = std::fs::read(folder.path().join("model.safetensors")).unwrap();
        std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        let n_header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        let header: serde_json::Map<String, Value> = serde_json::from_slice(&whole[8..8 + n_header]).unwrap();
        let mut map = serde_json::Map::new();
        for part in 0..2 {
            let name = format!("model-0000{}-of-00002.safetensors", part + 1);
            let (mut own, mut data) = (serde_json::Map::new(), Vec::new());
            let tensors = header.iter().filter(|(key, _)| *key != "__metadata__").enumerate();
            for (key, info) in tensors.filter(|(i, _)| i % 2 == part).map(|(_, tensor)| tensor) {
                let at = |i: usize| 8 + n_header + info["data_offsets"][i].as_u64().unwrap() as usize;
                let start = data.len();
                data.extend_from_slice(&whole[at(0)..at(1)]);
                let mut info = info.clone();
                info["data_offsets"] = vec![start, data.len()].into();
                own.insert(key.clone(), info);
                map.insert(key.clone(), name.clone().into());
            }
            let json = Value::from(own).to_string();
            let bytes = [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &data].concat();
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let index = serde_json::json!({"metadata": {}, "weight_map": map});
        std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
        let embedder = load("bge", folder.path().to_str().unwrap(), TierChoice::Cpu).await.unwrap();
        check("parts", &embedder, &golden("bge").passages, &[]).await;
    });
}

#[test]
fn what_is_not_supported_is_refused_with_what_to_do() {
    platform::block_on(async {
        let refused = async |change: &dyn Fn(&Path), expect: &str| {
            let folder = copy("bge");
            change(folder.path());
            let message = load("bge", folder.path().to_str().unwrap(), TierChoice::Cpu)
                .await
                .err()
                .unwrap()
                .to_string();
            assert!(message.contains(expect), "{message}");
        };
        let pickle = |folder: &Path| {
            std::fs::rename(folder.join("model.safetensors"), folder.join("pytorch_model.bin")).unwrap();
        };
        refused(&pickle, "save_pretrained('.')").await;
        let dense = |folder: &Path| {
            let path = folder.join("modules.json");
            let text = std::fs::read_to_string(&path).unwrap().replace("Normalize", "Dense");
            std::fs::write(path, text).unwrap();
        };
        refused(&dense, "Dense in \"2_Dense\" is not supported").await;
        let no_pooling = |folder: &Path| {
            std::fs::remove_file(folder.join("1_Pooling/config.json")).unwrap();
        };
        refused(&no_pooling, "pooling.json").await;
    });
}
