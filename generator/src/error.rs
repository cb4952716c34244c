//! What can go wrong between a model file and its text.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model cannot be loaded, prompted, or asked for its next token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the model is missing or cannot be read.
    #[error("the generator's files: {0}")]
    Files(#[from] models::Error),
    /// The weights are damaged, or a tier failed while computing.
    #[error("the generator: {0}")]
    Runtime(#[from] runtime::Error),
    /// A setting in the model's own files is missing or makes no sense.
    #[error("{file}: {key}: {reason}; fetch the model again or choose another one")]
    Setting {
        /// The file that holds the setting.
        file: &'static str,
        /// The setting's own name.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model asks for something that is not built here.
    #[error("{key} = {value} is not supported (supported: {supported}); choose another model")]
    Unsupported {
        /// The setting's own name in the model's files.
        key: String,
        /// What the model asks for.
        value: String,
        /// What would work.
        supported: &'static str,
    },
    /// The model has no chat template; it can continue text, but not chat.
    #[error(
        "the model has no chat template; choose an instruction-tuned model, or give it plain text to continue"
    )]
    NoChatTemplate,
    /// The model's chat template is broken, or refuses the conversation.
    #[error("the model's chat template: {reason}")]
    ChatTemplate {
        /// What the template engine, or the template itself, says.
        reason: String,
    },
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {n_tokens} tokens, but at most {max_tokens} fit; give fewer or shorter passages")]
    PromptTooLong {
        /// Tokens in the prompt.
        n_tokens: usize,
        /// Tokens that fit, with one place left for the answer.
        max_tokens: usize,
    },
    /// A prompt without a single token.
    #[error("the prompt is empty; give at least one character")]
    PromptEmpty,
    /// A constraint that makes no sense, or asks for something that is not built here.
    #[error("{what}: {reason}")]
    Constraint {
        /// The constraint, or the part of it.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No token of the model continues the text in its form.
    #[error("no token of the model can go on in the form that was asked for; ask for another form")]
    ConstraintStuck,
    /// The logits hold NaN or infinity, or none at all: a broken driver or damaged weights.
    #[error("the model computed no usable logits; try `--tier cpu`, and `footnote models verify`")]
    NotFinite,
}

impl Error {
    /// The GPU device went away; another one can take its place.
    pub(crate) fn is_device_lost(&self) -> bool {
        matches!(self, Self::Runtime(error) if error.is_device_lost())
    }
}
