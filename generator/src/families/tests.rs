//! Every family against PyTorch transformers on a small checkpoint with random weights
//! (`fixtures/make/families.py`, `tiny.py`): hidden states after each layer, logits, greedy tokens; from
//! safetensors and, where llama.cpp has the family, from the same weights as GGUF, which `families.py` has
//! also run through llama.cpp.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use crate::config::DecoderConfig;
use crate::decoder::{Decoder, State};
use crate::families;
use crate::rope_scaling::{self, Head};
use crate::sampling::argmax;
use crate::settings::Gguf;
use crate::{Generator, Sampling};
use models::ModelFiles;
use runtime::{KernelPolicy, Options, Precision, Runtime, TierChoice, Weights};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
}

/// What PyTorch transformers computes.
#[derive(Deserialize)]
struct Row {
    text: String,
    /// What an encoder reads, where there is one; `ids` begin with the first token of what is written then.
    #[serde(default)]
    source: Vec<u32>,
    ids: Vec<u32>,
    /// Of the last token, after each layer but the last.
    #[serde(default)]
    hidden: Vec<Vec<f32>>,
    last_logits: Vec<f32>,
    tokens: Vec<u32>,
}

/// Sums of some hundred products of numbers near one, and two to six layers: 1e-5 is a hundred roundings of
/// f32.
const CPU_ERROR: f32 = 1e-5;
/// A GPU may round, and compute sines and exponentials, a few units less exactly (WGSL section 15.7.4).
const GPU_ERROR: f32 = 1e-4;

