//! Sessions of a tiny model: ending, stopping, seeds, limits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use generator::{Error, Finish, Generator, Message, Sampling};
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice};

async fn tiny(folder: &str) -> Generator {
    let path = format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = ModelFiles::from_folder(folder, &path).await.unwrap();
    let rt = Runtime::open(&Options { tier: TierChoice::Cpu, ..Options::default() }).await.unwrap();
    Generator::load(&rt, &files).await.unwrap()
}

/// Tokens, text, and why it ended.
async fn run(generator: &Generator, prompt: &str, sampling: &Sampling) -> (Vec<u32>, String, Option<Finish>) {
    let mut session = generator.start(prompt, sampling).await.unwrap();
    let (mut tokens, mut text) = (Vec::new(), String::new());
    while let Some(piece) = session.next().await.unwrap() {
        tokens.push(piece.token);
        text += &piece.text;
    }
    assert_eq!(session.next().await.unwrap(), None, "an ended session stays ended");
    (tokens, text, session.finish())
}

fn warm(seed: u64) -> Sampling {
    Sampling { temperature: 1.0, seed, max_tokens: 24, ..Sampling::default() }
}

#[test]
fn a_seed_reproduces_a_text_and_another_one_does_not() {
    platform::block_on(async {
        let generator = tiny("llama_untied").await;
        let first = run(&generator, "the quick", &warm(7)).await;
        assert_eq!(run(&generator, "the quick", &warm(7)).await, first);
        assert_eq!(run(&tiny("llama_untied").await, "the quick", &warm(7)).await, first);
        assert_ne!(run(&generator, "the quick", &warm(8)).await.0, first.0);
    });
}

#[test]
fn a_text_ends_at_max_tokens_or_where_the_context_is_full() {
    platform::block_on(async {
        let generator = tiny("llama_untied").await;
        let (tokens, _, finish) = run(&generator, "the quick", &Sampling::greedy(3)).await;
        assert_eq!((tokens.len(), finish), (3, Some(Finish::MaxTokens)));
        let (tokens, text, finish) = run(&generator, "the quick", &Sampling::greedy(0)).await;
        assert_eq!((tokens.len(), text.as_str(), finish), (0, "", Some(Finish::MaxTokens)));
        // The random weights end no text by themselves within the 64 positions they have.
        assert_eq!(generator.n_ctx(), 64);
        let n_prompt = generator.count_tokens("the quick") as usize;
        let (tokens, _, finish) = run(&generator, "the quick", &Sampling::greedy(1000)).await;
        assert_eq!((tokens.len(), finish), (64 - n_prompt, Some(Finish::ContextFull)));
    });
}

#[test]
fn prompts_that_do_not_fit_are_refused() {
    platform::block_on(async {
        let generator = tiny("llama_untied").await;
        let long = generator.start(&"1".repeat(64), &Sampling::default()).await.err();
        assert!(matches!(long, Some(Error::PromptTooLong { n_tokens: 64, max_tokens: 63 })), "{long:?}");
        let empty = generator.start("", &Sampling::default()).await.err();
        assert!(matches!(empty, Some(Error::PromptEmpty)), "{empty:?}");
        let (tokens, _, finish) = run(&generator, &"2".repeat(63), &Sampling::default()).await;
        assert_eq!((tokens.len(), finish), (1, Some(Finish::ContextFull)));
    });
}

#[test]
fn a_stop_string_is_cut_off_wherever_tokens_end() {
    platform::block_on(async {
        let generator = tiny("llama_tied").await;
        let (_, whole, _) = run(&generator, "numbers 1 2 3\n", &Sampling::greedy(20)).await;
        let starts: Vec<usize> = whole.char_indices().map(|(at, _)| at).collect();
        assert!(starts.len() > 10);
        for pair in starts.windows(4) {
            let stop = &whole[pair[0]..pair[3]];
            let sampling = Sampling { stop: vec!["never".into(), stop.into()], ..Sampling::greedy(20) };
            let (_, text, finish) = run(&generator, "numbers 1 2 3\n", &sampling).await;
            assert_eq!(finish, Some(Finish::StopString), "{stop:?}");
            assert_eq!(text, whole[..whole.find(stop).unwrap()], "{stop:?}");
        }
    });
}

#[test]
fn an_abandoned_session_leaves_no_trace() {
    platform::block_on(async {
        let generator = tiny("llama_tied").await;
        let expect = run(&generator, "the quick brown fox", &Sampling::greedy(12)).await;
        let mut abandoned =
            generator.start("pack my box with five dozen", &Sampling::greedy(12)).await.unwrap();
        abandoned.next().await.unwrap();
        // Two at once, then one after the other.
        assert_eq!(run(&generator, "the quick brown fox", &Sampling::greedy(12)).await, expect);
        drop(abandoned);
        assert_eq!(run(&generator, "the quick brown fox", &Sampling::greedy(12)).await, expect);
    });
}

#[test]
fn chat_prompts_come_from_the_models_own_files() {
    platform::block_on(async {
        let messages = [Message::new("user", "hi")];
        for folder in ["llama_tied", "llama_gguf"] {
            let prompt = tiny(folder).await.chat_prompt(&messages).unwrap();
            assert_eq!(prompt, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "{folder}");
        }
    });
}

#[test]
fn damaged_files_are_errors() {
    platform::block_on(async {
        let rt = Runtime::open(&Options { tier: TierChoice::Cpu, ..Options::default() }).await.unwrap();
        for (folder, name, kept) in [
            ("llama_gguf", "model.gguf", 20_000),
            ("llama_gguf", "model.gguf", 100),
            ("llama_tied", "model.safetensors", 20_000),
            ("llama_tied", "config.json", 30),
            ("llama_tied", "tokenizer.json", 300),
        ] {
            let source = format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"));
            let target = tempfile::tempdir().unwrap();
            for entry in std::fs::read_dir(&source).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), target.path().join(entry.file_name())).unwrap();
            }
            let path = target.path().join(name);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..kept]).unwrap();
            let files = ModelFiles::from_folder("tiny", target.path().to_str().unwrap()).await.unwrap();
            assert!(Generator::load(&rt, &files).await.is_err(), "{name} cut to {kept} bytes loads");
        }
    });
}
