//! Questions with gold spans, one JSON object per line.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{AtPath, Error, Result};

/// A question, and where its answer stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub question: String,
    /// The document's path below the folder of documents; empty for an unanswerable question.
    pub doc: String,
    /// It names a corpus of several, of which each is reported.
    pub is_of_corpus: bool,
    /// Each of them answers the question or a part of it. Code points of the file's text.
    pub spans: Vec<Span>,
    /// Accepted short answers; may be empty.
    pub answers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// The span in a text without its first code point.
    pub fn shifted_down(self) -> Self {
        Self { start: self.start.saturating_sub(1), end: self.end.saturating_sub(1) }
    }

    pub fn overlap(self, start: u32, end: u32) -> u32 {
        self.end.min(end).saturating_sub(self.start.max(start))
    }
}

#[derive(Deserialize)]
struct Line {
    question: String,
    doc: Option<String>,
    corpus: Option<String>,
    start: Option<u32>,
    end: Option<u32>,
    #[serde(default)]
    references: Vec<Span>,
    #[serde(default)]
    answers: Vec<String>,
}

/// Reads a file of questions that have answers.
///
/// # Errors
/// Names the line that is no question, or has no document or span.
pub fn answerable(path: &Path, limit: Option<usize>) -> Result<Vec<Question>> {
    let questions = read(path, limit)?;
    let bad = |q: &Question| q.doc.is_empty() || q.spans.is_empty() || q.spans.iter().any(|s| s.len() == 0);
    match questions.iter().find(|(_, q)| bad(q)) {
        None => Ok(questions.into_iter().map(|(_, q)| q).collect()),
        Some((line, _)) => Err(Error::Question {
            path: path.into(),
            line: *line,
            reason: "it needs `doc` or `corpus`, and `start` and `end` or `references`".into(),
        }),
    }
}

/// Reads a file of questions without answers.
///
/// # Errors
/// Names the line that is no question.
pub fn unanswerable(path: &Path, limit: Option<usize>) -> Result<Vec<Question>> {
    Ok(read(path, limit)?.into_iter().map(|(_, q)| q).collect())
}

/// (line number, question), `limit` of them spread over the file.
fn read(path: &Path, limit: Option<usize>) -> Result<Vec<(usize, Question)>> {
    let text = fs::read_to_string(path).at(path)?;
    let mut questions = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let mut parsed: Line = serde_json::from_str(line).map_err(|e| Error::Question {
            path: path.into(),
            line: i + 1,
            reason: e.to_string(),
        })?;
        let mut spans = std::mem::take(&mut parsed.references);
        if let (Some(start), Some(end)) = (parsed.start, parsed.end) {
            spans.push(Span { start, end });
        }
        let is_of_corpus = parsed.doc.is_none() && parsed.corpus.is_some();
        let Line { question, doc, corpus, answers, .. } = parsed;
        let doc = doc.or(corpus).unwrap_or_default();
        let question = Question { question, doc, is_of_corpus, spans, answers };
        questions.push((i + 1, question));
    }
    let n = questions.len();
    if let Some(limit) = limit.filter(|&limit| limit > 0 && limit < n) {
        let kept: Vec<_> = (0..limit).map(|i| questions[i * n / limit].clone()).collect();
        return Ok(kept);
    }
    Ok(questions)
}

/// The one document of `names` that is meant by `doc`: the same path, else a path that ends so, else
/// the same file name without its extension.
pub fn document_named<'a>(doc: &str, names: &'a [String]) -> Option<&'a str> {
    let stem = |path: &str| Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let file_name = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let only = |means: &dyn Fn(&str) -> bool| {
        let mut fitting = names.iter().filter(|name| means(name));
        fitting.next().filter(|_| fitting.next().is_none()).map(String::as_str)
    };
    only(&|name| name == doc)
        .or_else(|| only(&|name| name.ends_with(&format!("/{doc}"))))
        .or_else(|| only(&|name| file_name(name) == file_name(doc)))
        .or_else(|| only(&|name| stem(name) == file_name(doc)))
        .or_else(|| only(&|name| stem(name) == stem(doc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_name_documents_by_path_name_or_stem() {
        let names = ["a/x.md", "b/x.md", "b/y.txt", "z.md"].map(str::to_owned);
        for (doc, expect) in [
            ("a/x.md", Some("a/x.md")),
            ("x.md", None),
            ("y.txt", Some("b/y.txt")),
            ("y", Some("b/y.txt")),
            ("docs/z.md", Some("z.md")),
            ("z.html", Some("z.md")),
            ("w", None),
            ("", None),
        ] {
            assert_eq!(document_named(doc, &names), expect, "{doc}");
        }
    }

    #[test]
    fn a_line_may_name_corpus_and_doc_and_the_file_may_start_with_a_bom() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.jsonl");
        let line = r#"{"question": "q", "doc": "d", "corpus": "c", "start": 1, "end": 2}"#;
        fs::write(&path, format!("\u{feff}{line}\n")).unwrap();
        let questions = answerable(&path, None).unwrap();
        assert_eq!((questions[0].doc.as_str(), questions[0].spans[0].start), ("d", 1));
    }
}
