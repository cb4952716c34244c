//! What each request does. The assistant does the work; this translates.

use std::time::Duration;

use assistant::{AnswerEvent, AskOptions, Assistant, Error, Options, Place, Progress, Scope};
use models::Store;
use ui::{
    Asker, DocumentRow, Event, Keep, LibraryEvent, LibraryRequest, Request, Setup, StateLine, Step, Storage,
    TierChoice,
};
use web_sys::File;

use super::models::{Arrivals, Shelf};
use super::queue::Queue;
use super::{api, library, wire};

/// Where the knowledge base lies in the origin's private file system.
pub const KNOWLEDGE_BASE: &str = "kb/default.footnote";
/// Where models are kept there.
const MODELS: &str = "models";
/// Where the page's own server offers them.
const MODELS_URL: &str = "/models";

const NOT_OPEN: &str = "the engine is not open yet; reload the page";

/// The assistant, once it is open.
#[derive(Default)]
pub struct Engine {
    assistant: Option<Assistant>,
    queue: Queue,
    shelf: Shelf,
    /// The generator is wanted, and is loaded when there is time or an answer needs it.
    owes_generator: bool,
}

impl Engine {
    pub fn new(arrivals: Arrivals) -> Self {
        Self { shelf: Shelf::new(arrivals), ..Self::default() }
    }

    /// Serves one request to its end; every outcome is posted as an event.
    pub async fn serve(&mut self, asker: &Asker, request: Request, files: Vec<File>) {
        let outcome = match (request, files.first()) {
            (Request::Open(setup), _) => self.open(asker, &setup).await,
            (Request::Library(LibraryRequest::Rescue), _) => {
                self.close();
                library::rescue(asker).await
            }
            (Request::Library(LibraryRequest::Rebuild), _) => {
                self.close();
                library::rebuild().await
            }
            (Request::Library(request), file) => match &mut self.assistant {
                Some(assistant) => library::serve(assistant, asker, request, file).await,
                None => Err(NOT_OPEN.to_owned()),
            },
            (Request::Queue(request), _) => match &mut self.assistant {
                Some(assistant) => self.queue.serve(assistant, asker, request, files).await,
                None => Err(NOT_OPEN.to_owned()),
            },
            (Request::Models(request), _) => match &mut self.assistant {
                Some(assistant) => match self.shelf.serve(assistant, asker, request, files).await {
                    Ok(Some(event)) => Ok(event),
                    // It goes on beside, and tells its end itself.
                    Ok(None) => return,
                    Err(message) => Err(message),
                },
                None => Err(NOT_OPEN.to_owned()),
            },
            (request, _) => self.answer(asker, request).await,
        };
        match outcome {
            Ok(event) if asker.id == 0 => wire::post_all(event),
            Ok(event) => wire::post(asker, event),
            Err(message) => wire::post(asker, Event::Failed { message }),
        }
    }

    /// Whether something was put off so that requests are served sooner.
    pub fn has_put_off(&self) -> bool {
        self.owes_generator
    }

    /// Does a step of the work that waits in the queue; `false` when there is none.
    pub async fn work(&mut self) -> bool {
        match &mut self.assistant {
            Some(assistant) => self.queue.work(assistant).await,
            None => false,
        }
    }

    /// Does what was put off.
    pub async fn catch_up(&mut self) {
        self.owes_generator = false;
        let Some(assistant) = &mut self.assistant else { return };
        assistant.load_generator(&mut |_| {}).await;
        tell_state(assistant).await;
    }

    async fn open(&mut self, asker: &Asker, setup: &Setup) -> Result<Event, String> {
        if self.assistant.is_none() {
            // Request 0: this engine takes over from one that has ended, and others wait already.
            let is_urgent = asker.id == 0;
            let store = store(setup);
            let wants_generator = setup.generator && !(setup.generator_later && lacks(setup, &store).await);
            match open_assistant(setup, store, wants_generator && !is_urgent).await {
                Ok(assistant) => self.assistant = Some(assistant),
                Err(error) if error.is_damaged() => {
                    return Ok(Event::Damaged { message: error.to_string() });
                }
                Err(error) => return Err(error.to_string()),
            }
            self.owes_generator = wants_generator && is_urgent;
            self.queue.read_time = setup.read_seconds.map(|n_seconds| Duration::from_secs(n_seconds.into()));
            if !is_urgent {
                library::tidy().await;
            }
        }
        let assistant = self.assistant.as_mut().ok_or(NOT_OPEN)?;
        self.shelf.tidy(assistant).await;
        let has_generator = assistant.generator().is_some() || self.owes_generator;
        let lacks_generator = setup.generator && !has_generator && lacks(setup, assistant.models()).await;
        let (state, documents) = (state_line(assistant).await?, rows(assistant)?);
        Ok(Event::Ready { state, documents, lacks_generator })
    }

