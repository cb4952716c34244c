//! Cutting texts into what the page shows: an answer with its footnote numbers, and a source with
//! its pages and one highlighted passage. Pure functions over code points.

use assistant::Answer;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Plain words.
    Text(String),
    /// A footnote number, `[3]` in the text.
    Ref(u32),
}

/// Splits `text` at its footnote marks. Marks of numbers beyond `n_quotes` stay text: they lead
/// nowhere. `[1, 3]` gives two marks. A mark that has only begun (`[1` at the end of a text that
/// is still being written) is held back.
pub fn answer_parts(text: &str, n_quotes: u32) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, mark) = rest.split_at(at);
        plain.push_str(before);
        let Some(end) = mark.find(']') else {
            let is_begun = mark[1..].chars().all(|c| c.is_ascii_digit() || c == ',' || c == ' ');
            plain.push_str(if is_begun { "" } else { mark });
            rest = "";
            break;
        };
        match numbers(&mark[1..end], n_quotes) {
            Some(numbers) => {
                let words = plain.trim_end_matches(' ');
                if !words.is_empty() {
                    parts.push(Part::Text(words.to_owned()));
                }
                plain.clear();
                parts.extend(numbers.into_iter().map(Part::Ref));
            }
            None => plain.push_str(&mark[..=end]),
        }
        rest = &mark[end + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}

/// An answer's text in pieces of the same support, in order and complete: the parts of each piece,
/// and whether it is a sentence that nothing supports.
pub fn answer_sentences(answer: &Answer) -> Vec<(Vec<Part>, bool)> {
    let chars = Positions::new(&answer.answer);
    let n_quotes = answer.quotes.len() as u32;
    let mut pieces = Vec::new();
    let mut push = |from, to, is_unsupported| {
        let parts = answer_parts(chars.slice(from, to), n_quotes);
        if !parts.is_empty() {
            pieces.push((parts, is_unsupported));
        }
    };
    let mut at = 0;
    for sentence in &answer.sentences {
        let (start, end) = (sentence.start.max(at), sentence.end.max(at));
        push(at, start, false);
        push(start, end, !sentence.supported && !answer.refused);
        at = end;
    }
    push(at, chars.n_chars.max(at), false);
    pieces
}

fn numbers(inside: &str, n_quotes: u32) -> Option<Vec<u32>> {
    inside.split(',').map(|word| word.trim().parse().ok().filter(|n| (1..=n_quotes).contains(n))).collect()
}

/// One page of a source, or the whole of it where it has no pages. The three texts follow each
/// other; `marked` is the highlighted part, often empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// 1-based page, `None` for sources without pages.
    pub page: Option<u32>,
    /// Text before the highlight, or all of it.
    pub before: String,
    /// The highlighted text.
    pub marked: String,
    /// Text after the highlight.
    pub after: String,
}

/// Cuts `text` into pages at `page_starts` and marks the span `start..end`. All positions count
/// code points; positions beyond the text are clamped.
pub fn sheets(text: &str, page_starts: &[u32], start: u32, end: u32) -> Vec<Sheet> {
    let chars = Positions::new(text);
    let mut edges: Vec<u32> = page_starts.to_vec();
    if edges.first() != Some(&0) {
        // Whatever stands before the first page belongs to it.
        edges.splice(..edges.len().min(1), [0]);
    }
    edges.push(chars.n_chars);
    let pages = edges.windows(2).enumerate().map(|(page_idx, edge)| {
        let (from, to) = (edge[0], edge[1].max(edge[0]));
        let (mark_from, mark_to) = (start.clamp(from, to), end.clamp(from, to));
        Sheet {
            page: (!page_starts.is_empty()).then_some(page_idx as u32 + 1),
            before: chars.slice(from, mark_from).to_owned(),
            marked: chars.slice(mark_from, mark_to.max(mark_from)).to_owned(),
            after: chars.slice(mark_to.max(mark_from), to).to_owned(),
        }
    });
    pages.collect()
}

/// Turns code point positions into byte positions in one pass over the text.
struct Positions<'a> {
    text: &'a str,
    /// Byte offset of every `STRIDE`th code point.
    marks: Vec<usize>,
    n_chars: u32,
}

const STRIDE: usize = 256;

impl<'a> Positions<'a> {
    fn new(text: &'a str) -> Self {
        let mut marks = Vec::new();
        let mut n_chars = 0;
        for (byte, _) in text.char_indices() {
            if n_chars % STRIDE == 0 {
                marks.push(byte);
            }
            n_chars += 1;
        }
        Self { text, marks, n_chars: n_chars as u32 }
    }

