//! Texts of an exact number of tokens, the same in every run of the benchmark.

use runtime::Tokenizer;

use crate::Outcome;

/// Words that are one token each for most tokenizers.
const WORDS: [&str; 40] = [
    "river", "house", "stone", "light", "paper", "water", "green", "north", "winter", "bridge", "city",
    "garden", "letter", "market", "music", "window", "table", "summer", "forest", "island", "road", "school",
    "church", "village", "field", "horse", "bird", "tree", "wall", "door", "hand", "voice", "night",
    "morning", "story", "book", "ship", "train", "king", "song",
];
/// Words of a sentence; a short one comes back often, so that a model goes on and on.
const N_SENTENCE_WORDS: usize = 12;
/// A text that misses its length by the last word gets another last word so many times.
const MAX_TRIES: usize = 2_000;

/// Words of random sentences: SplitMix64.
struct Words(u64);

impl Words {
    fn next(&mut self) -> &'static str {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        WORDS[((z ^ (z >> 31)) % WORDS.len() as u64) as usize]
    }
}

/// A passage of `n_tokens` tokens, special ones not counted.
pub(super) fn passage(tokenizer: &Tokenizer, n_tokens: usize, seed: u64) -> Outcome<String> {
    let mut words = Words(seed);
    fill(tokenizer, n_tokens, |_| words.next())
}

/// A prompt of `n_tokens` tokens: one sentence again and again, which a model then continues. No two
/// seeds begin alike, so that nothing an engine kept from another prompt helps it.
pub(super) fn prompt(tokenizer: &Tokenizer, n_tokens: usize, seed: u64) -> Outcome<String> {
    let mut words = Words(seed);
    let sentence: Vec<&str> = (0..N_SENTENCE_WORDS).map(|_| words.next()).collect();
    fill(tokenizer, n_tokens, |idx| sentence[idx % N_SENTENCE_WORDS])
}

/// Words with spaces between them, until there are exactly `n_tokens`.
fn fill(
    tokenizer: &Tokenizer,
    n_tokens: usize,
    mut word: impl FnMut(usize) -> &'static str,
) -> Outcome<String> {
    let mut text = String::new();
    for idx in 0..MAX_TRIES {
        let n_bytes = text.len();
        if idx > 0 {
            text.push(' ');
        }
        text.push_str(word(idx));
        match tokenizer.count(&text)? {
            n if n == n_tokens => return Ok(text),
            n if n > n_tokens => text.truncate(n_bytes),
            _ => {}
        }
    }
    Err(format!("no text of {n_tokens} tokens was found").into())
}
