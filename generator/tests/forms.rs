//! Texts of a form, out of a tiny model with random weights, which would rather say anything else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use generator::{Constraint, Error, Finish, Generator, Piece, Sampling};
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice};
use serde_json::{Value, json};

async fn tiny(folder: &str, tier: TierChoice) -> Generator {
    let path = format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = ModelFiles::from_folder(folder, &path).await.unwrap();
    let rt = Runtime::open(&Options { tier, ..Options::default() }).await.unwrap();
    Generator::load(&rt, &files).await.unwrap()
}

async fn run(generator: &Generator, sampling: &Sampling) -> (Vec<Piece>, String, Option<Finish>) {
    let mut session = generator.start("the quick", sampling).await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = session.next().await.unwrap() {
        pieces.push(piece);
    }
    let text = pieces.iter().map(|piece| piece.text.as_str()).collect();
    (pieces, text, session.finish())
}

fn of_form(constraint: Constraint, seed: u64) -> Sampling {
    Sampling { constraint: Some(constraint), temperature: 1.0, seed, max_tokens: 50, ..Sampling::default() }
}

#[test]
fn texts_have_the_form_that_was_asked_for() {
    platform::block_on(async {
        let generator = tiny("llama_tied", TierChoice::Cpu).await;
        let schema = json!({
            "type": "object",
            "properties": {"ok": {"type": "boolean"}, "n": {"enum": [1, 2, 33]}},
            "required": ["ok", "n"],
            "additionalProperties": false,
        });
        let spans = ["number 12 or 345, so".to_owned()];
        let mut texts = Vec::new();
        for seed in 0..6 {
            let (_, text, finish) =
                run(&generator, &of_form(Constraint::JsonSchema(schema.clone().into()), seed)).await;
            if finish == Some(Finish::EndOfText) {
                let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                assert!(
                    value["ok"].is_boolean() && value["n"].is_u64() && value.as_object().unwrap().len() == 2
                );
                texts.push(text);
            }
            let (_, text, finish) =
                run(&generator, &of_form(Constraint::Regex("[0-9]{3}-(a|b)".into()), seed)).await;
            assert_eq!((text.len(), finish), (5, Some(Finish::EndOfText)), "{text}");
            let (_, text, _) = run(&generator, &of_form(Constraint::Spans(spans.to_vec()), seed)).await;
            assert!(!text.is_empty() && spans[0].contains(&text), "{text}");
        }
        texts.sort();
        texts.dedup();
        assert!(texts.len() > 1, "draws differ, and most end: {texts:?}");
    });
}

#[test]
fn both_tiers_keep_a_form() {
    platform::block_on(async {
        let sampling =
            Sampling { temperature: 0.0, ..of_form(Constraint::Regex("(yes|no), [0-9]+!".into()), 0) };
        let (cpu, gpu) =
            (tiny("llama_gguf", TierChoice::Cpu).await, tiny("llama_gguf", TierChoice::Gpu).await);
        let expected = run(&cpu, &sampling).await;
        assert_eq!(run(&gpu, &sampling).await.1, expected.1);
        assert!(expected.1.starts_with("yes, ") || expected.1.starts_with("no, "), "{}", expected.1);
    });
}

#[test]
fn a_form_that_makes_no_sense_is_refused_before_anything_is_read() {
    platform::block_on(async {
        let generator = tiny("llama_tied", TierChoice::Cpu).await;
        let sampling = of_form(Constraint::Regex("(".into()), 0);
        let error = generator.start("the quick", &sampling).await.err();
        assert!(matches!(error, Some(Error::Constraint { .. })), "{error:?}");
    });
}

#[test]
fn probabilities_and_penalties_are_given_on_request() {
    platform::block_on(async {
        let generator = tiny("llama_tied", TierChoice::Cpu).await;
        let plain = run(&generator, &Sampling::greedy(8)).await;
        assert!(plain.0.iter().all(|piece| piece.probability.is_none()));
        let asked = Sampling { top_probabilities: Some(4), ..Sampling::greedy(8) };
        let told = run(&generator, &asked).await;
        assert_eq!(told.1, plain.1, "asking changes nothing");
        for piece in &told.0 {
            let probability = piece.probability.as_ref().unwrap();
            assert_eq!(probability.top[0], (piece.token, probability.logprob), "greedy takes the likeliest");
            assert!(probability.logprob < 0.0 && probability.top.len() == 4);
            assert!(probability.top.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }
        let first = plain.0[0].token;
        let biased = Sampling { logit_bias: [(first, -100.0)].into(), ..Sampling::greedy(8) };
        assert!(run(&generator, &biased).await.0.iter().all(|piece| piece.token != first));
        let once = Sampling { presence_penalty: 100.0, ..Sampling::greedy(20) };
        let mut tokens: Vec<u32> = run(&generator, &once).await.0.iter().map(|piece| piece.token).collect();
        let n_tokens = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), n_tokens, "no token comes twice");
    });
}
