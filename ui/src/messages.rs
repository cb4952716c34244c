//! What the page, the engine and the ingest worker say to each other: one closed enum for each way.
//!
//! Everything crosses as JSON text, files and their bytes beside it. A request carries an id that
//! the page chose; every event that answers it carries the same id. Id 0 belongs to no request.

use assistant::{Answer, Quote, Scope, Source, State};
use ingest::Told;
use serde::{Deserialize, Serialize};

use crate::{LibraryEvent, LibraryRequest, ModelsEvent, ModelsRequest, QueueRequest};

/// Ties events to the request they answer; chosen by the page, never 0, never given twice.
pub type RequestId = u32;

/// An event or request with the id it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToEngine {
    /// The request's id.
    pub id: RequestId,
    /// What is wanted.
    pub request: Request,
}

/// An event and the request it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FromEngine {
    /// Id of the request, 0 where none caused it.
    pub id: RequestId,
    /// What happened.
    pub event: Event,
}

/// What a page may ask of the engine. Requests are served one after the other, in order, those that
/// bring files after everything else; only [`Request::Cancel`] is heard at once.
///
/// One engine serves all tabs. When it moves to another tab, pages send again what was not answered
/// ([`Event::Moved`]): so every request does the same when it is served twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// The first request: get ready. Answered by `Starting`.. and one of `Ready`, `Damaged`, `Failed`. Where the
    /// engine is open already, as for a second tab, the settings change nothing.
    Open(Setup),
    /// Give up the request with this id, waiting or running. It is answered by `Stopped`.
    Cancel {
        /// The request to give up.
        id: RequestId,
    },
    /// Forget a document. Answered by `Removed`.
    Remove {
        /// The document.
        document: u64,
    },
    /// Answer a question. Answered by `Quotes`, `Piece`.. and `Answered`.
    Ask {
        /// The question.
        question: String,
        /// Which documents are asked.
        #[serde(default)]
        scope: Scope,
        /// Whether question and answer are kept; `LibraryEvent::Kept` tells where.
        #[serde(default)]
        keep: Keep,
        /// When it was asked, in milliseconds since 1970 (UTC): the same question of the same moment is kept
        /// once. Now, where it is not said.
        #[serde(default)]
        asked_unix_ms: Option<i64>,
    },
    /// Something about the knowledge base as a whole.
    Library(LibraryRequest),
    /// Something about the files that are to be read.
    Queue(QueueRequest),
    /// Something about the models.
    Models(ModelsRequest),
    /// The text of a document. Answered by `Source`.
    Source {
        /// The document.
        document: u64,
    },
    /// The state line. Answered by `State`.
    State,
    /// Vectors of texts, as passages. Answered by `Embedded`. For pages that embed the engine.
    Embed {
        /// The texts.
        texts: Vec<String>,
    },
    /// What `openai` answers: `chat/completions`, `embeddings` or `models`, with the body that OpenAI's API has for
    /// it. Answered by `ApiPiece`.. and `Api`. For `footnote.js`.
    Api {
        /// The path below `/v1/`.
        path: String,
        /// The body, as JSON text: in a schema the order of fields counts.
        #[serde(default)]
        body: String,
    },
    /// Continue a prompt greedily. Answered by `Generated`. For pages that embed the engine.
    Generate {
        /// The prompt, template and all.
        prompt: String,
        /// Stop after so many tokens.
        max_tokens: usize,
    },
}

/// Whether a question and its answer are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Keep {
    /// They are not.
    #[default]
    No,
    /// In a new conversation.
    New,
    /// At the end of this one.
    In(u64),
}

