//! The embedder and the generator alone.

use embedder::Embedder;
use generator::{Generator, Sampling};
use models::{Catalog, ModelEntry};
use platform::now_ms;
use runtime::{Options, Runtime, TierChoice, Tokenizer, Weights};
use serde_json::json;
use wasm_bindgen::prelude::*;

use crate::words;

/// A runtime with the default models, as far as they were asked for.
#[wasm_bindgen]
pub struct Meter {
    runtime: Runtime,
    store: models::Store,
    embedder: Option<Embedder>,
    generator: Option<Generator>,
    tokenizers: Vec<Tokenizer>,
}

#[wasm_bindgen]
impl Meter {
    /// Opens a tier, `cpu` or `gpu`, with so many threads. Model files come from `models_url` and stay
    /// in the browser.
    ///
    /// # Errors
    /// In words, where there is no such tier.
    pub async fn open(tier: &str, n_threads: usize, models_url: &str) -> Result<Meter, String> {
        platform::start_threads(Some(n_threads)).await;
        let tier = match tier {
            "cpu" => TierChoice::Cpu,
            "gpu" => TierChoice::Gpu,
            other => return Err(format!("there is no tier `{other}`")),
        };
        let runtime = Runtime::open(&Options { tier, ..Options::default() }).await.map_err(words)?;
        let store = models::Store::open("measure/models", None, Some(models_url)).with_hub(None);
        Ok(Self { runtime, store, embedder: None, generator: None, tokenizers: Vec::new() })
    }

    /// Knows this model, and no other: JSON of [`ModelEntry`].
    ///
    /// # Errors
    /// In words, where it is no such JSON.
    pub fn know(&mut self, entry: &str) -> Result<(), String> {
        let entry: ModelEntry = serde_json::from_str(entry).map_err(words)?;
        self.store = self.store.clone().with_catalog(Catalog::from_entries(vec![entry]));
        Ok(())
    }

    /// Bytes of this program's memory, which only grows.
    #[wasm_bindgen(js_name = heapBytes)]
    pub fn heap_bytes(&self) -> f64 {
        let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
        let buffer = memory.buffer();
        js_sys::Reflect::get(&buffer, &"byteLength".into()).ok().and_then(|n| n.as_f64()).unwrap_or_default()
    }

    /// The tier, its adapter or SIMD, and its threads, in words.
    pub fn describe(&self) -> String {
        let report = self.runtime.describe();
        let what = report.adapter.unwrap_or(report.simd.into());
        format!("{:?} tier, {what}, {} threads", report.tier, report.n_threads)
    }

    /// Loads the default embedder; milliseconds with and without the download of its files.
    ///
    /// # Errors
    /// In words, where a file is missing or memory ends.
    #[wasm_bindgen(js_name = loadEmbedder)]
    pub async fn load_embedder(&mut self) -> Result<String, String> {
        let id = self.store.catalog().default_embedder().id.clone();
        let start_ms = now_ms();
        let files = self.fetch(&id).await?;
        let fetched_ms = now_ms();
        self.embedder = Some(Embedder::load(&self.runtime, &files).await.map_err(words)?);
        Ok(loaded(&id, start_ms, fetched_ms))
    }

    /// Loads the default generator, or the one of that id; as [`Meter::load_embedder`].
    ///
    /// # Errors
    /// As [`Meter::load_embedder`].
    #[wasm_bindgen(js_name = loadGenerator)]
    pub async fn load_generator(&mut self, id: Option<String>) -> Result<String, String> {
        let id = id.unwrap_or_else(|| self.store.catalog().default_generator().id.clone());
        let start_ms = now_ms();
        let files = self.fetch(&id).await?;
        let fetched_ms = now_ms();
        self.generator = Some(Generator::load(&self.runtime, &files).await.map_err(words)?);
        Ok(loaded(&id, start_ms, fetched_ms))
    }

    /// Embeds a JSON list of texts: `{"ms", "vectors"}`.
    ///
    /// # Errors
    /// In words.
    pub async fn embed(&self, texts: &str) -> Result<String, String> {
        let embedder = self.embedder.as_ref().ok_or("the embedder is not loaded")?;
        let texts: Vec<String> = serde_json::from_str(texts).map_err(words)?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let start_ms = now_ms();
        let vectors = embedder.embed_passages(&texts).await.map_err(words)?;
        Ok(json!({"ms": now_ms() - start_ms, "vectors": vectors}).to_string())
    }

    /// Continues a prompt greedily by `n_tokens`: `{"n_prompt", "prompt_ms", "n_decoded", "decode_ms",
    /// "tokens"}`. `prompt_ms` ends with the first new token, `decode_ms` covers the others.
    ///
    /// # Errors
    /// In words.
    pub async fn generate(&self, prompt: &str, n_tokens: usize) -> Result<String, String> {
        let generator = self.generator.as_ref().ok_or("the generator is not loaded")?;
        let start_ms = now_ms();
        let mut session = generator.start(prompt, &Sampling::greedy(n_tokens)).await.map_err(words)?;
        let mut tokens = Vec::new();
        let mut first_ms = start_ms;
        while let Some(piece) = session.next().await.map_err(words)? {
            if tokens.is_empty() {
                first_ms = now_ms();
            }
            tokens.push(piece.token);
        }
        let times = json!({
            "n_prompt": session.n_prompt(),
            "prompt_ms": first_ms - start_ms,
            "n_decoded": tokens.len().saturating_sub(1),
            "decode_ms": now_ms() - first_ms,
            "tokens": tokens,
        });
        Ok(times.to_string())
    }

    /// Loads the tokenizers of the default models, embedder first.
    ///
    /// # Errors
    /// In words, where a file is missing.
    #[wasm_bindgen(js_name = loadTokenizers)]
    pub async fn load_tokenizers(&mut self) -> Result<(), String> {
        let catalog = self.store.catalog();
        let (embedder, generator) =
            (catalog.default_embedder().id.clone(), catalog.default_generator().id.clone());
        let json = self.fetch(&embedder).await?.read("tokenizer.json").await.map_err(words)?;
        let file = self.fetch(&generator).await?.file("model.gguf").await.map_err(words)?;
        let weights = Weights::open(Box::new(file)).map_err(words)?;
        self.tokenizers =
            vec![Tokenizer::from_json(&json).map_err(words)?, Tokenizer::from_gguf(&weights).map_err(words)?];
        Ok(())
    }

    /// Milliseconds to cut a text into tokens with the tokenizer of that number, and the number of tokens.
    ///
    /// # Errors
    /// In words.
    pub fn tokenize(&self, tokenizer: usize, text: &str) -> Result<Vec<f64>, String> {
        let tokenizer = self.tokenizers.get(tokenizer).ok_or("the tokenizers are not loaded")?;
        let start_ms = now_ms();
        let n_tokens = tokenizer.encode(text, false).map_err(words)?.ids.len();
        Ok(vec![now_ms() - start_ms, n_tokens as f64])
    }

    async fn fetch(&self, id: &str) -> Result<models::ModelFiles, String> {
        self.store.fetch(id, &mut |_| {}, &models::Cancel::new()).await.map_err(words)
    }
}

fn loaded(id: &str, start_ms: f64, fetched_ms: f64) -> String {
    json!({"id": id, "fetch_ms": fetched_ms - start_ms, "load_ms": now_ms() - fetched_ms}).to_string()
}
