//! Many questions in one sitting: memory stays flat. Alone in its file, because other tests of the same
//! process would show in its memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use assistant::{AnswerEvent, AskOptions, Assistant};
use common::{document, tiny_options};
use platform::block_on;
use runtime::TierChoice;

/// Questions before memory is looked at: caches and pools fill up to their bounds.
const N_WARM: usize = 20;
/// What the process may grow by over all later questions: the bounded caches of allocators and of the
/// store. One leaked answer with its caches has 100 kB.
const MAX_GROWTH_BYTES: u64 = 12 << 20;

/// Asks questions about different passages and gives the most that models held after any of them.
fn ask_many(assistant: &mut Assistant, questions: std::ops::Range<usize>) -> u64 {
    let mut most = 0;
    for i in questions {
        let question = format!("Where is the cat number {}?", i % 60);
        let options = AskOptions { max_tokens: 4, ..AskOptions::default() };
        let answer = block_on(async {
            let mut asking = assistant.ask(&question, &options).await.unwrap();
            loop {
                if let AnswerEvent::Done(answer) = asking.next().await.unwrap().unwrap() {
                    return answer;
                }
            }
        });
        assert!(answer.problem.is_none() && !answer.quotes.is_empty(), "{question}: {answer:?}");
        most = most.max(assistant.state().unwrap().model_bytes);
    }
    most
}

fn soak(tier: TierChoice, n_questions: usize) {
    let folder = tempfile::tempdir().unwrap();
    let options = tiny_options(folder.path(), tier, true);
    let mut assistant = block_on(Assistant::open(options, &mut |_| {})).unwrap();
    block_on(assistant.add(&document("cat.txt", "cat", 60), &mut |_| {})).unwrap();
    let held = ask_many(&mut assistant, 0..N_WARM);
    let resident = resident_bytes();
    let most = ask_many(&mut assistant, N_WARM..n_questions);
    assert!(most <= held + held / 4, "{tier:?}: models held {held} bytes at first, {most} later");
    // The software driver compiles a kernel anew for other parameters and keeps all of that.
    let grown = if tier == TierChoice::Cpu { resident_bytes().saturating_sub(resident) } else { 0 };
    assert!(grown < MAX_GROWTH_BYTES, "{tier:?}: {grown} bytes more are resident");
}

#[test]
fn memory_is_flat_over_two_hundred_questions() {
    soak(TierChoice::Cpu, 200);
    soak(TierChoice::Gpu, 40);
}

/// Memory of this process that is in use, where the system tells; else 0.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.map_or(0, |n: u64| n << 10)
}
