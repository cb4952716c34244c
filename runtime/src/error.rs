//! What can go wrong in the runtime, in words that say what to do.

/// Errors of the runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The weight file could not be read.
    #[error("the weight file could not be read")]
    Read {
        /// What the platform said.
        #[from]
        source: platform::Error,
    },
    /// The weight file contradicts its own format.
    #[error("the weight file is damaged: {reason}; fetch the model again")]
    CorruptWeights {
        /// The first contradiction that was found.
        reason: String,
    },
    /// The weight file is sound but uses something this runtime has no code for.
    #[error("the weight file uses {what}, which is not supported; choose another file of this model")]
    UnsupportedWeights {
        /// The format, type or version.
        what: String,
    },
    /// The model needs a tensor that its file does not have.
    #[error("the weight file has no tensor `{name}`; it belongs to another model or is incomplete")]
    MissingTensor {
        /// The tensor's name in the file.
        name: String,
    },
    /// A shape differs from what an operation or a model needs.
    #[error("`{what}` needs the shape {expected}, got {got}")]
    ShapeMismatch {
        /// The operation or tensor.
        what: String,
        /// The shape that was needed.
        expected: String,
        /// The shape that was given.
        got: String,
    },
    /// A number is outside of what an operation allows.
    #[error("`{what}` is {got}, the limit is {max}")]
    OutOfRange {
        /// What was counted.
        what: String,
        /// The number that was given.
        got: u64,
        /// The largest allowed number.
        max: u64,
    },
    /// The tokenizer's definition is unusable, or a text or token cannot be converted.
    #[error("the tokenizer failed: {reason}")]
    Tokenizer {
        /// What failed.
        reason: String,
    },
    /// No GPU adapter can be used here.
    #[error("no GPU can be used: {reason}; use the CPU tier")]
    NoAdapter {
        /// Why: none offered, only a software one, or a limit too small.
        reason: String,
    },
    /// The GPU device is gone; [`Runtime::recover`](crate::Runtime::recover) brings back what was on it.
    #[error("the GPU device was lost ({reason}); ask again")]
    DeviceLost {
        /// What the driver said.
        reason: String,
    },
    /// The device has no room.
    #[error("no memory for {what} ({}); close other programs or choose a smaller model", megabytes(*n_bytes))]
    OutOfMemory {
        /// What was to be allocated.
        what: String,
        /// Its size.
        n_bytes: u64,
    },
    /// The memory budget has no room.
    #[error(
        "no memory for {what}: it needs {}, and {} of {} are free; choose a smaller model or allow more memory",
        megabytes(*n_bytes), megabytes(*free_bytes), megabytes(*budget_bytes)
    )]
    OverBudget {
        /// What was to be allocated.
        what: String,
        /// Its size.
        n_bytes: u64,
        /// What is left of the budget.
        free_bytes: u64,
        /// The budget.
        budget_bytes: u64,
    },
    /// The GPU refused a command.
    #[error("the GPU refused {what}: {reason}")]
    Gpu {
        /// What was asked.
        what: String,
        /// What the driver said.
        reason: String,
    },
    /// A model gave logits that are no numbers.
    #[error("the model computes numbers that are not finite; its file may be damaged")]
    NotFinite,
    /// A tensor, weight or cache was used with a runtime or recording that did not make it.
    #[error("{what} belongs to another runtime or recording")]
    WrongOwner {
        /// What was used.
        what: String,
    },
}

/// Result of the runtime's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether [`Runtime::recover`](crate::Runtime::recover) helps, and the call may then be repeated.
    pub fn is_device_lost(&self) -> bool {
        matches!(self, Self::DeviceLost { .. })
    }

    /// Whether there was no room: it may help to free something, or to ask for less.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. } | Self::OverBudget { .. })
    }

    /// A [`Error::CorruptWeights`] with `reason`.
    pub(crate) fn corrupt(reason: impl Into<String>) -> Self {
        Self::CorruptWeights { reason: reason.into() }
    }
}

/// Sizes as people compare them: "94.4 MB".
fn megabytes(n_bytes: u64) -> String {
    format!("{:.1} MB", n_bytes as f64 / 1e6)
}
