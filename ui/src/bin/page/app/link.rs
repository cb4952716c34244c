//! The page's end of the wire: sends requests, turns events into changed signals.

use std::rc::Rc;

use js_sys::Array;
use sycamore::prelude::*;
use ui::{
    Event, FromEngine, PasswordWanted, Request, RequestId, Setup, Step, TierChoice, ToEngine, sheets, words,
};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, File, MessageEvent, UrlSearchParams, Worker, WorkerOptions, WorkerType};

use super::model::{App, Exchange, Job, JobState, Outcome, Phase, Source};

/// Copies share the worker.
#[derive(Clone, Copy)]
pub struct Link {
    app: App,
    worker: Signal<Option<Worker>>,
    last_id: Signal<RequestId>,
}

impl Link {
    pub fn new(app: App) -> Self {
        Self { app, worker: create_signal(None), last_id: create_signal(0) }
    }

    /// Starts an engine, instead of the one that may be running.
    pub fn start(self, take_over: bool) {
        self.end();
        let app = self.app;
        app.phase.set(Phase::Starting(Rc::default()));
        app.jobs.set(Vec::new());
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = match Worker::new_with_options(&engine_script(), &options) {
            Ok(worker) => worker,
            Err(error) => return app.phase.set(Phase::OpenFailed(format!("{error:?}"))),
        };
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            match serde_json::from_str::<FromEngine>(&text) {
                Ok(message) => app.scope.run_in(|| self.take(message)),
                Err(error) => web_sys::console::error_1(&format!("not understood: {error}").into()),
            }
        });
        let on_error = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
            app.scope.run_in(|| self.die(event.message()));
        });
        worker.set_onmessage(Some(on_message.into_js_value().unchecked_ref()));
        worker.set_onerror(Some(on_error.into_js_value().unchecked_ref()));
        self.worker.set(Some(worker));
        self.send(Request::Open(setup(take_over)), None);
        platform::spawn_local(async move {
            app.persisted.set(platform::request_persistence().await);
        });
    }

    /// Ends the engine, if one runs.
    pub fn end(self) {
        if let Some(worker) = self.worker.take() {
            worker.terminate();
        }
    }

    pub fn add(self, file: File, password: Option<String>) {
        let (name, mime) = (file.name(), file.type_());
        let id = self.send(Request::Add { name: name.clone(), mime, password }, Some(&file));
        let state = self.app.scope.run_in(|| create_signal(JobState::Waiting));
        self.app.jobs.update(|all| all.push(Job { id, name, file, state }));
    }

    pub fn cancel(self, id: RequestId) {
        self.send(Request::Cancel { id }, None);
    }

    pub fn remove(self, document: u64) {
        self.send(Request::Remove { document }, None);
    }

    pub fn ask(self, question: String) {
        self.stop();
        let id = self.send(Request::Ask { question: question.clone() }, None);
        let exchange = self.app.scope.run_in(|| Exchange {
            id,
            question,
            quotes: create_signal(None),
            text: create_signal(String::new()),
            outcome: create_signal(Outcome::Running),
        });
        self.app.exchanges.update(|all| all.insert(0, exchange));
        self.app.asking.set(Some(id));
        self.app.announcement.set(words::SEARCHING.into());
    }

    /// Stops the answer that is being written, if there is one. The page stops at once; the engine
    /// hears it between two steps of the model.
    pub fn stop(self) {
        if let Some(id) = self.app.asking.get_untracked() {
            self.cancel(id);
            self.give_up(id, Outcome::Stopped);
        }
    }

    /// Opens a document; `at` gives page and span of what shall be highlighted.
    pub fn open(self, document: u64, source: Source) {
        let request = self.send(Request::Source { document }, None);
        self.app.source.set(Some(Source { request, ..source }));
    }

    fn send(self, request: Request, file: Option<&File>) -> RequestId {
        let id = self.last_id.get_untracked() + 1;
        self.last_id.set(id);
        let text = serde_json::to_string(&ToEngine { id, request }).expect("messages are plain data");
        let message = match file {
            Some(file) => Array::of2(&text.into(), file).into(),
            None => JsValue::from(text),
        };
        if let Some(worker) = self.worker.get_clone_untracked() {
            worker.post_message(&message).expect("text and files can be posted");
        }
        id
    }

    fn take(self, message: FromEngine) {
        let app = self.app;
        let FromEngine { id, event } = message;
        match event {
            Event::Starting(step) => {
                if let Phase::Starting(steps) = app.phase.get_clone_untracked() {
                    app.phase.set(Phase::Starting(Rc::new(with_step(&steps, step))));
                }
            }
            Event::Ready { state, documents } => {
                app.state.set(Some(state));
                app.documents.set(documents);
                app.phase.set(Phase::Ready);
            }
            Event::OpenElsewhere => app.phase.set(Phase::Elsewhere),
            Event::TakenOver => {
                self.end();
                app.phase.set(Phase::TakenOver);
            }
            Event::Adding(stage) => self.job_state(id, JobState::Working(stage)),
            Event::Added { documents, warnings, .. } => {
                app.documents.set(documents);
                if let Some(job) = app.job(id) {
                    app.announcement.set(words::added(&job.name, &warnings));
                }
                app.drop_job(id);
                self.refresh();
            }
            Event::Refused { message, password: PasswordWanted::No } => {
                app.announcement.set(message.clone());
                self.job_state(id, JobState::Failed(message));
            }
            Event::Refused { message, .. } => {
                app.announcement.set(message.clone());
                self.job_state(id, JobState::Locked(message));
            }
            Event::Removed { documents } => {
                app.documents.set(documents);
                self.refresh();
            }
            Event::Source(text) => app.source.update(|source| {
                if let Some(source) = source.as_mut().filter(|source| source.request == id) {
                    let sheets = sheets(&text.text, &text.page_starts, source.start, source.end);
                    source.sheets = Some(Rc::new(sheets));
                }
            }),
            Event::State(state) => app.state.set(Some(state)),
            Event::Fatal { message } => self.die(message),
            Event::Quotes(_) | Event::Piece(_) | Event::Answered(_) => self.take_answer(id, event),
            Event::Stopped => self.give_up(id, Outcome::Stopped),
            Event::Failed { message } => self.give_up(id, Outcome::Failed(message)),
            // Asked for by pages that embed the engine; this one does not.
            Event::Embedded { .. } | Event::Generated { .. } => {}
        }
    }

    fn take_answer(self, id: RequestId, event: Event) {
        let Some(exchange) = self.app.exchange(id) else { return };
        if exchange.outcome.with_untracked(|outcome| *outcome != Outcome::Running) {
            return;
        }
        match event {
            Event::Quotes(quotes) => {
                self.app.announcement.set(words::found(quotes.len() as u64));
                exchange.quotes.set(Some(quotes));
            }
            Event::Piece(text) => exchange.text.update(|all| all.push_str(&text)),
            Event::Answered(answer) => {
                self.app.announcement.set(answer.answer.clone());
                exchange.quotes.set(Some(answer.quotes.clone()));
                exchange.outcome.set(Outcome::Answered(Rc::new(answer)));
                self.answered(id);
                // A device may have been lost, or a model have made room.
                self.refresh();
            }
            _ => {}
        }
    }

    /// A request ended without what was asked for.
    fn give_up(self, id: RequestId, outcome: Outcome) {
        let app = self.app;
        if let Some(exchange) = app.exchange(id) {
            if exchange.outcome.with_untracked(|outcome| *outcome == Outcome::Running) {
                exchange.outcome.set(outcome);
                app.announcement.set(words::STOPPED.into());
                self.answered(id);
            }
        } else if app.job(id).is_some() {
            match outcome {
                Outcome::Failed(message) => {
                    app.announcement.set(message.clone());
                    self.job_state(id, JobState::Failed(message));
                }
                _ => app.drop_job(id),
            }
        } else if let (Outcome::Failed(message), Phase::Starting(_)) =
            (outcome, app.phase.get_clone_untracked())
        {
            self.end();
            app.phase.set(Phase::OpenFailed(message));
        }
    }

    fn answered(self, id: RequestId) {
        if self.app.asking.get_untracked() == Some(id) {
            self.app.asking.set(None);
        }
    }

    fn job_state(self, id: RequestId, state: JobState) {
        if let Some(job) = self.app.job(id) {
            job.state.set(state);
        }
    }

    fn refresh(self) {
        self.send(Request::State, None);
    }

    /// The engine is gone. The first message knows why; later ones are its echo.
    fn die(self, message: String) {
        let app = self.app;
        if self.worker.get_clone_untracked().is_none() {
            return;
        }
        self.end();
        for exchange in app.exchanges.get_clone_untracked() {
            if exchange.outcome.get_clone_untracked() == Outcome::Running {
                exchange.outcome.set(Outcome::Failed(words::FATAL.into()));
            }
        }
        app.asking.set(None);
        app.phase.set(Phase::Fatal(message));
    }
}

