//! What the three programs of the web app share: the page (Sycamore views only), the engine (a
//! dedicated worker with the assistant and the store), and the ingest worker (a disposable one that
//! parses untrusted files).
//!
//! Floor 5. The programs are the binaries `page`, `engine` and `ingest`; on anything but wasm32
//! they are empty. This library is plain data and pure functions, so that it is tested natively.
//!
//! ```
//! use ui::{Part, answer_parts};
//!
//! let parts = answer_parts("Paris [1].", 1);
//! assert_eq!(parts, [Part::Text("Paris".into()), Part::Ref(1), Part::Text(".".into())]);
//! ```
//!
//! Invariants:
//! - No heavy work on the page's thread: it sends requests and shows events.
//! - Messages are one closed enum for each way; everything in them is plain data.
//! - Nothing here decides what a good answer is: what a test of `assistant` could hold is there.
//! - The page loads nothing from anywhere but its own origin.
#![forbid(unsafe_code)]

mod desk;
mod folder;
mod given_models;
mod inline;
mod library_messages;
mod messages;
mod model_messages;
mod reading;
pub mod words;

pub use desk::{Asker, Cancelled, Desk, Turn};
pub use folder::{MAX_FOLDER_FILES, is_readable};
pub use given_models::{GivenModel, given_models, is_of_model};
pub use inline::{Style, inline, without_line_marks};
pub use library_messages::{FileName, Jobs, LibraryEvent, LibraryRequest, QueueRequest, Shelf};
pub use messages::{
    DocumentRow, Event, FromEngine, FromIngest, Keep, Request, RequestId, Setup, StateLine, Step, Storage,
    TierChoice, ToEngine, ToIngest,
};
pub use model_messages::{ModelsEvent, ModelsRequest};
pub use reading::{Part, Sheet, answer_parts, answer_sentences, sheets};
