//! Texts to vectors, beside transformers.js.

use std::path::Path;

use platform::block_on;
use runtime::Tokenizer;
use serde_json::{Value, json};

use super::page::Page;
use super::{THREADS, folder, texts};
use crate::report::{Row, Rows};
use crate::{Args, Outcome};

/// Tokens of a passage, with the two special ones.
const PASSAGE_TOKENS: usize = 128;
const BATCHES: [usize; 3] = [1, 16, 64];
const BAR: f64 = 1.5;
/// The first calls are slower: the browser compiles again what runs often.
const N_WARM_UP: usize = 6;
/// Calls that decide which variant of the peer is compared.
const N_TRIALS: usize = 3;
/// A variant of the peer that is further from the original model is not counted.
const MIN_COSINE: f64 = 0.99;
/// The project's own bar.
const MIN_OWN_COSINE: f64 = 0.9999;

/// Variants of transformers.js: name, `dtype`, file.
const VARIANTS: [(&str, &str, &str); 3] =
    [("f32", "fp32", "model"), ("f32 fused", "fp32", "model_fused"), ("q8", "q8", "model")];

pub(super) fn measure(args: &Args, rows: &mut Rows) -> Outcome<()> {
    let models = args.models()?;
    let id = &models.catalog().default_embedder().id;
    let tokenizer = block_on(async {
        let files = models.open_model(id).await?;
        Outcome::Ok(Tokenizer::from_json(&files.read("tokenizer.json").await?)?)
    })?;
    let passages = (0..BATCHES[BATCHES.len() - 1] as u64)
        .map(|seed| texts::passage(&tokenizer, PASSAGE_TOKENS - 2, seed))
        .collect::<Outcome<Vec<String>>>()?;
    let golden = Golden::read(PASSAGE_TOKENS)?;
    let what = format!("{id}, in Chromium on the processor");
    if let Some(reason) = missing_peer() {
        rows.skip(what, reason);
        return Ok(());
    }
    for n_threads in THREADS {
        let what = format!("{what}, {n_threads} threads");
        let mut page = Page::open(Path::new(models.folder()), false)?;
        let engines = match Engines::start(&mut page, n_threads, &golden, &passages) {
            Ok(engines) => engines,
            Err(reason) => {
                rows.skip(what, reason.to_string());
                continue;
            }
        };
        for n_passages in BATCHES {
            let pairs = engines.pairs(&mut page, &passages[..n_passages], args.runs)?;
            let what = format!("{what}: {n_passages} passages of {PASSAGE_TOKENS} tokens");
            rows.rows.push(Row::compared(what, "tokens/s", &pairs, &engines.peer, BAR));
        }
    }
    Ok(())
}

fn missing_peer() -> Option<String> {
    let wanted = [
        ("node_modules/@huggingface/transformers/package.json", "transformers.js is not installed"),
        ("onnx/all-MiniLM-L6-v2/onnx/model.onnx", "the model was not exported to ONNX"),
    ];
    let missing = wanted.iter().find(|(file, _)| !folder().join(file).is_file());
    missing.map(|(_, reason)| format!("{reason}; see bench/README.md"))
}

/// Both engines, warm.
struct Engines {
    /// The variant of the peer, in words.
    peer: String,
}

