//! From tokens to text that can be shown while more tokens come.

use runtime::Tokenizer;

/// Tokens that may together spell one character before the stream gives up waiting: byte-level
/// vocabularies spend at most one token per byte, and no character has more than four.
const MAX_HELD_TOKENS: usize = 8;

/// Decodes a growing list of tokens; a piece of text never ends within a character.
///
/// The text of a token can depend on the one before it (leading blanks), so that each step decodes a
/// short window: tokens already given out, and those still held back.
#[derive(Default)]
pub(crate) struct TextStream {
    window: Vec<u32>,
    /// Tokens at the window's beginning whose text has been given out.
    n_given: usize,
}

impl TextStream {
    /// Adds a token; gives the text that is now certain, often none.
    pub(crate) fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> String {
        self.window.push(token);
        let text = self.held(tokenizer);
        let n_held = self.window.len() - self.n_given;
        if text.ends_with(char::REPLACEMENT_CHARACTER) && n_held < MAX_HELD_TOKENS {
            return String::new();
        }
        self.window.drain(..self.n_given);
        self.n_given = self.window.len();
        text
    }

    /// What was held back, once no more tokens come: half a character shows as U+FFFD.
    pub(crate) fn finish(&mut self, tokenizer: &Tokenizer) -> String {
        let text = self.held(tokenizer);
        self.window.clear();
        self.n_given = 0;
        text
    }

    fn held(&self, tokenizer: &Tokenizer) -> String {
        // Ids that a vocabulary has no entry for decode to nothing.
        let decode = |ids: &[u32]| tokenizer.decode(ids, true).unwrap_or_default();
        let given = decode(&self.window[..self.n_given]);
        let all = decode(&self.window);
        all.strip_prefix(given.as_str()).unwrap_or_default().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::from_json(include_bytes!("../../fixtures/tiny/llama_tied/tokenizer.json")).unwrap()
    }

    #[test]
    fn pieces_never_split_a_character_and_add_up() {
        let tokenizer = tokenizer();
        let text = "The quick 猫 🐈‍⬛ é\u{301} 12 brown\n\nfox 👩🏽‍🔬!";
        let ids = tokenizer.encode(text, false).unwrap().ids;
        let mut stream = TextStream::default();
        let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(&tokenizer, id)).collect();
        assert!(pieces.iter().all(|piece| !piece.contains('\u{fffd}')), "{pieces:?}");
        assert!(pieces.iter().filter(|piece| !piece.is_empty()).count() > 10, "{pieces:?}");
        pieces.push(stream.finish(&tokenizer));
        assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn half_a_character_comes_at_the_end() {
        let tokenizer = tokenizer();
        let mut ids = tokenizer.encode("a猫", false).unwrap().ids;
        ids.pop();
        let mut stream = TextStream::default();
        let given: String = ids.iter().map(|&id| stream.push(&tokenizer, id)).collect();
        assert_eq!(given, "a");
        assert_eq!(stream.finish(&tokenizer), "\u{fffd}");
        assert_eq!(stream.finish(&tokenizer), "");
    }

    #[test]
    fn broken_bytes_do_not_hold_the_stream_for_ever() {
        let tokenizer = tokenizer();
        let half = tokenizer.encode("猫", false).unwrap().ids[0];
        let mut stream = TextStream::default();
        let given: String = (0..30).map(|_| stream.push(&tokenizer, half)).collect();
        assert!(given.chars().count() >= 20, "{given:?}");
    }
}
