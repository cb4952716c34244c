//! The generator: a loaded model and what it takes to prompt it.

use crate::chat::{ChatTemplate, Message};
use crate::chat_config::ChatConfig;
use crate::config::DecoderConfig;
use crate::constraint::Vocabulary;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::families;
use crate::forecast::forecast;
use crate::kept::Kept;
use crate::sampling::Sampling;
use crate::session::{Session, piece_tokens};
use crate::warm_up::warm_up;
use crate::weight_files::WeightFiles;
use models::ModelFiles;
use runtime::{Forecast, Runtime, Tokenizer, Weights};
use std::cell::OnceCell;
use std::rc::Rc;

/// Tokens that end a text in the families there are; models often name only one of theirs.
const END_TOKENS: [&str; 9] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
    "<EOT>",
    "</s>",
];

/// A loaded language model. Clones share it.
#[derive(Clone)]
pub struct Generator(Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) rt: Runtime,
    pub(crate) model: Decoder,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) n_ctx: usize,
    chat: Option<ChatTemplate>,
    bos_id: Option<u32>,
    end_ids: Vec<u32>,
    /// Made when it is first needed: most texts have no form.
    vocabulary: OnceCell<Rc<Vocabulary>>,
    /// What past sessions left for the next ones.
    pub(crate) kept: Kept,
}

impl Generator {
    /// Loads a model of a family that is built here (`docs/MODELS.md`): a GGUF file, whole or split, or
    /// `model.safetensors`, whole or in parts with an index, with `config.json`, `tokenizer.json` and, where
    /// there are any, `tokenizer_config.json`, `generation_config.json` and `chat_template.jinja`.
    ///
    /// # Errors
    /// A missing or damaged file, and [`Error::Unsupported`] for a setting that is not built here.
    pub async fn load(rt: &Runtime, files: &ModelFiles) -> Result<Self> {
        let WeightFiles { weights, is_gguf, name } = WeightFiles::open(files).await?;
        let (config, chat, tokenizer) = if is_gguf {
            let tokenizer = Tokenizer::from_gguf(&weights)?;
            (families::from_gguf(&weights)?, ChatConfig::from_gguf(&weights, &tokenizer)?, tokenizer)
        } else {
            let json = files.read("config.json").await?;
            let tokenizer = Tokenizer::from_json(&files.read("tokenizer.json").await?)?;
            let chat = ChatConfig::from_json(
                &json,
                read_optional(files, "generation_config.json").await?.as_deref(),
                read_optional(files, "tokenizer_config.json").await?.as_deref(),
                read_optional(files, "chat_template.jinja").await?,
                &tokenizer,
            )?;
            (families::from_json(&json)?, chat, tokenizer)
        };
        if tokenizer.n_vocab() > config.n_vocab {
            let reason = format!("{} tokens, but the model has {}", tokenizer.n_vocab(), config.n_vocab);
            return Err(Error::Setting { file: name, key: "vocabulary".into(), reason });
        }
        let needed = forecast_of(rt, &weights, &config).total_bytes();
        rt.check_room(&format!("the generator {}", files.id()), needed)?;
        let model =
            Decoder::load(rt, &weights, config, async |model: &Decoder| warm_up(rt, model).await).await?;
        Self::assemble(rt, model, tokenizer, chat)
    }

    /// What loading the model and writing one text will take on the tier of `rt`; only the header of
    /// its weights and its settings are read.
    ///
    /// # Errors
    /// As [`Self::load`], but for what is only found while loading.
    pub async fn forecast(rt: &Runtime, files: &ModelFiles) -> Result<Forecast> {
        let WeightFiles { weights, is_gguf, .. } = WeightFiles::open(files).await?;
        let config = if is_gguf {
            families::from_gguf(&weights)?
        } else {
            families::from_json(&files.read("config.json").await?)?
        };
        Ok(forecast_of(rt, &weights, &config))
    }

    fn assemble(rt: &Runtime, model: Decoder, tokenizer: Tokenizer, chat: ChatConfig) -> Result<Self> {
        let template =
            chat.template.map(|source| ChatTemplate::new(source, &chat.bos, &chat.eos)).transpose()?;
        let mut end_ids = chat.end_ids;
        end_ids.extend(END_TOKENS.iter().filter_map(|token| tokenizer.token_id(token)));
        end_ids.sort_unstable();
        end_ids.dedup();
        Ok(Self(Rc::new(Inner {
            rt: rt.clone(),
            n_ctx: model.config().n_ctx(),
            bos_id: tokenizer.token_id(&chat.bos),
            model,
            tokenizer,
            chat: template,
            end_ids,
            vocabulary: OnceCell::new(),
            kept: Kept::default(),
        })))
    }

