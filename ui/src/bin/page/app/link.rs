//! The page's end of the wire: sends requests, turns events into changed signals.

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::Array;
use sycamore::prelude::*;
use ui::{
    Event, FromEngine, Jobs, LibraryEvent, LibraryRequest, ModelsRequest, QueueRequest, Request, RequestId,
    Step, ToEngine, sheets, words,
};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, File, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::model::{App, Exchange, Outcome, Phase, Source};
use super::settings;

/// How often a request may be begun: an engine that ends while it works on it may do so because of it.
const MAX_BEGUN: u32 = 3;
/// How many engines may end one after the other before the user is asked.
const MAX_RESTARTS: u32 = 3;

/// Copies share the worker.
#[derive(Clone, Copy)]
pub struct Link {
    app: App,
    worker: Signal<Option<Worker>>,
    last_id: Signal<RequestId>,
    /// What is not answered yet. It is sent again to the next engine when this one ends.
    pending: Signal<BTreeMap<RequestId, Pending>>,
    n_restarts: Signal<u32>,
    /// Jobs that two engines have ended at, one after the other.
    suspects: Signal<Vec<u64>>,
    /// The request that gets the engine ready.
    opening: Signal<RequestId>,
}

pub(super) struct Pending {
    pub(super) request: Request,
    pub(super) files: Vec<File>,
    pub(super) n_begun: u32,
    is_cancelled: bool,
}

impl Link {
    pub fn new(app: App) -> Self {
        Self {
            app,
            worker: create_signal(None),
            last_id: create_signal(0),
            pending: create_signal(BTreeMap::new()),
            n_restarts: create_signal(0),
            suspects: create_signal(Vec::new()),
            opening: create_signal(0),
        }
    }

