//! Texts to vectors, beside transformers.js.

use std::path::Path;

use platform::block_on;
use runtime::Tokenizer;
use serde_json::{Value, json};

use super::page::Page;
use super::{THREADS, folder, texts, threads};
use crate::report::{Row, Rows};
use crate::{Args, Outcome};

/// Tokens of a passage, with the two special ones.
const PASSAGE_TOKENS: usize = 128;
const BATCHES: [usize; 3] = [1, 16, 64];
/// The first calls are slower: the browser compiles again what runs often.
const N_WARM_UP: usize = 6;
/// A run on the processor embeds so many passages at least, in several calls where one has fewer: a call
/// of a tenth of a second says as much about the machine's other work as about the engine.
const MIN_PASSAGES_PER_RUN: usize = 16;
/// Calls that decide which variant of the peer is compared.
const N_TRIALS: usize = 3;
/// Passages whose vectors are compared with ours, together, on the processor.
const N_COMPARED: usize = 16;
/// A variant of the peer that is further from the original model is not counted.
const MIN_COSINE: f64 = 0.99;
/// Golden texts for an engine that takes seconds for each.
const N_SHORT_GOLDEN: usize = 4;
/// The project's own bar.
const MIN_OWN_COSINE: f64 = 0.9999;

/// A variant of transformers.js: name, `dtype`, file.
type Variant = (&'static str, &'static str, &'static str);
const VARIANTS: [Variant; 3] =
    [("f32", "fp32", "model"), ("f32 fused", "fp32", "model_fused"), ("q8", "q8", "model")];

/// Where the engines compute, and what is asked of them.
struct Setting {
    /// Our tier, and the peer's device.
    tier: &'static str,
    device: &'static str,
    place: &'static str,
    n_threads: u32,
    variants: &'static [Variant],
    batches: &'static [usize],
    n_warm_up: usize,
    n_trials: usize,
    n_compared: usize,
    min_passages_per_run: usize,
    bar: f64,
}

impl Setting {
    fn processor(n_threads: u32) -> Self {
        Self {
            tier: "cpu",
            device: "wasm",
            place: "in Chromium on the processor",
            n_threads,
            variants: &VARIANTS,
            batches: &BATCHES,
            n_warm_up: N_WARM_UP,
            n_trials: N_TRIALS,
            n_compared: N_COMPARED,
            min_passages_per_run: MIN_PASSAGES_PER_RUN,
            bar: 1.5,
        }
    }

    /// An adapter that is imitated takes seconds for a passage, so that little is asked.
    fn software_adapter() -> Self {
        Self {
            tier: "gpu",
            device: "webgpu",
            place: "in Chromium on its software graphics adapter",
            n_threads: 1,
            // 8-bit operators have no kernel there.
            variants: VARIANTS.first_chunk::<2>().expect("there are more"),
            batches: &[1],
            n_warm_up: 1,
            n_trials: 1,
            n_compared: 1,
            min_passages_per_run: 1,
            bar: 1.0,
        }
    }

    fn what(&self, id: &str) -> String {
        let Self { place, n_threads, .. } = self;
        match self.tier {
            "gpu" => format!("{id}, {place}"),
            _ => format!("{id}, {place}, {}", threads(*n_threads)),
        }
    }
}

/// On the processor.
pub(super) fn measure(args: &Args, rows: &mut Rows) -> Outcome<()> {
    let settings: Vec<Setting> = THREADS.map(Setting::processor).into();
    measure_in(args, rows, &settings)
}

/// On a graphics adapter that Chromium imitates: a check that nothing is wasted, more than a speed.
pub(super) fn measure_webgpu(args: &Args, rows: &mut Rows) -> Outcome<()> {
    measure_in(args, rows, &[Setting::software_adapter()])
}

fn measure_in(args: &Args, rows: &mut Rows, settings: &[Setting]) -> Outcome<()> {
    let models = args.models()?;
    let id = &models.catalog().default_embedder().id;
    let tokenizer = block_on(async {
        let files = models.open_model(id).await?;
        Outcome::Ok(Tokenizer::from_json(&files.read("tokenizer.json").await?)?)
    })?;
    let passages = (0..BATCHES[BATCHES.len() - 1] as u64)
        .map(|seed| texts::passage(&tokenizer, PASSAGE_TOKENS - 2, seed))
        .collect::<Outcome<Vec<String>>>()?;
    for setting in settings {
        let what = setting.what(id);
        if let Some(reason) = missing_peer() {
            rows.skip(what, reason);
            continue;
        }
        let mut page = Page::open(Path::new(models.folder()), setting.tier == "gpu")?;
        let engines = match Engines::start(&mut page, setting, &passages) {
            Ok(engines) => engines,
            Err(reason) => {
                rows.skip(what, reason.to_string());
                continue;
            }
        };
        engines.warm_up(&mut page, &passages[..*setting.batches.last().expect("there is one")])?;
        for &n_passages in setting.batches {
            let n_calls = setting.min_passages_per_run.div_ceil(n_passages);
            let pairs = engines.pairs(&mut page, &passages[..n_passages], n_calls, args.runs)?;
            let plural = if n_passages == 1 { "" } else { "s" };
            let what = format!("{what}: {n_passages} passage{plural} of {PASSAGE_TOKENS} tokens");
            let peer = format!("transformers.js {}", engines.peer);
            rows.rows.push(Row::compared(what, "tokens/s", &pairs, peer, setting.bar));
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

/// Both engines, loaded.
struct Engines {
    /// The variant of the peer, in words.
    peer: String,
}

impl Engines {
    /// Starts ours and the fastest variant of the peer that computes the model.
    fn start(page: &mut Page, setting: &Setting, passages: &[String]) -> Outcome<Self> {
        let golden = Golden::read(PASSAGE_TOKENS, setting.tier == "gpu")?;
        let n_threads = setting.n_threads;
        let options = json!({"tier": setting.tier, "load": ["embedder"], "threads": n_threads});
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
        let compared = &passages[..setting.n_compared];
        let reference = vectors(&page.call("ours", "embed", &json!([compared]))?);

        let mut best: Option<(f64, &str)> = None;
        for &variant in setting.variants {
            let name = variant.0;
            let (cosine, fastest_ms) = try_variant(page, setting, variant, (&golden, compared, &reference))?;
            eprintln!("bench: transformers.js {name}: one passage in {fastest_ms:.0} ms, cosine {cosine:.4}");
            let is_best = cosine >= MIN_COSINE && best.is_none_or(|(best_ms, _)| fastest_ms < best_ms);
            let loser =
                if is_best { best.replace((fastest_ms, name)).map(|best| best.1) } else { Some(name) };
            if let Some(loser) = loser {
                page.stop(loser)?;
            }
        }
        let (_, name) = best.ok_or("no variant of transformers.js computes the model")?;
        Ok(Self { peer: name.to_owned() })
    }

    /// The browser compiles again what runs often, some functions only after minutes of small calls.
    fn warm_up(&self, page: &mut Page, passages: &[String]) -> Outcome<()> {
        embed_ms(page, "ours", passages)?;
        embed_ms(page, &self.peer, passages)?;
        Ok(())
    }

    /// Tokens per second over `n_calls` calls, ours and the peer's, in turns.
    fn pairs(
        &self,
        page: &mut Page,
        passages: &[String],
        n_calls: usize,
        n_runs: usize,
    ) -> Outcome<Vec<(f64, f64)>> {
        let n_tokens = (n_calls * passages.len() * PASSAGE_TOKENS) as f64;
        let speed = |page: &mut Page, engine: &str| {
            let ms: f64 = (0..n_calls).map(|_| embed_ms(page, engine, passages)).sum::<Outcome<f64>>()?;
            Outcome::Ok(n_tokens / ms * 1e3)
        };
        let mut pairs = Vec::new();
        for run in 0..=n_runs {
            let ours = speed(page, "ours")?;
            let theirs = speed(page, &self.peer)?;
            eprintln!("bench: {} passages: {ours:.0}, {} {theirs:.0} tokens/s", passages.len(), self.peer);
            // The first pair warms up.
            if run > 0 {
                pairs.push((ours, theirs));
            }
        }
        Ok(pairs)
    }
}

/// Starts a variant of the peer: its smallest cosine, and its fastest time for one passage.
fn try_variant(
    page: &mut Page,
    setting: &Setting,
    (name, dtype, file): Variant,
    (golden, compared, reference): (&Golden, &[String], &[Vec<f64>]),
) -> Outcome<(f64, f64)> {
    let Setting { device, n_threads, n_warm_up, n_trials, .. } = *setting;
    let options = json!({"device": device, "dtype": dtype, "file": file, "threads": n_threads});
    page.start(name, "transformers.js", &options)?;
    let together = vectors(&page.call(name, "embed", &json!([compared]))?);
    let cosine = golden.min_cosine(page, name)?.min(min_cosine(&together, reference));
    let mut fastest_ms = f64::INFINITY;
    for run in 0..n_warm_up + n_trials {
        let ms = embed_ms(page, name, &compared[..1])?;
        if run >= n_warm_up {
            fastest_ms = fastest_ms.min(ms);
        }
    }
    Ok((cosine, fastest_ms))
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
    /// The golden texts of at most `max_tokens` tokens, all of them or only the first few.
    fn read(max_tokens: usize, is_short: bool) -> Outcome<Self> {
        let max_texts = if is_short { N_SHORT_GOLDEN } else { usize::MAX };
        let path = browser::workspace().join("fixtures/golden/minilm.json");
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let (mut texts, mut vectors) = (Vec::new(), Vec::new());
        let is_short_enough = |row: &Value| row["ids"].as_array().is_some_and(|ids| ids.len() <= max_tokens);
        for row in golden["rows"].as_array().into_iter().flatten() {
            if texts.len() < max_texts && is_short_enough(row) {
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
