//! The model's own settings, parsed once: what a value of these types says is supported.

use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// Largest width, number of layers and so on that is taken for meant: ten times the largest BERT.
const MAX_SIZE: usize = 1 << 16;
/// Tokens per sequence where `sentence_bert_config.json` says nothing.
const DEFAULT_MAX_SEQ_LENGTH: usize = 256;

/// Architecture of a BERT encoder (Devlin et al., 2018), from `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BertConfig {
    pub(crate) d_model: usize,
    pub(crate) n_layers: usize,
    pub(crate) n_heads: usize,
    pub(crate) d_ffn: usize,
    pub(crate) n_vocab: usize,
    pub(crate) n_positions: usize,
    pub(crate) n_token_types: usize,
    pub(crate) layer_norm_eps: f32,
}

impl BertConfig {
    /// Parses `config.json` and refuses by name what the code does not do.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        const FILE: &str = "config.json";
        let all: Value = parse(FILE, json)?;
        let only = |key: &str, supported: &'static str| match all.get(key) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(value)) if value == supported => Ok(()),
            Some(value) => Err(Error::Unsupported { key: key.into(), value: value.to_string(), supported }),
        };
        only("model_type", "bert")?;
        only("hidden_act", "gelu")?;
        only("position_embedding_type", "absolute")?;
        for key in ["is_decoder", "add_cross_attention"] {
            if all.get(key).and_then(Value::as_bool) == Some(true) {
                return Err(Error::Unsupported { key: key.into(), value: "true".into(), supported: "false" });
            }
        }
        let size = |key: &'static str| size(FILE, &all, key);
        let config = Self {
            d_model: size("hidden_size")?,
            n_layers: size("num_hidden_layers")?,
            n_heads: size("num_attention_heads")?,
            d_ffn: size("intermediate_size")?,
            n_vocab: size("vocab_size")?,
            n_positions: size("max_position_embeddings")?,
            n_token_types: size("type_vocab_size")?,
            layer_norm_eps: all.get("layer_norm_eps").and_then(Value::as_f64).unwrap_or(1e-12) as f32,
        };
        if !config.d_model.is_multiple_of(config.n_heads) {
            let reason = format!("{} does not divide hidden_size {}", config.n_heads, config.d_model);
            return Err(Error::Setting { file: FILE, key: "num_attention_heads".into(), reason });
        }
        Ok(config)
    }
}

/// How token states become one vector, from `pooling.json` (sentence-transformers' `1_Pooling/config.json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The mean of all tokens, the special ones included.
    Mean,
    /// The first token.
    Cls,
}

impl Pooling {
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        const FILE: &str = "pooling.json";
        let all: Value = parse(FILE, json)?;
        // Newer files name the mode, older ones carry a flag for each.
        let mut modes: Vec<String> = match all.get("pooling_mode") {
            Some(Value::String(mode)) => vec![mode.clone()],
            _ => {
                let flags = all.as_object().into_iter().flatten();
                flags
                    .filter(|(_, on)| **on == Value::Bool(true))
                    .filter_map(|(key, _)| flag_mode(key))
                    .collect()
            }
        };
        let unsupported =
            |value| Error::Unsupported { key: "pooling_mode".into(), value, supported: "mean or cls" };
        match (modes.pop(), modes.is_empty()) {
            (Some(mode), true) if mode == "mean" => Ok(Self::Mean),
            (Some(mode), true) if mode == "cls" => Ok(Self::Cls),
            (Some(mode), true) => Err(unsupported(mode)),
            (Some(mode), false) => Err(unsupported(format!("{} + {mode}", modes.join(" + ")))),
            (None, _) => Err(Error::Setting {
                file: FILE,
                key: "pooling_mode".into(),
                reason: "no mode is set".into(),
            }),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
        }
    }
}

/// `pooling_mode_mean_tokens` -> `mean`; `None` for keys that are no mode.
fn flag_mode(key: &str) -> Option<String> {
    let mode = key.strip_prefix("pooling_mode_")?;
    Some(mode.strip_suffix("_tokens").or(mode.strip_suffix("_token")).unwrap_or(mode).into())
}

/// Tokens that one text may have, the special ones included, from `sentence_bert_config.json`, and
/// never more than the model has positions for.
pub(crate) fn max_seq_length(json: Option<&[u8]>, config: &BertConfig) -> Result<usize> {
    #[derive(Deserialize)]
    struct Settings {
        max_seq_length: Option<usize>,
    }
    let stated = match json {
        Some(json) => parse::<Settings>("sentence_bert_config.json", json)?.max_seq_length,
        None => None,
    };
    Ok(stated.unwrap_or(DEFAULT_MAX_SEQ_LENGTH).min(config.n_positions))
}