    /// Starts an engine, instead of the one that may be running. What was asked of that one is asked
    /// again.
    pub fn start(self) {
        self.end();
        let app = self.app;
        app.phase.set(Phase::Starting(Rc::default()));
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = match Worker::new_with_options(&settings::engine_script(), &options) {
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
            // A script that does not load gives an event without a message.
            let message = js_sys::Reflect::get(&event, &"message".into()).unwrap_or_default().as_string();
            app.scope.run_in(|| self.die(message.unwrap_or_else(|| words::NOT_LOADED.into())));
        });
        worker.set_onmessage(Some(on_message.into_js_value().unchecked_ref()));
        worker.set_onerror(Some(on_error.into_js_value().unchecked_ref()));
        self.worker.set(Some(worker));
        self.pending.update(|all| all.retain(|_, pending| !matches!(pending.request, Request::Open(_))));
        self.opening.set(self.send(Request::Open(settings::setup()), Vec::new()));
    }

    /// Gets the engine ready once more, which has closed its knowledge base.
    pub(super) fn reopen(self) {
        self.app.phase.set(Phase::Starting(Rc::default()));
        self.opening.set(self.send(Request::Open(settings::setup()), Vec::new()));
    }

    /// Ends the engine, if one runs.
    pub fn end(self) {
        if let Some(worker) = self.worker.take() {
            worker.terminate();
        }
    }

    pub fn cancel(self, id: RequestId) {
        self.pending.update(|all| {
            if let Some(pending) = all.get_mut(&id) {
                pending.is_cancelled = true;
            }
        });
        self.send(Request::Cancel { id }, Vec::new());
    }

    pub fn remove(self, document: u64) {
        self.send(Request::Remove { document }, Vec::new());
    }

    pub fn ask(self, question: String) {
        self.stop();
        let (scope, keep) = (self.scope(), self.keep());
        let asked_unix_ms = Some(platform::unix_ms());
        let id =
            self.send(Request::Ask { question: question.clone(), scope, keep, asked_unix_ms }, Vec::new());
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
        let request = self.send(Request::Source { document }, Vec::new());
        self.app.source.set(Some(Source { request, ..source }));
    }

    pub(super) fn app(self) -> App {
        self.app
    }

    /// What is not answered yet.
    pub(super) fn with_pending<R>(self, read: impl FnOnce(&BTreeMap<RequestId, Pending>) -> R) -> R {
        self.pending.with(read)
    }

    pub(super) fn next_id(self) -> RequestId {
        let id = self.last_id.get_untracked() + 1;
        self.last_id.set(id);
        id
    }

    pub(super) fn send(self, request: Request, files: Vec<File>) -> RequestId {
        let id = self.next_id();
        self.post(id, &request, &files);
        if !matches!(request, Request::Cancel { .. }) {
            let pending = Pending { request, files, n_begun: 0, is_cancelled: false };
            self.pending.update(|all| all.insert(id, pending));
        }
        id
    }

    fn post(self, id: RequestId, request: &Request, files: &[File]) {
        let message = ToEngine { id, request: request.clone() };
        let text = serde_json::to_string(&message).expect("messages are plain data");
        let message = Array::of1(&text.into());
        for file in files {
            message.push(file);
        }
        if let Some(worker) = self.worker.get_clone_untracked() {
            worker.post_message(&message).expect("text and files can be posted");
        }
    }

    /// Another engine serves from now on: it hears what the last one has not answered.
    fn send_again(self) {
        if self.app.phase.with_untracked(|phase| *phase == Phase::Ready) {
            self.app.phase.set(Phase::Starting(Rc::default()));
        }
        let (sent, given_up) =
            self.pending.take().into_iter().partition::<BTreeMap<_, _>, _>(|(_, pending)| {
                !pending.is_cancelled && pending.n_begun < MAX_BEGUN
            });
        for (id, pending) in &sent {
            self.post(*id, &pending.request, &pending.files);
        }
        self.pending.set(sent);
        for (id, pending) in given_up {
            let failed = || Outcome::Failed(words::GIVEN_UP.into());
            self.give_up(id, if pending.is_cancelled { Outcome::Stopped } else { failed() });
        }
    }

    /// An engine turns to a request: what an earlier one said about it is void.
    fn begin(self, id: RequestId) {
        self.pending.update(|all| {
            if let Some(pending) = all.get_mut(&id) {
                pending.n_begun += 1;
            }
        });
        let is_running = |exchange: &Exchange| exchange.outcome.with_untracked(|o| *o == Outcome::Running);
        if let Some(exchange) = self.app.exchange(id).filter(is_running) {
            exchange.text.set(String::new());
        }
    }

    fn take(self, message: FromEngine) {
        let app = self.app;
        let FromEngine { id, event } = message;
        let ended = if event.is_last() { self.pending.update(|all| all.remove(&id)) } else { None };
        match event {
            Event::Moved => self.send_again(),
            Event::Begun => self.begin(id),
            Event::Documents(documents) => app.documents.set(documents),
            Event::Starting(step) => {
                if let Phase::Starting(steps) = app.phase.get_clone_untracked() {
                    // Each step is told once, not how far it is.
                    let title = words::step(Some(&step));
                    if app.announcement.with_untracked(|told| told != title) {
                        app.announcement.set(title.into());
                    }
                    app.phase.set(Phase::Starting(Rc::new(with_step(&steps, step))));
                }
            }
            Event::Ready { state, documents, lacks_generator } => {
                let generator = state.state.generator.id.clone();
                app.state.set(Some(state));
                app.documents.set(documents);
                app.phase.set(Phase::Ready);
                let suspects = self.suspects.take();
                if !suspects.is_empty() {
                    self.queue(QueueRequest::Pause { jobs: Jobs::These(suspects) });
                }
                self.queue(QueueRequest::State);
                self.library(LibraryRequest::Shelf);
                self.library(LibraryRequest::Conversations);
                if lacks_generator && app.model_work.with_untracked(Vec::is_empty) {
                    self.models(ModelsRequest::Fetch { id: generator }, Vec::new());
                }
            }
            Event::Removed => self.refresh(),
            Event::Source(text) => app.source.update(|source| {
                if let Some(source) = source.as_mut().filter(|source| source.request == id) {
                    let sheets = sheets(&text.text, &text.page_starts, source.start, source.end);
                    source.sheets = Some(Ok(Rc::new(sheets)));
                }
            }),
            Event::State(state) => app.state.set(Some(state)),
            Event::Damaged { message } => app.phase.set(Phase::Damaged(message)),
            Event::Fatal { message } => self.die(message),
            Event::Quotes(_) | Event::Piece(_) | Event::Answered(_) => self.take_answer(id, event),
            Event::Stopped => {
                if self.copy().is_none() {
                    app.copying.set(None);
                }
                self.give_up(id, Outcome::Stopped);
            }
            Event::Failed { message } => self.give_up(id, Outcome::Failed(message)),
            Event::Library(LibraryEvent::Queue(queue)) => app.queue.set(queue),
            Event::Library(LibraryEvent::Enqueued { files }) => self.take_enqueued(ended, files),
            Event::Library(LibraryEvent::SyncPlanned(plan)) => self.take_plan(ended, plan),
            Event::Library(LibraryEvent::Read { name, notes }) => {
                self.n_restarts.set(0);
                self.take_read(&name, notes);
                self.refresh();
            }
            Event::Library(event) => self.take_library(id, event),
            Event::Models(event) => self.take_models(id, ended, event),
            // Asked for by pages that embed the engine; this one does not.
            Event::Embedded { .. } | Event::Generated { .. } | Event::Api { .. } | Event::ApiPiece(_) => {}
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
                self.n_restarts.set(0);
                // A device may have been lost, or a model have made room.
                self.refresh();
            }
            _ => {}
        }
    }

    /// A request ended without what was asked for.
    fn give_up(self, id: RequestId, outcome: Outcome) {
        let app = self.app;
        if self.end_model_work(id) {
            // Something of it may be here.
            self.models(ModelsRequest::List, Vec::new());
        }
        if let Some(exchange) = app.exchange(id) {
            if exchange.outcome.with_untracked(|outcome| *outcome == Outcome::Running) {
                exchange.outcome.set(outcome);
                app.announcement.set(words::STOPPED.into());
                self.answered(id);
            }
        } else if let Outcome::Failed(message) = outcome {
            let is_source =
                app.source.with_untracked(|source| source.as_ref().is_some_and(|s| s.request == id));
            if is_source {
                let sheets = Some(Err(words::no_source(&message)));
                return app.source.update(|source| source.iter_mut().for_each(|s| s.sheets = sheets.clone()));
            }
            app.copying.set(None);
            // Request 0: this tab's engine was to take over.
            if id == 0 || id == self.opening.get_untracked() {
                self.end();
                app.phase.set(Phase::OpenFailed(message));
            } else {
                app.problem.set(Some(message));
            }
        }
    }

    fn answered(self, id: RequestId) {
        if self.app.asking.get_untracked() == Some(id) {
            self.app.asking.set(None);
        }
    }

    pub(super) fn refresh(self) {
        self.send(Request::State, Vec::new());
    }

    /// The engine is gone. The first message knows why; later ones are its echo. One that had got ready
    /// is started again with what it has not answered; where that does not help, the user is asked.
    fn die(self, message: String) {
        let app = self.app;
        if self.worker.get_clone_untracked().is_none() {
            return;
        }
        self.end();
        let n_restarts = self.n_restarts.get_untracked();
        if app.phase.with_untracked(|phase| *phase == Phase::Ready) && n_restarts < MAX_RESTARTS {
            self.n_restarts.set(n_restarts + 1);
            if n_restarts > 0 {
                self.suspects.set(self.at_work());
            }
            web_sys::console::warn_1(&format!("The engine is started again: {message}").into());
            return self.start();
        }
        app.phase.set(Phase::Fatal(message));
    }
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
