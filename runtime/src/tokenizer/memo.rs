//! Tokens of words that were seen before: texts are made of few words, and a table of them is many times as fast
//! as the library's way from text to tokens.
//!
//! This holds for tokenizers that never look across a space: those of BERT, where spaces only part words, and
//! byte-level BPE, whose patterns let a space begin a word and nothing else. Any other has no memo.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::{Encoding, failed};
use crate::Result;

/// Words that are remembered; of a vocabulary as large as that of a long book. Some 5 MB.
const MAX_WORDS: usize = 32_768;
/// Longer ones do not come again.
const MAX_WORD_BYTES: usize = 64;
/// Patterns of published tokenizers, none of which goes on behind a space that follows something else.
const PATTERNS: [&str; 4] = [
    super::gguf::LLAMA_3,
    super::gguf::QWEN_2,
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// The words of a tokenizer that were seen, with their tokens.
pub(super) struct Memo {
    cut: Cut,
    words: RefCell<FxHashMap<Box<str>, Box<[Token]>>>,
    /// Tokens that are whole wherever they are spelled out.
    added: Vec<String>,
    /// Bytes that one of them begins with.
    begins_added: [bool; 256],
    /// What the model expects before and behind a text.
    prefix: Vec<u32>,
    suffix: Vec<u32>,
}

/// Where a text is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// Spaces and line ends belong to no word; punctuation is a word by itself (BERT).
    Around,
    /// A single space belongs to the word behind it; a word ends with its letters (byte-level BPE).
    Before,
}

/// A token and where it lies in its word.
#[derive(Clone, Copy)]
struct Token {
    id: u32,
    start: u16,
    end: u16,
}

impl Memo {
    /// For a tokenizer that never looks across a space.
    pub fn of(inner: &tokenizers::Tokenizer) -> Option<Self> {
        let looks_around = |token: &tokenizers::AddedToken| {
            token.lstrip
                || token.rstrip
                || token.single_word
                || token.normalized && inner.get_normalizer().is_some()
                || token.content.contains(char::is_whitespace)
        };
        if inner.get_added_tokens_decoder().values().any(looks_around) {
            return None;
        }
        let (normalizer, pre_tokenizer) = (inner.get_normalizer(), inner.get_pre_tokenizer());
        let cut =
            cut_of(&serde_json::to_value(normalizer).ok()?, &serde_json::to_value(pre_tokenizer).ok()?)?;
        let (empty, some) = (inner.encode("", true).ok()?, inner.encode("a", true).ok()?);
        let n_before = some.get_special_tokens_mask().iter().take_while(|is_added| **is_added == 1).count();
        let (prefix, suffix) = empty.get_ids().split_at_checked(n_before)?;
        let (prefix, suffix) = (prefix.to_vec(), suffix.to_vec());
        let added = inner.get_added_tokens_decoder();
        let added = added.values().map(|token| token.content.clone()).filter(|content| !content.is_empty());
        let added: Vec<String> = added.collect();
        let mut begins_added = [false; 256];
        added.iter().for_each(|content| begins_added[usize::from(content.as_bytes()[0])] = true);
        Some(Self { cut, words: RefCell::default(), added, begins_added, prefix, suffix })
    }

    /// The tokens that `inner` makes of a text.
    pub fn encode(&self, inner: &tokenizers::Tokenizer, text: &str, add_special: bool) -> Result<Encoding> {
        let mut encoding = Encoding { ids: Vec::new(), offsets: Vec::new() };
        if add_special {
            encoding.push_added(&self.prefix);
        }
        self.each_token(inner, text, |id, start, end| {
            encoding.ids.push(id);
            encoding.offsets.push((start, end));
        })?;
        if add_special {
            encoding.push_added(&self.suffix);
        }
        Ok(encoding)
    }

    /// The number of them, without those that are added.
    pub fn count(&self, inner: &tokenizers::Tokenizer, text: &str) -> Result<usize> {
        let mut n_tokens = 0;
        self.each_token(inner, text, |_, _, _| n_tokens += 1)?;
        Ok(n_tokens)
    }

    /// Whether a text spells out an added token, which other characters than spaces may be part of.
    fn has_added(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let begins = |at: usize| self.added.iter().any(|token| bytes[at..].starts_with(token.as_bytes()));
        (0..bytes.len()).any(|at| self.begins_added[usize::from(bytes[at])] && begins(at))
    }

