//! The architecture, from `config.json`: what a value of these types says is supported.

use crate::error::{Error, Result};
use runtime::Tier;
use serde_json::Value;

const FILE: &str = "config.json";
/// Largest width, number of layers and so on that is taken for meant: ten times the largest BERT.
const MAX_SIZE: usize = 1 << 16;

/// Tokens of one recording on the CPU: enough for the matrix kernels to reach their speed.
const MAX_BATCH_TOKENS_CPU: usize = 512;
/// Products of weights and tokens of one recording on the CPU: 512 tokens through MiniLM's matrices take
/// half a second in a browser, after which other messages get their turn.
const MAX_BATCH_PRODUCTS_CPU: u64 = 512 * 6 * (4 * 384 + 2 * 1536) * 384;
/// So few tokens that the matrix kernels still reach most of their speed.
const MIN_BATCH_TOKENS_CPU: usize = 64;
/// Tokens of one recording on the GPU.
const MAX_BATCH_TOKENS_GPU: usize = 8192;
/// The widest activation of a recording: what every WebGPU device binds.
const MAX_ACTIVATION_BYTES_GPU: usize = 128 << 20;

/// Encoders of one make: post-norm layers, learned positions, GELU. What differs is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// BERT (Devlin et al., 2018).
    Bert,
    /// RoBERTa (Liu et al., 2019) and XLM-R (Conneau et al., 2020): positions are counted from behind the
    /// padding token's id.
    Roberta,
    /// DistilBERT (Sanh et al., 2019): no token types, other names.
    DistilBert,
}

/// Architecture of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EncoderConfig {
    pub(crate) family: Family,
    pub(crate) d_model: usize,
    pub(crate) n_layers: usize,
    pub(crate) n_heads: usize,
    pub(crate) d_ffn: usize,
    pub(crate) n_vocab: usize,
    /// Rows of the table of positions.
    pub(crate) n_positions: usize,
    /// 0 where the model has none.
    pub(crate) n_token_types: usize,
    pub(crate) layer_norm_eps: f32,
    /// Where positions are counted from behind it.
    pub(crate) pad_id: Option<u32>,
}

impl EncoderConfig {
    /// Parses `config.json` and refuses by name what the code does not do.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        let all: Value = parse(FILE, json)?;
        let family = match all.get("model_type").and_then(Value::as_str) {
            Some("bert") | None => Family::Bert,
            Some("roberta" | "xlm-roberta" | "camembert") => Family::Roberta,
            Some("distilbert") => Family::DistilBert,
            Some(other) => {
                let supported = "bert, roberta, xlm-roberta, camembert or distilbert";
                return Err(Error::Unsupported {
                    key: "model_type".into(),
                    value: format!("{other:?}"),
                    supported,
                });
            }
        };
        refuse_variants(&all)?;
        let config = match family {
            Family::DistilBert => distilbert(&all)?,
            Family::Bert | Family::Roberta => bert(&all, family)?,
        };
        if !config.d_model.is_multiple_of(config.n_heads) {
            let reason = format!("{} does not divide the width {}", config.n_heads, config.d_model);
            return Err(Error::Setting { file: FILE, key: "number of heads".into(), reason });
        }
        if config.max_tokens() == 0 {
            let reason = "leaves no position for a token".into();
            return Err(Error::Setting { file: FILE, key: "max_position_embeddings".into(), reason });
        }
        Ok(config)
    }

    /// Tokens of one recording.
    pub(crate) fn max_batch_tokens(&self, tier: Tier) -> usize {
        let [d, f, n_layers] = [self.d_model, self.d_ffn, self.n_layers].map(|n| n as u64);
        let n_tokens = MAX_BATCH_PRODUCTS_CPU / (n_layers * (4 * d + 2 * f) * d);
        match tier {
            Tier::Cpu => (n_tokens as usize).clamp(MIN_BATCH_TOKENS_CPU, MAX_BATCH_TOKENS_CPU),
            Tier::Gpu => (MAX_ACTIVATION_BYTES_GPU / (4 * self.d_ffn)).clamp(1, MAX_BATCH_TOKENS_GPU),
        }
    }

    /// Tokens of one sequence that have a position.
    pub(crate) fn max_tokens(&self) -> usize {
        self.n_positions.saturating_sub(self.pad_id.map_or(0, |pad| pad as usize + 1))
    }

    /// The position of each token of a sequence.
    pub(crate) fn positions<'a>(&self, ids: &'a [u32]) -> impl Iterator<Item = u32> + use<'a> {
        let pad_id = self.pad_id;
        let mut n_seen = 0;
        ids.iter().map(move |&id| match pad_id {
            // A padding token that is spelled out in a text keeps the padding's position.
            Some(pad) if id == pad => pad,
            _ => {
                n_seen += 1;
                n_seen - 1 + pad_id.map_or(0, |pad| pad + 1)
            }
        })
    }
}

