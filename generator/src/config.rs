//! The model's own settings, from GGUF metadata or from Hugging Face's JSON, parsed once: what a
//! value of these types says is supported.

use crate::error::{Error, Result};
use runtime::{MetaValue, Tokenizer, Weights};
use serde_json::Value;

/// Largest width, number of layers and so on that is taken for meant: ten times the largest Llama.
const MAX_SIZE: u64 = 1 << 18;

/// Which names and which order of rows a weight file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// llama.cpp's: rows of query and key are permuted for interleaved rotary pairs.
    Gguf,
    /// Hugging Face's: as the model was trained.
    HuggingFace,
}

/// Architecture of a decoder of the Llama family.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LlamaConfig {
    pub(crate) form: Form,
    pub(crate) d_model: usize,
    pub(crate) n_layers: usize,
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) d_ffn: usize,
    pub(crate) n_vocab: usize,
    /// Positions it was trained for.
    pub(crate) n_ctx_train: usize,
    pub(crate) rms_norm_eps: f32,
    pub(crate) rope_base: f32,
    /// The output matrix is the token embedding.
    pub(crate) is_tied: bool,
}

/// Words and marks around a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChatConfig {
    /// Jinja source; `None` where the model has none.
    pub(crate) template: Option<String>,
    pub(crate) bos: String,
    pub(crate) eos: String,
    /// Tokens that end a text, beside those known by name.
    pub(crate) end_ids: Vec<u32>,
}

impl LlamaConfig {
    /// From a GGUF file's metadata and tensors.
    pub(crate) fn from_gguf(weights: &Weights) -> Result<Self> {
        let gguf = Gguf(weights);
        let architecture = gguf.text("general.architecture").unwrap_or_default();
        if architecture != "llama" {
            return unsupported("general.architecture", architecture, "llama");
        }
        match gguf.text("llama.rope.scaling.type") {
            None | Some("none") => {}
            Some(other) => return unsupported("llama.rope.scaling.type", other, "none"),
        }
        for name in ["rope_freqs.weight", "blk.0.attn_q.bias", "blk.0.ffn_gate_inp.weight"] {
            if weights.tensor_info(name).is_some() {
                return unsupported("tensor", name, "plain Llama without scaled rotation, biases or experts");
            }
        }
        let (d_model, n_heads) =
            (gguf.size("llama.embedding_length")?, gguf.size("llama.attention.head_count")?);
        let embedding = weights.tensor_info("token_embd.weight").map(|info| info.shape.as_slice());
        let config = Self {
            form: Form::Gguf,
            d_model,
            n_layers: gguf.size("llama.block_count")?,
            n_heads,
            n_kv_heads: gguf.size_or("llama.attention.head_count_kv", n_heads)?,
            head_dim: gguf.size_or("llama.attention.key_length", d_model / n_heads)?,
            d_ffn: gguf.size("llama.feed_forward_length")?,
            n_vocab: embedding.and_then(|shape| shape.first()).copied().unwrap_or(0),
            n_ctx_train: gguf.size("llama.context_length")?,
            rms_norm_eps: gguf.number("llama.attention.layer_norm_rms_epsilon").unwrap_or(1e-5) as f32,
            rope_base: gguf.number("llama.rope.freq_base").unwrap_or(10_000.0) as f32,
            is_tied: weights.tensor_info("output.weight").is_none(),
        };
        let head_dim = config.head_dim;
        for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
            if gguf.size_or(key, head_dim)? != head_dim {
                let value = gguf.size(key)?.to_string();
                return unsupported(key, &value, "the same as llama.attention.key_length");
            }
        }
        config.checked("model.gguf")
    }

    /// From the bytes of `config.json`.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self> {
        let file = Json::parse("config.json", json)?;
        file.only("model_type", &Value::from("llama"))?;
        file.only("hidden_act", &Value::from("silu"))?;
        file.only("attention_bias", &Value::from(false))?;
        file.only("mlp_bias", &Value::from(false))?;
        file.only("partial_rotary_factor", &Value::from(1.0))?;
        // Newer files keep all of rotation in one object, older ones only what scales it.
        for rope in ["rope_parameters", "rope_scaling"].iter().filter_map(|key| file.get(key)) {
            for key in ["rope_type", "type"] {
                match rope.get(key) {
                    None | Some(Value::Null) => {}
                    Some(value) if value == "default" => {}
                    Some(value) => return unsupported(key, &value.to_string(), "default"),
                }
            }
        }
        let (d_model, n_heads) = (file.size("hidden_size")?, file.size("num_attention_heads")?);
        let rope_base =
            file.get("rope_parameters").and_then(|rope| rope.get("rope_theta")).or(file.get("rope_theta"));
        let config = Self {
            form: Form::HuggingFace,
            d_model,
            n_layers: file.size("num_hidden_layers")?,
            n_heads,
            n_kv_heads: file.size_or("num_key_value_heads", n_heads)?,
            head_dim: file.size_or("head_dim", d_model / n_heads)?,
            d_ffn: file.size("intermediate_size")?,
            n_vocab: file.size("vocab_size")?,
            n_ctx_train: file.size("max_position_embeddings")?,
            rms_norm_eps: file.get("rms_norm_eps").and_then(Value::as_f64).unwrap_or(1e-6) as f32,
            rope_base: rope_base.and_then(Value::as_f64).unwrap_or(10_000.0) as f32,
            is_tied: file.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
        };
        config.checked("config.json")
    }

    fn checked(self, file: &'static str) -> Result<Self> {
        let refuse = |key: &str, reason: String| Err(Error::Setting { file, key: key.into(), reason });
        if self.n_vocab == 0 {
            return refuse("vocab_size", "the token embedding is missing".into());
        }
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            let reason = format!("{} key heads do not divide {} heads", self.n_kv_heads, self.n_heads);
            return refuse("num_key_value_heads", reason);
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return refuse("head_dim", format!("{} is not a positive even number", self.head_dim));
        }
        if !(self.rope_base > 0.0 && self.rms_norm_eps >= 0.0) {
            return refuse("rope_theta, rms_norm_eps", "they must be positive numbers".into());
        }
        Ok(self)
    }
}