fn fixture(name: &str) -> String {
    format!("{}/../fixtures/tiny/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> Vec<u8> {
    let path = fixture(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A tier that computes in f32; the GPU tier does always.
async fn open(tier: TierChoice) -> Runtime {
    Runtime::open(&Options { tier, precision: Precision::Exact, ..Options::default() }).await.unwrap()
}

async fn load(rt: &Runtime, weights: &Weights, config: DecoderConfig) -> Decoder {
    Decoder::load(rt, weights, config, async |_: &Decoder| Ok(())).await.unwrap()
}

/// Room for `n` positions, after an encoder has read its part.
async fn state_for(rt: &Runtime, model: &Decoder, row: &Row, n: usize) -> State {
    let mut state = model.new_state(rt, n).await.unwrap();
    model.read(rt, &mut state, &row.source).await.unwrap();
    state
}

async fn logits(rt: &Runtime, model: &Decoder, state: &mut State, ids: &[u32]) -> Vec<f32> {
    let mut rec = rt.recorder();
    let states = model.forward(&mut rec, state, ids).unwrap();
    let last = rec.last_row(states).unwrap();
    let logits = model.logits(&mut rec, last).unwrap();
    state.n_past += ids.len();
    rec.read(&logits).await.unwrap()
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |max, x| max.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance * largest,
            "{what}: {i}: {got}, not {expected} of {largest}"
        );
    }
}

/// Hidden states, logits of the whole prompt at once and in pieces, and greedy tokens one by one.
async fn check_row(rt: &Runtime, model: &mut Decoder, row: &Row, what: &str, tolerance: f32) {
    let what = format!("{what}, {:?}", row.text);
    for (i, expected) in row.hidden.iter().enumerate() {
        let later = model.take_layers(i + 1);
        let state = state_for(rt, model, row, row.ids.len()).await;
        let mut rec = rt.recorder();
        let states = model.forward(&mut rec, &state, &row.ids).unwrap();
        let last = rec.last_row(states).unwrap();
        assert_close(&format!("{what}, layer {i}"), &rec.read(&last).await.unwrap(), expected, tolerance);
        model.give_layers(later);
    }
    for piece in [row.ids.len(), 3] {
        let mut state = state_for(rt, model, row, 64).await;
        let mut got = Vec::new();
        for ids in row.ids.chunks(piece) {
            got = logits(rt, model, &mut state, ids).await;
        }
        assert_close(&format!("{what}, in pieces of {piece}"), &got, &row.last_logits, tolerance);
        let mut tokens = Vec::new();
        for _ in &row.tokens {
            tokens.push(argmax(&got).unwrap());
            got = logits(rt, model, &mut state, &tokens[tokens.len() - 1..]).await;
        }
        assert_eq!(tokens, row.tokens, "{what}, in pieces of {piece}");
    }
}

/// One checkpoint, in each of its forms, on one tier.
async fn check(folder: &str, forms: &[&str], tier: TierChoice, tolerance: f32) {
    let golden: Golden = serde_json::from_slice(&read(&format!("{folder}/golden.json"))).unwrap();
    let rt = open(tier).await;
    for form in forms {
        let file = format!("{folder}/{form}");
        let weights = Weights::open(Box::new(read(&file))).unwrap();
        let config = if form.ends_with(".gguf") {
            families::from_gguf(&weights)
        } else {
            families::from_json(&read(&format!("{folder}/config.json")))
        };
        let mut model = load(&rt, &weights, config.unwrap()).await;
        for row in &golden.rows {
            check_row(&rt, &mut model, row, &format!("{file} on {tier:?}"), tolerance).await;
        }
    }
}

/// The golden tokens through the public interface; on a GPU with replayed steps, with the kernels that a
/// software adapter takes and with those of a real one.
async fn check_generator(folder: &str, golden: &str) {
    let golden: Golden = serde_json::from_slice(&read(&format!("{golden}/golden.json"))).unwrap();
    let files = ModelFiles::from_folder(folder, &fixture(folder)).await.unwrap();
    let of = |tier| Options { tier, precision: Precision::Exact, ..Options::default() };
    let hardware = Options { kernels: KernelPolicy::Forced(vec![]), ..of(TierChoice::Gpu) };
    for options in [of(TierChoice::Cpu), of(TierChoice::Gpu), hardware] {
        let rt = Runtime::open(&options).await.unwrap();
        let generator = Generator::load(&rt, &files).await.unwrap();
        for row in &golden.rows {
            // An encoder's text begins with what the others are given.
            let said = if row.source.is_empty() { &[] } else { &row.ids[1..] };
            let expected = [said, &row.tokens].concat();
            let sampling = Sampling::greedy(expected.len());
            let mut session = generator.start(&row.text, &sampling).await.unwrap();
            let mut tokens = Vec::new();
            while let Some(piece) = session.next().await.unwrap() {
                tokens.push(piece.token);
            }
            let is_end = |token: &&u32| generator.inner().is_end(**token);
            let n_said = expected.iter().position(|token| is_end(&token)).unwrap_or(expected.len());
            // What was held back may come with the end.
            tokens.truncate(n_said);
            assert_eq!(tokens, expected[..n_said], "{folder}, {:?}, {options:?}", row.text);
        }
    }
}

fn check_family(folder: &str, forms: &[&str]) {
    platform::block_on(async {
        check(folder, forms, TierChoice::Cpu, CPU_ERROR).await;
        check(folder, forms, TierChoice::Gpu, GPU_ERROR).await;
        check_generator(folder, folder).await;
        if forms.len() > 1 {
            check_generator(&format!("{folder}/gguf"), folder).await;
        }
    });
}

const SAFETENSORS: &[&str] = &["model.safetensors"];
const BOTH: &[&str] = &["model.safetensors", "gguf/model.gguf"];

#[test]
fn a_llama_with_biases_and_scaled_rotation_computes_as_pytorch_does() {
    check_family("llama", BOTH);
}

#[test]
fn an_untied_llama_computes_as_pytorch_does() {
    check_family("llama_untied", SAFETENSORS);
}

#[test]
fn a_tied_llama_in_bfloat16_computes_as_pytorch_does() {
    check_family("llama_tied", SAFETENSORS);
}

#[test]
fn mistral_computes_as_pytorch_does() {
    check_family("mistral", SAFETENSORS);
}

#[test]
fn smollm3_computes_as_pytorch_does() {
    check_family("smollm3", BOTH);
}

#[test]
fn qwen2_computes_as_pytorch_does() {
    check_family("qwen2", BOTH);
}

#[test]
fn qwen3_computes_as_pytorch_does() {
    check_family("qwen3", BOTH);
}

#[test]
fn phi3_computes_as_pytorch_does() {
    check_family("phi3", BOTH);
}

#[test]
fn gemma2_computes_as_pytorch_does() {
    check_family("gemma2", BOTH);
}

#[test]
fn gemma3_computes_as_pytorch_does() {
    check_family("gemma3", BOTH);
}

#[test]
fn gpt2_computes_as_pytorch_does() {
    check_family("gpt2", BOTH);
}

#[test]
fn t5_computes_as_pytorch_does() {
    check_family("t5", BOTH);
}

#[derive(Deserialize)]
struct RopeCase {
    name: String,
    config: serde_json::Value,
    rows: Vec<Row>,
}

#[test]
fn every_scaling_of_rotation_computes_as_pytorch_does() {
    #[derive(Deserialize)]
    struct Cases {
        cases: Vec<RopeCase>,
    }
    let cases: Cases = serde_json::from_slice(&read("rope/cases.json")).unwrap();
    assert_eq!(cases.cases.len(), 8);
    platform::block_on(async {
        for (tier, tolerance) in [(TierChoice::Cpu, CPU_ERROR), (TierChoice::Gpu, GPU_ERROR)] {
            let rt = open(tier).await;
            for case in &cases.cases {
                let config = families::from_json(case.config.to_string().as_bytes()).unwrap();
                let weights = Weights::open(Box::new(read("rope/model.safetensors"))).unwrap();
                let mut model = load(&rt, &weights, config).await;
                for row in &case.rows {
                    check_row(&rt, &mut model, row, &format!("{} on {tier:?}", case.name), tolerance).await;
                }
            }
        }
    });
}

/// The same factors from a GGUF file as from `config.json`; llama.cpp computes with such a file as PyTorch does
/// (`families.py`).
#[test]
fn scalings_of_rotation_are_read_from_gguf() {
    let cases: serde_json::Value = serde_json::from_slice(&read("rope/cases.json")).unwrap();
    for name in ["linear", "yarn"] {
        let case = cases["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
        let json = families::from_json(case["config"].to_string().as_bytes()).unwrap();
        let weights = Weights::open(Box::new(read(&format!("rope/{name}.gguf")))).unwrap();
        let head = Head { dim: json.head_dim, n_ctx_train: json.n_ctx_train };
        let gguf = rope_scaling::from_gguf(&Gguf::new(&weights), head).unwrap();
        assert_eq!(Some(&gguf), json.layers[0].rope.as_ref(), "{name}");
        assert!(gguf.scaling.is_some(), "{name}");
    }
}

/// Ids that look like nothing in particular.
fn some_ids(n: usize, n_vocab: usize) -> Vec<u32> {
    (0..n).map(|i| ((i * i * 31 + i * 17 + 5) % n_vocab) as u32).collect()
}

/// Logits after each of `lengths` first ids, on one tier: at once, and beginning with a copy of
/// what another state has.
async fn prefills(tier: TierChoice, ids: &[u32], lengths: &[usize]) -> Vec<[Vec<f32>; 2]> {
    // The GPU is compared with a CPU tier that computes in f32, as it does itself.
    let options = Options { tier, precision: Precision::Exact, ..Options::default() };
    let rt = Runtime::open(&options).await.unwrap();
    let file: &'static [u8] = include_bytes!("../../../fixtures/tiny/llama_untied/model.safetensors");
    let config = include_bytes!("../../../fixtures/tiny/llama_untied/config.json");
    let weights = Weights::open(Box::new(file)).unwrap();
    let model = load(&rt, &weights, families::from_json(config).unwrap()).await;
    let mut rows = Vec::new();
    for &n in lengths {
        let mut whole = model.new_state(&rt, 256).await.unwrap();
        let at_once = logits(&rt, &model, &mut whole, &ids[..n]).await;
        let n_reused = n / 2;
        let mut copy = model.new_state(&rt, 300).await.unwrap();
        let pairs: Vec<_> = whole.caches().zip(copy.caches()).collect();
        rt.copy_caches(&pairs, n_reused).await.unwrap();
        copy.n_past = n_reused;
        let reused = logits(&rt, &model, &mut copy, &ids[n_reused..n]).await;
        rows.push([at_once, reused]);
    }
    rows
}

#[test]
fn the_tiers_agree_on_prompts_of_every_length() {
    platform::block_on(async {
        let lengths = [1, 63, 64, 65, 200];
        let ids = some_ids(200, 256);
        let cpu = prefills(TierChoice::Cpu, &ids, &lengths).await;
        let gpu = prefills(TierChoice::Gpu, &ids, &lengths).await;
        for ((cpu, gpu), n) in cpu.iter().zip(&gpu).zip(lengths) {
            let expected = &cpu[0];
            let largest = expected.iter().fold(0f32, |max, l| max.max(l.abs()));
            for (name, got) in
                [("the CPU, reused", &cpu[1]), ("the GPU", &gpu[0]), ("the GPU, reused", &gpu[1])]
            {
                let error = got.iter().zip(expected).fold(0f32, |max, (g, e)| max.max((g - e).abs()));
                // As for the golden logits of a GPU.
                assert!(error <= 1e-4 * largest, "{name}, {n} tokens: {error} of {largest}");
                assert_eq!(argmax(got).unwrap(), argmax(expected).unwrap(), "{name}, {n} tokens");
            }
        }
    });
}
