//! Whether what an answer says stands in what it cites.

use std::collections::HashSet;

use embedder::Embedder;

use crate::question::dot;
use crate::{AnswerSentence, Citation, Quote, Result, words};

/// Share of a sentence's terms that two neighbouring sentences of a passage must have to support it
/// on words alone. A whole passage has most words of any invention about its subject.
const MIN_OVERLAP: f32 = 0.75;
/// The same where the sentence also means what a quote means.
const MIN_OVERLAP_WITH_COSINE: f32 = 0.5;
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
}

/// Checks each sentence. A mark that points at nothing is dropped; one whose quote does not support
/// the sentence is moved to a quote that does; a sentence without a mark gets the one that supports
/// it best. What nothing supports stays, and says so.
pub(crate) async fn check(answer: &str, evidence: &[Evidence<'_>], embedder: &Embedder) -> Result<Checked> {
    let facts: Vec<Facts> = evidence.iter().map(|e| Facts::of(e.passage)).collect();
    let mut vectors: Option<Vec<Vec<f32>>> = None;
    let mut checked = Checked { answer: String::new(), sentences: Vec::new(), citations: Vec::new() };
    for piece in split(answer) {
        let claim = Claim::of(&piece.body);
        let mut supports: Vec<f32> = facts.iter().map(|f| claim.overlap(f)).collect();
        if needs_meaning(&supports) {
            if vectors.is_none() {
                let texts: Vec<&str> = evidence.iter().map(|e| e.quote.text.as_str()).collect();
                vectors = Some(embedder.embed_passages(&texts).await?);
            }
            let own = embedder.embed_passages(&[&piece.body]).await?;
            let quotes = vectors.iter().flatten();
            for (support, quote) in supports.iter_mut().zip(quotes) {
                let is_near = *support >= MIN_OVERLAP_WITH_COSINE && dot(&own[0], quote) >= MIN_COSINE;
                *support = if is_near { support.max(MIN_OVERLAP) } else { *support };
            }
        }
        checked.push(&piece, &supports, evidence);
    }
    Ok(checked)
}

fn needs_meaning(supports: &[f32]) -> bool {
    let best = supports.iter().copied().fold(0.0, f32::max);
    (MIN_OVERLAP_WITH_COSINE..MIN_OVERLAP).contains(&best)
}

impl Checked {
    fn push(&mut self, piece: &Piece, supports: &[f32], evidence: &[Evidence<'_>]) {
        let is_supported = |n: u32| supports[n as usize - 1] >= MIN_OVERLAP;
        let mut marks: Vec<u32> = Vec::new();
        let best = (1..=supports.len() as u32)
            .max_by(|&a, &b| supports[a as usize - 1].total_cmp(&supports[b as usize - 1]).then(b.cmp(&a)))
            .filter(|&n| is_supported(n));
        for &n in piece.marks.iter().filter(|&&n| n >= 1 && n as usize <= supports.len()) {
            let n = if is_supported(n) { n } else { best.unwrap_or(n) };
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
                supported: is_supported(n),
            });
        }
        let supported = marks.iter().any(|&n| is_supported(n));
        self.sentences.push(AnswerSentence { start, end, citations: marks, supported });
    }
}

/// What a passage states, as far as words tell.
struct Facts {
    terms: HashSet<String>,
    /// Terms and numbers of each two neighbouring sentences.
    windows: Vec<(HashSet<String>, HashSet<String>)>,
}

impl Facts {
    fn of(text: &str) -> Self {
        let spans = ingest::sentences(text);
        let window = |i: usize| {
            let end = spans[spans.len().min(i + 2) - 1].end;
            let text = ingest::slice(text, ingest::Span::new(spans[i].start, end));
            (words::term_set(text), words::numbers(text))
        };
        Self { terms: words::term_set(text), windows: (0..spans.len()).map(window).collect() }
    }
}

/// What a sentence claims, as far as words tell.
struct Claim {
    terms: HashSet<String>,
    names: HashSet<String>,
    numbers: HashSet<String>,
}

impl Claim {
    fn of(sentence: &str) -> Self {
        let names = words::names(sentence);
        Self { terms: words::term_set(sentence), names, numbers: words::numbers(sentence) }
    }

    /// Share of the sentence's terms that stand together in the passage; 0 as soon as one of its
    /// names or numbers does not, for those are what inventions are made of.
    fn overlap(&self, facts: &Facts) -> f32 {
        if self.terms.is_empty() || !self.names.is_subset(&facts.terms) {
            return 0.0;
        }
        let windows = facts.windows.iter().filter(|(_, numbers)| self.numbers.is_subset(numbers));
        let shared = windows.map(|(terms, _)| self.terms.intersection(terms).count());
        shared.max().unwrap_or(0) as f32 / self.terms.len() as f32
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

    fn overlap(sentence: &str, passage: &str) -> f32 {
        Claim::of(sentence).overlap(&Facts::of(passage))
    }

    #[test]
    fn inventions_are_not_supported() {
        let passage = "CozoDB is a database that uses Datalog as its query language since 2022.";
        assert!(overlap("CozoDB uses Datalog as query language", passage) >= MIN_OVERLAP);
        assert_eq!(overlap("CozoDB uses the SQL query language", passage), 0.0);
        assert_eq!(overlap("It uses Datalog since 2021", passage), 0.0);
        assert_eq!(overlap("Yes.", ""), 0.0);
        let far = "Ann won two medals. It rained all day long. Nobody came. Bob lost a boot.";
        assert_eq!(overlap("Ann won two medals.", far), 1.0);
        assert!(overlap("Ann lost two boots.", far) < MIN_OVERLAP, "words of sentences that stand apart");
    }

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