    /// The conversation in the model's own template, ready for its next turn. A model that is made to think
    /// aloud first is told not to.
    ///
    /// # Errors
    /// [`Error::NoChatTemplate`], and [`Error::ChatTemplate`] where the template refuses the
    /// conversation (say, two turns of the user in a row).
    pub fn chat_prompt(&self, messages: &[Message]) -> Result<String> {
        self.0.chat.as_ref().ok_or(Error::NoChatTemplate)?.prompt(messages, false)
    }

    /// As [`Self::chat_prompt`], of a model that may think aloud before it answers, if it is made for that
    /// (Qwen 3, SmolLM3).
    ///
    /// # Errors
    /// As [`Self::chat_prompt`].
    pub fn thinking_prompt(&self, messages: &[Message]) -> Result<String> {
        self.0.chat.as_ref().ok_or(Error::NoChatTemplate)?.prompt(messages, true)
    }

    /// Reads the prompt and stands ready to give the tokens after it. What past sessions' prompts
    /// began with alike is not read again; the rest runs through the model, which takes its time.
    /// Dropping the future, or the session, stops the work within a step, and keeps what was done.
    ///
    /// # Errors
    /// [`Error::PromptEmpty`], [`Error::PromptTooLong`] for a prompt that fills the whole context,
    /// [`Error::Runtime`] when the device is lost or out of memory.
    pub async fn start(&self, prompt: &str, sampling: &Sampling) -> Result<Session> {
        let mut ids = self.0.tokenizer.encode(prompt, true)?.ids;
        // A rendered chat template brings its own mark of the beginning.
        if let (Some(bos), [first, second, ..]) = (self.0.bos_id, ids.as_slice())
            && (*first, *second) == (bos, bos)
        {
            ids.remove(0);
        }
        let max_tokens = self.0.n_ctx - 1;
        match ids.len() {
            0 => Err(Error::PromptEmpty),
            n_tokens if n_tokens > max_tokens => Err(Error::PromptTooLong { n_tokens, max_tokens }),
            _ => Session::new(Rc::clone(&self.0), ids, sampling).await,
        }
    }

    /// How likely the model takes `continuation` for what follows `prompt`: the mean of the logarithms
    /// of its tokens' probabilities, 0 at most. A short question's likelihood after a passage tells
    /// whether the passage answers it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn likelihood(&self, prompt: &str, continuation: &str) -> Result<f32> {
        let ids = self.0.tokenizer.encode(continuation, false)?.ids;
        let n_tokens = self.count_tokens(prompt) as usize + ids.len();
        if n_tokens >= self.0.n_ctx {
            return Err(Error::PromptTooLong { n_tokens, max_tokens: self.0.n_ctx - 1 });
        }
        let mut session = self.start(prompt, &Sampling::greedy(ids.len().max(1))).await?;
        session.likelihood(&ids).await
    }

    /// Tokens of `text`; a prompt may have one less than [`Self::n_ctx`].
    pub fn count_tokens(&self, text: &str) -> u32 {
        let n_tokens = self.0.tokenizer.count(text).unwrap_or(text.len());
        u32::try_from(n_tokens).unwrap_or(u32::MAX)
    }

    /// The bytes that a token stands for; none for tokens that are no text. They may end within a character.
    pub fn token_bytes(&self, token: u32) -> Vec<u8> {
        self.0.vocabulary().bytes(token).to_vec()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Tokens that a prompt and its continuation may have together.
    pub fn n_ctx(&self) -> usize {
        self.0.n_ctx
    }
}

impl Inner {
    /// Tokens that end a text.
    pub(crate) fn end_ids(&self) -> &[u32] {
        &self.end_ids
    }

    /// The bytes of all tokens.
    pub(crate) fn vocabulary(&self) -> Rc<Vocabulary> {
        Rc::clone(self.vocabulary.get_or_init(|| Rc::new(Vocabulary::new(self.tokenizer.token_bytes()))))
    }

    pub(crate) fn is_end(&self, token: u32) -> bool {
        self.end_ids.binary_search(&token).is_ok()
    }
}

fn forecast_of(rt: &Runtime, weights: &Weights, config: &DecoderConfig) -> Forecast {
    forecast(rt, weights, config, config.n_ctx(), piece_tokens(rt.tier()))
}

async fn read_optional(files: &ModelFiles, name: &str) -> Result<Option<Vec<u8>>> {
    if files.has(name) { Ok(Some(files.read(name).await?)) } else { Ok(None) }
}
