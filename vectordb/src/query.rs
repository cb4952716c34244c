//! What a question asks of the words: its terms, and the phrases that it puts in quotation marks.

use crate::analysis::Analyzer;

/// A question as the text index takes it. Any text is one; quotation marks that have no partner mean
/// nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// All words in order, those of phrases too.
    pub(crate) words: Vec<Word>,
    /// The terms of each quoted phrase of two terms or more. A passage must hold them, one after the other.
    pub(crate) phrases: Vec<Vec<String>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) term: String,
    /// The word before stemming where it may be misspelled or only begun, else empty.
    pub(crate) written: String,
}

impl Query {
    pub(crate) fn parse(text: &str, analyzer: &Analyzer) -> Self {
        let mut query = Self::default();
        for (part, is_phrase) in parts(text) {
            let mut phrase = Vec::new();
            analyzer.words(part, &mut |written, term| {
                let written = if is_phrase { "" } else { written };
                query.words.push(Word { term: term.to_owned(), written: written.to_owned() });
                phrase.push(term.to_owned());
            });
            // A word alone in quotation marks is more often one that its writer keeps at a distance.
            if is_phrase && phrase.len() > 1 {
                query.phrases.push(phrase);
            }
        }
        query
    }

    /// Terms that must be met as they are.
    pub(crate) fn of_terms(terms: Vec<String>) -> Self {
        let words = terms.into_iter().map(|term| Word { term, written: String::new() });
        Self { words: words.collect(), phrases: Vec::new() }
    }

    /// Whether each phrase stands in one of these texts, each given by its terms.
    pub(crate) fn is_quoted_in(&self, texts: &[Vec<String>]) -> bool {
        let has = |text: &Vec<String>, phrase: &Vec<String>| {
            text.windows(phrase.len()).any(|window| window == phrase)
        };
        self.phrases.iter().all(|phrase| texts.iter().any(|text| has(text, phrase)))
    }
}

/// The text between quotation marks, and the rest; whether it is the former.
fn parts(text: &str) -> Vec<(&str, bool)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, quoted, after)) = first_quoted(rest) {
        parts.push((before, false));
        parts.push((quoted, true));
        rest = after;
    }
    parts.push((rest, false));
    parts
}

/// The first pair of quotation marks: the text before, within and after it.
fn first_quoted(text: &str) -> Option<(&str, &str, &str)> {
    let mut previous = None;
    for (at, mark) in text.char_indices() {
        let inner = &text[at + mark.len_utf8()..];
        if let Some(closing) = closing_marks(mark, previous)
            && let Some(end) = inner.find(|c| closing.contains(&c))
        {
            let after = inner[end..].chars().next().map_or(0, char::len_utf8);
            return Some((&text[..at], &inner[..end], &inner[end + after..]));
        }
        previous = Some(mark);
    }
    None
}

/// What closes a quotation that `mark` opens. A straight mark right behind a letter or digit opens
/// none: it is inches, seconds, or the end of a quotation whose beginning is missing.
fn closing_marks(mark: char, previous: Option<char>) -> Option<&'static [char]> {
    match mark {
        '"' if previous.is_none_or(|c| !c.is_alphanumeric() || c as u32 > 0x2E7F) => Some(&['"']),
        '“' => Some(&['”', '“']),
        '„' => Some(&['“', '”', '„']),
        '«' => Some(&['»']),
        '»' => Some(&['«']),
        '「' => Some(&['」']),
        '『' => Some(&['』']),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, phrases: &[&[&str]], n_words: usize) {
        let query = Query::parse(text, &Analyzer::new());
        assert_eq!(query.phrases, phrases, "{text}");
        assert_eq!(query.words.len(), n_words, "{text} {query:?}");
    }

    #[test]
    fn pairs_of_quotation_marks_make_phrases() {
        check("heat pump", &[], 2);
        check("\"heat pump\"", &[&["heat", "pump"]], 2);
        check("a \"heat pump\" and „Kalte Luft“ «ici»", &[&["heat", "pump"], &["kalt", "luft"]], 7);
        check("says “Running Cats”.", &[&["run", "cat"]], 3);
        check("他说「日本語」", &[&["日本", "本語"]], 3);
        check("他说\"日本語\"", &[&["日本", "本語"]], 3);
    }

    #[test]
    fn marks_without_a_partner_mean_nothing() {
        check("\"heat pump", &[], 2);
        check("heat pump\"", &[], 2);
        check("pipes of 5\" and 7\"", &[], 5);
        check("\"\" \" \" \"", &[], 0);
        check("“heat", &[], 1);
    }

    #[test]
    fn a_phrase_is_met_in_order_only() {
        let analyzer = Analyzer::new();
        let query = Query::parse("\"heat pump\" \"old house\"", &analyzer);
        let holds = |text: &str| {
            let mut terms = Vec::new();
            analyzer.terms(text, &mut |term| terms.push(term.to_owned()));
            query.is_quoted_in(&[vec!["heat".to_owned()], terms])
        };
        assert!(holds("An old house with heat pumps"));
        assert!(
            !holds("An old house: pump heat") && !holds("heat pump") && !holds("old house, heat of a pump")
        );
    }
}
