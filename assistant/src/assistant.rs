//! The façade itself: one knowledge base, one runtime, its models.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use embedder::Embedder;
use generator::Generator;
use runtime::{Runtime, Tier};
use vectordb::{DocumentInfo, EmbedderTag, JobId};

use crate::asking::Asking;
use crate::kernels::{open_runtime, told};
use crate::library::Library;
use crate::open::{Options, model_files, staging_folder};
use crate::passages::{self, Passage, SPARE_PASSAGES};
use crate::question::Question;
use crate::queue::Rates;
use crate::staging::Staging;
use crate::types::{AskOptions, ModelState, Progress, SearchHit, SearchOptions, Source, State, TierState};
use crate::{Result, memory, rerank};

/// A knowledge base with what is needed to fill it and to ask it. One per worker or thread.
pub struct Assistant {
    pub(crate) library: Library,
    pub(crate) staging: Staging,
    pub(crate) rates: Rates,
    /// Jobs that have ended for a reason that could not be written down.
    pub(crate) stuck: BTreeMap<JobId, String>,
    pub(crate) embedder: Rc<Embedder>,
    pub(crate) options: Options,
    pub(crate) runtime: Runtime,
    embedder_id: String,
    embedder_bytes: u64,
    pub(crate) reranker: Option<rerank::Loaded>,
    pub(crate) generator: Option<Rc<Generator>>,
    pub(crate) generator_problem: Option<String>,
    pub(crate) generator_bytes: u64,
    /// The generator was wanted and is not loaded for want of room; see `memory`.
    pub(crate) generator_waits: bool,
    /// The sources of the last prompt, in their order.
    pub(crate) seen_sources: Rc<RefCell<Vec<String>>>,
}

impl Assistant {
    /// Opens the runtime, the embedder (fetched if it is not here), the knowledge base, and the
    /// generator if `options` asks for it.
    ///
    /// # Errors
    /// Whatever keeps documents from being added or searched. A generator that cannot be loaded is
    /// no error; [`Assistant::state`] tells why.
    pub async fn open(options: Options, progress: &mut dyn FnMut(Progress)) -> Result<Self> {
        let runtime = open_runtime(&options).await?;
        runtime.set_budget(options.memory_budget);
        let usual = &options.models.catalog().default_embedder().id;
        let name = options.embedder.as_ref().unwrap_or(usual);
        let files = model_files(&options.models, name, &options.cancel, progress).await?;
        let embedder_id = files.id().to_owned();
        progress(Progress::Loading { model: embedder_id.clone() });
        let mut embedder = memory::load_embedder(&runtime, &files, options.tier).await?;
        if let Some(dimensions) = options.dimensions {
            embedder = embedder.with_dimensions(dimensions)?;
        }
        let embedder_bytes = Embedder::forecast(&runtime, &files).await?.total_bytes();
        let library = Library::of_embedder(&options, &tag_of(&embedder)).await?;
        let reranker = rerank::load(&runtime, &options, progress).await?;
        let wants_generator = options.generator;
        let mut assistant = Self {
            library,
            staging: Staging::new(staging_folder(&options.kb)),
            rates: Rates::default(),
            stuck: BTreeMap::new(),
            embedder: Rc::new(embedder),
            options,
            runtime,
            embedder_id,
            embedder_bytes,
            reranker,
            generator: None,
            generator_problem: None,
            generator_bytes: 0,
            generator_waits: false,
            seen_sources: Rc::default(),
        };
        assistant.recover_queue().await?;
        assistant.make_room()?;
        if wants_generator {
            assistant.load_generator(progress).await;
        }
        Ok(assistant)
    }

    /// Loads the generator, fetched if it is not here. Whether it worked is in [`Assistant::state`].
    pub async fn load_generator(&mut self, progress: &mut dyn FnMut(Progress)) {
        if self.generator.is_some() {
            return;
        }
        let loaded = self.try_load_generator(progress).await;
        self.generator_waits = matches!(&loaded, Err(error) if error.is_out_of_memory());
        match loaded {
            Ok(generator) => {
                self.generator = Some(Rc::new(generator));
                self.generator_problem = None;
            }
            Err(error) if self.generator_waits => {
                self.generator_problem = Some(format!("{error}; answers are made of quotes"));
            }
            Err(error) => self.generator_problem = Some(error.to_string()),
        }
    }

    /// The generator that was asked for, or the usual one.
    pub(crate) fn generator_id(&self) -> &str {
        let usual = || self.options.models.catalog().default_generator().id.as_str();
        self.options.generator_model.as_deref().unwrap_or_else(usual)
    }

    async fn try_load_generator(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Generator> {
        let models = &self.options.models;
        let files = model_files(models, self.generator_id(), &self.options.cancel, progress).await?;
        progress(Progress::Loading { model: files.id().to_owned() });
        self.generator_bytes = Generator::forecast(&self.runtime, &files).await?.total_bytes();
        Ok(Generator::load(&self.runtime, &files).await?)
    }

    /// All documents.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn documents(&self) -> Result<Vec<DocumentInfo>> {
        self.library.documents()
    }