impl ChatConfig {
    /// From a GGUF file's metadata.
    pub(crate) fn from_gguf(weights: &Weights, tokenizer: &Tokenizer) -> Result<Self> {
        let gguf = Gguf(weights);
        let id = |key: &str| gguf.number(key).map(|id| id as u32);
        let text = |id: Option<u32>| id.map_or(Ok(String::new()), |id| tokenizer.decode(&[id], false));
        let (bos, eos) = (id("tokenizer.ggml.bos_token_id"), id("tokenizer.ggml.eos_token_id"));
        let ends = [eos, id("tokenizer.ggml.eot_token_id"), id("tokenizer.ggml.eom_token_id")];
        Ok(Self {
            template: gguf.text("tokenizer.chat_template").map(str::to_string),
            bos: text(bos)?,
            eos: text(eos)?,
            end_ids: ends.into_iter().flatten().collect(),
        })
    }

    /// From the bytes of `config.json` and, where they are there, `generation_config.json`,
    /// `tokenizer_config.json` and `chat_template.jinja`.
    pub(crate) fn from_json(
        config: &[u8],
        generation: Option<&[u8]>,
        tokenizer_config: Option<&[u8]>,
        template_file: Option<Vec<u8>>,
        tokenizer: &Tokenizer,
    ) -> Result<Self> {
        let mut end_ids = Json::parse("config.json", config)?.ids("eos_token_id");
        if let Some(generation) = generation {
            end_ids.extend(Json::parse("generation_config.json", generation)?.ids("eos_token_id"));
        }
        let Some(tokenizer_config) = tokenizer_config else { return Ok(Self { end_ids, ..Self::default() }) };
        let file = Json::parse("tokenizer_config.json", tokenizer_config)?;
        let (bos, eos) = (file.token_text("bos_token"), file.token_text("eos_token"));
        end_ids.extend(tokenizer.token_id(&eos));
        let template = match template_file {
            Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            None => file.template(),
        };
        Ok(Self { template, bos, eos, end_ids })
    }
}

/// Typed access to GGUF metadata.
struct Gguf<'a>(&'a Weights);

impl Gguf<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        match self.0.meta(key)? {
            MetaValue::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self, key: &str) -> Option<f64> {
        match *self.0.meta(key)? {
            MetaValue::U64(n) => Some(n as f64),
            MetaValue::I64(n) => Some(n as f64),
            MetaValue::F64(n) => Some(n),
            _ => None,
        }
    }

    fn size(&self, key: &str) -> Result<usize> {
        let n = self.number(key).filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64);
        possible_size("model.gguf", key, n)
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.0.meta(key).is_none() { Ok(default) } else { self.size(key) }
    }
}

/// Typed access to a JSON object.
struct Json {
    file: &'static str,
    all: Value,
}

impl Json {
    fn parse(file: &'static str, json: &[u8]) -> Result<Self> {
        let all = serde_json::from_slice(json);
        all.map(|all| Self { file, all }).map_err(|e| Error::Setting {
            file,
            key: "the whole file".into(),
            reason: e.to_string(),
        })
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.all.get(key).filter(|value| !value.is_null())
    }

    fn size(&self, key: &str) -> Result<usize> {
        possible_size(self.file, key, self.get(key).and_then(Value::as_u64))
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_none() { Ok(default) } else { self.size(key) }
    }

    /// The setting is not there, or has the one value that is supported.
    fn only(&self, key: &str, supported: &Value) -> Result<()> {
        match self.get(key) {
            Some(value) if value != supported => {
                let (value, supported) = (value.to_string(), supported_word(supported));
                Err(Error::Unsupported { key: key.into(), value, supported })
            }
            _ => Ok(()),
        }
    }

