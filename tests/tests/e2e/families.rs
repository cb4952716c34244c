//! Every family of generators in a browser, on both tiers: the greedy tokens of PyTorch transformers, from the small
//! checkpoints with random weights that `generator/src/families/tests.rs` compares natively.

use std::path::Path;

use browser::{Browser, Engine, Launch, Site, workspace};
use serde_json::{Value, json};

const FAMILIES: [&str; 12] = [
    "llama",
    "llama_untied",
    "llama_tied",
    "mistral",
    "smollm3",
    "qwen2",
    "qwen3",
    "phi3",
    "gemma2",
    "gemma3",
    "gpt2",
    "t5",
];
/// What a model with safetensors is read from.
const FILES: [&str; 4] = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];

#[test]
fn every_family_writes_pytorchs_tokens_in_chromium() {
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: true });
    for (tier, expected) in [("Cpu", "cpu"), ("Gpu", "gpu")] {
        let mut engine = site.engine(&mut browser, tier, false);
        let state = engine.request(&mut browser, json!("State"), 30);
        assert_eq!(state["State"]["state"]["tier"]["tier"], expected, "{state}");
        let wrong: Vec<String> =
            FAMILIES.iter().filter_map(|family| check(&mut browser, &mut engine, family).err()).collect();
        assert!(wrong.is_empty(), "{tier}: {}", wrong.join("\n"));
    }
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

/// Takes in a model, loads it, and compares what it writes.
fn check(browser: &mut Browser, engine: &mut Engine, family: &str) -> Result<(), String> {
    let folder = workspace().join("fixtures/tiny").join(family);
    let paths: Vec<_> = FILES.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
    let names: Vec<_> = paths.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let import = json!({"Models": {"Import": {"names": names, "name": family}}});
    let taken = engine.request_with_files(browser, import, &paths);
    if taken["Models"]["Here"]["id"] != family {
        return Err(format!("{family} is not taken in: {taken}"));
    }
    let used = engine.request(browser, json!({"Models": {"Use": {"id": family}}}), 60);
    if used["Models"]["Offers"].is_null() {
        return Err(format!("{family} cannot be used: {used}"));
    }
    let ends = ends(&folder);
    let golden = read(&folder.join("golden.json"));
    for row in golden["rows"].as_array().into_iter().flatten() {
        // An encoder's text begins with what the others are given.
        let said = if row["source"].is_null() { vec![] } else { tokens(&row["ids"])[1..].to_vec() };
        let expected = [said, tokens(&row["tokens"])].concat();
        let n_said = expected.iter().position(|token| ends.contains(token)).unwrap_or(expected.len());
        let generate = json!({"Generate": {"prompt": row["text"], "max_tokens": expected.len()}});
        let answer = engine.request(browser, generate, 60);
        let mut written = tokens(&answer["Generated"]["tokens"]);
        // What was held back may come with the end.
        written.truncate(n_said);
        if written != expected[..n_said] {
            return Err(format!("{family}, {}: {answer}, expected {expected:?}", row["text"]));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tokens that end a text: the model's own, and those that do in any model.
fn ends(folder: &Path) -> Vec<u64> {
    let of_model = read(&folder.join("config.json"))["eos_token_id"].as_u64();
    let tokenizer = read(&folder.join("tokenizer.json"));
    let is_end =
        |token: &&Value| ["<|endoftext|>", "<|im_end|>", "</s>"].iter().any(|end| token["content"] == *end);
    let added = tokenizer["added_tokens"].as_array().into_iter().flatten().filter(is_end);
    added.filter_map(|token| token["id"].as_u64()).chain(of_model).collect()
}

fn tokens(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}
