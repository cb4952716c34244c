//! The tokenizer that a GGUF file's metadata describes.

use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::{Tokenizer, failed, sentence_piece, unigram};
use crate::weights::{MetaValue, Weights};
use crate::{Error, Result};

/// llama.cpp's token types: control tokens are never shown, user-defined ones are whole words.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// Words as GPT-4's and Llama 3's tokenizers cut them, with up to three digits in one.
pub(super) const LLAMA_3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with every digit by itself.
pub(super) const QWEN_2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

pub(super) fn tokenizer(weights: &Weights) -> Result<Tokenizer> {
    let meta = Meta(weights);
    match meta.text("model")? {
        "gpt2" => byte_level(&meta),
        "llama" => sentence_piece::tokenizer(&meta),
        "t5" => unigram::tokenizer(&meta),
        other => Err(Error::UnsupportedWeights { what: format!("the tokenizer `{other}`") }),
    }
}

/// Byte-level BPE, as GPT-2 had it first.
fn byte_level(meta: &Meta<'_>) -> Result<Tokenizer> {
    let tokens = meta.texts("tokens")?;
    let merges = meta.texts("merges")?.into_iter().map(|merge| {
        // The first character of a half may itself be no space: byte-level BPE spells it `Ġ`.
        let (left, right) = merge.split_once(' ').ok_or_else(|| invalid("has a merge without a space"))?;
        Ok((left.to_owned(), right.to_owned()))
    });
    let merges = merges.collect::<Result<Merges>>()?;
    let cut = pre_tokenizer(meta.text("pre")?)?;
    let bpe = BPE::builder().vocab_and_merges(vocabulary(&tokens)?, merges);
    let bpe = bpe.ignore_merges(cut.takes_whole_words).build().map_err(failed)?;

    let mut inner = tokenizers::Tokenizer::new(bpe);
    inner.with_pre_tokenizer(Some(cut.pre_tokenizer));
    inner.with_decoder(Some(ByteLevel::default()));
    meta.add_tokens(&mut inner, &tokens)?;

    let bos = meta.added("add_bos_token", "bos_token_id", tokens.len(), cut.adds_bos)?;
    let eos = meta.added("add_eos_token", "eos_token_id", tokens.len(), false)?;
    Ok(Tokenizer::new(inner, bos, eos))
}

/// Ids by token.
pub(super) fn vocabulary(tokens: &[&str]) -> Result<Vocab> {
    let vocab: Vocab = tokens.iter().zip(0..).map(|(token, id)| ((*token).to_owned(), id)).collect();
    if vocab.len() == tokens.len() { Ok(vocab) } else { Err(invalid("has a token twice")) }
}

/// How text is cut before merging.
struct Cut {
    pre_tokenizer: PreTokenizerWrapper,
    /// A piece that is a token as a whole is not merged from its letters.
    takes_whole_words: bool,
    /// A text begins with a token of its own where the file does not say otherwise.
    adds_bos: bool,
}

/// By llama.cpp's names.
fn pre_tokenizer(name: &str) -> Result<Cut> {
    let plain = |pre_tokenizer| Cut { pre_tokenizer, takes_whole_words: false, adds_bos: false };
    let gpt_2 = ByteLevel::new(false, true, true);
    Ok(match name {
        "gpt-2" => plain(gpt_2.into()),
        "smollm" => plain(Sequence::new(vec![Digits::new(true).into(), gpt_2.into()]).into()),
        "llama-bpe" => Cut { takes_whole_words: true, adds_bos: true, ..plain(words(LLAMA_3)?) },
        "smaug-bpe" => plain(words(LLAMA_3)?),
        "qwen2" => plain(words(QWEN_2)?),
        _ => return Err(Error::UnsupportedWeights { what: format!("the pre-tokenizer `{name}`") }),
    })
}

/// Pieces that match `pattern`, and what is between them, in bytes.
fn words(pattern: &str) -> Result<PreTokenizerWrapper> {
    let pattern = SplitPattern::Regex(pattern.into());
    let words = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(failed)?;
    Ok(Sequence::new(vec![words.into(), ByteLevel::new(false, true, false).into()]).into())
}

/// The metadata under `tokenizer.ggml.`.
pub(super) struct Meta<'w>(&'w Weights);

impl<'w> Meta<'w> {
    pub(super) fn value(&self, key: &str) -> Option<&'w MetaValue> {
        self.0.meta(&format!("tokenizer.ggml.{key}"))
    }

    pub(super) fn text(&self, key: &str) -> Result<&'w str> {
        self.value(key).and_then(MetaValue::as_str).ok_or_else(|| invalid(&format!("has no `{key}`")))
    }

    pub(super) fn array(&self, key: &str) -> Result<&'w [MetaValue]> {
        self.value(key).and_then(MetaValue::as_array).ok_or_else(|| invalid(&format!("has no list `{key}`")))
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<&'w str>> {
        let texts = self.array(key)?.iter().map(MetaValue::as_str).collect::<Option<_>>();
        texts.ok_or_else(|| invalid(&format!("has something other than texts in `{key}`")))
    }

    /// The kinds of all tokens.
    pub(super) fn types(&self, n_tokens: usize) -> Result<Vec<Option<u64>>> {
        let types = self.array("token_type")?;
        if types.len() != n_tokens {
            return Err(invalid("has another number of types than tokens"));
        }
        Ok(types.iter().map(MetaValue::as_u64).collect())
    }

    /// Registers the tokens that are matched in text as a whole, before merging.
    pub(super) fn add_tokens(&self, inner: &mut tokenizers::Tokenizer, tokens: &[&str]) -> Result<()> {
        let types = self.types(tokens.len())?;
        let of_type = |wanted: u64, special: bool| {
            let tokens = tokens.iter().zip(&types).filter(move |(_, kind)| **kind == Some(wanted));
            let added = |token: &str| AddedToken::from(token, special).normalized(false);
            tokens.map(|(token, _)| added(token)).collect::<Vec<_>>()
        };
        inner.add_special_tokens(of_type(CONTROL, true)).map_err(failed)?;
        inner.add_tokens(of_type(USER_DEFINED, false)).map_err(failed)?;
        Ok(())
    }

    /// The scores of all tokens.
    pub(super) fn scores(&self, n_tokens: usize) -> Result<Vec<f64>> {
        let scores = self.array("scores")?.iter().map(MetaValue::as_f64).collect::<Option<Vec<_>>>();
        let scores = scores.ok_or_else(|| invalid("has something other than numbers in `scores`"))?;
        if scores.len() == n_tokens {
            Ok(scores)
        } else {
            Err(invalid("has another number of scores than tokens"))
        }
    }

    /// The flag under `key`.
    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.value(key).and_then(MetaValue::as_bool).unwrap_or(default)
    }

    /// The id under `id_key`, if the flag under `flag_key` says that it is added, or where there is none
    /// the kind of tokenizer.
    pub(super) fn added(
        &self,
        flag_key: &str,
        id_key: &str,
        n_vocab: usize,
        default: bool,
    ) -> Result<Option<u32>> {
        if !self.flag(flag_key, default) {
            return Ok(None);
        }
        let id = self.value(id_key).and_then(MetaValue::as_u64).filter(|id| *id < n_vocab as u64);
        id.map(|id| Some(id as u32)).ok_or_else(|| invalid(&format!("has no usable `{id_key}`")))
    }
}

pub(super) fn invalid(what: &str) -> Error {
    Error::Tokenizer { reason: format!("the weight file's tokenizer {what}") }
}
