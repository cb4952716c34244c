//! Prefix reuse and cancelling: a text does not depend on what was asked before, or given up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use generator::{Finish, Generator, Sampling};
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice};

async fn runtime(tier: TierChoice) -> Runtime {
    Runtime::open(&Options { tier, ..Options::default() }).await.unwrap()
}

/// A tiny model with a context of 600 positions, which has seen nothing yet.
async fn roomy(rt: &Runtime) -> Generator {
    let source = format!("{}/../fixtures/tiny/llama_untied", env!("CARGO_MANIFEST_DIR"));
    let target = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&source).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), target.path().join(entry.file_name())).unwrap();
    }
    let path = target.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    let longer = config.replace("\"max_position_embeddings\": 64", "\"max_position_embeddings\": 600");
    assert_ne!(config, longer);
    std::fs::write(&path, longer).unwrap();
    let files = ModelFiles::from_folder("tiny", target.path().to_str().unwrap()).await.unwrap();
    Generator::load(rt, &files).await.unwrap()
}

/// Digits are a token each: `n` of them, which differ with `seed`.
fn digits(seed: u32, n: u32) -> String {
    (0..n).map(|i| char::from(b'0' + ((i * i + i * seed + seed) % 97 % 10) as u8)).collect()
}

/// Drawn, not greedy: a draw tells of the last bits of the logits.
fn warm() -> Sampling {
    Sampling { temperature: 1.0, seed: 3, max_tokens: 24, ..Sampling::default() }
}

/// Tokens, and how many of the prompt were reused.
async fn run(generator: &Generator, prompt: &str) -> (Vec<u32>, usize) {
    let mut session = generator.start(prompt, &warm()).await.unwrap();
    assert_eq!(session.n_prompt(), generator.count_tokens(prompt) as usize);
    let mut tokens = Vec::new();
    while let Some(piece) = session.next().await.unwrap() {
        tokens.push(piece.token);
    }
    (tokens, session.n_reused())
}

const TIERS: [(TierChoice, usize); 2] = [(TierChoice::Cpu, 64), (TierChoice::Gpu, 128)];

#[test]
fn a_prefix_is_reused_and_changes_nothing() {
    for (tier, piece) in TIERS {
        platform::block_on(async {
            let rt = runtime(tier).await;
            let generator = roomy(&rt).await;
            let (system, first, second) = (digits(1, 200), digits(2, 150), digits(3, 170));
            let both = format!("{system}{first}{second}");
            for (prompt, n_shared) in [
                (format!("{system}{first}"), 0),
                // The same again: all but the last pieces, one token at least.
                (format!("{system}{first}"), 350),
                (both.clone(), 350),
                // Another continuation shares the beginning only.
                (format!("{system}{second}"), 200),
                (both[..300].to_owned(), 300),
                (both, 520),
                (system[..piece].to_owned(), piece),
                (system[..=piece].to_owned(), piece + 1),
                (digits(5, 129), 0),
            ] {
                let (tokens, n_reused) = run(&generator, &prompt).await;
                let (expected, none) = run(&roomy(&rt).await, &prompt).await;
                assert_eq!(none, 0);
                assert_eq!(tokens, expected, "{tier:?}: {prompt}");
                let n_whole = n_shared.min(prompt.len() - 1) / piece * piece;
                assert!(n_reused <= n_whole && n_reused.is_multiple_of(piece), "{n_reused} of {prompt}");
                // What a later prompt took over may be gone, but never the newest one's beginning.
                assert!(n_whole == 0 || n_reused > 0, "nothing of {n_whole} reused: {prompt}");
            }
        });
    }
}

#[test]
fn two_conversations_do_not_push_each_other_out() {
    platform::block_on(async {
        let generator = roomy(&runtime(TierChoice::Cpu).await).await;
        let prompts = [2, 3].map(|topic| format!("{}{}", digits(1, 64), digits(topic, 250)));
        let alone = [run(&generator, &prompts[0]).await.0, run(&generator, &prompts[1]).await.0];
        for turn in 0..4 {
            let (tokens, n_reused) = run(&generator, &prompts[turn % 2]).await;
            assert_eq!((tokens, n_reused), (alone[turn % 2].clone(), 256), "turn {turn}");
        }
    });
}

