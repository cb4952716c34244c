//! `footnote models`: what there is, what is here, and whether it is whole.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use assistant::Progress;
use models::{About, Cancel, CopyProgress, FileCheck, FileState, HubModel, Incoming, ModelEntry, Store};
use platform::{File, OpenMode};
use serde::Serialize;
use serde_json::json;

use crate::args::{ModelsCommand, Shared};
use crate::error::{AtPath, Error, Result};
use crate::models_bench;
use crate::output::{self, Reporter};
use crate::setup;

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    entry: Cow<'a, ModelEntry>,
    /// What is known of it; nothing of a model that came from files.
    #[serde(flatten)]
    about: Option<&'static About>,
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
        ModelsCommand::Import { paths, name } => import(shared, &store, paths, name.as_deref()).await,
        ModelsCommand::Export { id, to } => export(shared, &store, id, to).await,
        ModelsCommand::Bench { ids, json } => models_bench::run(shared, &store, ids, *json).await,
        ModelsCommand::Remove { id } => {
            let n_bytes = store.remove(id).await?;
            output::json(&json!({ "id": id, "removed_bytes": n_bytes }))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A model of the hub, whose files are only known when it is fetched.
#[derive(Serialize)]
struct OfTheHub {
    #[serde(flatten)]
    model: &'static HubModel,
    memory_bytes: u64,
    here: bool,
    folder: String,
}

async fn list(store: &Store, json: bool) -> Result<ExitCode> {
    let mut listed = Vec::new();
    let built_in = store.catalog().entries().iter().map(Cow::Borrowed);
    for entry in built_in.chain(store.imported().await?.into_iter().map(Cow::Owned)) {
        let here = store.open_model(&entry.id).await.is_ok();
        let folder = format!("{}/{}", store.folder(), entry.id);
        let (n_bytes, about) = (entry.n_bytes(), About::get(&entry.id));
        listed.push(Listed { n_bytes, entry, about, here, folder });
    }
    let mut of_the_hub = Vec::new();
    for model in HubModel::all() {
        let here = store.find(&model.id).await.is_ok();
        let folder = format!("{}/{}", store.folder(), model.id);
        of_the_hub.push(OfTheHub { model, memory_bytes: model.about.memory_bytes(), here, folder });
    }
    if json {
        let both =
            (listed.iter().map(serde_json::to_value)).chain(of_the_hub.iter().map(serde_json::to_value));
        output::json(&both.collect::<std::result::Result<Vec<_>, _>>()?)?;
    } else {
        for Listed { entry, n_bytes, here, folder, .. } in &listed {
            let state = if *here { folder.as_str() } else { "not fetched" };
            let kind = format!("{:?}", entry.kind).to_lowercase();
            output::line(&format!(
                "{}  {kind}  {} MB  {}  {state}",
                entry.id,
                n_bytes / 1_000_000,
                entry.licence
            ));
        }
        for OfTheHub { model, memory_bytes, here, folder } in &of_the_hub {
            let state = if *here { folder.as_str() } else { "not fetched" };
            let HubModel { id, kind, megabytes, licence, .. } = model;
            let kind = format!("{kind:?}").to_lowercase();
            let memory = memory_bytes / 1_000_000;
            output::line(&format!(
                "{id}  {kind}  about {megabytes} MB, at work {memory} MB  {licence}  {state}"
            ));
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

/// A file on the disk, and the name it has within its model.
struct Given {
    name: String,
    file: File,
}

impl Incoming for Given {
    fn name(&self) -> &str {
        &self.name
    }

    fn n_bytes(&self) -> u64 {
        self.file.len().unwrap_or_default()
    }

    async fn read(&self, offset: u64, n_bytes: u64) -> std::result::Result<Vec<u8>, String> {
        self.file.read(offset, n_bytes).await
    }
}

async fn import(shared: &Shared, store: &Store, paths: &[PathBuf], name: Option<&str>) -> Result<ExitCode> {
    let mut given = Vec::new();
    for path in paths {
        let inner = if path.is_dir() { files_of_model(path)? } else { vec![path.clone()] };
        for file in inner {
            given.push(open_given(path, &file).await?);
        }
    }
    // A folder gives its name to what is in it.
    let folder = paths.first().filter(|path| path.is_dir()).and_then(|path| fs::canonicalize(path).ok());
    let folder =
        folder.as_deref().and_then(Path::file_name).map(|name| models::name_of(&name.to_string_lossy()));
    let mut reporter = Reporter::new(shared.quiet);
    let mut tell =
        |p: CopyProgress| reporter.step(&format!("copying {}", p.file), (p.done_bytes, p.total_bytes));
    let id = store.import(name.or(folder.as_deref()), &given, &mut tell, &Cancel::new()).await?;
    reporter.note(&format!("{id} is here"));
    verify(store, Some(&id)).await
}

async fn open_given(root: &Path, path: &Path) -> Result<Given> {
    let name = path.strip_prefix(root).ok().filter(|name| *name != Path::new(""));
    let name = name.or(path.file_name().map(Path::new)).unwrap_or(path);
    let name = name.to_string_lossy().replace('\\', "/");
    let file = File::open(&path.to_string_lossy(), OpenMode::Read).await;
    let file = file.map_err(|e| Error::Usage(e.to_string()))?;
    Ok(Given { name, file })
}

/// The files of a folder that a model may be made of.
fn files_of_model(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).at(folder)? {
        let path = entry.at(folder)?.path();
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        if ["gguf", "safetensors", "json", "jinja"].contains(&extension.as_str()) && path.is_file() {
            files.push(path);
        }
    }
    files.extend(Some(folder.join("1_Pooling/config.json")).filter(|path| path.is_file()));
    files.sort();
    Ok(files)
}

async fn export(shared: &Shared, store: &Store, id: &str, to: &str) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let mut tell =
        |p: CopyProgress| reporter.step(&format!("copying {}", p.file), (p.done_bytes, p.total_bytes));
    let paths = store.export(id, to, &mut tell, &Cancel::new()).await?;
    reporter.clear();
    output::json(&json!({ "id": id, "files": paths }))?;
    Ok(ExitCode::SUCCESS)
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
