//! `footnote models`: what there is, what is here, and whether it is whole.

use std::process::ExitCode;

use assistant::Progress;
use models::{Cancel, FileCheck, FileState, HubModel, ModelEntry, Store};
use serde::Serialize;

use crate::args::{ModelsCommand, Shared};
use crate::error::Result;
use crate::output::{self, Reporter};
use crate::setup;

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    entry: &'a ModelEntry,
    n_bytes: u64,
    here: bool,
    folder: String,
}

#[derive(Serialize)]
struct Verified {
    id: String,
    ok: bool,
    files: Vec<FileCheck>,
}

pub async fn run(shared: &Shared, command: &ModelsCommand) -> Result<ExitCode> {
    let store = setup::store(shared)?;
    match command {
        ModelsCommand::List { json } => list(&store, *json).await,
        ModelsCommand::Fetch { id } => fetch(shared, &store, id.as_deref()).await,
        ModelsCommand::Verify { id } => verify(&store, id.as_deref()).await,
    }
}

/// A model of the hub, of which nothing is known before it is fetched but its name and about its size.
#[derive(Serialize)]
struct OfTheHub {
    #[serde(flatten)]
    model: HubModel,
    here: bool,
    folder: String,
}

async fn list(store: &Store, json: bool) -> Result<ExitCode> {
    let mut listed = Vec::new();
    for entry in store.catalog().entries() {
        let here = store.open_model(&entry.id).await.is_ok();
        let folder = format!("{}/{}", store.folder(), entry.id);
        listed.push(Listed { entry, n_bytes: entry.n_bytes(), here, folder });
    }
    let mut of_the_hub = Vec::new();
    for model in HubModel::all() {
        let here = store.find(model.id).await.is_ok();
        of_the_hub.push(OfTheHub { model: *model, here, folder: format!("{}/{}", store.folder(), model.id) });
    }
    if json {
        let both =
            (listed.iter().map(serde_json::to_value)).chain(of_the_hub.iter().map(serde_json::to_value));
        output::json(&both.collect::<std::result::Result<Vec<_>, _>>()?)?;
    } else {
        for Listed { entry, n_bytes, here, folder } in &listed {
            let state = if *here { folder.as_str() } else { "not fetched" };
            let kind = format!("{:?}", entry.kind).to_lowercase();
            output::line(&format!(
                "{}  {kind}  {} MB  {}  {state}",
                entry.id,
                n_bytes / 1_000_000,
                entry.licence
            ));
        }
        for OfTheHub { model, here, folder } in &of_the_hub {
            let state = if *here { folder.as_str() } else { "not fetched" };
            let HubModel { id, kind, megabytes, licence, .. } = model;
            let kind = format!("{kind:?}").to_lowercase();
            output::line(&format!("{id}  {kind}  about {megabytes} MB  {licence}  {state}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn fetch(shared: &Shared, store: &Store, id: Option<&str>) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    for id in ids(store, id) {
        let mut tell = |p| reporter.tell(&Progress::Fetching(p));
        let files = store.fetch(&id, &mut tell, &Cancel::new()).await?;
        reporter.note(&format!("{} is here, every file with the right SHA-256", files.id()));
    }
    verify(store, id).await
}

async fn verify(store: &Store, id: Option<&str>) -> Result<ExitCode> {
    let mut verified = Vec::new();
    for id in ids(store, id) {
        let files = store.verify(&id).await?;
        let ok = files.iter().all(|f| f.state == FileState::Whole);
        verified.push(Verified { id, ok, files });
    }
    output::json(&verified)?;
    Ok(if verified.iter().all(|v| v.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The named model, or the two default ones.
fn ids(store: &Store, id: Option<&str>) -> Vec<String> {
    let catalog = store.catalog();
    match id {
        Some(id) => vec![id.into()],
        None => vec![catalog.default_embedder().id.clone(), catalog.default_generator().id.clone()],
    }
}
