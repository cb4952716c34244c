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
    /// The weights are a pickle, which can run any code when it is read.
    #[error(
        "{file} can run code when it is read, and is not; convert it: \
         python -c \"from transformers import AutoModel as M; M.from_pretrained('.').save_pretrained('.')\" \
         in the model's folder writes model.safetensors"
    )]
    Pickle {
        /// The file that was found instead of `model.safetensors`.
        file: &'static str,
    },
    /// Vectors cannot be cut to that length.
    #[error(
        "{id} was not trained for vectors of {asked} elements (possible: {allowed}); a model that was says so \
         in its config.json: \"matryoshka_dimensions\": [{asked}]"
    )]
    Dimensions {
        /// The model.
        id: String,
        /// Elements asked for.
        asked: usize,
        /// What would work.
        allowed: String,
    },
    /// A vector holds NaN or infinity: a broken driver or damaged weights.
    #[error("the model computed no usable vector; try `--tier cpu`, and `footnote models verify`")]
    NotFinite,
}
