//! A question compared with texts by runs of letters, for languages whose grammar is not known here.
//!
//! The forms of a word ("evlerimiz", "evlerde") have most of their letters in common, in any language, and runs of
//! letters need nobody to part words from one another (McNamee and Mayfield 2004, "Character N-Gram Tokenization for
//! European Language Text Retrieval"). Whole words, stems by the rules of another language and the first letters of
//! words all told answers worse: of ten languages, each judged by what was fitted on the nine others, runs of letters
//! confuse the fewest questions with and without an answer (`docs/SEARCH.md`).

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use vectordb::ChunkRow;

use crate::question::idf;

/// Letters of a run at most.
const MAX_RUN: usize = 4;

/// Four letters; what stands before a word is the first of its first run. A Chinese or Japanese character is one
/// alone.
type Run = [char; MAX_RUN];

/// Stands before a word.
const BEGINNING: char = '^';
/// Fills what is shorter.
const NOTHING: char = '\0';

/// The runs of a question, each once, weighed by how few of some texts have them.
pub(crate) struct Letters {
    places: HashMap<Run, usize>,
    weights: Vec<f32>,
}

impl Letters {
    /// The runs of `own`, which count whole, and those that only `carried` has, which count `carried_share`, weighed
    /// among passages.
    pub(crate) fn among(passages: &[&ChunkRow], own: &str, (carried, carried_share): (&str, f32)) -> Self {
        let mut letters = Self { places: HashMap::new(), weights: Vec::new() };
        for (text, share) in [(own, 1.0), (carried, carried_share)] {
            runs(text, &mut |run| {
                letters.places.entry(run).or_insert_with(|| {
                    letters.weights.push(share);
                    letters.weights.len() - 1
                });
            });
        }
        let mut n_with = vec![0; letters.weights.len()];
        for row in passages {
            let found = letters.found_in(texts_of(row));
            n_with.iter_mut().zip(found).filter(|(_, is_there)| *is_there).for_each(|(n, _)| *n += 1);
        }
        for (weight, n) in letters.weights.iter_mut().zip(n_with) {
            *weight *= idf(passages.len() as f32, n as f32);
        }
        letters
    }

    /// Share of the runs, by weight, that a text has: 0 to 1.
    pub(crate) fn coverage(&self, text: &str) -> f32 {
        self.share(&self.found_in([text]))
    }

    /// The same of a passage with its headings.
    pub(crate) fn coverage_of_row(&self, row: &ChunkRow) -> f32 {
        self.share(&self.found_in(texts_of(row)))
    }

    /// Whether some texts have each run.
    fn found_in<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Vec<bool> {
        let mut found = vec![false; self.weights.len()];
        for text in texts {
            runs(text, &mut |run| {
                if let Some(&place) = self.places.get(&run) {
                    found[place] = true;
                }
            });
        }
        found
    }

    fn share(&self, found: &[bool]) -> f32 {
        let total: f32 = self.weights.iter().sum();
        let of_found = self.weights.iter().zip(found).filter(|(_, is_there)| **is_there);
        if total > 0.0 { of_found.map(|(weight, _)| weight).sum::<f32>() / total } else { 0.0 }
    }
}

fn texts_of(row: &ChunkRow) -> impl Iterator<Item = &str> {
    row.heading_path.iter().chain([&row.text]).map(String::as_str)
}

/// Calls `emit` with each run of a text's words, in order, repeated ones too.
fn runs(text: &str, emit: &mut dyn FnMut(Run)) {
    let mut word = Word::NONE;
    for c in text.nfkc().flat_map(char::to_lowercase) {
        if is_ideograph(c) {
            word.end(emit);
            emit([c, NOTHING, NOTHING, NOTHING]);
        } else if is_hangul(c) {
            decompose_canonical(c, |letter| word.push(letter, emit));
        } else if c.is_alphanumeric() || is_combining_mark(c) {
            word.push(c, emit);
        } else {
            word.end(emit);
        }
    }
    word.end(emit);
}

/// The last letters of a word that is being read.
struct Word {
    /// [`NOTHING`] behind the first `n`.
    last: Run,
    n: usize,
    /// Letters of a run: three where words are not parted, so that nothing is known to begin.
    n_of_run: usize,
    has_runs: bool,
}

impl Word {
    const NONE: Self = Self { last: [NOTHING; MAX_RUN], n: 0, n_of_run: MAX_RUN, has_runs: false };

    fn push(&mut self, letter: char, emit: &mut dyn FnMut(Run)) {
        if self.n == 0 && is_unspaced(letter) {
            self.n_of_run = MAX_RUN - 1;
        } else if self.n == 0 {
            self.append(BEGINNING);
        }
        self.append(letter);
        if self.n == self.n_of_run {
            emit(self.last);
            self.has_runs = true;
        }
    }

    fn append(&mut self, letter: char) {
        if self.n == self.n_of_run {
            self.last.copy_within(1..self.n, 0);
            self.n -= 1;
        }
        self.last[self.n] = letter;
        self.n += 1;
    }

    fn end(&mut self, emit: &mut dyn FnMut(Run)) {
        if self.n > 0 && !self.has_runs {
            emit(self.last);
        }
        *self = Self::NONE;
    }
}

/// Chinese and Japanese characters.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Syllables, each of which has two or three letters.
fn is_hangul(c: char) -> bool {
    matches!(c, '\u{AC00}'..='\u{D7A3}')
}

/// Letters of Thai, Lao, Burmese and Khmer.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        runs(text, &mut |run| found.push(run.iter().filter(|&&c| c != NOTHING).collect::<String>()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn runs_of_many_scripts() {
        check("Evde, o!", &["^evd", "evde", "^o"]);
        check("e\u{301}te\u{301}s", &["^\u{e9}t\u{e9}", "\u{e9}t\u{e9}s"]);
        check("灯塔 ai", &["灯", "塔", "^ai"]);
        check("เรือ", &["เรื", "รือ"]);
        check("ไป", &["ไป"]);
        check(
            "집은",
            &["^지\u{11B8}", "집ᄋ", "\u{1175}\u{11B8}으", "\u{11B8}은"]
                .map(jamo)
                .each_ref()
                .map(String::as_str),
        );
        check("— …", &[]);
    }

    fn jamo(text: &str) -> String {
        text.nfd().collect()
    }

    #[test]
    fn what_few_passages_have_weighs_more() {
        let row = |text: &str| ChunkRow {
            id: vectordb::ChunkId(1),
            document: vectordb::DocumentId(1),
            start: 0,
            end: text.len() as u32,
            page: None,
            heading_path: Vec::new(),
            text: text.into(),
        };
        let passages = [row("evde"), row("evler"), row("kira evi")];
        let passages: Vec<&ChunkRow> = passages.iter().collect();
        let letters = Letters::among(&passages, "evi kira masa", ("evi suyu", 0.5));
        assert!(letters.coverage("kiraz") > letters.coverage("evin"));
        assert_eq!(letters.coverage("evi kira suyu masa"), 1.0);
        assert!(letters.coverage("suyu") < letters.coverage("masa"), "what is carried counts half");
        assert_eq!(letters.coverage_of_row(&row("evi kira suyu masa")), 1.0);
        assert_eq!(Letters::among(&[], "", ("", 0.5)).coverage("ev"), 0.0);
    }
}