/// How the engine gets ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Which tier computes.
    pub tier: TierChoice,
    /// Whether answers are written, or only quoted.
    pub generator: bool,
    /// How many threads compute, where the browser allows more than one; `None` for as many as the
    /// machine has.
    pub threads: Option<usize>,
    /// Which generator; `None` for the usual one.
    #[serde(default)]
    pub generator_model: Option<String>,
    /// Get ready without a generator whose files are not here: whoever asks fetches it beside everything else.
    #[serde(default)]
    pub generator_later: bool,
    /// A mirror of the model hub, from which models are fetched instead.
    #[serde(default)]
    pub mirror: Option<String>,
    /// Seconds that reading a document may take, and all of an archive; `None` for what its size allows.
    #[serde(default)]
    pub read_seconds: Option<u32>,
}

/// Which tier computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TierChoice {
    /// The GPU where there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The GPU, also where it is only imitated; an error where there is none.
    Gpu,
    /// As `Gpu`, with every variant of its kernels tested, and used where it passes: for diagnosis.
    GpuAll,
}

/// What the engine tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A step on the way to `Ready`.
    Starting(Step),
    /// Requests are served from now on.
    Ready {
        /// The state line.
        state: StateLine,
        /// What is stored.
        documents: Vec<DocumentRow>,
        /// A generator is wanted, and its files are not here.
        lacks_generator: bool,
    },
    /// Belongs to no request. Another engine serves from now on: the first one of this page, or that
    /// of another tab. What was not answered has to be sent again.
    Moved,
    /// The request is being served. What was told of it before, by an engine that has ended, is void.
    Begun,
    /// Belongs to no request: what is stored has changed, by whichever tab.
    Documents(Vec<DocumentRow>),
    /// A document is gone; `Documents` has been told before.
    Removed,
    /// The passages an answer rests on, best first.
    Quotes(Vec<Quote>),
    /// The next words of an answer.
    Piece(String),
    /// The whole answer, checked.
    Answered(Answer),
    /// The request was given up.
    Stopped,
    /// A document's text.
    Source(Source),
    /// The state line.
    State(StateLine),
    /// Something about the knowledge base as a whole, or about the files that are to be read.
    Library(LibraryEvent),
    /// Something about the models.
    Models(ModelsEvent),
    /// Unit vectors in the order of the texts.
    Embedded {
        /// One row per text.
        vectors: Vec<Vec<f32>>,
    },
    /// A piece of an answer that is streamed, as OpenAI's API has it.
    ApiPiece(serde_json::Value),
    /// An answer as OpenAI's API has it, or an error; nothing where it was streamed.
    Api {
        /// HTTP's status.
        status: u16,
        /// The body.
        body: serde_json::Value,
    },
    /// A continued prompt.
    Generated {
        /// The new tokens.
        tokens: Vec<u32>,
        /// Their text.
        text: String,
    },
    /// The request failed; the engine goes on.
    Failed {
        /// Says what to do.
        message: String,
    },
    /// The knowledge base is damaged, and nothing is served but [`LibraryRequest::Rescue`] and
    /// [`LibraryRequest::Rebuild`]. Also told to every tab, under id 0, when it is found later.
    Damaged {
        /// What was found to be wrong.
        message: String,
    },
    /// The engine has died; a new one has to be started.
    Fatal {
        /// What it died of.
        message: String,
    },
}

impl Event {
    /// Whether this is the last event of its request.
    pub fn is_last(&self) -> bool {
        if let Self::Models(event) = self {
            return event.is_last();
        }
        !matches!(
            self,
            Self::Moved
                | Self::Begun
                | Self::Documents(_)
                | Self::Starting(_)
                | Self::Quotes(_)
                | Self::Piece(_)
                | Self::ApiPiece(_)
                | Self::Fatal { .. }
                | Self::Library(
                    LibraryEvent::Copying { .. }
                        | LibraryEvent::Kept { .. }
                        | LibraryEvent::NotKept { .. }
                        | LibraryEvent::Read { .. }
                        | LibraryEvent::Comparing { .. }
                )
        )
    }
}

