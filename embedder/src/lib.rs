//! Texts in, unit vectors out: an encoder of BERT's make with pooling, on either tier of the runtime. And a
//! question with passages in, scores out: [`Reranker`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use embedder::Embedder;
//! use runtime::{Options, Runtime};
//!
//! let rt = Runtime::open(&Options::default()).await?;
//! let store = models::Store::open("/var/cache/footnote/models", None, None);
//! let embedder = Embedder::load(&rt, &store.open_model("all-MiniLM-L6-v2").await?).await?;
//! let passages = embedder.embed_passages(&["The Danube ends in the Black Sea."]).await?;
//! let query = embedder.embed_query("Where does the Danube end?").await?;
//! let cosine: f32 = query.iter().zip(&passages[0]).map(|(a, b)| a * b).sum();
//! # Ok(()) }
//! ```
//!
//! Invariants:
//! - Vectors have length 1, come in the order of the texts, and do not depend on what else is in a call.
//! - Pooling, prefixes and the longest input come from the model's own files; what is not supported
//!   is refused by name while loading. Prefixes that the files of well-known models leave out come from
//!   `models::HubModel`.
//! - Longer texts are cut, as sentence-transformers cuts them; [`Embedder::max_tokens`] says where.
//! - `embedder` knows nothing of documents, chunks or a store.

mod checkpoint;
mod config;
mod embedder;
mod encoder;
mod error;
mod reranker;
mod sequence;
mod settings;

pub use embedder::{Embedder, EmbedderTagFields, PassageVectors, SpannedText};
pub use error::{Error, Result};
pub use reranker::Reranker;
