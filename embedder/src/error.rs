//! What can go wrong between a model file and its vectors.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an embedder cannot be loaded, or a text not embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the model is missing or cannot be read.
    #[error("the embedder's files: {0}")]
    Files(#[from] models::Error),
    /// The weights are damaged, or a tier failed while computing.
    #[error("the embedder: {0}")]
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
    /// A vector holds NaN or infinity: a broken driver or damaged weights.
    #[error("the model computed no usable vector; try `--tier cpu`, and `footnote models verify`")]
    NotFinite,
}
