//! What each request does. The assistant does the work; this translates.

use assistant::{AnswerEvent, AskOptions, Assistant, Error, Options, Place, Progress};
use ingest::Refusal;
use ui::{
    DocumentRow, Event, PasswordWanted, Request, RequestId, Setup, Stage, StateLine, Step, Storage,
    TierChoice, ToIngest,
};
use web_sys::File;

use super::{files, lock, wire};

/// Where the knowledge base lies in the origin's private file system.
const KNOWLEDGE_BASE: &str = "kb/default.footnote";
/// Where models are kept there.
const MODELS: &str = "models";
/// Where the page's own server offers them.
const MODELS_URL: &str = "/models";

/// The assistant, once it is open.
#[derive(Default)]
pub struct Engine {
    assistant: Option<Assistant>,
    has_lock: bool,
}

impl Engine {
    /// Serves one request to its end; every outcome is posted as an event.
    pub async fn serve(&mut self, id: RequestId, request: Request, file: Option<File>) {
        let outcome = match (request, file) {
            (Request::Open(setup), _) => self.open(id, &setup).await,
            (Request::Add { name, mime, password }, Some(file)) => {
                self.add(id, &file, ToIngest { name, mime, password }).await
            }
            (Request::Add { name, .. }, None) => Err(format!("{name} came without its file; add it again")),
            (request, _) => self.answer(id, request).await,
        };
        match outcome {
            Ok(event) => wire::post(id, event),
            Err(message) => wire::post(id, Event::Failed { message }),
        }
    }

    async fn open(&mut self, id: RequestId, setup: &Setup) -> Result<Event, String> {
        if !self.has_lock && !lock::take(setup.take_over).await {
            return Ok(Event::OpenElsewhere);
        }
        self.has_lock = true;
        // The old one lets go of its files before they are opened anew.
        self.assistant = None;
        wire::post(id, Event::Starting(Step::Runtime));
        platform::start_threads(setup.threads).await;
        let models_url = format!("{}{MODELS_URL}", wire::scope().location().origin());
        let store = models::Store::open(MODELS, None, Some(&models_url));
        let mut options = Options::new(Place::File(KNOWLEDGE_BASE.into()), store);
        options.generator = setup.generator;
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
                wire::post(id, Event::Starting(step));
            }
        };
        let mut assistant =
            Assistant::open(options, &mut progress).await.map_err(|error| error.to_string())?;
        let documents = rows(&mut assistant)?;
        let state = state_line(&mut assistant).await?;
        self.assistant = Some(assistant);
        Ok(Event::Ready { state, documents })
    }

    async fn add(&mut self, id: RequestId, file: &File, request: ToIngest) -> Result<Event, String> {
        let assistant = self.assistant()?;
        wire::post(id, Event::Adding(Stage::Reading));
        let parsed = match files::parse(file, &request).await {
            Ok(parsed) => parsed,
            Err(refusal) => return Ok(refused(&refusal)),
        };
        wire::post(id, Event::Adding(Stage::Splitting));
        let mut progress = |progress| {
            if let Some(stage) = stage(&progress) {
                wire::post(id, Event::Adding(stage));
            }
        };
        let files::Parsed { sha256, entries } = parsed;
        match assistant.add_entries(&request.name, sha256, entries, &mut progress).await {
            Ok(all) => match all.refused.first() {
                Some(refusal) if all.added.is_empty() => Ok(refused(refusal)),
                _ => Ok(Event::Added {
                    documents: rows(assistant)?,
                    already_there: all.added.iter().all(|added| added.already_there),
                    warnings: all.warnings(),
                }),
            },
            Err(error) if error.is_device_lost() => Err(told(error)),
            Err(error) => Err(format!("{} was not added: {error}", request.name)),
        }
    }

    async fn answer(&mut self, id: RequestId, request: Request) -> Result<Event, String> {
        let assistant = self.assistant()?;
        match request {
            Request::Ask { question } => ask(assistant, id, &question).await.map_err(told),
            Request::Remove { document } => {
                assistant.remove(document).map_err(told)?;
                Ok(Event::Removed { documents: rows(assistant)? })
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
            Request::Cancel { .. } | Request::Open(_) | Request::Add { .. } => Ok(Event::Stopped),
        }
    }

    fn assistant(&mut self) -> Result<&mut Assistant, String> {
        self.assistant.as_mut().ok_or_else(|| "the engine is not open yet; reload the page".to_owned())
    }
}

async fn ask(assistant: &mut Assistant, id: RequestId, question: &str) -> Result<Event, Error> {
    let mut asking = assistant.ask(question, &AskOptions::default()).await?;
    while let Some(event) = asking.next().await? {
        match event {
            AnswerEvent::Quotes(quotes) => wire::post(id, Event::Quotes(quotes)),
            AnswerEvent::Token(text) => wire::post(id, Event::Piece(text)),
            AnswerEvent::Done(answer) => return Ok(Event::Answered(answer)),
        }
        // A `Cancel` that waits is heard here, between two tokens.
        platform::yield_now().await;
    }
    Ok(Event::Stopped)
}

/// The words of an error. A lost device is told to the page at once, which offers a fresh start:
/// the models on it are gone, the documents are not.
fn told(error: Error) -> String {
    let message = error.to_string();
    if error.is_device_lost() {
        wire::post(0, Event::Fatal { message: message.clone() });
    }
    message
}

fn rows(assistant: &mut Assistant) -> Result<Vec<DocumentRow>, String> {
    let documents = assistant.documents().map_err(|error| error.to_string())?;
    let rows = documents.into_iter().map(|info| DocumentRow {
        id: info.id.0,
        name: info.name,
        kind: info.kind,
        n_pages: info.n_pages,
        n_chunks: info.n_chunks,
        warnings: info.warnings,
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
