//! Models in a tab of headless Chromium: what their weights cost there, a model of a billion parameters, and how
//! fast text becomes tokens.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use models::{FileEntry, ModelEntry, ModelKind};
use platform::block_on;
use runtime::Weights;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::peers::Page;
use crate::{Args, Outcome, Row, Rows, random_model};

/// What loading may take beside the weights, in bytes.
const MAX_BESIDE: f64 = 64.0 * 1024.0 * 1024.0;
/// What the tab may take with the model of a billion parameters.
const MAX_TAB: f64 = 3.0 * 1024.0 * 1024.0 * 1024.0;
/// Megabytes of text per second.
const MIN_TOKENIZED: f64 = 5.0;
/// Texts to cut into tokens.
const TEXTS_VARIABLE: &str = "FOOTNOTE_TEXTS";
const TOKENIZERS: [&str; 2] = ["all-MiniLM-L6-v2 (WordPiece)", "SmolLM2 (byte-level BPE)"];
const RANDOM_ID: &str = "llama-1b";
/// Each decoded token of the large model takes about a second on a slow machine.
const N_TOKENS: usize = 8;

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    let mut rows = Rows::default();
    let store = args.models()?;
    if args.wants("tokenizers") {
        tokenizers(args, Path::new(store.folder()), &mut rows)?;
    }
    if args.wants("heap") {
        heap(Path::new(store.folder()), &store.catalog().default_generator().clone(), &mut rows)?;
    }
    if args.wants("llama-1b") {
        random_llama(args, &store, &mut rows)?;
    }
    Ok(rows)
}

fn start(page: &mut Page, load: &[&str]) -> Outcome<()> {
    let options = json!({"tier": "cpu", "load": load, "threads": 2});
    let opened = page.start("ours", "footnote.js", &options)?;
    eprintln!("bench: {}", opened["version"].as_str().unwrap_or_default());
    Ok(())
}

fn figure(value: &Value) -> Outcome<f64> {
    value.as_f64().ok_or_else(|| format!("{value} is no figure").into())
}

/// Megabytes per second of cutting texts into tokens, one after the other.
fn tokenizers(args: &Args, models: &Path, rows: &mut Rows) -> Outcome<()> {
    let folder = std::env::var_os(TEXTS_VARIABLE)
        .map_or_else(|| browser::workspace().join("../shared/eval/rust-book"), PathBuf::from);
    if !folder.is_dir() {
        rows.skip("tokenizers", format!("no folder {}; {TEXTS_VARIABLE} names one", folder.display()));
        return Ok(());
    }
    let mut texts = Vec::new();
    for entry in fs::read_dir(&folder)? {
        texts.extend(fs::read_to_string(entry?.path()).ok());
    }
    let n_bytes: usize = texts.iter().map(String::len).sum();
    let mut page = Page::open(models, false)?;
    start(&mut page, &[])?;
    page.call("ours", "loadTokenizers", &json!([]))?;
    for (which, name) in TOKENIZERS.into_iter().enumerate() {
        let mut speeds = Vec::new();
        // The first run is cold, as the texts of a user are; it counts.
        for _ in 0..args.runs.max(1) {
            let mut ms = 0.0;
            for text in &texts {
                ms += figure(&page.call("ours", "tokenize", &json!([which, text]))?[0])?;
            }
            speeds.push(n_bytes as f64 / ms / 1e3);
        }
        let what = format!("{name}, {} kB of text, in Chromium; at least {MIN_TOKENIZED}", n_bytes / 1000);
        rows.rows.push(Row::new(what, "MB/s", speeds));
    }
    Ok(())
}

/// What the default generator takes in the program's memory beside its weights.
fn heap(models: &Path, entry: &ModelEntry, rows: &mut Rows) -> Outcome<()> {
    let mut page = Page::open(models, false)?;
    start(&mut page, &[])?;
    let loaded = page.call("ours", "loadGenerator", &serde_json::to_value([entry])?)?;
    let heap = figure(&page.call("ours", "heapBytes", &json!([]))?)?;
    let id = &entry.id;
    rows.rows.push(Row::new(
        format!("{id}: loaded from the browser's storage"),
        "ms",
        vec![figure(&loaded["load_ms"])?],
    ));
    let what = format!("{id}: heap when it is loaded, beside its weights; at most {:.0}", MAX_BESIDE / 1e6);
    rows.rows.push(Row::new(what, "MB", vec![(heap - entry.n_bytes() as f64) / 1e6]));
    Ok(())
}

/// A model of a billion parameters in 4 bits with random weights: loads and decodes.
fn random_llama(args: &Args, store: &models::Store, rows: &mut Rows) -> Outcome<()> {
    let target = browser::target_folder();
    let folder = tempfile::tempdir_in(target)?;
    let path = folder.path().join(RANDOM_ID).join("model.gguf");
    fs::create_dir_all(folder.path().join(RANDOM_ID))?;
    block_on(async {
        let other = store.open_model(&store.catalog().default_generator().id).await?;
        let tokenizer_of = Weights::open(Box::new(other.file("model.gguf").await?))?;
        random_model::write(&path, &tokenizer_of, random_model::N_LAYERS)
    })?;
    let entry = entry_of(&path)?;
    let mut page = Page::open(folder.path(), false)?;
    start(&mut page, &[])?;
    let loaded = page.call("ours", "loadGenerator", &serde_json::to_value([&entry])?)?;
    let mut speeds = Vec::new();
    for run in 0..args.runs.max(1) {
        let said =
            page.call("ours", "generate", &json!([format!("{run}. Once upon a time"), N_TOKENS + 1]))?;
        speeds.push(figure(&said["n_decoded"])? / figure(&said["decode_ms"])? * 1e3);
    }
    let heap = figure(&page.call("ours", "heapBytes", &json!([]))?)?;
    let what = format!("{RANDOM_ID}, random Q4_0, {} MB, in Chromium", entry.n_bytes() / 1_000_000);
    let mut row =
        |name: &str, unit, figures| rows.rows.push(Row::new(format!("{what}: {name}"), unit, figures));
    row("loaded from the browser's storage", "ms", vec![figure(&loaded["load_ms"])?]);
    row("tokens written", "tokens/s", speeds);
    row("the program's memory", "MB", vec![heap / 1e6]);
    match page.peak_memory_bytes() {
        Some(bytes) => row(
            &format!("peak memory of the tab; at most {:.0}", MAX_TAB / 1e6),
            "MB",
            vec![bytes as f64 / 1e6],
        ),
        None => rows.skip(format!("{what}: peak memory of the tab"), "only Linux tells"),
    }
    Ok(())
}

/// An entry for a model's one file.
fn entry_of(path: &Path) -> Outcome<ModelEntry> {
    let mut file = fs::File::open(path)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    let mut n_bytes = 0;
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => {
                hash.update(&piece[..n]);
                n_bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let name = "model.gguf".to_owned();
    Ok(ModelEntry {
        id: RANDOM_ID.into(),
        kind: ModelKind::Generator,
        files: vec![FileEntry { hub_path: name.clone(), name, n_bytes, sha256 }],
        hub_repo: String::new(),
        revision: String::new(),
        python_package: None,
        licence: "CC0-1.0".into(),
    })
}
