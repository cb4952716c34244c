//! Prompts to tokens, beside wllama (llama.cpp in the browser) and, on a graphics adapter, transformers.js.

use std::path::Path;

use platform::{block_on, now_ms};
use runtime::{Tokenizer, Weights};
use serde_json::{Value, json};

use super::page::Page;
use super::{THREADS, folder, texts, threads};
use crate::report::{Row, Rows};
use crate::{Args, Outcome};

/// What is asked of engines that take turns: pairs of the tokens of a prompt and the tokens written after it.
pub(super) struct Sizes {
    warm_up: (usize, usize),
    timed: &'static [(usize, usize)],
}

pub(super) const SIZES: Sizes = Sizes { warm_up: (32, 8), timed: &[(200, 33), (1000, 33)] };
/// On an adapter that the processor imitates the peer takes some seven seconds for a token.
const SOFTWARE_SIZES: Sizes = Sizes { warm_up: (4, 2), timed: &[(16, 5), (200, 5)] };
/// An answer that ends before this says little about the speed of decoding.
const MIN_DECODED: usize = 16;
/// Room for the longest prompt and its answer; what Footnote takes, too.
pub(super) const N_CTX: usize = 2048;
/// Rows take turns until they have all their runs, or for so long: wllama reads few tokens per second
/// of this model. The table says how many runs a row has.
const MAX_ROW_MS: f64 = 240_000.0;

/// How many times as fast as wllama we want to be with so many threads.
fn bar(n_threads: u32) -> f64 {
    if n_threads == 1 { 3.0 } else { 2.0 }
}

pub(super) fn measure(args: &Args, rows: &mut Rows) -> Outcome<()> {
    let models = args.models()?;
    let id = &models.catalog().default_generator().id;
    let tokenizer = tokenizer(&models)?;
    let what = format!("{id}, in Chromium on the processor");
    if !folder().join("node_modules/@wllama/wllama/package.json").is_file() {
        rows.skip(what, "wllama is not installed; see bench/README.md");
        return Ok(());
    }
    for n_threads in THREADS {
        let what = format!("{what}, {}", threads(n_threads));
        let mut page = Page::open(Path::new(models.folder()), false)?;
        if let Err(reason) = start(&mut page, id, n_threads) {
            rows.skip(what, reason.to_string());
            continue;
        }
        for (name, pairs) in measure_sizes(&mut page, &tokenizer, &SIZES, args.runs)? {
            let what = format!("{what}: {name}");
            rows.rows.push(Row::compared(what, "tokens/s", &pairs, "wllama", bar(n_threads)));
        }
    }
    Ok(())
}

/// The GPU tier on the graphics adapter that Chromium imitates, beside transformers.js on webgpu: a check
/// that nothing is wasted, more than a speed.
pub(super) fn measure_webgpu(args: &Args, rows: &mut Rows) -> Outcome<()> {
    let models = args.models()?;
    let id = &models.catalog().default_generator().id;
    let what = format!("{id}, in Chromium on its software graphics adapter");
    let wanted = [
        ("node_modules/@huggingface/transformers/package.json".into(), "transformers.js is not installed"),
        (format!("onnx/{id}/onnx/model_q4.onnx"), "the model was not exported to ONNX"),
    ];
    if let Some((_, reason)) = wanted.iter().find(|(file, _)| !folder().join(file).is_file()) {
        rows.skip(what, format!("{reason}; see bench/README.md"));
        return Ok(());
    }
    let tokenizer = tokenizer(&models)?;
    let mut page = Page::open(Path::new(models.folder()), true)?;
    let options = json!({"tier": "gpu", "load": ["generator"], "threads": 1});
    let opened = page.start("ours", "footnote.js", &options)?;
    eprintln!("bench: {}", opened["version"].as_str().unwrap_or_default());
    let options = json!({"model": id, "device": "webgpu", "dtype": "q4", "threads": 1});
    match page.start("transformers.js", "transformers_llm.js", &options) {
        Ok(opened) => eprintln!("bench: transformers.js {opened}"),
        Err(reason) => {
            rows.skip(what, reason.to_string());
            return Ok(());
        }
    }
    let mut engines = OnAdapter { page, tokenizer: &tokenizer };
    for (name, pairs) in measure_sizes(&mut engines, &tokenizer, &SOFTWARE_SIZES, args.runs)? {
        let peer = "transformers.js q4 on webgpu";
        rows.rows.push(Row::compared(format!("{what}: {name}"), "tokens/s", &pairs, peer, 1.0));
    }
    Ok(())
}

/// Ours, and transformers.js, which is given token ids.
struct OnAdapter<'a> {
    page: Page,
    tokenizer: &'a Tokenizer,
}

impl Engines for OnAdapter<'_> {
    fn ours(&mut self, prompt: &str, n_tokens: usize) -> Outcome<Value> {
        self.page.call("ours", "generate", &json!([prompt, n_tokens]))
    }

    fn theirs(&mut self, prompt: &str, n_tokens: usize) -> Outcome<Value> {
        let ids = self.tokenizer.encode(prompt, true)?.ids;
        self.page.call("transformers.js", "generate", &json!([ids, n_tokens]))
    }
}

