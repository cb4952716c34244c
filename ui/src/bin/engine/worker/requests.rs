//! What each request does. The assistant does the work; this translates.

use assistant::{AnswerEvent, AskOptions, Assistant, Error, Options, Place, Progress, Scope};
use ingest::Refusal;
use ui::{
    Asker, DocumentRow, Event, Keep, LibraryEvent, PasswordWanted, Request, Setup, Stage, StateLine, Step,
    Storage, TierChoice, ToIngest,
};
use web_sys::File;

use super::queue::Queue;
use super::{files, library, wire};

/// Where the knowledge base lies in the origin's private file system.
const KNOWLEDGE_BASE: &str = "kb/default.footnote";
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
    /// The generator is wanted, and is loaded when there is time or an answer needs it.
    owes_generator: bool,
}

impl Engine {
    /// Serves one request to its end; every outcome is posted as an event.
    pub async fn serve(&mut self, asker: &Asker, request: Request, files: Vec<File>) {
        let outcome = match (request, files.first()) {
            (Request::Open(setup), _) => self.open(asker, &setup).await,
            (Request::Add { name, mime, password }, Some(file)) => {
                self.add(asker, file, ToIngest { name, mime, password }).await
            }
            (Request::Add { name, .. }, None) => Err(format!("{name} came without its file; add it again")),
            (Request::Library(request), file) => match &mut self.assistant {
                Some(assistant) => library::serve(assistant, asker, request, file).await,
                None => Err(NOT_OPEN.to_owned()),
            },
            (Request::Queue(request), _) => match &mut self.assistant {
                Some(assistant) => self.queue.serve(assistant, asker, request, files).await,
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
        if let Ok(line) = state_line(assistant).await {
            wire::post_all(Event::State(line));
        }
    }

    async fn open(&mut self, asker: &Asker, setup: &Setup) -> Result<Event, String> {
        if self.assistant.is_none() {
            // Request 0: this engine takes over from one that has ended, and others wait already.
            let is_urgent = asker.id == 0;
            let assistant = open_assistant(setup, setup.generator && !is_urgent).await?;
            self.assistant = Some(assistant);
            self.owes_generator = setup.generator && is_urgent;
        }
        let assistant = self.assistant()?;
        Ok(Event::Ready { state: state_line(assistant).await?, documents: rows(assistant)? })
    }

    async fn add(&mut self, asker: &Asker, file: &File, request: ToIngest) -> Result<Event, String> {
        let assistant = self.assistant()?;
        wire::post(asker, Event::Adding(Stage::Reading));
        let parsed = match files::parse(file, &request).await {
            Ok(parsed) => parsed,
            Err(refusal) => return Ok(refused(&refusal)),
        };
        let n_pages = parsed.entries.iter().filter_map(|entry| entry.outcome.as_ref().ok());
        let n_pages = n_pages.map(|(document, _)| document.page_starts.len() as u32).sum();
        wire::post(asker, Event::Adding(Stage::Splitting { n_pages }));
        let mut progress = |progress| {
            if let Some(stage) = stage(&progress) {
                wire::post(asker, Event::Adding(stage));
            }
        };
        let files::Parsed { sha256, entries } = parsed;
        let added = assistant.add_entries(&request.name, sha256, entries, &mut progress).await;
        wire::post_all(Event::Documents(rows(assistant)?));
        match added {
            Ok(all) => match all.refused.first() {
                Some(refusal) if all.added.is_empty() => Ok(refused(refusal)),
                _ => Ok(Event::Added {
                    already_there: all.added.iter().all(|added| added.already_there),
                    warnings: all.warnings(),
                }),
            },
            Err(error) if error.is_device_lost() => Err(told(error)),
            Err(error) => Err(format!("{} was not added: {error}", request.name)),
        }
    }

    async fn answer(&mut self, asker: &Asker, request: Request) -> Result<Event, String> {
        if self.owes_generator && matches!(request, Request::Ask { .. } | Request::Generate { .. }) {
            self.catch_up().await;
        }
        let assistant = self.assistant()?;
        match request {
            Request::Ask { question, scope, keep } => {
                ask(assistant, asker, &question, scope, keep).await.map_err(told)
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
            Request::Generate { prompt, max_tokens } => {
                let (tokens, text) = assistant.continue_prompt(&prompt, max_tokens).await.map_err(told)?;
                Ok(Event::Generated { tokens, text })
            }
            // Served before this is reached: `Cancel` by the queue, the others by `serve`.
            Request::Cancel { .. }
            | Request::Open(_)
            | Request::Add { .. }
            | Request::Library(_)
            | Request::Queue(_) => Ok(Event::Stopped),
        }
    }

    fn assistant(&mut self) -> Result<&mut Assistant, String> {
        self.assistant.as_mut().ok_or_else(|| NOT_OPEN.to_owned())
    }
}

/// Opens runtime, models and store; every tab sees how far that is.
async fn open_assistant(setup: &Setup, with_generator: bool) -> Result<Assistant, String> {
    wire::post_all(Event::Starting(Step::Runtime));
    platform::start_threads(setup.threads).await;
    let models_url = format!("{}{MODELS_URL}", wire::scope().location().origin());
    let store = models::Store::open(MODELS, None, Some(&models_url));
    let mut options = Options::new(Place::File(KNOWLEDGE_BASE.into()), store);
    options.generator = with_generator;
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
    Assistant::open(options, &mut progress).await.map_err(|error| error.to_string())
}

async fn ask(
    assistant: &mut Assistant,
    asker: &Asker,
    question: &str,
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
            AnswerEvent::Quotes(quotes) => wire::post(asker, Event::Quotes(quotes)),
            AnswerEvent::Token(text) => wire::post(asker, Event::Piece(text)),
            AnswerEvent::Done(answer) => {
                let conversation = match keep {
                    Keep::No => return Ok(Event::Answered(answer)),
                    Keep::New => None,
                    Keep::In(conversation) => Some(conversation),
                };
                let asked = (question, platform::unix_ms());
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
/// the models on it are gone, the documents are not.
pub fn told(error: Error) -> String {
    let message = error.to_string();
    if error.is_device_lost() {
        wire::post(&wire::own(0), Event::Fatal { message: message.clone() });
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

async fn state_line(assistant: &mut Assistant) -> Result<StateLine, String> {
    let state = assistant.state().map_err(|error| error.to_string())?;
    let storage = platform::storage_estimate().await.map(|estimate| Storage {
        usage_bytes: estimate.usage_bytes,
        quota_bytes: estimate.quota_bytes,
        persisted: estimate.persisted,
    });
    Ok(StateLine { state, storage })
}

fn refused(refusal: &Refusal) -> Event {
    let password = match refusal {
        Refusal::PasswordNeeded { .. } => PasswordWanted::Needed,
        Refusal::WrongPassword { .. } => PasswordWanted::Wrong,
        _ => PasswordWanted::No,
    };
    Event::Refused { message: refusal.to_string(), password }
}

fn step(progress: Progress) -> Option<Step> {
    match progress {
        Progress::Fetching(fetch) => Some(Step::Fetching {
            model: fetch.id,
            file: fetch.file,
            done_bytes: fetch.done_bytes,
            total_bytes: fetch.total_bytes,
        }),
        Progress::Loading { model } => Some(Step::Loading { model }),
        _ => None,
    }
}

fn stage(progress: &Progress) -> Option<Stage> {
    match *progress {
        Progress::Embedding { n_done, n_total, .. } => {
            Some(Stage::Embedding { n_done: n_done.into(), n_total: n_total.into() })
        }
        Progress::Storing { .. } => Some(Stage::Storing),
        _ => None,
    }
}
