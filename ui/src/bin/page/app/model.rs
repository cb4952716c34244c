//! What the page knows at the moment: signals, changed by events and shown by views.

use std::rc::Rc;

use assistant::{Answer, Quote};
use sycamore::prelude::*;
use ui::{DocumentRow, RequestId, Sheet, Stage, StateLine, Step};
use web_sys::File;

/// All of it. Copies share the same signals.
#[derive(Clone, Copy)]
pub struct App {
    pub phase: Signal<Phase>,
    pub state: Signal<Option<StateLine>>,
    pub documents: Signal<Vec<DocumentRow>>,
    pub jobs: Signal<Vec<Job>>,
    /// Newest first.
    pub exchanges: Signal<Vec<Exchange>>,
    /// The question that is being answered.
    pub asking: Signal<Option<RequestId>>,
    pub source: Signal<Option<Source>>,
    pub dragging: Signal<bool>,
    /// Whether the browser promised to keep the files.
    pub persisted: Signal<bool>,
    /// Spoken by screen readers when it changes.
    pub announcement: Signal<String>,
    /// The scope that new signals belong to, also those made when an event comes.
    pub scope: NodeHandle,
}

impl App {
    pub fn new() -> Self {
        Self {
            phase: create_signal(Phase::Starting(Rc::default())),
            state: create_signal(None),
            documents: create_signal(Vec::new()),
            jobs: create_signal(Vec::new()),
            exchanges: create_signal(Vec::new()),
            asking: create_signal(None),
            source: create_signal(None),
            dragging: create_signal(false),
            persisted: create_signal(false),
            announcement: create_signal(String::new()),
            scope: use_current_scope(),
        }
    }

    pub fn exchange(&self, id: RequestId) -> Option<Exchange> {
        self.exchanges.with_untracked(|all| all.iter().find(|e| e.id == id).cloned())
    }

    pub fn job(&self, id: RequestId) -> Option<Job> {
        self.jobs.with_untracked(|all| all.iter().find(|job| job.id == id).cloned())
    }

    /// Whether files are on their way in, so that questions wait.
    pub fn is_reading(&self) -> bool {
        self.jobs.with(|all| {
            all.iter()
                .any(|job| job.state.with(|state| matches!(state, JobState::Waiting | JobState::Working(_))))
        })
    }

    pub fn drop_job(&self, id: RequestId) {
        self.jobs.update(|all| all.retain(|job| job.id != id));
    }
}

/// Where the engine stands.
#[derive(Clone, PartialEq)]
pub enum Phase {
    /// The steps so far, one for each file, newest last.
    Starting(Rc<Vec<Step>>),
    Ready,
    OpenFailed(String),
    Elsewhere,
    TakenOver,
    Fatal(String),
}

/// A file on its way in.
#[derive(Clone)]
pub struct Job {
    pub id: RequestId,
    pub name: String,
    pub file: File,
    pub state: Signal<JobState>,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

#[derive(Clone, PartialEq)]
pub enum JobState {
    Waiting,
    Working(Stage),
    Failed(String),
    /// It needs a password; the message says whether one was wrong.
    Locked(String),
}

/// A question and what came of it.
#[derive(Clone)]
pub struct Exchange {
    pub id: RequestId,
    pub question: String,
    /// `None` until the passages are found.
    pub quotes: Signal<Option<Vec<Quote>>>,
    pub text: Signal<String>,
    pub outcome: Signal<Outcome>,
}

impl PartialEq for Exchange {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

#[derive(Clone, PartialEq)]
pub enum Outcome {
    Running,
    Answered(Rc<Answer>),
    Stopped,
    Failed(String),
}

/// A source that is shown, or on its way.
#[derive(Clone, PartialEq)]
pub struct Source {
    pub request: RequestId,
    pub name: String,
    pub page: Option<u32>,
    /// Highlighted code points; empty when a document is opened as a whole.
    pub start: u32,
    pub end: u32,
    /// The footnote it was opened from: exchange and number.
    pub footnote: Option<(RequestId, u32)>,
    /// `None` until the text is here.
    pub sheets: Option<Rc<Vec<Sheet>>>,
}