/// The tokenizer of the default generator.
pub(super) fn tokenizer(models: &models::Store) -> Outcome<Tokenizer> {
    block_on(async {
        let files = models.open_model(&models.catalog().default_generator().id).await?;
        let weights = Weights::open(Box::new(files.file("model.gguf").await?))?;
        Ok(Tokenizer::from_gguf(&weights)?)
    })
}

/// Two engines that take turns. Both give the times of a greedy continuation: `{"n_prompt", "prompt_ms",
/// "n_decoded", "decode_ms"}`, where `prompt_ms` ends with the first new token.
pub(super) trait Engines {
    fn ours(&mut self, prompt: &str, n_tokens: usize) -> Outcome<Value>;
    fn theirs(&mut self, prompt: &str, n_tokens: usize) -> Outcome<Value>;
}

impl Engines for Page {
    fn ours(&mut self, prompt: &str, n_tokens: usize) -> Outcome<Value> {
        self.call("ours", "generate", &json!([prompt, n_tokens]))
    }

    fn theirs(&mut self, prompt: &str, n_tokens: usize) -> Outcome<Value> {
        self.call("wllama", "generate", &json!([prompt, n_tokens]))
    }
}

fn start(page: &mut Page, id: &str, n_threads: u32) -> Outcome<()> {
    let options = json!({"tier": "cpu", "load": ["generator"], "threads": n_threads});
    let opened = page.start("ours", "footnote.js", &options)?;
    let version = opened["version"].as_str().unwrap_or_default();
    if !version.ends_with(&format!(", {n_threads} threads")) {
        return Err(format!("this build runs as {version}").into());
    }
    eprintln!("bench: {version}");
    let model = format!("/models/{id}/model.gguf");
    let options = json!({"model": model, "threads": n_threads, "context": N_CTX});
    let opened = page.start("wllama", "wllama.js", &options)?;
    eprintln!("bench: wllama {opened}");
    if opened["threads"] != json!(n_threads) {
        return Err(format!("wllama runs with {} threads", opened["threads"]).into());
    }
    Ok(())
}

type Pairs = Vec<(f64, f64)>;

/// Speeds of reading and writing for each of [`SIZES`], ours and the peer's in turns.
pub(super) fn measure_sizes(
    engines: &mut impl Engines,
    tokenizer: &Tokenizer,
    sizes: &Sizes,
    n_runs: usize,
) -> Outcome<Vec<(String, Pairs)>> {
    let mut seed = 0;
    let mut next_prompt = |n_tokens| {
        seed += 1;
        texts::prompt(tokenizer, n_tokens, seed)
    };
    let (n_prompt, n_tokens) = sizes.warm_up;
    let warm_up = next_prompt(n_prompt)?;
    engines.ours(&warm_up, n_tokens)?;
    engines.theirs(&warm_up, n_tokens)?;
    let mut measured = Vec::new();
    for &(n_prompt, n_tokens) in sizes.timed {
        let (mut reading, mut writing) = (Vec::new(), Vec::new());
        let begun_ms = now_ms();
        while reading.len() < n_runs && (reading.is_empty() || now_ms() - begun_ms < MAX_ROW_MS) {
            let prompt = next_prompt(n_prompt)?;
            let ours = Speeds::of(&engines.ours(&prompt, n_tokens)?, n_prompt, n_tokens)?;
            let theirs = Speeds::of(&engines.theirs(&prompt, n_tokens)?, n_prompt, n_tokens)?;
            eprintln!("bench: prompt of {n_prompt}: {ours:.1?}, the peer {theirs:.1?}");
            reading.push((ours.reading, theirs.reading));
            writing.push((ours.writing, theirs.writing));
        }
        measured.push((format!("prompt of {n_prompt} tokens"), reading));
        measured.push((format!("{} tokens after a prompt of {n_prompt}", n_tokens - 1), writing));
    }
    Ok(measured)
}

/// Tokens per second.
#[derive(Debug)]
struct Speeds {
    /// Of the prompt.
    reading: f64,
    /// Of the answer.
    writing: f64,
}

impl Speeds {
    fn of(times: &Value, n_prompt: usize, n_tokens: usize) -> Outcome<Self> {
        let number = |name: &str| times[name].as_f64().ok_or_else(|| format!("no {name}: {times}"));
        if times["n_prompt"] != json!(n_prompt) {
            return Err(format!("{} tokens were read instead of {n_prompt}", times["n_prompt"]).into());
        }
        let n_decoded = number("n_decoded")?;
        if n_decoded < MIN_DECODED.min(n_tokens - 1) as f64 {
            return Err(format!("an answer ended after {n_decoded} tokens").into());
        }
        let writing = n_decoded / number("decode_ms")? * 1e3;
        Ok(Self { reading: n_prompt as f64 / number("prompt_ms")? * 1e3, writing })
    }
}
