//! The façade: add documents, search them, ask them. Everything that a page or a command line does
//! with a knowledge base goes through [`Assistant`].
//!
//! ```no_run
//! # async fn example() -> Result<(), assistant::Error> {
//! use assistant::{AnswerEvent, AskOptions, Assistant, Options, Place, SourceFile};
//!
//! let store = models::Store::open("/var/cache/footnote/models", None, None);
//! let mut progress = |p| eprintln!("{p:?}");
//! let mut assistant = Assistant::open(Options::new(Place::Memory, store), &mut progress).await?;
//! let file = SourceFile { name: "notes.md".into(), mime: None, bytes: b"# Tea\n\nGreen tea steeps at 80 degrees.".to_vec() };
//! assistant.add(&file, &mut progress).await?;
//! let mut asking = assistant.ask("How hot should green tea be?", &AskOptions::default()).await?;
//! while let Some(event) = asking.next().await? {
//!     match event {
//!         AnswerEvent::Quotes(quotes) => println!("{}", quotes[0].text),
//!         AnswerEvent::Token(text) => print!("{text}"),
//!         AnswerEvent::Done(answer) => println!("{:?}", answer.citations),
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! Invariants:
//! - Quotes are exact spans of the stored text. They are chosen by search, never by the generator,
//!   and come before the first generated word.
//! - Nothing depends on the generator: without one the answer is made of the quotes.
//! - Every sentence of an answer is checked against what it cites; what nothing supports is marked.
//! - Document text reaches a prompt only as delimited data, with a model's control words defused.
//! - No browser, no command line: events are plain data.

mod add;
mod asking;
mod assistant;
mod check;
mod constrain;
mod conversation;
mod direct;
mod error;
mod evidence;
mod exact;
mod finding;
mod follow_up;
mod injection;
mod kernels;
mod letters;
mod library;
mod memory;
mod offers;
mod open;
mod passages;
mod pieces;
mod prompt;
mod question;
mod queue;
mod quotes;
mod relevance;
mod renumber;
mod repair;
mod rerank;
mod retrieve;
mod staging;
mod sync;
mod types;
mod words;
mod work;

pub use asking::Asking;
pub use assistant::Assistant;
pub use error::{Error, Result};
pub use library::{Access, Library, Scope, sha256};
pub use memory::forecast;
pub use offers::Offer;
pub use open::{Options, Place, Read, Reranking};
pub use queue::{Enqueued, MAX_LISTED_JOBS, QueueState};
pub use repair::{Repaired, forget_damaged, repair, repair_in_place, rescue, verify};
pub use sync::{FolderFile, SyncPlan};
pub use types::{
    Added, AddedAll, Answer, AnswerEvent, AnswerSentence, AskOptions, Citation, Exchange, Leg, ModelState,
    NearCopy, Progress, Quote, Rewriting, SearchHit, SearchOptions, Signals, Source, SourceFile, State,
    TierState,
};
pub use work::Work;

pub use vectordb::{
    About, Collection, Contents, Conversation, DocumentInfo, Exported, Imported, Job, JobStage, Loss,
    Message, Role, Stats, Tag,
};
