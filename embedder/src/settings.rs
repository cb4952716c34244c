//! What sentence-transformers writes beside a checkpoint: pooling, prompts, the longest input.

use crate::config::{EncoderConfig, parse};
use crate::error::{Error, Result};
use models::{EmbeddingDefaults, ModelFiles};
use serde::Deserialize;
use serde_json::Value;

/// Lengths beyond this mean "unlimited" in a `tokenizer_config.json`.
const MAX_STATED_LENGTH: f64 = 1e6;

/// How token states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The mean of all tokens, the special ones included.
    Mean,
    /// The first token.
    Cls,
    /// The last token.
    Last,
}

impl Pooling {
    /// Of a model's files: the one that `modules.json` names, `pooling.json`, or `1_Pooling/config.json`.
    pub(crate) async fn read(files: &ModelFiles) -> Result<Self> {
        let named = match read_optional(files, "modules.json").await? {
            Some(json) => modules(&json)?,
            None => None,
        };
        let usual = ["pooling.json", "1_Pooling/config.json"].into_iter().find(|name| files.has(name));
        let name = named.filter(|name| files.has(name)).or(usual.map(str::to_owned));
        // Where there is none, the message names the usual one.
        Self::parse(&files.read(name.as_deref().unwrap_or("pooling.json")).await?)
    }

    fn parse(json: &[u8]) -> Result<Self> {
        const FILE: &str = "1_Pooling/config.json";
        let all: Value = parse(FILE, json)?;
        if all.get("include_prompt") == Some(&Value::Bool(false)) {
            let (key, value) = ("include_prompt".into(), "false".into());
            return Err(Error::Unsupported { key, value, supported: "true" });
        }
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
        let unsupported = |value| {
            Err(Error::Unsupported { key: "pooling_mode".into(), value, supported: "mean, cls or lasttoken" })
        };
        match (modes.pop(), modes.is_empty()) {
            (Some(mode), true) => match mode.as_str() {
                "mean" => Ok(Self::Mean),
                "cls" => Ok(Self::Cls),
                "lasttoken" => Ok(Self::Last),
                _ => unsupported(mode),
            },
            (Some(mode), false) => unsupported(format!("{} + {mode}", modes.join(" + "))),
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
            Self::Last => "last",
        }
    }
}

/// `pooling_mode_mean_tokens` -> `mean`; `None` for keys that are no mode.
fn flag_mode(key: &str) -> Option<String> {
    let mode = key.strip_prefix("pooling_mode_")?;
    Some(mode.strip_suffix("_tokens").or(mode.strip_suffix("_token")).unwrap_or(mode).into())
}

/// The pooling's settings in a `modules.json`: an encoder, a pooling, and perhaps the normalisation, which
/// is done in any case.
fn modules(json: &[u8]) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Module {
        path: String,
        r#type: String,
    }
    let mut pooling = None;
    for module in parse::<Vec<Module>>("modules.json", json)? {
        let kind = module.r#type.rsplit('.').next().unwrap_or_default();
        match kind {
            "Pooling" => pooling = Some(format!("{}/config.json", module.path)),
            "Transformer" if module.path.is_empty() => {}
            "Normalize" => {}
            _ => {
                let (key, value) = ("modules.json: type".into(), format!("{kind} in {:?}", module.path));
                let supported = "Transformer in the model's folder, Pooling and Normalize";
                return Err(Error::Unsupported { key, value, supported });
            }
        }
    }
    Ok(pooling)
}

/// Tokens that one text may have, the special ones included: from `sentence_bert_config.json`, else from
/// `tokenizer_config.json`, and never more than the model has positions for.
pub(crate) async fn max_seq_length(files: &ModelFiles, config: &EncoderConfig) -> Result<usize> {
    let mut stated = None;
    for (file, key) in
        [("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")]
    {
        if let Some(json) = read_optional(files, file).await? {
            let all: Value = parse(file, &json)?;
            stated = stated.or(all.get(key).and_then(Value::as_f64));
        }
    }
    let stated = stated.filter(|n| *n < MAX_STATED_LENGTH).map_or(usize::MAX, |n| n as usize);
    Ok(stated.min(config.max_tokens()))
}

/// Text before every query and passage; most models have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompts {
    pub(crate) query: String,
    pub(crate) passage: String,
}