#[test]
fn kept_states_are_bounded() {
    platform::block_on(async {
        let rt = runtime(TierChoice::Cpu).await;
        let generator = roomy(&rt).await;
        let read = async |prompt: &str| {
            drop(generator.start(prompt, &Sampling::greedy(200)).await.unwrap());
            rt.memory().kv_bytes
        };
        let one = read(&digits(9, 590)).await;
        assert!(one > 0);
        for topic in 0..12 {
            let n_bytes = read(&digits(topic % 5, 20 + 40 * topic)).await;
            assert!(n_bytes <= 3 * one, "{n_bytes} bytes; one state of all positions has {one}");
        }
        drop(generator);
        assert_eq!(rt.memory().kv_bytes, 0);
    });
}

/// Polls `n` times; the future is dropped then, if it is not at its end.
fn poll_and_drop<F: Future>(future: F, n: usize) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..n).any(|_| future.as_mut().poll(&mut context).is_ready())
}

#[test]
fn what_is_given_up_leaves_everything_usable() {
    platform::block_on(async {
        let rt = runtime(TierChoice::Cpu).await;
        let generator = roomy(&rt).await;
        let prompt = digits(1, 500);
        let (expected, _) = run(&roomy(&rt).await, &prompt).await;
        // In the middle of reading: the pieces that were read are kept.
        assert!(!poll_and_drop(generator.start(&prompt, &warm()), 3));
        let (tokens, n_reused) = run(&generator, &prompt).await;
        assert_eq!(tokens, expected);
        assert!(n_reused <= 3 * 64 && n_reused.is_multiple_of(64), "{n_reused}");
        // In the middle of reading something that overwrites a kept state.
        let other = format!("{}{}", &prompt[..256], digits(9, 244));
        assert!(!poll_and_drop(generator.start(&other, &warm()), 1));
        assert_eq!(run(&generator, &prompt).await.0, expected);
        // In the middle of the answer, between two tokens.
        let mut session = generator.start(&prompt, &warm()).await.unwrap();
        session.next().await.unwrap();
        session.next().await.unwrap();
        drop(session);
        assert_eq!(run(&generator, &prompt).await, (expected.clone(), 448));
        assert!(rt.memory().kv_bytes > 0);
    });
}

#[test]
fn a_full_context_is_no_obstacle_to_the_next_prompt() {
    platform::block_on(async {
        let rt = runtime(TierChoice::Cpu).await;
        let generator = roomy(&rt).await;
        let prompt = digits(4, 590);
        let full = Sampling { max_tokens: 1000, ..warm() };
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let mut session = generator.start(&prompt, &full).await.unwrap();
            let mut n_tokens = 0;
            while session.next().await.unwrap().is_some() {
                n_tokens += 1;
            }
            assert_eq!((n_tokens, session.finish()), (10, Some(Finish::ContextFull)));
            drop(session);
            tokens.push(run(&generator, &prompt[..500]).await.0);
        }
        assert_eq!(tokens[0], tokens[1]);
        assert_eq!(tokens[0], run(&roomy(&rt).await, &prompt[..500]).await.0);
    });
}

#[test]
fn a_text_goes_on_after_a_lost_device() {
    platform::block_on(async {
        let rt = runtime(TierChoice::Gpu).await;
        let generator = roomy(&rt).await;
        let prompt = digits(0, 300);
        let greedy = Sampling::greedy(60);
        let tokens = async |n_before_loss: usize| {
            let mut session = generator.start(&prompt, &greedy).await.unwrap();
            let mut tokens = Vec::new();
            while let Some(piece) = session.next().await.unwrap() {
                tokens.push(piece.token);
                if tokens.len() == n_before_loss {
                    rt.destroy_device();
                }
            }
            tokens
        };
        let expected = tokens(usize::MAX).await;
        // Far more than the device is ahead of what was asked for.
        assert_eq!(expected.len(), 60);
        assert_eq!(tokens(5).await, expected);
        assert_eq!(rt.generation(), 1);
        // While the next prompt is about to be read: the kept states are gone with the device.
        rt.destroy_device();
        assert_eq!(tokens(usize::MAX).await, expected);
        // Somebody else met the loss and mended it while this text was waiting for its next token.
        let mut session = generator.start(&prompt, &greedy).await.unwrap();
        let mut got = vec![session.next().await.unwrap().unwrap().token];
        rt.destroy_device();
        rt.recover().await.unwrap();
        while let Some(piece) = session.next().await.unwrap() {
            got.push(piece.token);
        }
        assert_eq!(got, expected);
        assert_eq!(rt.generation(), 3);
    });
}
