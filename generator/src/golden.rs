//! The default generator against llama.cpp (`fixtures/make/llama_cpp_golden.py`): tokens, texts, logits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use crate::generator::Generator;
use crate::sampling::argmax;
use crate::{Finish, Message, Sampling};
use models::{Catalog, ModelFiles, Store, default_folder};
use runtime::{KernelPolicy, KernelVariant, Options, Runtime, TierChoice};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where the reference's two best logits are nearer than this, another token may be preferred. The
/// reference disagrees with itself by as much: with another batch size or cache type 99 of 100 of its
/// own flips lie below .43.
const NEAR_TIE: f32 = 0.5;
/// What our logit of the reference's best token may differ by: twice what it differs by from itself.
const MAX_LOGIT_ERROR: f32 = 1.5;

#[derive(Deserialize)]
struct Golden {
    variants: BTreeMap<String, Variant>,
    generations: Vec<Generation>,
    tokenizations: Vec<Tokenization>,
}

/// The reference with other settings.
#[derive(Deserialize)]
struct Variant {
    /// Share of golden steps at which it prefers the golden token.
    agreement: f64,
}

#[derive(Deserialize)]
struct Generation {
    name: String,
    #[serde(default)]
    messages: Vec<Message>,
    prompt: String,
    prompt_ids: Vec<u32>,
    /// With the end token, where the model ended.
    tokens: Vec<u32>,
    ended: bool,
    /// No variant of the reference prefers another token anywhere.
    decided: bool,
    /// (token, logit) of the two highest at each step.
    top2: Vec<[(u32, f32); 2]>,
    text: String,
}

#[derive(Deserialize)]
struct Tokenization {
    text: String,
    ids: Vec<u32>,
}

fn smollm2_golden() -> Golden {
    serde_json::from_str(include_str!("../../fixtures/golden/smollm2.json")).unwrap()
}

async fn smollm2(tier: TierChoice) -> Generator {
    smollm2_with(&Options { tier, ..Options::default() }).await
}

async fn smollm2_with(options: &Options) -> Generator {
    let folder = default_folder().expect("a home folder, or FOOTNOTE_MODELS");
    let opened =
        Store::open(&folder, None, None).open_model(&Catalog::builtin().default_generator().id).await;
    let files =
        opened.unwrap_or_else(|e| panic!("{e}\n`cargo xtask test` fetches the models that tests need"));
    let rt = Runtime::open(options).await.unwrap();
    Generator::load(&rt, &files).await.unwrap()
}

async fn tiny(folder: &str, tier: TierChoice) -> Generator {
    tiny_with(folder, &Options { tier, ..Options::default() }).await
}

async fn tiny_with(folder: &str, options: &Options) -> Generator {
    let path = format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = ModelFiles::from_folder(folder, &path).await.unwrap();
    let rt = Runtime::open(options).await.unwrap();
    Generator::load(&rt, &files).await.unwrap()
}

/// Greedy tokens through the public interface, without the end token, and the text.
async fn greedy(generator: &Generator, prompt: &str, n_tokens: usize) -> (Vec<u32>, String, Option<Finish>) {
    let mut session = generator.start(prompt, &Sampling::greedy(n_tokens)).await.unwrap();
    let (mut tokens, mut text) = (Vec::new(), String::new());
    while let Some(piece) = session.next().await.unwrap() {
        tokens.push(piece.token);
        text += &piece.text;
    }
    (tokens, text, session.finish())
}

/// Our logits at each golden step, given the golden tokens before it: (our best token, our logit of
/// the golden one).
async fn forced(generator: &Generator, row: &Generation, n_steps: usize) -> Vec<(u32, f32)> {
    let inner = generator.inner();
    let mut state = inner.model.new_state(&inner.rt, row.prompt_ids.len() + row.tokens.len()).await.unwrap();
    let mut steps = Vec::new();
    let mut unseen = row.prompt_ids.clone();
    for &golden in row.tokens.iter().take(n_steps) {
        let mut rec = inner.rt.recorder();
        let states = inner.model.forward(&mut rec, &state, &unseen).unwrap();
        let last = rec.last_row(states).unwrap();
        let logits = inner.model.logits(&mut rec, last).unwrap();
        let logits = rec.read(&logits).await.unwrap();
        state.n_past += unseen.len();
        steps.push((argmax(&logits).unwrap(), logits[golden as usize]));
        unseen = vec![golden];
    }
    steps
}

