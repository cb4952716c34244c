//! Whether what an answer says stands in what it cites.

use std::collections::HashSet;

use embedder::Embedder;

use crate::evidence::{Claim, Facts, Support};
use crate::question::dot;
use crate::{AnswerSentence, Citation, Quote, Result};

/// Cosine from which a sentence and its source mean the same, where the words leave it open.
const MIN_COSINE: f32 = 0.8;

/// An answer's text with its marks put right, sentence by sentence.
pub(crate) struct Checked {
    pub answer: String,
    pub sentences: Vec<AnswerSentence>,
    pub citations: Vec<Citation>,
}

/// A quote, and all that may support a sentence that cites it: the passage around it.
pub(crate) struct Evidence<'a> {
    pub quote: &'a Quote,
    pub passage: &'a str,
    /// What stands above the passage.
    pub context: String,
}

/// Checks each sentence of an answer to a question whose terms are `asked`. A mark whose passage does
/// not support the sentence is moved to one that does, or taken away; a sentence without a mark gets
/// the one that supports it best. What nothing supports stays, without a mark, and says so.
pub(crate) async fn check(
    answer: &str,
    asked: &HashSet<String>,
    evidence: &[Evidence<'_>],
    embedder: &Embedder,
) -> Result<Checked> {
    let facts: Vec<Facts> = evidence.iter().map(|e| Facts::of(e.passage, &e.context)).collect();
    let mut checked = Checked { answer: String::new(), sentences: Vec::new(), citations: Vec::new() };
    for piece in split(answer) {
        let claim = Claim::of(&piece.body);
        let found: Vec<(Support, usize)> = facts.iter().map(|f| f.support(&claim, asked)).collect();
        let mut is_supported: Vec<bool> = found.iter().map(|(s, _)| *s == Support::Said).collect();
        if !is_supported.contains(&true) && found.iter().any(|(s, _)| *s == Support::IfMeant) {
            for (i, (_, sentence)) in found.iter().enumerate().filter(|(_, (s, _))| *s == Support::IfMeant) {
                let spans = ingest::sentences(evidence[i].passage);
                let source = ingest::slice(evidence[i].passage, spans[*sentence]);
                let vectors = embedder.embed_passages(&[&piece.body, source]).await?;
                is_supported[i] = dot(&vectors[0], &vectors[1]) >= MIN_COSINE;
            }
        }
        checked.push(&piece, &is_supported, evidence);
    }
    Ok(checked)
}

impl Checked {
    fn push(&mut self, piece: &Piece, is_supported: &[bool], evidence: &[Evidence<'_>]) {
        let holds = |n: u32| is_supported.get((n as usize).wrapping_sub(1)) == Some(&true);
        let best = (1..=is_supported.len() as u32).find(|&n| holds(n));
        let mut marks: Vec<u32> = Vec::new();
        for n in piece.marks.iter().filter_map(|&n| if holds(n) { Some(n) } else { best }) {
            if !marks.contains(&n) {
                marks.push(n);
            }
        }
        if marks.is_empty() {
            marks.extend(best);
        }
        self.answer.push_str(&piece.lead);
        let start = self.answer.chars().count() as u32;
        self.answer.push_str(&marked(&piece.body, &marks));
        let end = self.answer.chars().count() as u32;
        let sentence = self.sentences.len() as u32;
        for &n in &marks {
            let quote = evidence[n as usize - 1].quote;
            self.citations.push(Citation {
                n,
                document_id: quote.document_id,
                document: quote.document.clone(),
                page: quote.page,
                start: quote.start,
                end: quote.end,
                text: quote.text.clone(),
                sentence,
                supported: true,
            });
        }
        let supported = !marks.is_empty();
        self.sentences.push(AnswerSentence { start, end, citations: marks, supported });
    }
}

/// A sentence of an answer, its marks taken out.
struct Piece {
    /// Blanks before it.
    lead: String,
    body: String,
    marks: Vec<u32>,
}

/// Cuts an answer into sentences. Marks that stand after a full stop belong to the sentence before.
fn split(answer: &str) -> Vec<Piece> {
    let (text, marks) = take_marks(answer);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut end = 0;
    for span in ingest::sentences(&text) {
        let lead = ingest::slice(&text, ingest::Span::new(end, span.start)).to_owned();
        end = span.end;
        pieces.push(Piece { lead, body: ingest::slice(&text, span).to_owned(), marks: Vec::new() });
    }
    // A mark counts for the last sentence that begins before it.
    let starts: Vec<u32> = ingest::sentences(&text).iter().map(|s| s.start).collect();
    for (at, n) in marks {
        let idx = starts.partition_point(|&start| start < at).saturating_sub(1);
        if let Some(piece) = pieces.get_mut(idx) {
            piece.marks.push(n);
        }
    }
    pieces
}

/// The text without marks like `[2]` or `[1, 3]`, and each mark with the code point where it stood.
pub(crate) fn take_marks(answer: &str) -> (String, Vec<(u32, u32)>) {
    let (mut text, mut marks) = (String::new(), Vec::new());
    let mut rest = answer;
    while let Some(open) = rest.find('[') {
        let inside = &rest[open + 1..];
        let close = inside.find(']').filter(|&at| is_mark(&inside[..at]));
        let Some(close) = close else {
            text.push_str(&rest[..=open]);
            rest = inside;
            continue;
        };
        text.push_str(rest[..open].trim_end_matches(' '));
        let at = text.chars().count() as u32;
        let numbers = inside[..close].split(',').filter_map(|n| n.trim().parse().ok());
        marks.extend(numbers.map(|n| (at, n)));
        rest = &inside[close + 1..];
    }
    text.push_str(rest);
    (text, marks)
}

fn is_mark(inside: &str) -> bool {
    let is_number = |n: &str| !n.is_empty() && n.len() <= 3 && n.bytes().all(|b| b.is_ascii_digit());
    inside.split(',').all(|n| is_number(n.trim()))
}

/// The sentence with its marks before the final punctuation.
fn marked(body: &str, marks: &[u32]) -> String {
    if marks.is_empty() {
        return body.to_owned();
    }
    let stem = body.trim_end_matches(['.', '!', '?', '。', '！', '？', ':', ';']);
    let marks: String = marks.iter().map(|n| format!(" [{n}]")).collect();
    format!("{stem}{marks}{}", &body[stem.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_belong_to_the_sentence_they_end() {
        for answer in ["Tea is hot [1]. Ice is cold [2].", "Tea is hot. [1] Ice is cold. [2]"] {
            let pieces = split(answer);
            let got: Vec<_> = pieces.iter().map(|p| (p.body.as_str(), p.marks.clone())).collect();
            assert_eq!(got, [("Tea is hot.", vec![1]), ("Ice is cold.", vec![2])], "{answer}");
        }
        let (text, marks) = take_marks("a[i] is [1, 3] and [x]");
        assert_eq!((text.as_str(), marks), ("a[i] is and [x]", vec![(7, 1), (7, 3)]));
    }

    #[test]
    fn marks_stand_before_the_stop() {
        assert_eq!(marked("Tea is hot.", &[1, 3]), "Tea is hot [1] [3].");
        assert_eq!(marked("Tea", &[]), "Tea");
    }
}
