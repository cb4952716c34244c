//! The API of `footnote serve`: connections hand requests to one thread, which owns the models.
//!
//! Requests are answered one after the other, as one model uses the whole machine. A model is loaded when it
//! is first asked for; one generator and one embedder stay loaded.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use embedder::Embedder;
use generator::Generator;
use models::{HubModel, ModelFiles, ModelKind, Store};
use openai::{Chat, ChatRequest, EmbeddingsRequest, Failure, Listed};
use runtime::Runtime;
use serde_json::Value;
use serve::{Call, Reply};

use crate::args::Shared;
use crate::error::{AtPath, Result};
use crate::setup;

/// Pieces of an answer that wait for a slow client.
const MAX_WAITING_PIECES: usize = 256;
/// Requests that wait; others are told to come again.
const MAX_WAITING_REQUESTS: usize = 64;

/// Where connections hand in requests.
#[derive(Debug)]
pub struct Bridge {
    jobs: Mutex<Sender<Job>>,
    store: Store,
    /// Requests that were handed in and are not answered.
    n_open: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Job {
    call: Call,
    answer: SyncSender<Told>,
}

/// What the thread tells of a request.
#[derive(Debug)]
enum Told {
    Whole(Value),
    Failed(Failure),
    Piece(Value),
    /// After the last piece.
    End,
}

impl Bridge {
    /// Starts the thread of the models.
    pub fn start(shared: &Shared, store: Store) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let n_open = Arc::<AtomicUsize>::default();
        let (shared, of_thread, open) = (shared.clone(), store.clone(), Arc::clone(&n_open));
        let named = thread::Builder::new().name("models".to_owned());
        let spawned = named.spawn(move || {
            let shelf = Shelf { shared, store: of_thread, runtime: None, generator: None, embedder: None };
            platform::block_on(shelf.serve(&waiting, &open));
        });
        spawned.at("the thread of the models".as_ref())?;
        Ok(Self { jobs: Mutex::new(jobs), store, n_open })
    }

    /// The models that are here.
    fn list(&self) -> std::result::Result<Vec<Listed>, Failure> {
        platform::block_on(async {
            let mut listed = Vec::new();
            let mut add = async |id: &str, kind: ModelKind| {
                if self.store.find(id).await.is_ok() {
                    listed.push(Listed { id: id.to_owned(), kind: format!("{kind:?}").to_lowercase() });
                }
            };
            for entry in self.store.catalog().entries() {
                add(&entry.id, entry.kind).await;
            }
            let imported = self.store.imported().await;
            for entry in imported.map_err(|e| Failure::of_server(e.to_string()))? {
                add(&entry.id, entry.kind).await;
            }
            for model in HubModel::all() {
                add(&model.id, model.kind).await;
            }
            Ok(listed)
        })
    }

    fn tell_models(&self, path: &str) -> std::result::Result<Value, Failure> {
        let listed = self.list()?;
        match path.strip_prefix("models/") {
            None => Ok(openai::model_list(&listed)),
            Some(id) => {
                let found = listed.iter().find(|model| model.id == id);
                found.map(openai::model).ok_or_else(|| Failure::no_model(id, "it is not here"))
            }
        }
    }

    /// Hands a request to the thread and passes on what that tells.
    fn pass(&self, call: &Call, reply: &mut Reply<'_>) -> io::Result<()> {
        let (answer, told) = mpsc::sync_channel(MAX_WAITING_PIECES);
        let job = Job { call: call.clone(), answer };
        self.n_open.fetch_add(1, Ordering::SeqCst);
        let sent = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        if sent.is_err() {
            self.n_open.fetch_sub(1, Ordering::SeqCst);
        }
        let mut has_begun = false;
        loop {
            match told.recv() {
                Ok(Told::Whole(value)) => return reply.json(200, &value.to_string()),
                Ok(Told::Piece(value)) => {
                    if !has_begun {
                        reply.begin_events()?;
                        has_begun = true;
                    }
                    reply.event(&value.to_string())?;
                }
                Ok(Told::End) => return reply.event("[DONE]"),
                // Within a stream the status has been told; the error is its last piece.
                Ok(Told::Failed(failure)) if has_begun => return reply.event(&failure.to_json().to_string()),
                Ok(Told::Failed(failure)) => return fail(reply, &failure),
                Err(_) if has_begun => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(_) => {
                    let message = "The models have crashed; start `footnote serve` again";
                    return fail(reply, &Failure::of_server(message));
                }
            }
        }
    }
}

fn fail(reply: &mut Reply<'_>, failure: &Failure) -> io::Result<()> {
    reply.json(failure.status, &failure.to_json().to_string())
}