    /// One id or a list of them.
    fn ids(&self, key: &str) -> Vec<u32> {
        let value = self.get(key);
        let list = value.and_then(Value::as_array).map(Vec::as_slice);
        let all = list.unwrap_or(value.map(std::slice::from_ref).unwrap_or_default());
        all.iter().filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok()).collect()
    }

    /// A token, which is a string or an object with its `content`.
    fn token_text(&self, key: &str) -> String {
        let value = self.get(key);
        let text = value.and_then(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
        text.unwrap_or_default().to_string()
    }

    /// The chat template: a string, or a list of named ones of which `default` is meant.
    fn template(&self) -> Option<String> {
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

fn supported_word(value: &Value) -> &'static str {
    match value.as_str() {
        Some("llama") => "llama",
        Some("silu") => "silu",
        _ if value == false => "false",
        _ => "1.0",
    }
}

fn possible_size(file: &'static str, key: &str, n: Option<u64>) -> Result<usize> {
    let max = if key == "vocab_size" || key.ends_with("context_length") { 1 << 24 } else { MAX_SIZE };
    let reason = match n {
        Some(n) if n >= 1 && n <= max => return Ok(n as usize),
        Some(n) => format!("{n} is not within 1..={max}"),
        None => "a number is missing".into(),
    };
    Err(Error::Setting { file, key: key.into(), reason })
}

fn unsupported<T>(key: &str, value: &str, supported: &'static str) -> Result<T> {
    Err(Error::Unsupported { key: key.into(), value: value.into(), supported })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOLLM2: &str = r#"{"model_type": "llama", "hidden_act": "silu", "attention_bias": false, "hidden_size": 576,
        "intermediate_size": 1536, "max_position_embeddings": 8192, "num_attention_heads": 9, "num_hidden_layers": 30,
        "num_key_value_heads": 3, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 100000,
        "tie_word_embeddings": true, "eos_token_id": [2, 7], "vocab_size": 49152}"#;

    #[test]
    fn smollm2_is_understood() {
        let config = LlamaConfig::from_json(SMOLLM2.as_bytes()).unwrap();
        assert_eq!((config.n_heads, config.n_kv_heads, config.head_dim), (9, 3, 64));
        assert_eq!((config.rope_base, config.rms_norm_eps, config.is_tied), (100_000.0, 1e-5, true));
        assert_eq!(Json::parse("config.json", SMOLLM2.as_bytes()).unwrap().ids("eos_token_id"), [2, 7]);
    }

    #[test]
    fn the_newer_spelling_of_rotation_is_understood() {
        let newer = r#""rope_parameters": {"rope_type": "default", "rope_theta": 5e5}"#;
        let json = SMOLLM2.replace(r#""rope_theta": 100000"#, newer);
        assert_eq!(LlamaConfig::from_json(json.as_bytes()).unwrap().rope_base, 500_000.0);
    }

    /// Parsing SMOLLM2 with `from` replaced by `to` fails with a message that contains `expect`.
    #[track_caller]
    fn check_refused(from: &str, to: &str, expect: &str) {
        let json = SMOLLM2.replace(from, to);
        assert_ne!(json, SMOLLM2);
        let message = LlamaConfig::from_json(json.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expect), "{message}");
    }

    #[test]
    fn other_architectures_are_refused_by_name() {
        check_refused(r#""llama""#, r#""qwen2""#, r#"model_type = "qwen2" is not supported"#);
        check_refused(r#""silu""#, r#""gelu""#, "hidden_act");
        check_refused(r#""attention_bias": false"#, r#""attention_bias": true"#, "attention_bias = true");
        check_refused(
            r#""rope_scaling": null"#,
            r#""rope_scaling": {"rope_type": "llama3"}"#,
            r#"rope_type = "llama3""#,
        );
        check_refused(
            r#""rope_scaling": null"#,
            r#""rope_scaling": {"type": "linear"}"#,
            r#"type = "linear""#,
        );
        check_refused(
            r#""num_key_value_heads": 3"#,
            r#""num_key_value_heads": 2"#,
            "2 key heads do not divide 9",
        );
        check_refused(
            r#""hidden_size": 576"#,
            r#""hidden_size": 9"#,
            "head_dim: 1 is not a positive even number",
        );
        check_refused(r#""vocab_size": 49152"#, r#""vocab_size": 0"#, "vocab_size: 0 is not within");
        check_refused(r#""num_hidden_layers": 30,"#, "", "num_hidden_layers: a number is missing");
        check_refused("100000", "-1", "rope_theta");
        check_refused("}", "", "config.json: the whole file");
    }

    #[test]
    fn tokens_and_templates_have_two_spellings() {
        let json =
            br#"{"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null, "chat_template":
            [{"name": "rag", "template": "x"}, {"name": "default", "template": "y"}]}"#;
        let file = Json::parse("tokenizer_config.json", json).unwrap();
        assert_eq!([file.token_text("bos_token"), file.token_text("eos_token")], ["<s>", "</s>"]);
        assert_eq!(file.token_text("pad_token"), "");
        assert_eq!(file.template().as_deref(), Some("y"));
    }
}