/// A document of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRow {
    /// The document.
    pub id: u64,
    /// The file's name.
    pub name: String,
    /// What kind of file it was, such as `pdf`, `docx` or `text`.
    pub kind: String,
    /// Pages; 0 where the format has none.
    pub n_pages: u32,
    /// Passages.
    pub n_chunks: u32,
    /// Sentences for the user about what could not be read.
    pub warnings: Vec<String>,
    /// Size of the file.
    pub n_bytes: u64,
    /// When it was added, in milliseconds since 1970 (UTC).
    pub added_unix_ms: i64,
    /// The collection it is in.
    pub collection: Option<u64>,
    /// Its tags, in order.
    pub tags: Vec<String>,
}

/// What the line at the foot of the page tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateLine {
    /// Tier, models, counts.
    pub state: State,
    /// Room of this origin; `None` where the browser does not tell.
    pub storage: Option<Storage>,
    /// Whether what is stored outlives the tab: some private windows give a site no files.
    pub keeps_files: bool,
}

/// How much this origin stores, as far as the browser tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Bytes in use.
    pub usage_bytes: u64,
    /// Bytes that may be in use.
    pub quota_bytes: u64,
    /// Whether the browser promises to keep them.
    pub persisted: bool,
}

/// A step of getting ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Choosing a tier and trying it out.
    Runtime,
    /// A model file is downloaded, or checked.
    Fetching {
        /// The model.
        model: String,
        /// Its file.
        file: String,
        /// Bytes that are here.
        done_bytes: u64,
        /// Size of the file.
        total_bytes: u64,
        /// Speed over the last seconds; `None` until that can be said.
        #[serde(default)]
        bytes_per_s: Option<u64>,
        /// Until the whole model is here, at this speed.
        #[serde(default)]
        left_ms: Option<u64>,
    },
    /// A model is loaded.
    Loading {
        /// The model.
        model: String,
    },
    /// The knowledge base is opened.
    Store,
}

/// What the ingest worker is asked; the file's bytes come beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToIngest {
    /// The file's name.
    pub name: String,
    /// The media type the browser claims; empty when it knows none.
    pub mime: String,
    /// Opens an encrypted document.
    pub password: Option<String>,
    /// Entries that an earlier worker told of; they are left out.
    pub n_known: usize,
}

/// What the ingest worker answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromIngest {
    /// A document is begun, or this became of it.
    Told(Told),
    /// That was all of the file.
    Done {
        /// What the worker has taken for this file and those before it.
        memory_bytes: u64,
    },
    /// The parser died of it.
    Crashed {
        /// Its last words.
        message: String,
    },
}

