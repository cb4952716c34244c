//! What the integration tests share: fixtures, a watchdog and the properties of every document.
#![allow(dead_code, reason = "each test binary uses a part")]

use ingest::{
    BlockKind, Chunk, ChunkPolicy, Document, Hint, Limits, Refusal, Span, Warning, chunk, ingest, ingest_all,
    sentences, slice,
};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Where the project's documents for tests lie.
pub fn docs_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/docs")
}

/// Where documents made by other programs lie.
pub fn documents_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/documents")
}

/// The documents made by other programs with their names, in the order of these.
pub fn documents() -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(documents_dir())
        .expect("the folder is in the project")
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.is_file() && !path.ends_with("README.md"))
        .map(|path| {
            let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("the fixture is readable"))
        })
        .collect();
    found.sort();
    found
}

/// A folder of evaluation data beside the project, if it is there.
pub fn eval_dir(name: &str) -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval").join(name);
    if !dir.is_dir() {
        eprintln!("skipped: no {} beside the project", dir.display());
        return None;
    }
    Some(dir)
}

pub fn read_doc(name: &str) -> Vec<u8> {
    std::fs::read(docs_dir().join(name)).expect("the fixture is in the project")
}

/// All files below a folder whose name ends in one of `extensions`, sorted.
pub fn files_below(dir: &std::path::Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            if path.is_dir() {
                dirs.push(path);
            } else if extensions.contains(&extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub type Outcome = Result<(Document, Vec<Warning>), Refusal>;

/// Reads bytes on a thread of its own and fails the test when that takes longer than `max`.
pub fn ingest_within(
    max: Duration,
    name: &str,
    bytes: Vec<u8>,
    password: Option<&'static str>,
) -> (Outcome, Duration) {
    let (sender, receiver) = mpsc::channel();
    let thread_name = name.to_owned();
    std::thread::Builder::new()
        // As much as the main thread of a program has.
        .stack_size(8 << 20)
        .spawn(move || {
            let start = Instant::now();
            let hint = Hint { name: &thread_name, mime: None, password };
            let outcome = ingest(&bytes, &hint, &Limits::default());
            if [".zip", ".eml"].iter().any(|end| thread_name.ends_with(end)) {
                for entry in ingest_all(&bytes, &hint, &Limits::default()) {
                    entry.outcome.iter().for_each(|(doc, _)| assert_sound(doc));
                }
            }
            let elapsed = start.elapsed();
            if let Ok((doc, _)) = &outcome {
                assert_sound(doc);
            }
            let _ = sender.send((outcome, elapsed));
        })
        .expect("threads can be started");
    receiver.recv_timeout(max).unwrap_or_else(|e| panic!("{name}: no answer within {max:?} ({e})"))
}

/// A count that is near that of the embedder's tokenizer, and quick.
pub fn count_tokens(text: &str) -> u32 {
    let n_words = text.split_whitespace().count();
    let n_wide = text.chars().filter(|c| !c.is_ascii() && c.is_alphanumeric()).count();
    ((n_words * 13).div_ceil(10) + n_wide / 2) as u32
}

/// Blocks, pages, sentences and chunks of a document hold what they promise.
pub fn assert_sound(doc: &Document) {
    let n_chars = doc.text.chars().count() as u32;
    let mut at = 0;
    let mut chars = doc.text.chars();
    for block in &doc.blocks {
        assert!(block.span.start >= at && !block.span.is_empty() && block.span.end <= n_chars, "{block:?}");
        let between: String = chars.by_ref().take((block.span.start - at) as usize).collect();
        assert_eq!(between.trim(), "", "text between blocks");
        let text: String = chars.by_ref().take(block.span.len() as usize).collect();
        assert_eq!(text, text.trim(), "blocks are trimmed");
        assert_eq!(block.page, doc.page_at(block.span.start));
        at = block.span.end;
    }
    assert_eq!(chars.as_str().trim(), "", "text after the last block");
    assert!(doc.page_starts.is_sorted() && doc.page_starts.last().is_none_or(|&p| p <= n_chars));
    for policy in [ChunkPolicy::default(), ChunkPolicy { target_tokens: 30, max_tokens: 40, min_tokens: 10 }]
    {
        let chunks = chunk(doc, &policy, &count_tokens);
        assert_chunks(doc, &chunks, policy.max_tokens);
    }
    assert_eq!(
        without_blanks(&doc.text, &sentences(&doc.text)),
        without_blanks(&doc.text, &[Span::new(0, n_chars)])
    );
}

/// The text with blanks for running titles and page numbers, which are in no chunk.
fn without_furniture(doc: &Document) -> String {
    let mut chars: Vec<char> = doc.text.chars().collect();
    for block in doc.blocks.iter().filter(|block| block.kind == BlockKind::PageFurniture) {
        chars[block.span.start as usize..block.span.end as usize].fill(' ');
    }
    chars.into_iter().collect()
}

/// In order, disjoint, slices of their spans, complete, within the limit.
pub fn assert_chunks(doc: &Document, chunks: &[Chunk], max_tokens: u32) {
    let mut at = 0;
    let text = without_furniture(doc);
    let mut chars = text.chars();
    for chunk in chunks {
        assert!(chunk.span.start >= at && !chunk.span.is_empty(), "{:?}", chunk.span);
        let between: String = chars.by_ref().take((chunk.span.start - at) as usize).collect();
        assert_eq!(between.trim(), "", "text between chunks");
        let text: String = chars.by_ref().take(chunk.span.len() as usize).collect();
        assert_eq!(text, chunk.text);
        assert!(
            count_tokens(&text) <= max_tokens || text.chars().count() == 1,
            "{} tokens",
            count_tokens(&text)
        );
        assert_eq!(chunk.page, doc.page_at(chunk.span.start));
        at = chunk.span.end;
    }
    assert_eq!(chars.as_str().trim(), "", "text after the last chunk");
    if let Some(last) = chunks.last() {
        assert_eq!(slice(&doc.text, last.span), last.text);
    }
}

/// What the spans hold, blanks left out.
fn without_blanks(text: &str, spans: &[Span]) -> String {
    let mut chars = text.chars();
    let mut at = 0;
    let mut all = String::with_capacity(text.len());
    for span in spans {
        assert!(span.start >= at, "{span:?}");
        chars.by_ref().take((span.start - at) as usize).for_each(drop);
        all.extend(chars.by_ref().take(span.len() as usize).filter(|c| !c.is_whitespace()));
        at = span.end;
    }
    all
}