impl serve::Api for Bridge {
    fn answer(&self, call: &Call, reply: &mut Reply<'_>) -> io::Result<()> {
        match (call.is_post, call.path.as_str()) {
            (false, path) if path == "models" || path.starts_with("models/") => {
                match self.tell_models(path) {
                    Ok(value) => reply.json(200, &value.to_string()),
                    Err(failure) => fail(reply, &failure),
                }
            }
            (true, "chat/completions" | "embeddings") => {
                if self.n_open.load(Ordering::SeqCst) >= MAX_WAITING_REQUESTS {
                    let message = "Too many requests wait; ask again later";
                    return fail(reply, &Failure { status: 503, ..Failure::of_server(message) });
                }
                self.pass(call, reply)
            }
            (_, "models" | "chat/completions" | "embeddings") => {
                let message =
                    format!("/v1/{} is asked by {}", call.path, if call.is_post { "GET" } else { "POST" });
                fail(reply, &Failure { status: 405, ..Failure::malformed(message) })
            }
            (_, path) => fail(reply, &Failure::no_path(&format!("/v1/{path}"))),
        }
    }

    fn refusal(&self, status: u16, message: &str) -> String {
        Failure { status, ..Failure::malformed(message) }.to_json().to_string()
    }
}

/// The models that are loaded; lives on one thread.
struct Shelf {
    shared: Shared,
    store: Store,
    runtime: Option<Runtime>,
    /// The name it was asked for by, and the model.
    generator: Option<(String, Generator)>,
    embedder: Option<(String, Embedder)>,
}

impl Shelf {
    async fn serve(mut self, waiting: &Receiver<Job>, n_open: &AtomicUsize) {
        while let Ok(Job { call, answer }) = waiting.recv() {
            let outcome = match call.path.as_str() {
                "embeddings" => self.embeddings(&call.body).await,
                _ => self.chat(&call.body, &answer).await,
            };
            // Whoever has gone is told nothing.
            let _ = answer.send(match outcome {
                Ok(Some(value)) => Told::Whole(value),
                Ok(None) => Told::End,
                Err(failure) => Told::Failed(failure),
            });
            n_open.fetch_sub(1, Ordering::SeqCst);
        }
    }

    async fn chat(
        &mut self,
        body: &[u8],
        answer: &SyncSender<Told>,
    ) -> std::result::Result<Option<Value>, Failure> {
        let request: ChatRequest = openai::read(body)?;
        let generator = self.generator(&request.model).await?;
        let mut send = |piece| answer.send(Told::Piece(piece)).is_ok();
        let chat = Chat { model: &request.model, send: &mut send };
        openai::chat(&generator, &request, chat).await
    }

    async fn embeddings(&mut self, body: &[u8]) -> std::result::Result<Option<Value>, Failure> {
        let request: EmbeddingsRequest = openai::read(body)?;
        let model = request.model.clone();
        let embedder = self.embedder(&model).await?;
        openai::embeddings(embedder, request, &model).await.map(Some)
    }

    async fn generator(&mut self, name: &str) -> std::result::Result<Generator, Failure> {
        if let Some((_, generator)) = self.generator.as_ref().filter(|(loaded, _)| loaded == name) {
            return Ok(generator.clone());
        }
        let files = self.files(name).await?;
        // The old one makes room for the new one.
        self.generator = None;
        let loaded = Generator::load(self.runtime().await?, &files).await;
        let generator = loaded.map_err(|e| Failure::no_model(name, &e.to_string()))?;
        self.generator = Some((name.to_owned(), generator.clone()));
        Ok(generator)
    }

    async fn embedder(&mut self, name: &str) -> std::result::Result<&Embedder, Failure> {
        if self.embedder.as_ref().is_none_or(|(loaded, _)| loaded != name) {
            let files = self.files(name).await?;
            self.embedder = None;
            let loaded = Embedder::load(self.runtime().await?, &files).await;
            let embedder = loaded.map_err(|e| Failure::no_model(name, &e.to_string()))?;
            self.embedder = Some((name.to_owned(), embedder));
        }
        let embedder = self.embedder.as_ref().map(|(_, embedder)| embedder);
        embedder.ok_or_else(|| Failure::of_server("the embedder is gone"))
    }

    /// The files of a model that is here; nothing is fetched because a program asks.
    async fn files(&self, name: &str) -> std::result::Result<ModelFiles, Failure> {
        if name.is_empty() {
            return Err(Failure::of(
                "model",
                "the model must be named; /v1/models lists those that are here",
            ));
        }
        if name.contains(['/', '\\']) && HubModel::get(name).is_none() {
            // A path would let a program read any folder.
            return Err(Failure::no_model(name, "it is not among those of /v1/models"));
        }
        self.store.find(name).await.map_err(|e| match e {
            models::Error::UnknownModel { .. } => {
                Failure::no_model(name, "it is not among those of /v1/models")
            }
            e => Failure::no_model(name, &e.to_string()),
        })
    }

    async fn runtime(&mut self) -> std::result::Result<&Runtime, Failure> {
        if self.runtime.is_none() {
            let options = runtime::Options {
                tier: setup::tier(&self.shared),
                kernels: setup::kernels(&self.shared),
                ..runtime::Options::default()
            };
            let opened = Runtime::open(&options).await;
            self.runtime = Some(opened.map_err(|e| Failure::of_server(e.to_string()))?);
        }
        self.runtime.as_ref().ok_or_else(|| Failure::of_server("the runtime is gone"))
    }
}
