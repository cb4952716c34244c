//! What the page knows at the moment: signals, changed by events and shown by views.

use std::rc::Rc;

use assistant::{Answer, Collection, Conversation, NearCopy, Offer, QueueState, Quote};
use sycamore::prelude::*;
use ui::{DocumentRow, RequestId, Sheet, StateLine, Step};

use super::models::Work;

/// All of it. Copies share the same signals.
#[derive(Clone, Copy)]
pub struct App {
    pub phase: Signal<Phase>,
    pub state: Signal<Option<StateLine>>,
    pub documents: Signal<Vec<DocumentRow>>,
    /// The files that are to be read, of all tabs.
    pub queue: Signal<QueueState>,
    /// Files of this tab that were not taken, until they are dismissed.
    pub left_out: Signal<Vec<LeftOut>>,
    /// What became of a damaged knowledge base, until it is said what becomes of its file.
    pub rebuilt: Signal<Vec<String>>,
    /// The document that was looked at last, and those that say nearly the same.
    pub near: Signal<(u64, Vec<NearCopy>)>,
    /// How many files of a folder were compared, and of how many.
    pub comparing: Signal<Option<(usize, usize)>>,
    /// Documents whose files have gone from their folder, until it is said what becomes of them.
    pub gone: Signal<Option<Gone>>,
    /// What was noticed about files, such as copies of others, until it is dismissed.
    pub notes: Signal<Vec<String>>,
    pub collections: Signal<Vec<Collection>>,
    /// The collection that is looked at and asked; all documents without one.
    pub within: Signal<Option<u64>>,
    /// Those that are kept, the last changed first.
    pub conversations: Signal<Vec<Conversation>>,
    /// The one that is shown; the next question begins one without.
    pub conversation: Signal<Option<u64>>,
    /// How far an export or import is, while there is one.
    pub copying: Signal<Option<String>>,
    /// The generators there are.
    pub offers: Signal<Vec<Offer>>,
    /// What is done with models at the moment.
    pub model_work: Signal<Vec<Work>>,
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
    /// Whether the browser promised to keep the files; `None` before it was asked in this visit.
    pub persisted: Signal<Option<bool>>,
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
            queue: create_signal(QueueState::default()),
            left_out: create_signal(Vec::new()),
            rebuilt: create_signal(Vec::new()),
            near: create_signal((0, Vec::new())),
            comparing: create_signal(None),
            gone: create_signal(None),
            notes: create_signal(Vec::new()),
            collections: create_signal(Vec::new()),
            within: create_signal(None),
            conversations: create_signal(Vec::new()),
            conversation: create_signal(None),
            copying: create_signal(None),
            offers: create_signal(Vec::new()),
            model_work: create_signal(Vec::new()),
            problem: create_signal(None),
            shows_conversations: create_signal(false),
            exchanges: create_signal(Vec::new()),
            asking: create_signal(None),
            source: create_signal(None),
            dragging: create_signal(false),
            persisted: create_signal(None),
            announcement: create_signal(String::new()),
            scope: use_current_scope(),
        }
    }

    pub fn exchange(&self, id: RequestId) -> Option<Exchange> {
        self.exchanges.with_untracked(|all| all.iter().find(|e| e.id == id).cloned())
    }

    /// Whether files are on their way in.
    pub fn is_reading(&self) -> bool {
        self.queue.with(|queue| queue.n_open > 0)
    }

    /// Whether something can be asked: an engine that is getting ready serves it then.
    pub fn is_open(&self) -> bool {
        self.phase.with(|phase| matches!(phase, Phase::Ready | Phase::Starting(_)))
    }
}

/// Where the engine stands.
#[derive(Clone, PartialEq)]
pub enum Phase {
    /// The steps so far, one for each file, newest last.
    Starting(Rc<Vec<Step>>),
    Ready,
    OpenFailed(String),
    /// The knowledge base is damaged.
    Damaged(String),
    Fatal(String),
}

/// A file that the engine did not take.
#[derive(Clone, PartialEq)]
pub struct LeftOut {
    /// Tells it from others.
    pub n: u32,
    pub name: String,
    pub reason: String,
}

/// Documents whose files have gone from their folder.
#[derive(Clone, PartialEq)]
pub struct Gone {
    pub folder: String,
    pub names: Vec<String>,
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
    /// Its pages; `None` until they are here, an error where they cannot be.
    pub sheets: Option<Result<Rc<Vec<Sheet>>, String>>,
}
