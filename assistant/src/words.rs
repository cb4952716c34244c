//! Words as they are compared: the store's own terms, without those that say nothing.

use std::collections::HashSet;
use std::sync::LazyLock;

/// English words that carry grammar or the form of a question. Other languages get by on weights:
/// a word that is in every passage weighs nothing.
const STOP_WORDS: &str = "a about after all also am an and any are as at be been before being \
    between both but by can could did do does doing for from had has have having he her his how i if \
    in into is it its many may me more most much my name no not of on one or other our she should so \
    some such tell than that the their them then there these they this those to was we were what \
    when where which who whom whose why will with would you your s t";

/// The terms of a text in order, as the store indexes them, without stop words.
pub(crate) fn terms(text: &str) -> Vec<String> {
    // Stop words go through the same stemming as the text they are compared with.
    static STOP_TERMS: LazyLock<HashSet<String>> =
        LazyLock::new(|| vectordb::terms(STOP_WORDS).into_iter().collect());
    let mut terms = vectordb::terms(text);
    terms.retain(|term| !STOP_TERMS.contains(term));
    terms
}

/// The terms of a text as a set.
pub(crate) fn term_set(text: &str) -> HashSet<String> {
    terms(text).into_iter().collect()
}

/// English number words and their digits. "One" is left out: it is mostly no number.
const NUMBER_WORDS: [(&str, &str); 30] = [
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("thirteen", "13"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("sixteen", "16"),
    ("seventeen", "17"),
    ("eighteen", "18"),
    ("nineteen", "19"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("seventy", "70"),
    ("eighty", "80"),
    ("ninety", "90"),
    ("hundred", "100"),
    ("thousand", "1000"),
    ("million", "1000000"),
    ("billion", "1000000000"),
];

/// The digits of a number, also of one that is written as an English word; separators are left out
/// (`1,234` gives `1234`, and so does `1.234`).
pub(crate) fn number_of(word: &str) -> Option<String> {
    let is_number = word.chars().all(|c| c.is_numeric() || matches!(c, ',' | '.' | '\''));
    let digits: String = word.chars().filter(|c| c.is_numeric()).collect();
    if is_number && !digits.is_empty() {
        return Some(digits);
    }
    NUMBER_WORDS.iter().find(|(name, _)| *name == word).map(|(_, digits)| (*digits).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_stemmed_and_without_grammar() {
        assert_eq!(terms("How many sacks did Allen's career have?"), ["sack", "allen", "career"]);
        assert!(terms("What is it, and does it?").is_empty());
    }

    #[test]
    fn numbers_lose_their_separators() {
        for (word, expected) in [("1,234", Some("1234")), ("six", Some("6")), ("3rd", None), ("tea", None)] {
            assert_eq!(number_of(word).as_deref(), expected, "{word}");
        }
    }
}