/// The engine; `?build=plain` in the address keeps it from using what not every browser has.
fn engine_script() -> String {
    match query().get("build") {
        Some(build) => format!("engine-worker.js?build={}", js_sys::encode_uri_component(&build)),
        None => "engine-worker.js".to_owned(),
    }
}

fn query() -> UrlSearchParams {
    let query = window().location().search().unwrap_or_default();
    UrlSearchParams::new_with_str(&query).expect("a query can be parsed")
}

/// The settings in the address: `?tier=cpu`, `?tier=gpu`, `?tier=gpu-all`, `?generator=off`, `?threads=2`.
fn setup(take_over: bool) -> Setup {
    let query = query();
    let tier = match query.get("tier").as_deref() {
        Some("cpu") => TierChoice::Cpu,
        Some("gpu") => TierChoice::Gpu,
        Some("gpu-all") => TierChoice::GpuAll,
        _ => TierChoice::Auto,
    };
    let threads = query.get("threads").and_then(|n_threads| n_threads.parse().ok());
    Setup { tier, generator: query.get("generator").as_deref() != Some("off"), take_over, threads }
}

/// A file that is being fetched keeps its line; other steps follow each other.
fn with_step(steps: &[Step], step: Step) -> Vec<Step> {
    let same_file = |old: &Step| match (old, &step) {
        (Step::Fetching { model: a, file: b, .. }, Step::Fetching { model, file, .. }) => {
            a == model && b == file
        }
        (old, new) => old == new,
    };
    let mut steps = steps.to_vec();
    match steps.iter().position(same_file) {
        Some(at) => steps[at] = step,
        None => steps.push(step),
    }
    steps
}
