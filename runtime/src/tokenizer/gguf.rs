//! The tokenizer that a GGUF file's metadata describes.

use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, PreTokenizerWrapper};

use super::{Tokenizer, failed};
use crate::weights::{MetaValue, Weights};
use crate::{Error, Result};

/// llama.cpp's token types: control tokens are never shown, user-defined ones are whole words.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

pub(super) fn tokenizer(weights: &Weights) -> Result<Tokenizer> {
    let meta = Meta(weights);
    let model = meta.text("model")?;
    if model != "gpt2" {
        return Err(Error::UnsupportedWeights { what: format!("the tokenizer `{model}`") });
    }
    let tokens = meta.texts("tokens")?;
    let vocab: Vocab = tokens.iter().zip(0..).map(|(token, id)| ((*token).to_owned(), id)).collect();
    if vocab.len() != tokens.len() {
        return Err(invalid("has a token twice"));
    }
    let merges = meta.texts("merges")?.into_iter().map(|merge| {
        // The first character of a half may itself be no space: byte-level BPE spells it `Ġ`.
        let (left, right) = merge.split_once(' ').ok_or_else(|| invalid("has a merge without a space"))?;
        Ok((left.to_owned(), right.to_owned()))
    });
    let merges = merges.collect::<Result<Merges>>()?;
    let bpe = BPE::builder().vocab_and_merges(vocab, merges).build().map_err(failed)?;

    let mut inner = tokenizers::Tokenizer::new(bpe);
    inner.with_pre_tokenizer(Some(pre_tokenizer(meta.text("pre")?)?));
    inner.with_decoder(Some(ByteLevel::default()));
    add_tokens(&mut inner, &tokens, &meta)?;

    let bos = meta.added("add_bos_token", "bos_token_id", tokens.len())?;
    let eos = meta.added("add_eos_token", "eos_token_id", tokens.len())?;
    Ok(Tokenizer::new(inner, bos, eos))
}

/// How text is cut before merging, by llama.cpp's names.
fn pre_tokenizer(name: &str) -> Result<PreTokenizerWrapper> {
    let gpt_2 = ByteLevel::new(false, true, true);
    match name {
        "gpt-2" => Ok(gpt_2.into()),
        "smollm" => Ok(Sequence::new(vec![Digits::new(true).into(), gpt_2.into()]).into()),
        _ => Err(Error::UnsupportedWeights { what: format!("the pre-tokenizer `{name}`") }),
    }
}

/// Registers the tokens that are matched in text as a whole, before merging.
fn add_tokens(inner: &mut tokenizers::Tokenizer, tokens: &[&str], meta: &Meta<'_>) -> Result<()> {
    let types = meta.array("token_type")?;
    if types.len() != tokens.len() {
        return Err(invalid("has another number of types than tokens"));
    }
    let of_type = |wanted: u64, special: bool| {
        let tokens = tokens.iter().zip(types).filter(move |(_, kind)| kind.as_u64() == Some(wanted));
        tokens.map(move |(token, _)| AddedToken::from(*token, special).normalized(false)).collect::<Vec<_>>()
    };
    inner.add_special_tokens(of_type(CONTROL, true)).map_err(failed)?;
    inner.add_tokens(of_type(USER_DEFINED, false)).map_err(failed)?;
    Ok(())
}

/// The metadata under `tokenizer.ggml.`.
struct Meta<'w>(&'w Weights);

impl<'w> Meta<'w> {
    fn value(&self, key: &str) -> Option<&'w MetaValue> {
        self.0.meta(&format!("tokenizer.ggml.{key}"))
    }

    fn text(&self, key: &str) -> Result<&'w str> {
        self.value(key).and_then(MetaValue::as_str).ok_or_else(|| invalid(&format!("has no `{key}`")))
    }

    fn array(&self, key: &str) -> Result<&'w [MetaValue]> {
        self.value(key).and_then(MetaValue::as_array).ok_or_else(|| invalid(&format!("has no list `{key}`")))
    }

    fn texts(&self, key: &str) -> Result<Vec<&'w str>> {
        let texts = self.array(key)?.iter().map(MetaValue::as_str).collect::<Option<_>>();
        texts.ok_or_else(|| invalid(&format!("has something other than texts in `{key}`")))
    }

    /// The id under `id_key`, if the flag under `flag_key` says that it is added.
    fn added(&self, flag_key: &str, id_key: &str, n_vocab: usize) -> Result<Option<u32>> {
        if self.value(flag_key).and_then(MetaValue::as_bool) != Some(true) {
            return Ok(None);
        }
        let id = self.value(id_key).and_then(MetaValue::as_u64).filter(|id| *id < n_vocab as u64);
        id.map(|id| Some(id as u32)).ok_or_else(|| invalid(&format!("has no usable `{id_key}`")))
    }
}

fn invalid(what: &str) -> Error {
    Error::Tokenizer { reason: format!("the weight file's tokenizer {what}") }
}