impl Prompts {
    /// From `config_sentence_transformers.json`; `known` where it is silent.
    pub(crate) async fn read(files: &ModelFiles, known: &EmbeddingDefaults) -> Result<Self> {
        let stated = match read_optional(files, "config_sentence_transformers.json").await? {
            Some(json) => Self::parse(&json)?,
            None => Self::default(),
        };
        // Newer versions write empty prompts for every model.
        if stated != Self::default() {
            return Ok(stated);
        }
        Ok(Self { query: known.query.clone(), passage: known.passage.clone() })
    }

    fn parse(json: &[u8]) -> Result<Self> {
        let all: Value = parse("config_sentence_transformers.json", json)?;
        let prompts = all.get("prompts").and_then(Value::as_object);
        let default = all.get("default_prompt_name").and_then(Value::as_str);
        let first = |names: &[&str]| {
            let mut names = names.iter().copied().chain(default);
            names.find_map(|name| prompts?.get(name)?.as_str()).unwrap_or_default().to_string()
        };
        Ok(Self { query: first(&["query"]), passage: first(&["document", "passage", "corpus"]) })
    }
}

/// Dimensions that vectors may be cut to: from `config.json` (`matryoshka_dimensions`), else what is known.
pub(crate) async fn cuts(
    files: &ModelFiles,
    known: &EmbeddingDefaults,
    d_model: usize,
) -> Result<Vec<usize>> {
    let all: Value = parse("config.json", &files.read("config.json").await?)?;
    let mut cuts: Vec<usize> = match all.get("matryoshka_dimensions").and_then(Value::as_array) {
        Some(stated) => stated.iter().filter_map(Value::as_u64).map(|n| n as usize).collect(),
        None => known.cuts.clone(),
    };
    cuts.retain(|n| (1..d_model).contains(n));
    Ok(cuts)
}

/// A file that a model need not have.
pub(crate) async fn read_optional(files: &ModelFiles, name: &str) -> Result<Option<Vec<u8>>> {
    if files.has(name) { Ok(Some(files.read(name).await?)) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts() {
        let both = |query: &str, passage: &str| Prompts { query: query.into(), passage: passage.into() };
        let e5 = br#"{"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": null}"#;
        assert_eq!(Prompts::parse(e5).unwrap(), both("query: ", "passage: "));
        let new = br#"{"prompts": {"query": "Q ", "document": "D "}}"#;
        assert_eq!(Prompts::parse(new).unwrap(), both("Q ", "D "));
        let default = br#"{"prompts": {"query": "Q ", "any": "A "}, "default_prompt_name": "any"}"#;
        assert_eq!(Prompts::parse(default).unwrap(), both("Q ", "A "));
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
        check(r#"{"pooling_mode_lasttoken": true}"#, "last");
        check(r#"{"pooling_mode_max_tokens": true}"#, "pooling_mode = max is not supported");
        check(
            r#"{"pooling_mode_max_tokens": true, "pooling_mode_mean_tokens": true}"#,
            "max + mean is not supported",
        );
        check(r#"{"pooling_mode": "mean", "include_prompt": false}"#, "include_prompt = false");
        check(r#"{"pooling_mode_mean_tokens": false}"#, "no mode is set");
        check("[]", "no mode is set");
        check("{", "1_Pooling/config.json: the whole file");
    }

    #[test]
    fn modules_that_are_not_built_here_are_refused_by_name() {
        let module = |path: &str, kind: &str| {
            format!(
                r#"{{"idx": 0, "name": "0", "path": "{path}", "type": "sentence_transformers.models.{kind}"}}"#
            )
        };
        let list = |modules: &[String]| modules_of(&format!("[{}]", modules.join(",")));
        fn modules_of(json: &str) -> Result<Option<String>> {
            modules(json.as_bytes())
        }
        let usual =
            [module("", "Transformer"), module("1_Pooling", "Pooling"), module("2_Normalize", "Normalize")];
        assert_eq!(list(&usual).unwrap().as_deref(), Some("1_Pooling/config.json"));
        for (path, kind) in [("3_Dense", "Dense"), ("0_CLIP", "CLIPModel"), ("0_T", "Transformer")] {
            let message = list(&[module(path, kind)]).unwrap_err().to_string();
            assert!(message.contains(&format!("{kind} in {path:?} is not supported")), "{message}");
        }
    }
}