    /// Gives each token's id, and where it begins and ends in the text.
    fn each_token(
        &self,
        inner: &tokenizers::Tokenizer,
        text: &str,
        mut take: impl FnMut(u32, usize, usize),
    ) -> Result<()> {
        let mut words = self.words.borrow_mut();
        let all = Words { text, at: 0, cut: self.cut, at_spaces_alone: self.has_added(text) };
        for (at, word) in all {
            if let Some(tokens) = words.get(word) {
                for token in tokens {
                    take(token.id, at + usize::from(token.start), at + usize::from(token.end));
                }
                continue;
            }
            let encoding = inner.encode(word, false).map_err(failed)?;
            let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
            tokens.clone().for_each(|(id, (start, end))| take(*id, at + start, at + end));
            if word.len() <= MAX_WORD_BYTES {
                if words.len() == MAX_WORDS {
                    words.clear();
                }
                let token = |(id, (start, end)): (&u32, &(usize, usize))| Token {
                    id: *id,
                    start: *start as u16,
                    end: *end as u16,
                };
                words.insert(word.into(), tokens.map(token).collect());
            }
        }
        Ok(())
    }
}

/// Where texts of a tokenizer with these parts may be cut.
fn cut_of(normalizer: &Value, pre_tokenizer: &Value) -> Option<Cut> {
    let kind = |part: &Value| part["type"].as_str().map(str::to_owned);
    let is_bert = kind(normalizer).as_deref() == Some("BertNormalizer");
    if is_bert && kind(pre_tokenizer).as_deref() == Some("BertPreTokenizer") {
        return Some(Cut::Around);
    }
    // What NFC joins does not lie on both sides of a space.
    if !(normalizer.is_null() || kind(normalizer).as_deref() == Some("NFC")) {
        return None;
    }
    let alone = std::slice::from_ref(pre_tokenizer);
    let parts = pre_tokenizer["pretokenizers"].as_array().map_or(alone, Vec::as_slice);
    let stays = |part: &Value| match part["type"].as_str() {
        Some("ByteLevel") => part["add_prefix_space"] == false,
        Some("Digits") => true,
        Some("Split") => {
            let pattern = part["pattern"]["Regex"].as_str();
            pattern.is_some_and(|pattern| PATTERNS.contains(&pattern))
                && part["behavior"] == "Isolated"
                && part["invert"] == false
        }
        _ => false,
    };
    let is_byte_level = parts.iter().any(|part| part["type"] == "ByteLevel");
    (is_byte_level && parts.iter().all(stays)).then_some(Cut::Before)
}

/// The words of a text, and where each begins.
struct Words<'t> {
    text: &'t str,
    at: usize,
    cut: Cut,
    at_spaces_alone: bool,
}

impl<'t> Iterator for Words<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        let start = match self.cut {
            Cut::Before => self.at,
            Cut::Around => self.at + bytes[self.at..].iter().take_while(|byte| is_between(byte)).count(),
        };
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let n_bytes = match self.cut {
            Cut::Around if self.is_mark(rest[0]) => Some(1),
            Cut::Around => rest.iter().position(|byte| is_between(byte) || self.is_mark(*byte)),
            Cut::Before => (1..rest.len())
                .find(|&i| self.is_end(rest[i - 1], rest[i]) || rest[i] == b' ' && self.is_single(start + i)),
        };
        self.at = start + n_bytes.unwrap_or(rest.len());
        Some((start, &self.text[start..self.at]))
    }
}

impl Words<'_> {
    /// Whether a byte is a word by itself.
    fn is_mark(&self, byte: u8) -> bool {
        !self.at_spaces_alone && byte.is_ascii_punctuation()
    }

    /// Whether letters end between two bytes.
    fn is_end(&self, before: u8, after: u8) -> bool {
        let is_other = after.is_ascii() && !after.is_ascii_alphabetic();
        !self.at_spaces_alone && before.is_ascii_alphabetic() && is_other
    }

    /// Whether something else than whitespace lies on both sides of the space at `at`.
    fn is_single(&self, at: usize) -> bool {
        let (before, after) = (&self.text[..at], &self.text[at + 1..]);
        let is_word = |letter: Option<char>| letter.is_some_and(|letter| !letter.is_whitespace());
        is_word(before.chars().next_back()) && is_word(after.chars().next())
    }
}

fn is_between(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, cut: Cut, at_spaces_alone: bool) -> Vec<&str> {
        Words { text, at: 0, cut, at_spaces_alone }.map(|(_, word)| word).collect()
    }

    #[test]
    fn spaces_part_words_or_begin_them() {
        assert_eq!(words("  a b,c\n\n d ", Cut::Around, true), ["a", "b,c", "d"]);
        assert_eq!(words("  a b,c\n\n(d) ", Cut::Around, false), ["a", "b", ",", "c", "(", "d", ")"]);
        assert_eq!(words(" \n ", Cut::Around, false), [""; 0]);
        assert_eq!(words("a bc  d\n e\u{a0} f ", Cut::Before, true), ["a", " bc  d\n e\u{a0} f "]);
        assert_eq!(words("ä ö \u{301}x", Cut::Before, false), ["ä", " ö", " \u{301}x"]);
        assert_eq!(words("ab, c'd  e1é", Cut::Before, false), ["ab", ",", " c", "'d", "  e", "1é"]);
        assert_eq!(words(" a", Cut::Before, false), [" a"]);
        assert_eq!(words("", Cut::Before, false), [""; 0]);
    }
}
