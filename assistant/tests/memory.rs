//! The memory budget: the generator makes room, comes back, and nothing depends on it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use assistant::{Answer, AnswerEvent, AskOptions, Assistant, Options};
use common::{document, tiny_options};
use platform::block_on;
use runtime::TierChoice;

fn open(options: Options) -> Assistant {
    block_on(Assistant::open(options, &mut |_| {})).unwrap_or_else(|e| panic!("{e}"))
}

fn add(assistant: &mut Assistant, name: &str, subject: &str, n_paragraphs: usize) -> u64 {
    block_on(assistant.add(&document(name, subject, n_paragraphs), &mut |_| {})).unwrap().id
}

fn ask(assistant: &mut Assistant, question: &str) -> Answer {
    block_on(async {
        let options = AskOptions { max_tokens: 4, ..AskOptions::default() };
        let mut asking = assistant.ask(question, &options).await.unwrap();
        loop {
            if let AnswerEvent::Done(answer) = asking.next().await.unwrap().unwrap() {
                return answer;
            }
        }
    })
}

#[test]
fn the_generator_makes_room_for_documents_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = tiny_options(folder.path(), TierChoice::Cpu, true);
    let mut assistant = open(options);
    add(&mut assistant, "cat.txt", "cat", 4);
    let before = assistant.state().unwrap();
    assert!(before.generator.loaded && before.generator.forecast_bytes > 0, "{before:?}");
    assert!(ask(&mut assistant, "Where is the cat number 2?").problem.is_none());
    drop(assistant);

    // Just enough for both models and a few passages; what they do not use is left for the indexes.
    let mut options = tiny_options(folder.path(), TierChoice::Cpu, true);
    options.memory_budget =
        Some(before.embedder.forecast_bytes + before.generator.forecast_bytes + (256 << 10));
    let mut assistant = open(options);
    assert!(assistant.state().unwrap().generator.loaded, "{:?}", assistant.state());
    let mut ids = Vec::new();
    while assistant.state().unwrap().generator.loaded {
        let name = format!("{}.txt", ids.len());
        ids.push(add(&mut assistant, &name, &format!("dog{}", ids.len()), 1500));
        assert!(ids.len() < 40, "the indexes grow: {:?}", assistant.state());
    }
    let state = assistant.state().unwrap();
    assert!(state.generator.problem.as_ref().unwrap().contains("made room"), "{state:?}");
    assert!(state.model_bytes + state.index_bytes <= state.memory_budget.unwrap(), "{state:?}");
    let answer = ask(&mut assistant, "Where is the dog0 number 7?");
    assert!(!answer.quotes.is_empty() && answer.problem.is_some() && !answer.generated, "{answer:?}");

    for id in ids {
        assistant.remove(id).unwrap();
    }
    add(&mut assistant, "cat.txt", "cat", 4);
    let answer = ask(&mut assistant, "Where is the cat number 2?");
    assert!(answer.problem.is_none(), "{:?} {:?}", answer.problem, assistant.state());
    assert!(assistant.state().unwrap().generator.loaded);
}

#[test]
fn a_generator_without_room_leaves_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let mut assistant = open(tiny_options(folder.path(), TierChoice::Cpu, false));
    let held = assistant.state().unwrap();
    add(&mut assistant, "cat.txt", "cat", 4);
    drop(assistant);

    let mut options = tiny_options(folder.path(), TierChoice::Cpu, true);
    options.memory_budget = Some(held.embedder.forecast_bytes + 200_000);
    let mut assistant = open(options);
    add(&mut assistant, "cat.txt", "cat", 4);
    let state = assistant.state().unwrap();
    let problem = state.generator.problem.unwrap();
    assert!(!state.generator.loaded && problem.contains("answers are made of quotes"), "{problem}");
    assert!(problem.contains("MB are free"), "{problem}");
    let answer = ask(&mut assistant, "Where is the cat number 2?");
    assert!(!answer.quotes.is_empty() && answer.problem == Some(problem), "{answer:?}");
}

#[test]
fn an_embedder_without_room_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for tier in [TierChoice::Cpu, TierChoice::Gpu] {
        let options = Options { memory_budget: Some(300_000), ..tiny_options(folder.path(), tier, false) };
        let error = block_on(Assistant::open(options, &mut |_| {})).err().unwrap();
        assert!(error.is_out_of_memory(), "{error}");
        assert!(error.to_string().contains("choose a smaller model"), "{error}");
    }
}
