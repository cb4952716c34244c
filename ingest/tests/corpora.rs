//! Documents of many producers, where the evaluation data lies beside the project.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{count_tokens, eval_dir, files_below, ingest_within};
use ingest::{ChunkPolicy, Refusal, chunk};
use std::collections::BTreeMap;
use std::time::Duration;

/// No file may take longer, on a machine of 2 cores that does other things besides.
const MAX: Duration = Duration::from_secs(10);

#[test]
fn pdfs_of_many_producers() {
    let Some(dir) = eval_dir("pdfs") else { return };
    let files = files_below(&dir, &["pdf"]);
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut n_warnings = 0;
    let mut n_chars = 0;
    let mut slowest = (Duration::ZERO, String::new());
    for path in &files {
        let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
        let bytes = std::fs::read(path).expect("the file is readable");
        let (outcome, elapsed) = ingest_within(MAX, &name, bytes, None);
        slowest = slowest.max((elapsed, name.clone()));
        let what = match &outcome {
            Ok((doc, warnings)) => {
                n_warnings += warnings.len();
                n_chars += doc.text.chars().count();
                "read"
            }
            Err(Refusal::NoText { .. }) => "no text",
            Err(Refusal::PasswordNeeded { .. }) => "password needed",
            Err(refusal) => {
                eprintln!("{refusal}");
                "unreadable"
            }
        };
        *outcomes.entry(what).or_default() += 1;
    }
    eprintln!(
        "{} PDFs: {outcomes:?}, {n_chars} characters, {n_warnings} warnings, slowest {slowest:?}",
        files.len()
    );
    assert!(outcomes["read"] * 100 >= files.len() * 55, "{outcomes:?}");
    assert!(outcomes.get("unreadable").is_none_or(|n| n * 100 <= files.len() * 5), "{outcomes:?}");
}

#[test]
fn texts_become_chunks_of_the_right_size() {
    for (set, extensions) in [
        ("xquad-en/docs", &["md"][..]),
        ("xquad-multi", &["txt"]),
        ("chunking", &["md", "txt"]),
        ("rust-book", &["md"]),
    ] {
        let Some(dir) = eval_dir(set) else { continue };
        let mut sizes: Vec<u32> = Vec::new();
        let files = files_below(&dir, extensions);
        for path in &files {
            let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
            let bytes = std::fs::read(path).expect("the file is readable");
            let (outcome, _) = ingest_within(MAX, &name, bytes.clone(), None);
            let (doc, _) = outcome.unwrap_or_else(|refusal| panic!("{refusal}"));
            // Not assert_eq, which would print whole books.
            let given = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            assert!(doc.text.as_bytes() == given, "{name} is verbatim");
            let policy = ChunkPolicy::default();
            sizes.extend(chunk(&doc, &policy, &count_tokens).iter().map(|c| count_tokens(&c.text)));
        }
        sizes.sort_unstable();
        let at = |percent: usize| sizes[(sizes.len() - 1) * percent / 100];
        eprintln!(
            "{set}: {} files, {} chunks, tokens p5 {} p25 {} median {} p75 {} p95 {} max {}",
            files.len(),
            sizes.len(),
            at(5),
            at(25),
            at(50),
            at(75),
            at(95),
            at(100)
        );
        assert!(at(100) <= ChunkPolicy::default().max_tokens);
    }
}
