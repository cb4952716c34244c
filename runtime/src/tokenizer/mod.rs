//! Text to token ids and back.

mod bytes;
mod gguf;
mod memo;
mod sentence_piece;
mod stream;
#[cfg(test)]
mod tests;
mod unigram;

use std::rc::Rc;

use memo::Memo;
use tokenizers::{ModelWrapper, PostProcessor, TruncationParams, TruncationStrategy, truncate_encodings};

pub use stream::TokenStream;

use crate::weights::Weights;
use crate::{Error, Result};

/// What SentencePiece calls what it does not know; the library keeps its id to itself.
const UNIGRAM_UNKNOWN: &str = "<unk>";

/// A text's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Byte range of each token in the text; `(0, 0)` for tokens that were added around it.
    pub offsets: Vec<(usize, usize)>,
}

impl Encoding {
    /// Tokens that are not in the text.
    fn push_added(&mut self, ids: &[u32]) {
        self.ids.extend(ids);
        self.offsets.extend(ids.iter().map(|_| (0, 0)));
    }
}

/// The tokens of two texts that a model reads together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEncoding {
    /// Token ids of both texts, with those that the model expects around them.
    pub ids: Vec<u32>,
    /// For each token which text it belongs to, as the model counts them.
    pub token_types: Vec<u32>,
}

/// Converts text to token ids and back. Clones share the vocabulary.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Rc<tokenizers::Tokenizer>,
    /// Where `inner` allows it.
    memo: Option<Rc<Memo>>,
    /// Added in front of a text, where the definition itself adds nothing (GGUF).
    bos: Option<u32>,
    /// Added behind it.
    eos: Option<u32>,
    n_vocab: usize,
}

impl Tokenizer {
    /// From the bytes of a `tokenizer.json`; padding and truncation are switched off.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the definition is damaged or uses unknown parts.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(failed)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(failed)?;
        Ok(Self::new(inner, None, None))
    }

    /// From a GGUF file's metadata (`tokenizer.ggml.*`): byte-level BPE with the pre-tokenizers "gpt-2",
    /// "smollm", "llama-bpe", "smaug-bpe" and "qwen2", or SentencePiece's BPE and Unigram.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the metadata has none or contradicts itself,
    /// [`Error::UnsupportedWeights`] for other kinds.
    pub fn from_gguf(weights: &Weights) -> Result<Self> {
        gguf::tokenizer(weights)
    }

    fn new(inner: tokenizers::Tokenizer, bos: Option<u32>, eos: Option<u32>) -> Self {
        let n_vocab = inner.get_vocab_size(true);
        let memo = Memo::of(&inner).map(Rc::new);
        Self { inner: Rc::new(inner), memo, bos, eos, n_vocab }
    }

    /// Tokens of `text`; with `add_special` also those that the model expects around a text.
    /// Special tokens that are spelled out in the text are recognised.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when a part of the text has no token and there is no unknown token.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Encoding> {
        let mut encoding = match &self.memo {
            Some(memo) => memo.encode(&self.inner, text, add_special)?,
            None => self.encode_whole(text, add_special)?,
        };
        if let Some(bos) = self.bos.filter(|_| add_special) {
            encoding.ids.insert(0, bos);
            encoding.offsets.insert(0, (0, 0));
        }
        if let Some(eos) = self.eos.filter(|_| add_special) {
            encoding.push_added(&[eos]);
        }
        Ok(encoding)
    }

    /// As the library does it.
    fn encode_whole(&self, text: &str, add_special: bool) -> Result<Encoding> {
        let encoding = self.inner.encode(text, add_special).map_err(failed)?;
        Ok(Encoding { ids: encoding.get_ids().to_vec(), offsets: encoding.get_offsets().to_vec() })
    }

    /// Tokens of two texts together, at most `max_tokens`: what is too much is taken from the end of the
    /// longer text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(&self, first: &str, second: &str, max_tokens: usize) -> Result<PairEncoding> {
        let n_added = self.inner.get_post_processor().map_or(0, |p| p.added_tokens(true));
        let params = TruncationParams {
            max_length: max_tokens.saturating_sub(n_added),
            strategy: TruncationStrategy::LongestFirst,
            ..TruncationParams::default()
        };
        let (first, second) = (self.inner.encode(first, false), self.inner.encode(second, false));
        let (first, second) =
            truncate_encodings(first.map_err(failed)?, Some(second.map_err(failed)?), &params)
                .map_err(failed)?;
        let pair = self.inner.post_process(first, second, true).map_err(failed)?;
        Ok(PairEncoding { ids: pair.get_ids().to_vec(), token_types: pair.get_type_ids().to_vec() })
    }

    /// Text of `ids`; `skip_special` leaves out tokens such as the end of a turn.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when the decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner.decode(ids, skip_special).map_err(failed)
    }

    /// Id of a token, special ones included.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token that stands for what the vocabulary has nothing for; `None` where there is no such thing.
    pub fn unknown_id(&self) -> Option<u32> {
        let token = match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => Some(model.unk_token.as_str()),
            ModelWrapper::WordLevel(model) => Some(model.unk_token.as_str()),
            ModelWrapper::BPE(model) if !model.byte_fallback => model.unk_token.as_deref(),
            ModelWrapper::BPE(_) => None,
            ModelWrapper::Unigram(_) => Some(UNIGRAM_UNKNOWN),
        };
        self.token_id(token?)
    }

    /// Number of tokens in the vocabulary, added ones included.
    pub fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// Number of tokens of `text`, without those that are added around it.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn count(&self, text: &str) -> Result<usize> {
        match &self.memo {
            Some(memo) => memo.count(&self.inner, text),
            None => Ok(self.inner.encode_fast(text, false).map_err(failed)?.len()),
        }
    }

    /// Turns a stream of ids to text, piece by piece; special tokens are left out.
    pub fn streamer(&self) -> TokenStream {
        TokenStream::new(self.clone())
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.n_vocab)
    }
}

fn failed(source: tokenizers::Error) -> Error {
    Error::Tokenizer { reason: source.to_string() }
}