/// Along the golden tokens ours are preferred too, but for near-ties; gives how many of how many.
async fn agreement(generator: &Generator, rows: &[Generation], n_max: usize) -> (usize, usize) {
    let (mut n_agree, mut n_steps) = (0, 0);
    let mut largest_error = 0f32;
    for row in rows {
        for (i, (best, logit)) in forced(generator, row, n_max).await.into_iter().enumerate() {
            let [first, second] = row.top2[i];
            let margin = first.1 - second.1;
            largest_error = largest_error.max((logit - first.1).abs());
            n_steps += 1;
            n_agree += usize::from(best == first.0);
            if best != first.0 {
                eprintln!("{} step {i}: {best} for {}, the margin is {margin}", row.name, first.0);
                assert!(
                    margin < NEAR_TIE,
                    "{} step {i}: {best} for {}, the margin is {margin}",
                    row.name,
                    first.0
                );
            }
        }
    }
    eprintln!("{n_agree} of {n_steps} best tokens agree; a best logit differs by up to {largest_error}");
    assert!(largest_error < MAX_LOGIT_ERROR, "a best logit differs by {largest_error}");
    (n_agree, n_steps)
}

/// The text is exactly the reference's.
async fn check_exact(generator: &Generator, row: &Generation) {
    let (tokens, text, finish) = greedy(generator, &row.prompt, row.tokens.len()).await;
    let expect = &row.tokens[..row.tokens.len() - usize::from(row.ended)];
    let n_same = tokens.iter().zip(expect).take_while(|(got, expect)| got == expect).count();
    let margin = row.top2.get(n_same).map_or(0.0, |[first, second]| first.1 - second.1);
    assert_eq!(tokens, expect, "{} from token {n_same} on, where the margin is {margin}", row.name);
    let end = if row.ended { "<|im_end|>" } else { "" };
    assert_eq!(text + end, row.text, "{}", row.name);
    assert_eq!(finish, Some(if row.ended { Finish::EndOfText } else { Finish::MaxTokens }), "{}", row.name);
}

#[test]
fn smollm2_speaks_llama_cpps_tokens_on_the_cpu() {
    platform::block_on(async {
        let generator = smollm2(TierChoice::Cpu).await;
        let golden = smollm2_golden();
        let decided: Vec<_> = golden.generations.iter().filter(|row| row.decided).collect();
        assert!(decided.iter().filter(|row| row.tokens.len() >= 64).count() >= 6);
        for row in decided {
            check_exact(&generator, row).await;
        }
    });
}

#[test]
fn smollm2_agrees_with_llama_cpp_as_llama_cpp_does_with_itself() {
    platform::block_on(async {
        let generator = smollm2(TierChoice::Cpu).await;
        let golden = smollm2_golden();
        let (n_agree, n_steps) = agreement(&generator, &golden.generations, usize::MAX).await;
        let share = n_agree as f64 / n_steps as f64;
        let least = golden.variants.values().map(|v| v.agreement).fold(0.99, f64::min);
        // Two standard errors of a share near .99 in so many steps.
        let error = 2.0 * (0.01 * 0.99 / n_steps as f64).sqrt();
        eprintln!("agreement {share:.4}, llama.cpp's own {least:.4}");
        assert!(share >= least - error, "agreement {share:.4}, llama.cpp's own {least:.4}");
    });
}

#[test]
fn smollm2_agrees_on_the_gpu() {
    platform::block_on(async {
        let generator = smollm2(TierChoice::Gpu).await;
        let mut rows = smollm2_golden().generations;
        // A software GPU gives about two tokens a second.
        rows.retain(|row| row.decided && row.prompt_ids.len() <= 40);
        rows.truncate(2);
        assert_eq!(rows.len(), 2);
        for row in &rows {
            assert_eq!(agreement(&generator, std::slice::from_ref(row), 10).await, (10, 10), "{}", row.name);
        }
        let (tokens, ..) = greedy(&generator, &rows[0].prompt, 4).await;
        assert_eq!(tokens, rows[0].tokens[..4]);
    });
}

#[test]
fn tiny_gguf_of_every_type_agrees_with_llama_cpp() {
    platform::block_on(async {
        let golden: Golden =
            serde_json::from_str(include_str!("../../fixtures/tiny/llama_gguf/golden.json")).unwrap();
        for tier in [TierChoice::Cpu, TierChoice::Gpu] {
            let generator = tiny("llama_gguf", tier).await;
            // Random weights leave margins of .005; llama.cpp flips one or two of these steps itself.
            let (n_agree, n_steps) = agreement(&generator, &golden.generations, usize::MAX).await;
            assert!(n_steps > 60 && n_agree + 3 >= n_steps, "{tier:?}: {n_agree} of {n_steps}");
        }
    });
}

/// The kernels of real GPUs, on whatever adapter there is.
fn gpu_kernels() -> Options {
    Options { tier: TierChoice::Gpu, kernels: KernelPolicy::Forced(vec![]), ..Options::default() }
}

