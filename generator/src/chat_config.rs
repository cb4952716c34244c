//! What a model's files say about conversations.

use crate::error::Result;
use crate::settings::{Gguf, Json};
use runtime::{Tokenizer, Weights};

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

impl ChatConfig {
    /// From a GGUF file's metadata.
    pub(crate) fn from_gguf(weights: &Weights, tokenizer: &Tokenizer) -> Result<Self> {
        let gguf = Gguf::new(weights);
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
