//! SentencePiece's BPE (Kudo and Richardson, 2018), as GGUF files of Llama 2, Mistral and Gemma describe it:
//! tokens with scores instead of merges, spaces as `▁`, and bytes for what has no token.

use std::collections::HashMap;

use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Merges};
use tokenizers::normalizers::{Prepend, Replace, Sequence as Normalizers};
use tokenizers::{DecoderWrapper, NormalizerWrapper};

use super::gguf::{Meta, invalid, vocabulary};
use super::{Tokenizer, failed};
use crate::Result;
use crate::weights::MetaValue;

/// What stands for a space.
const SPACE: &str = "\u{2581}";
/// llama.cpp's type of tokens that text is merged to.
const NORMAL: u64 = 1;
/// Longest token that is merged, in bytes: the longest published ones are rows of some dozens of spaces.
const MAX_TOKEN_BYTES: usize = 256;

pub(super) fn tokenizer(meta: &Meta<'_>) -> Result<Tokenizer> {
    let tokens = meta.texts("tokens")?;
    let vocab = vocabulary(&tokens)?;
    let merges = merges(meta, &tokens)?;
    let unknown = meta.value("unknown_token_id").and_then(MetaValue::as_u64).unwrap_or(0);
    let unknown = tokens.get(unknown as usize).ok_or_else(|| invalid("has no usable `unknown_token_id`"))?;
    let bpe = BPE::builder().vocab_and_merges(vocab, merges).byte_fallback(true).fuse_unk(true);
    let bpe = bpe.unk_token((*unknown).to_owned()).build().map_err(failed)?;

    let mut inner = tokenizers::Tokenizer::new(bpe);
    let has_prefix = meta.flag("add_space_prefix", true);
    let prefix = has_prefix.then(|| Prepend::new(SPACE.into()).into());
    let spaces: NormalizerWrapper = Replace::new(" ", SPACE).map_err(failed)?.into();
    let normalizers = Normalizers::new(prefix.into_iter().chain([spaces]).collect());
    inner.with_normalizer(Some(normalizers)).map_err(failed)?;
    let mut decoders: Vec<DecoderWrapper> = vec![
        Replace::new(SPACE, " ").map_err(failed)?.into(),
        ByteFallback::new().into(),
        Fuse::new().into(),
    ];
    if has_prefix {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    inner.with_decoder(Some(Decoders::new(decoders)));
    meta.add_tokens(&mut inner, &tokens)?;

    let bos = meta.added("add_bos_token", "bos_token_id", tokens.len(), true)?;
    let eos = meta.added("add_eos_token", "eos_token_id", tokens.len(), false)?;
    Ok(Tokenizer::new(inner, bos, eos))
}

/// Each way to put a token together from two others, that of the highest score first.
fn merges(meta: &Meta<'_>, tokens: &[&str]) -> Result<Merges> {
    let scores = meta.scores(tokens.len())?;
    let types = meta.types(tokens.len())?;
    let is_normal = |id: &usize| types[*id] == Some(NORMAL);
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().map(|(id, token)| (*token, id)).collect();
    let mut ways = vec![];
    for id in (0..tokens.len()).filter(is_normal) {
        let token = tokens[id];
        let borders = token.char_indices().skip(1).filter(|_| token.len() <= MAX_TOKEN_BYTES);
        ways.extend(borders.filter_map(|(at, _)| {
            let (left, right) = token.split_at(at);
            (ids.contains_key(left) && ids.contains_key(right)).then_some((id, at))
        }));
    }
    // Of equal ones that with the longer left part, as Hugging Face's own conversion has it.
    ways.sort_by(|(a, a_at), (b, b_at)| scores[*b].total_cmp(&scores[*a]).then(b_at.cmp(a_at)));
    let halves = |(id, at): (usize, usize)| {
        let (left, right) = tokens[id].split_at(at);
        (left.to_owned(), right.to_owned())
    };
    Ok(ways.into_iter().map(halves).collect())
}