    /// Lets go of the knowledge base; its file can be replaced then.
    fn close(&mut self) {
        self.assistant = None;
        self.queue = Queue::default();
        self.owes_generator = false;
    }

    async fn answer(&mut self, asker: &Asker, request: Request) -> Result<Event, String> {
        let needs_generator =
            matches!(request, Request::Ask { .. } | Request::Generate { .. } | Request::Api { .. });
        if self.owes_generator && needs_generator {
            self.catch_up().await;
        }
        let assistant = self.assistant()?;
        match request {
            Request::Ask { question, scope, keep, asked_unix_ms } => {
                let asked = (question.as_str(), asked_unix_ms.unwrap_or_else(platform::unix_ms));
                ask(assistant, asker, asked, scope, keep).await.map_err(told)
            }
            Request::Remove { document } => {
                assistant.remove(document).map_err(told)?;
                wire::post_all(Event::Documents(rows(assistant)?));
                Ok(Event::Removed)
            }
            Request::Source { document } => assistant.source(document).map(Event::Source).map_err(told),
            Request::State => state_line(assistant).await.map(Event::State),
            Request::Embed { texts } => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let vectors = assistant.embed_texts(&texts).await.map_err(told)?;
                Ok(Event::Embedded { vectors })
            }
            Request::Api { path, body } => Ok(api::serve(assistant, asker, &path, &body).await),
            Request::Generate { prompt, max_tokens } => {
                let (tokens, text) = assistant.continue_prompt(&prompt, max_tokens).await.map_err(told)?;
                Ok(Event::Generated { tokens, text })
            }
            // Served before this is reached: `Cancel` by the queue, the others by `serve`.
            Request::Cancel { .. }
            | Request::Open(_)
            | Request::Library(_)
            | Request::Queue(_)
            | Request::Models(_) => Ok(Event::Stopped),
        }
    }

    fn assistant(&mut self) -> Result<&mut Assistant, String> {
        self.assistant.as_mut().ok_or_else(|| NOT_OPEN.to_owned())
    }
}

/// The folder with the models.
fn store(setup: &Setup) -> Store {
    let models_url = format!("{}{MODELS_URL}", wire::scope().location().origin());
    let store = Store::open(MODELS, None, Some(&models_url));
    match setup.mirror.as_deref().filter(|url| !url.is_empty()) {
        Some(mirror) => store.with_hub(Some(mirror)),
        None => store,
    }
}

/// Whether the files of the generator are not here.
async fn lacks(setup: &Setup, store: &Store) -> bool {
    let usual = &store.catalog().default_generator().id;
    store.find(setup.generator_model.as_ref().unwrap_or(usual)).await.is_err()
}

/// Opens runtime, models and store; every tab sees how far that is.
async fn open_assistant(setup: &Setup, store: Store, with_generator: bool) -> Result<Assistant, Error> {
    wire::post_all(Event::Starting(Step::Runtime));
    platform::start_threads(setup.threads).await;
    let mut options = Options::new(Place::File(KNOWLEDGE_BASE.into()), store);
    options.generator = with_generator;
    options.generator_model.clone_from(&setup.generator_model);
    options.tier = match setup.tier {
        TierChoice::Auto => runtime::TierChoice::Auto,
        TierChoice::Cpu => runtime::TierChoice::Cpu,
        TierChoice::Gpu | TierChoice::GpuAll => runtime::TierChoice::Gpu,
    };
    if setup.tier == TierChoice::GpuAll {
        options.kernels = runtime::KernelPolicy::Forced(runtime::KernelVariant::ALL.into());
    }
    let mut progress = |progress| {
        if let Some(step) = step(progress) {
            wire::post_all(Event::Starting(step));
        }
    };
    Assistant::open(options, &mut progress).await
}