impl Engines {
    /// Starts ours and the fastest variant of the peer that computes the model.
    fn start(page: &mut Page, n_threads: u32, golden: &Golden, passages: &[String]) -> Outcome<Self> {
        let options = json!({"tier": "cpu", "load": ["embedder"], "threads": n_threads});
        let opened = page.start("ours", "footnote.js", &options)?;
        let version = opened["version"].as_str().unwrap_or_default();
        if !version.ends_with(&format!(", {n_threads} threads")) {
            return Err(format!("this build runs as {version}").into());
        }
        eprintln!("bench: {version}");
        let own_cosine = golden.min_cosine(page, "ours")?;
        if own_cosine < MIN_OWN_COSINE {
            return Err(format!("our own vectors are wrong: cosine {own_cosine}").into());
        }
        let reference = vectors(&page.call("ours", "embed", &json!([&passages[..16]]))?);

        let mut best: Option<(f64, &str, f64)> = None;
        for (name, dtype, file) in VARIANTS {
            let options = json!({"device": "wasm", "dtype": dtype, "file": file, "threads": n_threads});
            page.start(name, "transformers.js", &options)?;
            let batch = vectors(&page.call(name, "embed", &json!([&passages[..16]]))?);
            let cosine = golden.min_cosine(page, name)?.min(min_cosine(&batch, &reference));
            let mut fastest_ms = f64::INFINITY;
            for run in 0..N_WARM_UP + N_TRIALS {
                let ms = embed_ms(page, name, &passages[..1])?;
                if run >= N_WARM_UP {
                    fastest_ms = fastest_ms.min(ms);
                }
            }
            eprintln!("bench: transformers.js {name}: one passage in {fastest_ms:.0} ms, cosine {cosine:.4}");
            let is_best = cosine >= MIN_COSINE && best.is_none_or(|(best_ms, ..)| fastest_ms < best_ms);
            if let Some((_, loser, _)) = if is_best { best.take() } else { Some((0.0, name, 0.0)) } {
                page.stop(loser)?;
            }
            if is_best {
                best = Some((fastest_ms, name, cosine));
            }
        }
        let (_, name, _) = best.ok_or("no variant of transformers.js computes the model")?;
        Ok(Self { peer: name.to_owned() })
    }

    /// Tokens per second, ours and the peer's, in turns.
    fn pairs(&self, page: &mut Page, passages: &[String], n_runs: usize) -> Outcome<Vec<(f64, f64)>> {
        let n_tokens = (passages.len() * PASSAGE_TOKENS) as f64;
        let mut pairs = Vec::new();
        for run in 0..=n_runs {
            let ours = n_tokens / embed_ms(page, "ours", passages)? * 1e3;
            let theirs = n_tokens / embed_ms(page, &self.peer, passages)? * 1e3;
            eprintln!("bench: {} passages: {ours:.0}, {} {theirs:.0} tokens/s", passages.len(), self.peer);
            // The first pair warms up.
            if run > 0 {
                pairs.push((ours, theirs));
            }
        }
        Ok(pairs)
    }
}

fn embed_ms(page: &mut Page, engine: &str, passages: &[String]) -> Outcome<f64> {
    let reply = page.call(engine, "embed", &json!([passages]))?;
    reply["ms"].as_f64().ok_or_else(|| format!("{engine} gives no time").into())
}

/// Vectors of sentence-transformers.
struct Golden {
    texts: Vec<String>,
    vectors: Vec<Vec<f64>>,
}

impl Golden {
    /// The golden texts of at most `max_tokens` tokens.
    fn read(max_tokens: usize) -> Outcome<Self> {
        let path = browser::workspace().join("fixtures/golden/minilm.json");
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let (mut texts, mut vectors) = (Vec::new(), Vec::new());
        for row in golden["rows"].as_array().into_iter().flatten() {
            if row["ids"].as_array().is_some_and(|ids| ids.len() <= max_tokens) {
                texts.push(row["text"].as_str().unwrap_or_default().to_owned());
                vectors.push(numbers(&row["vector"]));
            }
        }
        Ok(Self { texts, vectors })
    }

    /// How far an engine's vectors are from the golden ones, each text embedded by itself.
    fn min_cosine(&self, page: &mut Page, engine: &str) -> Outcome<f64> {
        let mut got = Vec::new();
        for text in &self.texts {
            got.extend(vectors(&page.call(engine, "embed", &json!([[text]]))?));
        }
        Ok(min_cosine(&got, &self.vectors))
    }
}

fn vectors(reply: &Value) -> Vec<Vec<f64>> {
    reply["vectors"].as_array().into_iter().flatten().map(numbers).collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// The smallest cosine of two lists of unit vectors; -1 where their shapes differ.
fn min_cosine(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    if a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.len() != b.len()) {
        return -1.0;
    }
    let cosine = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    a.iter().zip(b).map(cosine).fold(1.0, f64::min)
}
