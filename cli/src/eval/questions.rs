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

    pub fn overlap(self, start: u32, end: u32) -> u32 {
        self.end.min(end).saturating_sub(self.start.max(start))
    }
}

#[derive(Deserialize)]
struct Line {
    question: String,
    #[serde(alias = "corpus")]
    doc: Option<String>,
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
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let parsed: Line = serde_json::from_str(line).map_err(|e| Error::Question {
            path: path.into(),
            line: i + 1,
            reason: e.to_string(),
        })?;
        let mut spans = parsed.references;
        if let (Some(start), Some(end)) = (parsed.start, parsed.end) {
            spans.push(Span { start, end });
        }
        let doc = parsed.doc.unwrap_or_default();
        let question = Question { question: parsed.question, doc, spans, answers: parsed.answers };
        questions.push((i + 1, question));
    }
    let n = questions.len();
    if let Some(limit) = limit.filter(|&limit| limit > 0 && limit < n) {
        let kept: Vec<_> = (0..limit).map(|i| questions[i * n / limit].clone()).collect();
        return Ok(kept);
    }
    Ok(questions)
}
