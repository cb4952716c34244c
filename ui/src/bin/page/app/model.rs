//! What the page knows at the moment: signals, changed by events and shown by views.

use std::rc::Rc;

use assistant::{Answer, Collection, Conversation, Quote};
use sycamore::prelude::*;
use ui::{DocumentRow, Portion, RequestId, Sheet, Stage, StateLine, Step};
use web_sys::File;

/// All of it. Copies share the same signals.
#[derive(Clone, Copy)]
pub struct App {
    pub phase: Signal<Phase>,
    pub state: Signal<Option<StateLine>>,
    pub documents: Signal<Vec<DocumentRow>>,
    pub jobs: Signal<Vec<Job>>,
    /// What came of the queue since it was empty.
    pub batch: Signal<Batch>,
    pub collections: Signal<Vec<Collection>>,
    /// The collection that is looked at and asked; all documents without one.
    pub within: Signal<Option<u64>>,
    /// Those that are kept, the last changed first.
    pub conversations: Signal<Vec<Conversation>>,
    /// The one that is shown; the next question begins one without.
    pub conversation: Signal<Option<u64>>,
    /// How far an export or import is, while there is one.
    pub copying: Signal<Option<String>>,
    /// Why something that was asked of the shelf was not done, until the next thing is asked of it.
    pub problem: Signal<Option<String>>,
    /// Whether the shelf shows conversations instead of documents.
    pub shows_conversations: Signal<bool>,
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
            batch: create_signal(Batch::default()),
            collections: create_signal(Vec::new()),
            within: create_signal(None),
            conversations: create_signal(Vec::new()),
            conversation: create_signal(None),
            copying: create_signal(None),
            problem: create_signal(None),
            shows_conversations: create_signal(false),
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
        self.jobs.with(|all| all.iter().any(Job::is_busy))
    }

    /// A file has left the queue, well or badly.
    pub fn job_ended(&self, job: &Job) {
        let portion = Portion { n_bytes: job.n_bytes, done: 1.0 };
        let is_over = self.jobs.with_untracked(|all| !all.iter().any(Job::is_busy));
        match is_over {
            true => self.batch.set(Batch::default()),
            false => self.batch.update(|batch| batch.ended.push(portion)),
        }
    }

    /// Whether something can be asked: an engine that is getting ready serves it then.
    pub fn is_open(&self) -> bool {
        self.phase.with(|phase| matches!(phase, Phase::Ready | Phase::Starting(_)))
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
    Fatal(String),
}

/// A file on its way in.
#[derive(Clone)]
pub struct Job {
    pub id: RequestId,
    pub name: String,
    pub n_bytes: u64,
    pub file: File,
    pub state: Signal<JobState>,
    /// Pages of the file; 0 before it is read and where there are none.
    pub n_pages: Signal<u32>,
}

impl Job {
    /// Whether it waits or is worked on.
    pub fn is_busy(&self) -> bool {
        self.state.with(|state| matches!(state, JobState::Waiting | JobState::Working(_)))
    }

    /// Its size, and how much of it is done. Embedding takes nearly all of the time.
    pub fn portion(&self) -> Portion {
        let done = self.state.with(|state| match state {
            JobState::Working(Stage::Embedding { n_done, n_total }) => {
                *n_done as f64 / (*n_total).max(1) as f64
            }
            JobState::Working(Stage::Storing) => 0.99,
            _ => 0.0,
        });
        Portion { n_bytes: self.n_bytes, done }
    }
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

/// What came of the queue since it was empty.
#[derive(Clone, Default)]
pub struct Batch {
    /// When the first file was begun.
    pub since_ms: Option<f64>,
    /// The files that have left it.
    pub ended: Vec<Portion>,
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
