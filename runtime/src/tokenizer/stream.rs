//! Streaming decoding.

use super::Tokenizer;

/// After so many tokens that end within a character, the bytes are no UTF-8 and are shown as they
/// are: a character has at most 4 bytes and a token at least 1, this is twice that.
const MAX_PENDING: usize = 8;

/// What stands for a byte that is (not yet) part of a character.
const REPLACEMENT: char = '\u{fffd}';

/// Text of a growing list of tokens. A piece never ends within a character.
#[derive(Debug, Clone)]
pub struct TokenStream {
    tokenizer: Tokenizer,
    /// The tokens of the last piece, as context: some decoders treat a text's first token apart.
    context: Vec<u32>,
    /// Tokens whose text was not given yet.
    pending: Vec<u32>,
}

impl TokenStream {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        Self { tokenizer, context: vec![], pending: vec![] }
    }

    /// Adds a token; gives the text that is now certain, if there is any.
    pub fn push(&mut self, id: u32) -> Option<String> {
        self.pending.push(id);
        let text = self.pending_text();
        if text.is_empty() || (text.ends_with(REPLACEMENT) && self.pending.len() < MAX_PENDING) {
            return None;
        }
        self.context = std::mem::take(&mut self.pending);
        Some(text)
    }

    /// The text that was held back, at the end of the stream.
    pub fn finish(self) -> Option<String> {
        Some(self.pending_text()).filter(|text| !text.is_empty())
    }

    fn pending_text(&self) -> String {
        let decode = |ids: &[u32]| self.tokenizer.decode(ids, true).unwrap_or_default();
        let before = decode(&self.context);
        let all = decode(&[self.context.as_slice(), &self.pending].concat());
        all.strip_prefix(before.as_str()).map(str::to_owned).unwrap_or(all)
    }
}
