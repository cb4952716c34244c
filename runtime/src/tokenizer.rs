//! Text to token ids and back.

use crate::weights::Weights;
use crate::{Error, Result};

/// A text's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Byte range of each token in the text; `(0, 0)` for tokens that were added.
    pub offsets: Vec<(usize, usize)>,
}

/// Converts text to token ids and back.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// From the bytes of a `tokenizer.json`; padding and truncation are switched off.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(failed)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(failed)?;
        Ok(Self { inner })
    }

    /// From a GGUF file's metadata.
    pub fn from_gguf(_weights: &Weights) -> Result<Self> {
        Err(Error::Tokenizer { reason: "the file has no tokenizer".into() })
    }

    /// Tokens of `text`; with `add_special` also those the model expects around a text.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Encoding> {
        let encoding = self.inner.encode(text, add_special).map_err(failed)?;
        Ok(Encoding { ids: encoding.get_ids().to_vec(), offsets: encoding.get_offsets().to_vec() })
    }

    /// Text of `ids`; `skip_special` leaves out tokens such as the end of a turn.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner.decode(ids, skip_special).map_err(failed)
    }

    /// Id of a token, special ones included.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of ids, added tokens included.
    pub fn n_vocab(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Number of tokens of `text`, without special ones.
    pub fn count(&self, text: &str) -> Result<usize> {
        Ok(self.inner.encode_fast(text, false).map_err(failed)?.len())
    }

    /// Turns a stream of ids to text, piece by piece.
    pub fn streamer(&self) -> TokenStream<'_> {
        TokenStream { tokenizer: self, ids: vec![], n_emitted: 0 }
    }
}

/// Text of a growing list of tokens. A piece never ends within a character.
pub struct TokenStream<'t> {
    tokenizer: &'t Tokenizer,
    ids: Vec<u32>,
    n_emitted: usize,
}

impl TokenStream<'_> {
    /// Adds a token; gives the text that is now certain.
    pub fn push(&mut self, id: u32) -> Option<String> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids, true).ok()?;
        if text.ends_with('\u{fffd}') || text.len() <= self.n_emitted {
            return None;
        }
        let piece = text[self.n_emitted..].to_owned();
        self.n_emitted = text.len();
        Some(piece)
    }
}

fn failed(source: tokenizers::Error) -> Error {
    Error::Tokenizer { reason: source.to_string() }
}
