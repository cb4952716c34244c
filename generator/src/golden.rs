//! The default generator against llama.cpp (`fixtures/make/llama_cpp_golden.py`): tokens, texts, logits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use crate::generator::Generator;
use crate::sampling::argmax;
use crate::{Finish, Message, Sampling};
use models::{Catalog, ModelFiles, Store, default_folder};
use runtime::{Options, Runtime, TierChoice};
use serde::Deserialize;

/// A flipped token is excused where llama.cpp's own two best logits are nearer than this: its keys and
/// values are rounded to f16, and sums are taken in another order.
const NEAR_TIE: f32 = 0.05;
/// Share of golden steps whose best token must be llama.cpp's, given llama.cpp's tokens before it.
const MIN_AGREEMENT: f64 = 0.99;

#[derive(Deserialize)]
struct Golden {
    generations: Vec<Generation>,
    tokenizations: Vec<Tokenization>,
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
    let folder = default_folder().expect("a home folder, or FOOTNOTE_MODELS");
    let opened = Store::open(&folder, None, None).open_model(&Catalog::builtin().default_generator().id).await;
    let files = opened.unwrap_or_else(|e| panic!("{e}\n`cargo xtask test` fetches the models that tests need"));
    let rt = Runtime::open(&Options { tier }).await.unwrap();
    Generator::load(&rt, &files).await.unwrap()
}

async fn tiny(folder: &str, tier: TierChoice) -> Generator {
    let path = format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = ModelFiles::from_folder(folder, &path).await.unwrap();
    let rt = Runtime::open(&Options { tier }).await.unwrap();
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
    let mut state = inner.take_state().await.unwrap();
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
    inner.give_back(state);
    steps
}

/// Greedy tokens equal the reference, or differ first where the reference itself was near a tie;
/// over all steps the forced best tokens agree.
async fn check(generator: &Generator, rows: &[Generation], n_max: usize) {
    let (mut n_steps, mut n_agree) = (0, 0);
    let mut largest_error = 0f32;
    for row in rows {
        let n = row.tokens.len().min(n_max);
        for (i, (best, logit)) in forced(generator, row, n).await.into_iter().enumerate() {
            let [first, second] = row.top2[i];
            let margin = first.1 - second.1;
            largest_error = largest_error.max((logit - first.1).abs());
            n_steps += 1;
            n_agree += usize::from(best == row.tokens[i]);
            if best != row.tokens[i] {
                eprintln!("{} step {i}: {best} for {}, margin {margin}", row.name, row.tokens[i]);
                assert!(margin < NEAR_TIE, "{} step {i}: {best} for {}, margin {margin}", row.name, row.tokens[i]);
            }
        }
    }
    eprintln!("{n_agree} of {n_steps} best tokens agree; largest error of a best logit {largest_error}");
    assert!(n_agree as f64 >= MIN_AGREEMENT * n_steps as f64, "{n_agree} of {n_steps} best tokens agree");
}

#[test]
fn smollm2_speaks_llama_cpps_tokens_on_the_cpu() {
    platform::block_on(async {
        let generator = smollm2(TierChoice::Cpu).await;
        let golden = smollm2_golden();
        check(&generator, &golden.generations, usize::MAX).await;
        let (mut n_prompts, mut n_exact) = (0, 0);
        for row in &golden.generations {
            let (tokens, text, finish) = greedy(&generator, &row.prompt, row.tokens.len()).await;
            let expect = &row.tokens[..row.tokens.len() - usize::from(row.ended)];
            let same = tokens.iter().zip(expect).take_while(|(got, expect)| got == expect).count();
            n_prompts += 1;
            if tokens == expect {
                n_exact += 1;
                let text_of_end = if row.ended { "<|im_end|>" } else { "" };
                assert_eq!(text + text_of_end, row.text, "{}", row.name);
                let expect = if row.ended { Finish::EndOfText } else { Finish::MaxTokens };
                assert_eq!(finish, Some(expect), "{}", row.name);
                continue;
            }
            let margin = row.top2[same][0].1 - row.top2[same][1].1;
            eprintln!("{}: the first {same} tokens are llama.cpp's, then a margin of {margin}", row.name);
            assert!(margin < NEAR_TIE, "{}: token {same} differs at a margin of {margin}", row.name);
        }
        eprintln!("{n_exact} of {n_prompts} texts are exactly llama.cpp's");
        assert!(n_prompts >= 8 && n_exact * 10 >= n_prompts * 8, "only {n_exact} of {n_prompts} are exact");
    });
}

#[test]
fn smollm2_agrees_on_the_gpu() {
    platform::block_on(async {
        let generator = smollm2(TierChoice::Gpu).await;
        let mut rows = smollm2_golden().generations;
        // A software GPU gives about two tokens a second.
        rows.retain(|row| row.name == "plain_short");
        assert_eq!(rows.len(), 1);
        check(&generator, &rows, 16).await;
        let (tokens, ..) = greedy(&generator, &rows[0].prompt, 4).await;
        assert_eq!(tokens, rows[0].tokens[..4]);
    });
}

#[test]
fn tiny_gguf_of_every_type_speaks_llama_cpps_tokens() {
    platform::block_on(async {
        let golden: Golden =
            serde_json::from_str(include_str!("../../fixtures/tiny/llama_gguf/golden.json")).unwrap();
        for tier in [TierChoice::Cpu, TierChoice::Gpu] {
            let generator = tiny("llama_gguf", tier).await;
            check(&generator, &golden.generations, usize::MAX).await;
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