/// Text before every query and passage, from `config_sentence_transformers.json`; most models have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompts {
    pub(crate) query: String,
    pub(crate) passage: String,
}

impl Prompts {
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        let all: Value = parse("config_sentence_transformers.json", json)?;
        let prompts = all.get("prompts").and_then(Value::as_object);
        let first = |names: &[&str]| {
            let found = names.iter().find_map(|name| prompts?.get(*name)?.as_str());
            found.unwrap_or_default().to_string()
        };
        Ok(Self { query: first(&["query"]), passage: first(&["passage", "document"]) })
    }
}

fn parse<T: serde::de::DeserializeOwned>(file: &'static str, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|e| Error::Setting {
        file,
        key: "the whole file".into(),
        reason: e.to_string(),
    })
}

/// A number that must be there and be a possible size.
fn size(file: &'static str, all: &Value, key: &'static str) -> Result<usize> {
    let max = if key == "vocab_size" { 1 << 24 } else { MAX_SIZE };
    match all.get(key).and_then(Value::as_u64) {
        Some(n) if n >= 1 && n <= max as u64 => Ok(n as usize),
        Some(n) => {
            Err(Error::Setting { file, key: key.into(), reason: format!("{n} is not within 1..={max}") })
        }
        None => Err(Error::Setting { file, key: key.into(), reason: "a number is missing".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINILM: &str = r#"{"model_type": "bert", "hidden_act": "gelu", "hidden_size": 384, "intermediate_size": 1536,
        "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 6,
        "position_embedding_type": "absolute", "type_vocab_size": 2, "vocab_size": 30522}"#;

    #[test]
    fn minilm_is_understood() {
        let config = BertConfig::parse(MINILM.as_bytes()).unwrap();
        assert_eq!((config.d_model, config.n_layers, config.n_heads, config.n_positions), (384, 6, 12, 512));
        assert_eq!(max_seq_length(Some(br#"{"max_seq_length": 256}"#), &config).unwrap(), 256);
        assert_eq!(max_seq_length(Some(br#"{"max_seq_length": 4096}"#), &config).unwrap(), 512);
        assert_eq!(max_seq_length(None, &config).unwrap(), 256);
    }

    /// Parsing MINILM with `from` replaced by `to` fails with a message that contains `expect`.
    #[track_caller]
    fn check_refused(from: &str, to: &str, expect: &str) {
        let json = MINILM.replace(from, to);
        assert_ne!(json, MINILM);
        let message = BertConfig::parse(json.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expect), "{message}");
    }

    #[test]
    fn other_architectures_are_refused_by_name() {
        check_refused(r#""bert""#, r#""roberta""#, r#"model_type = "roberta" is not supported"#);
        check_refused(r#""gelu""#, r#""gelu_new""#, "hidden_act");
        check_refused("absolute", "relative_key", "position_embedding_type");
        check_refused(r#""vocab_size""#, r#""is_decoder": true, "vocab_size""#, "is_decoder = true");
        check_refused(r#""hidden_size": 384,"#, "", "hidden_size: a number is missing");
        check_refused("384", "385", "num_attention_heads: 12 does not divide hidden_size 385");
        check_refused("30522", "99999999999", "vocab_size");
        check_refused("1536", "0", "intermediate_size");
        check_refused("512", "-1", "max_position_embeddings");
        check_refused("}", "", "config.json: the whole file");
    }

    #[test]
    fn prompts() {
        let e5 = br#"{"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": null}"#;
        assert_eq!(
            Prompts::parse(e5).unwrap(),
            Prompts { query: "query: ".into(), passage: "passage: ".into() }
        );
        assert_eq!(Prompts::parse(br#"{"__version__": {}}"#).unwrap(), Prompts::default());
    }

    #[test]
    fn pooling_modes() {
        #[track_caller]
        fn check(json: &str, expect: &str) {
            let got = match Pooling::parse(json.as_bytes()) {
                Ok(pooling) => pooling.as_str().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(got.contains(expect), "{got}");
        }
        check(
            r#"{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true, "include_prompt": true}"#,
            "mean",
        );
        check(r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#, "cls");
        check(r#"{"pooling_mode": "cls"}"#, "cls");
        check(r#"{"pooling_mode_lasttoken": true}"#, "pooling_mode = lasttoken is not supported");
        check(
            r#"{"pooling_mode_max_tokens": true, "pooling_mode_mean_tokens": true}"#,
            "max + mean is not supported",
        );
        check(r#"{"pooling_mode_mean_tokens": false}"#, "no mode is set");
        check("[]", "no mode is set");
        check("{", "pooling.json: the whole file");
    }
}