    fn byte(&self, at: u32) -> usize {
        let at = at.min(self.n_chars) as usize;
        let Some(&from) = self.marks.get(at / STRIDE) else { return self.text.len() };
        let mut steps = self.text[from..].char_indices();
        steps.nth(at % STRIDE).map_or(self.text.len(), |(byte, _)| from + byte)
    }

    fn slice(&self, from: u32, to: u32) -> &'a str {
        &self.text[self.byte(from)..self.byte(to)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use assistant::{AnswerSentence, Quote, Signals};

    use super::*;

    fn show(parts: &[Part]) -> String {
        let words = parts.iter().map(|part| match part {
            Part::Text(text) => format!("<{text}>"),
            Part::Ref(n) => n.to_string(),
        });
        words.collect()
    }

    #[test]
    fn answers_are_split_at_marks_that_lead_somewhere() {
        for (text, n_quotes, expected) in [
            ("", 3, ""),
            ("Plain.", 3, "<Plain.>"),
            ("One [1]. Two [2].", 3, "<One>1<. Two>2<.>"),
            ("Both [1, 3].", 3, "<Both>13<.>"),
            ("Both [1][2]", 3, "<Both>12"),
            ("None [4] and [x] and [].", 3, "<None [4] and [x] and [].>"),
            ("[2] first", 3, "2< first>"),
            ("begun [1", 3, "<begun >"),
            ("begun [", 3, "<begun >"),
            ("a list [like so", 3, "<a list [like so>"),
            ("zero [0] and [99999999999]", 3, "<zero [0] and [99999999999]>"),
            ("a [1]", 0, "<a [1]>"),
        ] {
            assert_eq!(show(&answer_parts(text, n_quotes)), expected, "{text}");
        }
    }

    #[test]
    fn unsupported_sentences_are_set_apart_and_nothing_is_lost() {
        let sentence = |start, end, supported| AnswerSentence { start, end, citations: vec![], supported };
        let quote = Quote {
            n: 1,
            text: "Tea.".into(),
            document_id: 1,
            document: "a.md".into(),
            page: None,
            start: 0,
            end: 4,
            score: 1.0,
        };
        let mut answer = Answer {
            answer: "Größe [1]. Invented. ".into(),
            quotes: vec![quote],
            understood: None,
            citations: vec![],
            sentences: vec![sentence(0, 10, true), sentence(11, 20, false)],
            refused: false,
            generated: true,
            problem: None,
            signals: Signals::default(),
            timings_ms: BTreeMap::new(),
        };
        let shown = |answer: &Answer| -> String {
            let pieces = answer_sentences(answer).into_iter();
            pieces
                .map(|(parts, is_unsupported)| {
                    format!("{}{}", if is_unsupported { "!" } else { "" }, show(&parts))
                })
                .collect()
        };
        assert_eq!(shown(&answer), "<Größe>1<.>< >!<Invented.>< >");
        answer.refused = true;
        assert!(!shown(&answer).contains('!'), "a refusal claims nothing");
        answer.sentences = vec![sentence(5, 900, true), sentence(3, 4, true)];
        assert_eq!(shown(&answer), "<Größe>1<. Invented. >");
    }

    #[test]
    fn a_source_without_pages_is_one_sheet() {
        let sheet = &sheets("Grüße, 世界!", &[], 7, 9)[0];
        assert_eq!((sheet.page, sheet.before.as_str()), (None, "Grüße, "));
        assert_eq!((sheet.marked.as_str(), sheet.after.as_str()), ("世界", "!"));
    }

    #[test]
    fn a_highlight_may_cross_pages() {
        let sheets = sheets("one two three", &[0, 4, 8], 2, 9);
        let marked: Vec<_> = sheets.iter().map(|s| (s.page, s.marked.as_str())).collect();
        assert_eq!(marked, [(Some(1), "e "), (Some(2), "two "), (Some(3), "t")]);
        assert_eq!((sheets[0].before.as_str(), sheets[2].after.as_str()), ("on", "hree"));
    }

    #[test]
    fn no_text_is_lost_or_doubled_whatever_the_positions() {
        let text: String = (0..1_000).map(|i| if i % 7 == 0 { 'é' } else { 'a' }).collect();
        for page_starts in [vec![], vec![0], vec![0, 300, 300, 999], vec![5, 2_000]] {
            for (start, end) in [(0, 0), (0, 1_000), (250, 260), (999, 5_000), (9, 3), (2_000, 3_000)] {
                let joined: String = sheets(&text, &page_starts, start, end)
                    .iter()
                    .map(|s| [s.before.as_str(), &s.marked, &s.after].concat())
                    .collect();
                assert_eq!(joined, text, "{page_starts:?} {start}..{end}");
            }
        }
    }
}
