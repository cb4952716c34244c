//! Prompts in, text out, token by token: decoders of several families, on either tier of the runtime.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use generator::{Generator, Message, Sampling};
//! use runtime::{Options, Runtime};
//!
//! let rt = Runtime::open(&Options::default()).await?;
//! let store = models::Store::open("/var/cache/footnote/models", None, None);
//! let generator = Generator::load(&rt, &store.open_model("smollm2-135m-instruct-q4_1").await?).await?;
//! let prompt = generator.chat_prompt(&[Message::new("user", "Why is the sky blue?")])?;
//! let mut session = generator.start(&prompt, &Sampling::greedy(100)).await?;
//! while let Some(piece) = session.next().await? {
//!     print!("{}", piece.text);
//! }
//! # Ok(()) }
//! ```
//!
//! Invariants:
//! - Tokens are pulled: on the GPU a bounded number of steps runs ahead, on the CPU none, and dropping a
//!   session stops it.
//! - What was asked before, or given up half-way, changes no text: prefixes are reused in the pieces they
//!   were computed in.
//! - The same seed, prompt, model and tier give the same text.
//! - Text comes in whole characters; a stop string is never shown, not even in part.
//! - Chat templates are the model's own; a template can neither read files nor run for ever.
//! - A prompt that does not fit is refused, never cut silently; a text ends where the context is full
//!   ([`Finish::ContextFull`]). Nothing that was read or said is ever forgotten within a session.
//! - A text with a [`Constraint`] that ends by itself has that form, whatever the model would rather say;
//!   one that is cut off (by a stop string, its length or the context) is the beginning of one.
//! - `generator` knows nothing of passages, citations or questions.

mod chat;
mod chat_config;
mod config;
mod constraint;
mod decoder;
mod error;
mod families;
mod forecast;
mod generator;
#[cfg(test)]
mod golden;
mod gpu_steps;
mod kept;
mod layers;
mod perplexity;
mod relative;
mod rope_scaling;
mod sampling;
mod session;
mod settings;
mod stop;
mod tensors;
mod warm_up;
mod weight_files;

pub use chat::Message;
pub use constraint::{Constraint, OrderedJson};
pub use error::{Error, Result};
pub use generator::Generator;
pub use sampling::{MAX_TOP_PROBABILITIES, Probability, Sampling};
pub use session::{Finish, Piece, Session};
pub use weight_files::open_weights;
