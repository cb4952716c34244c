//! SentencePiece's Unigram (Kudo, 2018), as GGUF files of T5 describe it: tokens with the logarithms of their
//! probabilities, and a table of characters that are replaced first.

use tokenizers::NormalizerWrapper;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Precompiled, Replace, Sequence, Strip};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};

use super::gguf::{Meta, invalid};
use super::{Tokenizer, failed};
use crate::Result;
use crate::weights::MetaValue;

/// What stands for a space.
const SPACE: char = '\u{2581}';

pub(super) fn tokenizer(meta: &Meta<'_>) -> Result<Tokenizer> {
    let tokens = meta.texts("tokens")?;
    let scores = meta.scores(tokens.len())?;
    let unknown = meta.value("unknown_token_id").and_then(MetaValue::as_u64).map(|id| id as usize);
    if unknown.is_none_or(|id| id >= tokens.len()) {
        return Err(invalid("has no usable `unknown_token_id`"));
    }
    let pieces = tokens.iter().zip(scores).map(|(token, score)| ((*token).to_owned(), score)).collect();
    let unigram = Unigram::from(pieces, unknown, false).map_err(failed)?;

    let mut inner = tokenizers::Tokenizer::new(unigram);
    let mut normalizers: Vec<NormalizerWrapper> = vec![];
    if let Some(table) = meta.value("precompiled_charsmap").and_then(MetaValue::as_array) {
        let bytes = table.iter().map(|byte| byte.as_i64().map(|byte| byte as u8)).collect::<Option<Vec<_>>>();
        let bytes = bytes
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| invalid("has no usable `precompiled_charsmap`"))?;
        let table = Precompiled::from(&bytes)
            .map_err(|e| invalid(&format!("has no usable `precompiled_charsmap`: {e}")))?;
        normalizers.push(table.into());
    }
    if meta.flag("remove_extra_whitespaces", false) {
        normalizers.push(Strip::new(false, true).into());
        let spaces = ReplacePattern::Regex(" {2,}".into());
        normalizers.push(Replace::new(spaces, SPACE).map_err(failed)?.into());
    }
    inner.with_normalizer(Some(Sequence::new(normalizers))).map_err(failed)?;
    let prefix =
        if meta.flag("add_space_prefix", true) { PrependScheme::Always } else { PrependScheme::Never };
    let spaces = Metaspace::new(SPACE, prefix, true);
    inner.with_pre_tokenizer(Some(spaces.clone()));
    inner.with_decoder(Some(spaces));
    meta.add_tokens(&mut inner, &tokens)?;

    let bos = meta.added("add_bos_token", "bos_token_id", tokens.len(), false)?;
    let eos = meta.added("add_eos_token", "eos_token_id", tokens.len(), true)?;
    Ok(Tokenizer::new(inner, bos, eos))
}