impl FromIngest {
    /// What a worker that ended by itself leaves: the browser's words for it. A parser that panics has told so
    /// before, and a program without memory left ends itself.
    pub fn of_trap(message: &str) -> Self {
        let says = |signs: &[&str]| signs.iter().any(|sign| message.contains(sign));
        let message = match () {
            () if says(&["unreachable", "Out of memory"]) => {
                "reading it takes more memory than its reader may have".to_owned()
            }
            () if says(&["call stack", "out of bounds"]) => "it is nested too deeply".to_owned(),
            () => format!("its reader crashed ({message})"),
        };
        Self::Crashed { message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Jobs;
    use ingest::Entry;

    fn survives<T>(message: T)
    where
        T: PartialEq + std::fmt::Debug + Serialize + for<'a> Deserialize<'a>,
    {
        let text = serde_json::to_string(&message).expect("messages are plain data");
        assert_eq!(serde_json::from_str::<T>(&text).expect("what was written can be read"), message);
    }

    #[test]
    fn messages_survive_the_crossing() {
        let setup = Setup {
            tier: TierChoice::Cpu,
            generator: true,
            threads: Some(2),
            generator_model: Some("mine".into()),
            generator_later: true,
            mirror: None,
            read_seconds: Some(3),
        };
        survives(ToEngine { id: 1, request: Request::Open(setup) });
        let scope = Scope { tags: vec!["été".into()], ..Scope::default() };
        let question = "Où? 世界 \u{1F980}\0".to_owned();
        survives(ToEngine {
            id: 2,
            request: Request::Ask { question, scope, keep: Keep::In(7), asked_unix_ms: Some(1) },
        });
        survives(ToEngine {
            id: 3,
            request: Request::Queue(QueueRequest::Pause { jobs: Jobs::These(vec![1, 2]) }),
        });
        let queue = assistant::QueueState { left_ms: Some(0.5), ..assistant::QueueState::default() };
        survives(FromEngine { id: 0, event: Event::Library(LibraryEvent::Queue(queue)) });
        survives(FromEngine { id: 2, event: Event::Piece("\n“x” [1]".into()) });
        survives(FromEngine {
            id: 2,
            event: Event::Api { status: 404, body: serde_json::json!({"error": null}) },
        });
        survives(FromEngine { id: 0, event: Event::Embedded { vectors: vec![vec![0.1, -1e-30, 1.0]] } });
        let outcome = Err(ingest::Refusal::PasswordNeeded { name: "a.pdf".into() });
        survives(FromIngest::Told(Told::Read(Entry { name: "a.pdf".into(), n_bytes: 1, outcome })));
    }

    #[test]
    fn a_trap_is_told_in_words() {
        for (message, says) in [
            ("Uncaught RuntimeError: unreachable", "more memory"),
            ("Uncaught RangeError: Maximum call stack size exceeded", "nested"),
            ("Uncaught RuntimeError: memory access out of bounds", "nested"),
            ("it did not load", "crashed (it did not load)"),
        ] {
            let FromIngest::Crashed { message: told } = FromIngest::of_trap(message) else {
                panic!("{message} is no crash")
            };
            assert!(told.contains(says), "{message}: {told}");
        }
    }

    /// What is sent again when the engine moves is what had no last event.
    #[test]
    fn progress_is_not_the_last_that_is_said_of_a_request() {
        let kept = Event::Library(LibraryEvent::Kept { conversation: 1 });
        let copying = Event::Library(LibraryEvent::Copying { done_bytes: 1, total_bytes: None });
        let piece = Event::ApiPiece(serde_json::Value::Null);
        for event in [Event::Begun, Event::Piece("a".into()), piece, kept, copying] {
            assert!(!event.is_last(), "{event:?}");
        }
        for event in [Event::Stopped, Event::Removed, Event::Library(LibraryEvent::Conversations(vec![]))] {
            assert!(event.is_last(), "{event:?}");
        }
    }

    /// The boot scripts write this one by hand, and pages that embed the engine write requests.
    #[test]
    fn hand_written_messages_are_understood() {
        let fatal = r#"{"id": 0, "event": {"Fatal": {"message": "no wasm"}}}"#;
        let event = serde_json::from_str::<FromEngine>(fatal).expect("engine-worker.js sends this").event;
        assert_eq!(event, Event::Fatal { message: "no wasm".into() });
        let crashed = r#"{"Crashed": {"message": "no wasm"}}"#;
        let reply = serde_json::from_str::<FromIngest>(crashed).expect("ingest-worker.js sends this");
        assert_eq!(reply, FromIngest::Crashed { message: "no wasm".into() });
        let open = r#"{"id": 1, "request": {"Open": {"tier": "Cpu", "generator": false}}}"#;
        assert!(serde_json::from_str::<ToEngine>(open).is_ok());
        let ask = r#"{"id": 2, "request": {"Ask": {"question": "Why?"}}}"#;
        let request =
            serde_json::from_str::<ToEngine>(ask).expect("pages that embed the engine ask so").request;
        let (question, scope, keep) = ("Why?".into(), Scope::default(), Keep::No);
        assert_eq!(request, Request::Ask { question, scope, keep, asked_unix_ms: None });
    }
}