    /// What is stored, and how it is put in order.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The same, to change it.
    pub fn library_mut(&mut self) -> &mut Library {
        &mut self.library
    }

    /// Removes a document with its passages; `false` if there was none of that id.
    ///
    /// # Errors
    /// When the store cannot be written; nothing has changed then.
    pub fn remove(&mut self, id: u64) -> Result<bool> {
        let removed = self.library.remove(&[id])? > 0;
        self.make_room()?;
        Ok(removed)
    }

    /// A document's text.
    ///
    /// # Errors
    /// [`Error::UnknownDocument`], or when the store cannot be read.
    pub fn source(&self, id: u64) -> Result<Source> {
        self.library.source(id)
    }

    /// The `k` best passages by words and meaning.
    ///
    /// # Errors
    /// [`Error::EmptyQuestion`], or when the store or the embedder fails.
    pub async fn search(&self, question: &str, k: usize) -> Result<Vec<SearchHit>> {
        self.search_by(question, &SearchOptions { k, ..SearchOptions::default() }).await
    }

    /// The best passages by one ranking, among some of the documents.
    ///
    /// # Errors
    /// [`Error::EmptyQuestion`], [`Error::NothingInScope`], [`Error::UnknownCollection`], or when the
    /// store or the embedder fails.
    pub async fn search_by(&self, question: &str, options: &SearchOptions) -> Result<Vec<SearchHit>> {
        let db = &self.library.db;
        let filter = self.library.filter(&options.scope)?;
        let question = Question::new(question, &[], (db, &filter), &self.embedder).await?;
        let more = SearchOptions { k: options.k + SPARE_PASSAGES, ..options.clone() };
        let found = rerank::search(db, self.reranker.as_ref(), &question, &more, &filter).await?;
        let passages = passages::load(db, found, options.k);
        let hits =
            passages.into_iter().map(|Passage { chunk: row, document, score, also_in, .. }| SearchHit {
                chunk: row.id.0,
                document_id: row.document.0,
                document,
                page: row.page,
                start: row.start,
                end: row.end,
                text: row.text,
                score,
                heading_path: row.heading_path,
                also_in,
            });
        Ok(hits.collect())
    }

    /// Finds the quotes and begins the answer. The returned value owns all it needs: documents can
    /// be read and added while it runs, and dropping it stops it.
    ///
    /// # Errors
    /// [`Error::NoDocuments`], [`Error::EmptyQuestion`], or when the store or the embedder fails.
    pub async fn ask(&mut self, question: &str, options: &AskOptions) -> Result<Asking> {
        // Documents may have been removed since the last question.
        self.make_room()?;
        let fits = || self.runtime.check_room("the generator", self.generator_bytes).is_ok();
        if options.generate && self.generator_waits && fits() {
            self.load_generator(&mut |_| {}).await;
        }
        let generator = self.generator.clone().filter(|_| options.generate);
        let mut asking = Asking::new(self, question, options, generator).await?;
        if options.generate && self.generator.is_none() {
            asking.problem.clone_from(&self.generator_problem);
        }
        Ok(asking)
    }

    /// What is loaded, stored and used.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state(&self) -> Result<State> {
        let report = self.runtime.describe();
        let memory = self.runtime.memory();
        let stats = self.library.stats()?;
        let generator_id = self.generator_id().to_owned();
        Ok(State {
            tier: TierState {
                tier: if report.tier == Tier::Gpu { "gpu" } else { "cpu" }.into(),
                adapter: report.adapter,
                simd: report.simd.into(),
                n_threads: report.n_threads,
                reason: report.reason,
                kernels: report
                    .kernels
                    .iter()
                    .flat_map(|kernels| &kernels.choice.variants)
                    .map(ToString::to_string)
                    .collect(),
                rejected_kernels: report
                    .kernels
                    .into_iter()
                    .flat_map(|kernels| kernels.rejected)
                    .map(told)
                    .collect(),
            },
            embedder: ModelState {
                id: self.embedder_id.clone(),
                loaded: true,
                problem: None,
                forecast_bytes: self.embedder_bytes,
            },
            reranker: self.reranker.as_ref().map(rerank::Loaded::state),
            generator: ModelState {
                id: generator_id,
                loaded: self.generator.is_some(),
                problem: self.generator_problem.clone(),
                forecast_bytes: self.generator_bytes,
            },
            n_documents: stats.n_documents,
            n_chunks: stats.n_chunks,
            store_bytes: stats.file_bytes,
            model_bytes: memory.total_bytes() - memory.other_bytes,
            memory_budget: memory.budget_bytes,
            index_bytes: stats.index_bytes,
        })
    }

    pub(crate) fn tier(&self) -> Tier {
        self.runtime.tier()
    }
}

/// What the vectors of an embedder may be compared with, as the store has it.
pub(crate) fn tag_of(embedder: &Embedder) -> EmbedderTag {
    let fields = embedder.tag();
    EmbedderTag {
        id: fields.id,
        revision: fields.revision,
        dimensions: fields.dimensions,
        pooling: fields.pooling,
        prefix: fields.prefix,
    }
}