/// Replayed steps give the tokens that recording each step gives.
#[test]
fn replayed_steps_speak_as_recorded_ones_do() {
    platform::block_on(async {
        let mut n_longest = 0;
        for folder in ["llama_gguf", "llama_tied", "llama_untied"] {
            for options in [gpu_kernels(), Options { tier: TierChoice::Gpu, ..Options::default() }] {
                let generator = tiny_with(folder, &options).await;
                let prompt = "the quick";
                let (tokens, ..) = greedy(&generator, prompt, 1000).await;
                let inner = generator.inner();
                let mut expected = inner.tokenizer.encode(prompt, true).unwrap().ids;
                let n_prompt = expected.len();
                let mut state = inner.model.new_state(&inner.rt, inner.n_ctx).await.unwrap();
                while expected.len() < n_prompt + tokens.len() {
                    let mut rec = inner.rt.recorder();
                    let unseen = &expected[state.n_past..];
                    let states = inner.model.forward(&mut rec, &state, unseen).unwrap();
                    let last = rec.last_row(states).unwrap();
                    let logits = inner.model.logits(&mut rec, last).unwrap();
                    state.n_past = expected.len();
                    expected.extend(rec.read_argmax(logits).await.unwrap());
                }
                assert_eq!(tokens, expected[n_prompt..], "{folder} {prompt} {options:?}");
                n_longest = n_longest.max(tokens.len());
            }
        }
        assert!(n_longest > 40, "a text fills most of the 64 positions");
    });
}

/// The model's own words through the fused kernels of a real GPU.
#[test]
fn smollm2_speaks_through_the_kernels_of_gpus() {
    platform::block_on(async {
        let generator = smollm2_with(&gpu_kernels()).await;
        let golden = smollm2_golden();
        let is_short = |row: &&Generation| row.decided && row.prompt_ids.len() <= 40;
        let row = golden.generations.iter().find(is_short).unwrap();
        let n_tokens = row.tokens.len().min(16);
        let (tokens, ..) = greedy(&generator, &row.prompt, n_tokens).await;
        assert_eq!(tokens, row.tokens[..n_tokens]);
        let counters = generator.inner().rt.gpu_counters().unwrap();
        assert_eq!(counters.n_unfused_loops, 0);
        assert!(counters.n_dispatches <= 150 * counters.n_steps, "{counters:?}");
    });
}

/// Prompts through tiles in f16, and through products of 8-bit numbers. The reference rounds activations
/// to 8 bits, too, and halves are finer than that: its own disagreements bound ours here as well.
#[test]
fn smollm2_reads_prompts_with_every_variant_as_llama_cpp_does() {
    use KernelVariant::{AttentionTiles, HalfTiles, Int8Products, Subgroups, WideTiles};
    platform::block_on(async {
        let mut rows = smollm2_golden().generations;
        rows.retain(|row| row.decided && (16..=40).contains(&row.prompt_ids.len()));
        rows.truncate(2);
        assert_eq!(rows.len(), 2);
        for variants in [[WideTiles, AttentionTiles, HalfTiles], [Subgroups, AttentionTiles, Int8Products]] {
            let kernels = KernelPolicy::Forced(variants.to_vec());
            let options = Options { tier: TierChoice::Gpu, kernels, ..Options::default() };
            let generator = smollm2_with(&options).await;
            let report = generator.inner().rt.describe().kernels.unwrap();
            let wrong = report.rejected.iter().find(|rejected| !rejected.reason.contains("does not offer"));
            assert_eq!(wrong, None, "what is offered computes rightly");
            // One step is the prompt, the other a token.
            let agreed = agreement(&generator, &rows, 2).await;
            assert_eq!(agreed, (4, 4), "{variants:?}");
        }
    });
}

#[test]
fn smollm2_tokenizes_as_llama_cpp_does() {
    platform::block_on(async {
        let generator = smollm2(TierChoice::Cpu).await;
        let golden = smollm2_golden();
        let prompts = golden.generations.iter().map(|row| (&row.prompt, &row.prompt_ids));
        let texts = golden.tokenizations.iter().map(|row| (&row.text, &row.ids));
        for (text, ids) in prompts.chain(texts) {
            let encoding = generator.inner().tokenizer.encode(text, true).unwrap();
            assert_eq!(&encoding.ids, ids, "{text:?}");
        }
        for row in golden.generations.iter().filter(|row| !row.messages.is_empty()) {
            assert_eq!(generator.chat_prompt(&row.messages).unwrap(), row.prompt, "{}", row.name);
        }
        assert_eq!(generator.n_ctx(), 2048);
        assert_eq!(generator.count_tokens("hello"), 1);
    });
}
