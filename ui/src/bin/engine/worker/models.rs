//! Models that the page fetches, takes in, uses and deletes.
//!
//! Fetching and taking in go on beside everything else, so that questions do not wait for a gigabyte; a later request
//! asks for the list that they have changed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use assistant::{Assistant, ModelState, Progress};
use models::{Cancel, Incoming, ModelKind, Store};
use ui::{Asker, Event, ModelsEvent, ModelsRequest};
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

use super::{requests, wire};

/// What is fetched or taken in at the moment, and what stops it.
#[derive(Clone, Default)]
pub struct Arrivals(Rc<RefCell<Vec<(Asker, Cancel)>>>);

impl Arrivals {
    /// Stops one, if it is among them.
    pub fn cancel(&self, asker: &Asker) {
        let arrivals = self.0.borrow();
        if let Some((_, cancel)) = arrivals.iter().find(|(arriving, _)| arriving == asker) {
            cancel.cancel();
        }
    }

    /// Starts one, and tells its end to who asked.
    fn start(&self, asker: &Asker, store: Store, what: Arrival) {
        let (arrivals, asker, cancel) = (self.clone(), asker.clone(), Cancel::new());
        self.0.borrow_mut().push((asker.clone(), cancel.clone()));
        platform::spawn_local(async move {
            let outcome = what.run(&asker, &store, &cancel).await;
            arrivals.0.borrow_mut().retain(|(arriving, _)| *arriving != asker);
            let event = match outcome {
                Ok(id) => Event::Models(ModelsEvent::Here { id }),
                Err(models::Error::Cancelled { .. }) => Event::Stopped,
                Err(error) => Event::Failed { message: error.to_string() },
            };
            wire::post(&asker, event);
        });
    }
}

/// A model on its way here.
enum Arrival {
    Fetched { id: String },
    Given { name: Option<String>, files: Vec<Given> },
}

impl Arrival {
    async fn run(self, asker: &Asker, store: &Store, cancel: &Cancel) -> models::Result<String> {
        match self {
            Self::Fetched { id } => {
                let mut tell = |p| wire::post(asker, Event::Models(ModelsEvent::Fetching(p)));
                store.fetch(&id, &mut tell, cancel).await.map(|files| files.id().to_owned())
            }
            Self::Given { name, files } => {
                let mut tell = |p| wire::post(asker, Event::Models(ModelsEvent::Copying(p)));
                let name = name.as_deref().map(models::name_of);
                let id = store.import(name.as_deref(), &files, &mut tell, cancel).await?;
                let imported = store.imported().await?;
                if imported.iter().any(|entry| entry.id == id && entry.kind != ModelKind::Generator) {
                    store.remove(&id).await?;
                    let reason = "it writes no texts, and nothing else is exchanged here".to_owned();
                    return Err(models::Error::NotImported { name: id, reason });
                }
                Ok(id)
            }
        }
    }
}

/// What is known of the models.
#[derive(Default)]
pub struct Shelf {
    arrivals: Arrivals,
    /// Tokens per second of generators that were loaded, by name.
    speeds: BTreeMap<String, f64>,
}

impl Shelf {
    pub fn new(arrivals: Arrivals) -> Self {
        Self { arrivals, speeds: BTreeMap::new() }
    }

    /// Deletes what an import left that was cut.
    pub async fn tidy(&self, assistant: &Assistant) {
        if self.arrivals.0.borrow().is_empty() {
            // It costs nothing but room.
            let _ = assistant.models().tidy().await;
        }
    }

    /// Serves a request to its end, which is `None` for what goes on beside.
    pub async fn serve(
        &mut self,
        assistant: &mut Assistant,
        asker: &Asker,
        request: ModelsRequest,
        files: Vec<File>,
    ) -> Result<Option<Event>, String> {
        let store = assistant.models().clone();
        match request {
            ModelsRequest::List => return self.offers(assistant).await.map(Some),
            ModelsRequest::Fetch { id } => {
                self.arrivals.start(asker, store, Arrival::Fetched { id });
                return Ok(None);
            }
            ModelsRequest::Import { names, name } => {
                let given = names.into_iter().zip(files).map(|(name, file)| Given { name, file });
                self.arrivals.start(asker, store, Arrival::Given { name, files: given.collect() });
                return Ok(None);
            }
            ModelsRequest::Export { id } => return export(&store, &id).await.map(Some),
            ModelsRequest::Use { id } => {
                let outcome = use_generator(assistant, asker, &id).await;
                requests::tell_state(assistant).await;
                outcome?;
            }
            ModelsRequest::Remove { id } => {
                if assistant.state().map_err(text)?.generator.id == id {
                    assistant.let_go_of_generator();
                }
                let outcome = store.remove(&id).await;
                requests::tell_state(assistant).await;
                outcome.map_err(text)?;
            }
        }
        let offers = self.offers(assistant).await?;
        // Other tabs may show the list as well.
        wire::post_all(offers.clone());
        Ok(Some(offers))
    }

    async fn offers(&mut self, assistant: &Assistant) -> Result<Event, String> {
        let ModelState { id, loaded, .. } = assistant.state().map_err(text)?.generator;
        // A list without speeds is of use, too.
        if loaded
            && !self.speeds.contains_key(&id)
            && let Ok(Some(speed)) = assistant.tokens_per_s().await
        {
            self.speeds.insert(id, speed);
        }
        let offers = assistant.offers(&self.speeds).await.map_err(text)?;
        Ok(Event::Models(ModelsEvent::Offers(offers)))
    }
}

async fn use_generator(assistant: &mut Assistant, asker: &Asker, id: &str) -> Result<(), String> {
    let generator = assistant.state().map_err(text)?.generator;
    if generator.loaded && generator.id == id {
        return Ok(());
    }
    let mut tell = |progress| {
        if let Progress::Fetching(p) = progress {
            wire::post(asker, Event::Models(ModelsEvent::Fetching(p)));
        }
    };
    assistant.use_generator(id, &mut tell).await;
    match assistant.state().map_err(text)?.generator.problem {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

async fn export(store: &Store, id: &str) -> Result<Event, String> {
    let found = store.find(id).await.map_err(text)?;
    let one = found.names().count() == 1;
    let mut files = Vec::new();
    for name in found.names() {
        let path = found.path(name).map_err(text)?.to_owned();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        // A file alone is called like its model; several keep their names.
        files.push((path, if one { format!("{id}.{extension}") } else { name.to_owned() }));
    }
    Ok(Event::Models(ModelsEvent::Files { files }))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A file that the user dropped or chose.
struct Given {
    name: String,
    file: File,
}

impl Incoming for Given {
    fn name(&self) -> &str {
        &self.name
    }

    fn n_bytes(&self) -> u64 {
        self.file.size() as u64
    }

    async fn read(&self, offset: u64, n_bytes: u64) -> Result<Vec<u8>, String> {
        let wrong = |error| format!("it cannot be read: {error:?}");
        let end = (offset + n_bytes) as f64;
        let piece = self.file.slice_with_f64_and_f64(offset as f64, end).map_err(wrong)?;
        let bytes = JsFuture::from(piece.array_buffer()).await.map_err(wrong)?;
        Ok(js_sys::Uint8Array::new(&bytes).to_vec())
    }
}