fn bert(all: &Value, family: Family) -> Result<EncoderConfig> {
    let size = |key: &'static str| size(all, key);
    let pad_id = all.get("pad_token_id").and_then(Value::as_u64).unwrap_or(1).min(MAX_SIZE as u64) as u32;
    Ok(EncoderConfig {
        family,
        d_model: size("hidden_size")?,
        n_layers: size("num_hidden_layers")?,
        n_heads: size("num_attention_heads")?,
        d_ffn: size("intermediate_size")?,
        n_vocab: size("vocab_size")?,
        n_positions: size("max_position_embeddings")?,
        n_token_types: size("type_vocab_size")?,
        layer_norm_eps: all.get("layer_norm_eps").and_then(Value::as_f64).unwrap_or(1e-12) as f32,
        pad_id: (family == Family::Roberta).then_some(pad_id),
    })
}

fn distilbert(all: &Value) -> Result<EncoderConfig> {
    let size = |key: &'static str| size(all, key);
    Ok(EncoderConfig {
        family: Family::DistilBert,
        d_model: size("dim")?,
        n_layers: size("n_layers")?,
        n_heads: size("n_heads")?,
        d_ffn: size("hidden_dim")?,
        n_vocab: size("vocab_size")?,
        n_positions: size("max_position_embeddings")?,
        n_token_types: 0,
        layer_norm_eps: 1e-12,
        pad_id: None,
    })
}

/// Settings that may be absent, and otherwise have one value that is built here.
fn refuse_variants(all: &Value) -> Result<()> {
    let only = |key: &str, supported: &'static str| match all.get(key) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(value)) if value == supported => Ok(()),
        Some(value) => Err(Error::Unsupported { key: key.into(), value: value.to_string(), supported }),
    };
    only("hidden_act", "gelu")?;
    only("activation", "gelu")?;
    only("position_embedding_type", "absolute")?;
    for key in ["is_decoder", "add_cross_attention"] {
        if all.get(key).and_then(Value::as_bool) == Some(true) {
            return Err(Error::Unsupported { key: key.into(), value: "true".into(), supported: "false" });
        }
    }
    Ok(())
}

/// The whole of a JSON file.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(file: &'static str, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|e| Error::Setting {
        file,
        key: "the whole file".into(),
        reason: e.to_string(),
    })
}

/// A number that must be there and be a possible size.
fn size(all: &Value, key: &'static str) -> Result<usize> {
    let max = if key == "vocab_size" { 1 << 24 } else { MAX_SIZE };
    let reason = match all.get(key).and_then(Value::as_u64) {
        Some(n) if (1..=max as u64).contains(&n) => return Ok(n as usize),
        Some(n) => format!("{n} is not within 1..={max}"),
        None => "a number is missing".into(),
    };
    Err(Error::Setting { file: FILE, key: key.into(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINILM: &str = r#"{"model_type": "bert", "pad_token_id": 0, "hidden_act": "gelu", "hidden_size": 384, "intermediate_size": 1536,
        "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 6,
        "position_embedding_type": "absolute", "type_vocab_size": 2, "vocab_size": 30522}"#;

    #[test]
    fn minilm_is_understood() {
        let config = EncoderConfig::parse(MINILM.as_bytes()).unwrap();
        assert_eq!((config.d_model, config.n_layers, config.n_heads, config.n_positions), (384, 6, 12, 512));
        assert_eq!((config.max_tokens(), config.n_token_types, config.pad_id), (512, 2, None));
        assert_eq!(config.positions(&[101, 0, 102]).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn roberta_counts_positions_from_behind_its_padding() {
        let json = MINILM
            .replace(r#""bert", "pad_token_id": 0"#, r#""xlm-roberta", "pad_token_id": 1"#)
            .replace("512", "514");
        let config = EncoderConfig::parse(json.as_bytes()).unwrap();
        assert_eq!((config.family, config.max_tokens()), (Family::Roberta, 512));
        assert_eq!(config.positions(&[0, 17, 1, 9, 2]).collect::<Vec<_>>(), [2, 3, 1, 4, 5]);
    }

    /// Parsing MINILM with `from` replaced by `to` fails with a message that contains `expect`.
    #[track_caller]
    fn check_refused(from: &str, to: &str, expect: &str) {
        let json = MINILM.replace(from, to);
        assert_ne!(json, MINILM);
        let message = EncoderConfig::parse(json.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expect), "{message}");
    }

    #[test]
    fn other_architectures_are_refused_by_name() {
        check_refused(r#""bert""#, r#""modernbert""#, r#"model_type = "modernbert" is not supported"#);
        check_refused(r#""gelu""#, r#""gelu_new""#, "hidden_act");
        check_refused("absolute", "relative_key", "position_embedding_type");
        check_refused(r#""vocab_size""#, r#""is_decoder": true, "vocab_size""#, "is_decoder = true");
        check_refused(r#""hidden_size": 384,"#, "", "hidden_size: a number is missing");
        check_refused("384", "385", "12 does not divide the width 385");
        check_refused("30522", "99999999999", "vocab_size");
        check_refused("1536", "0", "intermediate_size");
        check_refused("512", "-1", "max_position_embeddings");
        check_refused("}", "", "config.json: the whole file");
    }
}