async fn ask(
    assistant: &mut Assistant,
    asker: &Asker,
    (question, asked_unix_ms): (&str, i64),
    scope: Scope,
    keep: Keep,
) -> Result<Event, Error> {
    let conversation = match keep {
        Keep::In(conversation) => assistant.library().exchanges(conversation)?,
        _ => Vec::new(),
    };
    let options = AskOptions { scope, conversation, ..AskOptions::default() };
    let mut asking = assistant.ask(question, &options).await?;
    while let Some(event) = asking.next().await? {
        match event {
            AnswerEvent::Quotes(quotes) => {
                wire::post(asker, Event::Quotes(quotes));
                if let Some(AnswerEvent::Quotes(better)) = asking.reconsider(assistant).await? {
                    wire::post(asker, Event::Quotes(better));
                }
            }
            AnswerEvent::Token(text) => wire::post(asker, Event::Piece(text)),
            AnswerEvent::Done(answer) => {
                let conversation = match keep {
                    Keep::No => return Ok(Event::Answered(answer)),
                    Keep::New => None,
                    Keep::In(conversation) => Some(conversation),
                };
                let asked = (question, asked_unix_ms);
                let kept = assistant.library_mut().keep_exchange(conversation, asked, &answer);
                wire::post(
                    asker,
                    Event::Library(match kept {
                        Ok(conversation) => LibraryEvent::Kept { conversation },
                        // An answer that cannot be kept is still an answer.
                        Err(error) => LibraryEvent::NotKept { message: error.to_string() },
                    }),
                );
                return Ok(Event::Answered(answer));
            }
        }
        // A `Cancel` that waits is heard here, between two tokens.
        platform::yield_now().await;
    }
    Ok(Event::Stopped)
}

/// The words of an error. A lost device is told to the page at once, which offers a fresh start:
/// the models on it are gone, the documents are not. A damaged knowledge base is told to all.
pub fn told(error: Error) -> String {
    let message = error.to_string();
    if error.is_device_lost() {
        wire::post(&wire::own(0), Event::Fatal { message: message.clone() });
    }
    if error.is_damaged() {
        wire::post_all(Event::Damaged { message: message.clone() });
    }
    message
}

pub fn rows(assistant: &Assistant) -> Result<Vec<DocumentRow>, String> {
    let documents = assistant.documents().map_err(|error| error.to_string())?;
    let rows = documents.into_iter().map(|info| DocumentRow {
        id: info.id.0,
        name: info.name,
        kind: info.kind,
        n_pages: info.n_pages,
        n_chunks: info.n_chunks,
        warnings: info.warnings,
        n_bytes: info.n_bytes,
        added_unix_ms: info.added_unix_ms,
        collection: info.collection.map(|id| id.0),
        tags: info.tags,
    });
    Ok(rows.collect())
}

/// Tells every tab the state line.
pub async fn tell_state(assistant: &mut Assistant) {
    if let Ok(line) = state_line(assistant).await {
        wire::post_all(Event::State(line));
    }
}

async fn state_line(assistant: &mut Assistant) -> Result<StateLine, String> {
    let state = assistant.state().map_err(|error| error.to_string())?;
    let storage = platform::storage_estimate().await.map(|estimate| Storage {
        usage_bytes: estimate.usage_bytes,
        quota_bytes: estimate.quota_bytes,
        persisted: estimate.persisted,
    });
    Ok(StateLine { state, storage, keeps_files: platform::keeps_files().await })
}

fn step(progress: Progress) -> Option<Step> {
    match progress {
        Progress::Fetching(fetch) => Some(Step::Fetching {
            model: fetch.id,
            file: fetch.file,
            done_bytes: fetch.done_bytes,
            total_bytes: fetch.total_bytes,
            bytes_per_s: fetch.bytes_per_s,
            left_ms: fetch.left_ms,
        }),
        Progress::Loading { model } => Some(Step::Loading { model }),
        _ => None,
    }
}
