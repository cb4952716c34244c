//! Words as they are compared: the store's own terms, without those that say nothing.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation;

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

/// English number words that a small generator likes to make up.
const NUMBER_WORDS: &[&str] = &[
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
    "million",
    "billion",
];

/// The numbers of a text: digits only (`1,234` gives `1234`), and number words.
pub(crate) fn numbers(text: &str) -> HashSet<String> {
    let number = |word: &str| {
        let digits: String = word.chars().filter(char::is_ascii_digit).collect();
        let word = word.to_lowercase();
        if digits.is_empty() { NUMBER_WORDS.contains(&word.as_str()).then_some(word) } else { Some(digits) }
    };
    text.unicode_words().filter_map(number).collect()
}

/// The terms of words written with a capital inside a sentence: names, mostly.
pub(crate) fn names(sentence: &str) -> HashSet<String> {
    let words = sentence.unicode_words().skip(1);
    let capitalised = words.filter(|w| w.chars().next().is_some_and(char::is_uppercase));
    capitalised.flat_map(terms).collect()
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
        let expected = ["1234", "56", "six"].map(str::to_owned).into();
        assert_eq!(numbers("In 1,234 of 56% of Six cases"), expected);
    }

    #[test]
    fn names_leave_the_first_word_out() {
        assert_eq!(names("Datalog is what Cozo speaks"), ["cozo".to_owned()].into());
    }
}
