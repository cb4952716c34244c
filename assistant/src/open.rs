//! How an assistant is opened: where the knowledge base is, which models, which tier.

use models::{Cancel, ModelFiles, Store};
use runtime::{KernelPolicy, TierChoice};

use crate::library::Access;
use crate::{Progress, Result};

/// Models and indexes of a tab: 3 GiB of the 4 GiB that wasm32 addresses; documents, intermediate
/// results and the program itself need the rest.
const MAX_TAB_BYTES: u64 = 3 << 30;

/// Where a knowledge base is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file: natively a path, in the browser a path from the OPFS root.
    File(String),
    /// Nowhere: it is gone with the assistant.
    Memory,
}

/// Which reranker puts the best passages in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reranking {
    /// On the GPU tier the usual one, if its files are here already. 24 passages are some 5,000 tokens: at the
    /// 2,000 tokens per second of MiniLM in a browser with one thread, nearly three seconds for a question.
    #[default]
    Auto,
    /// None.
    Off,
    /// This one, on every tier; fetched if it is not here. As [`Options::embedder`].
    Model(String),
}

/// What makes documents of a file's bytes: [`ingest::ingest_all`], or something that calls it where a file
/// that crashes or hangs costs nothing else.
pub type Read = fn(&[u8], &ingest::Hint<'_>, &ingest::Limits) -> Vec<ingest::Entry>;

/// How to open an [`crate::Assistant`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the knowledge base is kept.
    pub kb: Place,
    /// What may be done with it. Reading only, a file must be there already.
    pub access: Access,
    /// Where the models are and come from.
    pub models: Store,
    /// The embedder: a model's id, its repository on the hub (`owner/name`) or a folder with its files;
    /// `None` is the usual one. A knowledge base stays with the one that it was made with.
    pub embedder: Option<String>,
    /// Elements that vectors are cut to, where the embedder was trained for it; `None` is all.
    pub dimensions: Option<usize>,
    /// Which reranker puts the best passages in order.
    pub reranker: Reranking,
    /// Which tier executes.
    pub tier: TierChoice,
    /// Which variants of the GPU's kernels are used. What a trial finds out is kept beside the models.
    pub kernels: KernelPolicy,
    /// Whether the generator is loaded at once. One that cannot be loaded is told in
    /// [`crate::State`] and stops nothing.
    pub generator: bool,
    /// Which one, as [`Options::embedder`], or a GGUF file; `None` is the usual one.
    pub generator_model: Option<String>,
    /// Bytes that models, caches and indexes may hold together; `None` is as much as there is.
    pub memory_budget: Option<u64>,
    /// How documents are cut.
    pub chunk_policy: ingest::ChunkPolicy,
    /// Bounds on the work one document may cause.
    pub limits: ingest::Limits,
    /// Who reads the files that are added, within these bounds; `None` for this program itself. A tab's engine adds
    /// what another worker has read, and is a sixth smaller without the readers, so nothing here may name them.
    pub read: Option<Read>,
    /// Stops a model's download.
    pub cancel: Cancel,
}

impl Options {
    /// Automatic tier, no generator, the usual chunks, and in a tab three quarters of its memory.
    pub fn new(kb: Place, models: Store) -> Self {
        Self {
            kb,
            access: Access::ReadWrite,
            models,
            embedder: None,
            dimensions: None,
            reranker: Reranking::default(),
            tier: TierChoice::Auto,
            kernels: KernelPolicy::default(),
            generator: false,
            generator_model: None,
            memory_budget: (usize::BITS == 32).then_some(MAX_TAB_BYTES),
            chunk_policy: ingest::ChunkPolicy::default(),
            limits: ingest::Limits::default(),
            read: None,
            cancel: Cancel::new(),
        }
    }
}

/// Where the files that wait in the queue are kept: beside the knowledge base.
pub(crate) fn staging_folder(kb: &Place) -> Option<String> {
    match kb {
        Place::File(path) => Some(format!("{path}.queue")),
        Place::Memory => None,
    }
}

/// The files of the model that `name` stands for, fetched where they are not here yet.
pub(crate) async fn model_files(
    store: &Store,
    name: &str,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<ModelFiles> {
    match store.find(name).await {
        Err(models::Error::Missing { .. } | models::Error::Damaged { .. }) => {}
        other => return Ok(other?),
    }
    let mut report = |p| progress(Progress::Fetching(p));
    Ok(store.fetch(name, &mut report, cancel).await?)
}
