//! Typed access to the settings in a model's own files: GGUF metadata and Hugging Face's JSON.

use crate::error::{Error, Result};
use runtime::{MetaValue, Weights};
use serde_json::Value;

/// Largest width, number of layers and so on that is taken for meant: ten times the largest Llama.
const MAX_SIZE: u64 = 1 << 18;

/// Typed access to GGUF metadata.
pub(crate) struct Gguf<'a> {
    pub(crate) weights: &'a Weights,
    architecture: &'a str,
}

impl<'a> Gguf<'a> {
    pub(crate) fn new(weights: &'a Weights) -> Self {
        let architecture = weights.meta("general.architecture").and_then(MetaValue::as_str);
        Self { weights, architecture: architecture.unwrap_or_default() }
    }

    /// The name of the family, which is also what its settings begin with.
    pub(crate) fn architecture(&self) -> &'a str {
        self.architecture
    }

    /// The full name of a setting of the architecture.
    pub(crate) fn own(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// Whether the file has a tensor of that name.
    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        self.weights.tensor_info(name).is_some()
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.weights.meta(key)? {
            MetaValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        match *self.weights.meta(key)? {
            MetaValue::U64(n) => Some(n as f64),
            MetaValue::I64(n) => Some(n as f64),
            MetaValue::F64(n) => Some(n),
            _ => None,
        }
    }

    pub(crate) fn size(&self, key: &str) -> Result<usize> {
        let n = self.number(key).filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64);
        possible_size("model.gguf", key, n)
    }

    pub(crate) fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.weights.meta(key).is_none() { Ok(default) } else { self.size(key) }
    }
}

/// Typed access to a JSON object.
pub(crate) struct Json {
    file: &'static str,
    all: Value,
}

impl Json {
    pub(crate) fn parse(file: &'static str, json: &[u8]) -> Result<Self> {
        let all = serde_json::from_slice(json);
        all.map(|all| Self { file, all }).map_err(|e| Error::Setting {
            file,
            key: "the whole file".into(),
            reason: e.to_string(),
        })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.all.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn size(&self, key: &str) -> Result<usize> {
        possible_size(self.file, key, self.get(key).and_then(Value::as_u64))
    }

    pub(crate) fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_none() { Ok(default) } else { self.size(key) }
    }

    /// The text under `key`.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The number under `key`.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.get(key)?.as_f64()
    }

    /// The flag under `key`; `default` where there is none.
    pub(crate) fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => unsupported(key, &other.to_string(), "true, false"),
        }
    }

    /// The setting is not there, or has one of the values that are supported; `supported` lists them.
    pub(crate) fn only(&self, key: &str, values: &[Value], supported: &'static str) -> Result<()> {
        match self.get(key) {
            Some(value) if !values.contains(value) => unsupported(key, &value.to_string(), supported),
            _ => Ok(()),
        }
    }

    /// Refuses the setting by name, with the file it stands in.
    pub(crate) fn refuse<T>(&self, key: &str, reason: impl Into<String>) -> Result<T> {
        Err(Error::Setting { file: self.file, key: key.into(), reason: reason.into() })
    }

    /// The object under `key`, as settings of its own.
    pub(crate) fn object(&self, key: &str) -> Option<Json> {
        let value = self.get(key).filter(|value| value.is_object())?;
        Some(Json { file: self.file, all: value.clone() })
    }

    /// The same settings but for these.
    pub(crate) fn without(&self, keys: &[&str]) -> Json {
        let mut all = self.all.clone();
        if let Value::Object(map) = &mut all {
            keys.iter().for_each(|key| drop(map.remove(*key)));
        }
        Json { file: self.file, all }
    }

    /// One id or a list of them.
    pub(crate) fn ids(&self, key: &str) -> Vec<u32> {
        let value = self.get(key);
        let list = value.and_then(Value::as_array).map(Vec::as_slice);
        let all = list.unwrap_or(value.map(std::slice::from_ref).unwrap_or_default());
        all.iter().filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok()).collect()
    }

    /// A token, which is a string or an object with its `content`.
    pub(crate) fn token_text(&self, key: &str) -> String {
        let value = self.get(key);
        let text = value.and_then(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
        text.unwrap_or_default().to_string()
    }

    /// The chat template: a string, or a list of named ones of which `default` is meant.
    pub(crate) fn template(&self) -> Option<String> {
        match self.get("chat_template")? {
            Value::String(template) => Some(template.clone()),
            Value::Array(named) => {
                let default =
                    named.iter().find(|entry| entry.get("name").is_some_and(|name| name == "default"))?;
                Some(default.get("template")?.as_str()?.to_string())
            }
            _ => None,
        }
    }
}

fn possible_size(file: &'static str, key: &str, n: Option<u64>) -> Result<usize> {
    let max = if ["vocab_size", "max_position_embeddings"].contains(&key) || key.ends_with("context_length") {
        1 << 24
    } else {
        MAX_SIZE
    };
    let reason = match n {
        Some(n) if n >= 1 && n <= max => return Ok(n as usize),
        Some(n) => format!("{n} is not within 1..={max}"),
        None => "a number is missing".into(),
    };
    Err(Error::Setting { file, key: key.into(), reason })
}

pub(crate) fn unsupported<T>(key: &str, value: &str, supported: &'static str) -> Result<T> {
    Err(Error::Unsupported { key: key.into(), value: value.into(), supported })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_templates_have_two_spellings() {
        let json =
            br#"{"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null, "chat_template":
            [{"name": "rag", "template": "x"}, {"name": "default", "template": "y"}]}"#;
        let file = Json::parse("tokenizer_config.json", json).unwrap();
        assert_eq!([file.token_text("bos_token"), file.token_text("eos_token")], ["<s>", "</s>"]);
        assert_eq!(file.token_text("pad_token"), "");
        assert_eq!(file.template().as_deref(), Some("y"));
        let file = Json::parse("config.json", br#"{"eos_token_id": [2, 7], "pad_token_id": 3}"#).unwrap();
        assert_eq!((file.ids("eos_token_id"), file.ids("pad_token_id")), (vec![2, 7], vec![3]));
    }
}
