//! The surface that programs for OpenAI's API know: chat completions, embeddings and models, out of the models
//! here. JSON in, JSON out; it knows no sockets and no pages, so that whoever answers, answers alike.
//!
//! Floor 4. What a request asks for and is not done here is refused by name, never left out silently, unless
//! it is a remark for whoever keeps accounts (`user`, `metadata`, `store`).
//!
//! ```
//! use openai::ChatRequest;
//!
//! let request: ChatRequest = openai::read(
//!     br#"{"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}"#,
//! )?;
//! assert_eq!(request.sampling(1)?.max_tokens, 5);
//! # Ok::<(), openai::Failure>(())
//! ```

mod chat;
mod embeddings;
mod failure;
mod models;
mod request;

pub use chat::{Chat, chat};
pub use embeddings::{EmbeddingsRequest, embeddings};
pub use failure::Failure;
pub use models::{Listed, model, model_list};
pub use request::{ChatRequest, read};
