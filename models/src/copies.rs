//! Models that come from the user and go to the user: import, export, removal.

use crate::cancel::Cancel;
use crate::catalog::{FileEntry, ModelEntry, ModelKind};
use crate::download::Target;
use crate::error::{AtPath, Error, Result};
use crate::hash::hex;
use crate::kind::kind_of;
use crate::local::{self, ENTRY, is_name, name_of};
use crate::store::Store;
use platform::{File, OpenMode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes that are copied between two chances for others to run.
const PIECE_BYTES: u64 = 1 << 20;
/// Files that one model may have: shards of 5 GB of the largest there are, with room.
const MAX_FILES: usize = 256;
/// A `config.json` is some kilobytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Where the files of a model are until all are here.
const INCOMING: &str = "incoming";
/// What a copy leaves free for other work.
const SPARE_BYTES: u64 = 32 << 20;

/// How far a copy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyProgress {
    /// The file.
    pub file: String,
    /// Bytes copied of all files together.
    pub done_bytes: u64,
    /// Bytes of all files together.
    pub total_bytes: u64,
}

/// A file that a user gives: of a disk natively, from a drop or a dialogue in the browser.
pub trait Incoming {
    /// Its name; of a file in a folder of the model's, with that folder (`1_Pooling/config.json`).
    fn name(&self) -> &str;
    /// Its length.
    fn n_bytes(&self) -> u64;
    /// `n_bytes` bytes at `offset`.
    fn read(&self, offset: u64, n_bytes: u64) -> impl Future<Output = std::result::Result<Vec<u8>, String>>;
}

/// A file of the system, or of the browser's own file system.
impl Incoming for File {
    fn name(&self) -> &str {
        self.path().rsplit(['/', '\\']).next().unwrap_or_default()
    }

    fn n_bytes(&self) -> u64 {
        self.len().unwrap_or_default()
    }

    async fn read(&self, offset: u64, n_bytes: u64) -> std::result::Result<Vec<u8>, String> {
        let mut bytes = vec![0; n_bytes as usize];
        self.read_at(&mut bytes, offset).map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}

impl Store {
    /// Takes in a model's files: one GGUF file, or `model.safetensors` (or its shards and their index) with
    /// `config.json`, `tokenizer.json` and what else lies beside them. Files that are those of a model of
    /// the catalog become that model; others get the name `name`, or one made of the files' own.
    /// Returns the model's id.
    ///
    /// # Errors
    /// [`Error::NotImported`] with what is missing, [`Error::NoRoom`], [`Error::Cancelled`],
    /// [`Error::Storage`]. Nothing is changed then.
    pub async fn import<I: Incoming>(
        &self,
        name: Option<&str>,
        files: &[I],
        progress: &mut dyn FnMut(CopyProgress),
        cancel: &Cancel,
    ) -> Result<String> {
        let kind = kind_of_incoming(files).await?;
        let id = match name {
            Some(name) if is_name(name) => name.to_owned(),
            Some(name) => return Err(refused(name, "a name is made of letters, digits, - _ and .")),
            None => name_of(files[0].name().trim_end_matches(".gguf")),
        };
        let total_bytes = files.iter().map(Incoming::n_bytes).sum();
        self.check_room_for(&id, total_bytes).await?;
        let incoming = format!("{}/{id}/{INCOMING}", self.folder);
        let copied = self.take_in(files, &incoming, total_bytes, (progress, cancel)).await;
        let named = match copied {
            Ok(entries) => self.name_them(&id, kind, &incoming, entries).await,
            Err(e) => Err(e),
        };
        // What has no name by now is of no use; the folder goes with it.
        if platform::exists(&incoming).await.unwrap_or(false) {
            platform::remove(&incoming).await.at(&incoming)?;
        }
        self.remove_if_empty(&id).await;
        named
    }

    /// Copies files to the folder `incoming` and notes their hashes.
    async fn take_in<I: Incoming>(
        &self,
        files: &[I],
        incoming: &str,
        total_bytes: u64,
        (progress, cancel): (&mut dyn FnMut(CopyProgress), &Cancel),
    ) -> Result<Vec<FileEntry>> {
        let mut entries: Vec<FileEntry> = Vec::new();
        let mut all_done = 0;
        for source in files {
            let (name, n_bytes) = (inner_name(source.name(), files), source.n_bytes());
            if entries.iter().any(|entry| entry.name == name) {
                return Err(refused(&name, "there are two files of this name"));
            }
            let path = format!("{incoming}/{name}");
            let target = File::open(&path, OpenMode::Create).await.at(&path)?;
            let mut hasher = Sha256::new();
            let mut done_bytes = 0;
            while done_bytes < n_bytes {
                if cancel.is_cancelled() {
                    return Err(Error::Cancelled { file: name, done_bytes, total_bytes: n_bytes });
                }
                let n_piece = PIECE_BYTES.min(n_bytes - done_bytes);
                let piece = source.read(done_bytes, n_piece).await.map_err(|e| refused(&name, &e))?;
                hasher.update(&piece);
                target.write_at(&piece, done_bytes).at(&path)?;
                done_bytes += n_piece;
                all_done += n_piece;
                progress(CopyProgress { file: name.clone(), done_bytes: all_done, total_bytes });
                platform::yield_now().await;
            }
            target.sync().at(&path)?;
            target.close();
            let hub_path = source.name().to_owned();
            entries.push(FileEntry { name, hub_path, n_bytes, sha256: hex(&hasher.finalize()) });
        }
        Ok(entries)
    }

    /// Gives copied files their names: those of a model of the catalog where they are its files.
    async fn name_them(
        &self,
        id: &str,
        kind: ModelKind,
        incoming: &str,
        entries: Vec<FileEntry>,
    ) -> Result<String> {
        let has = |file: &FileEntry| entries.iter().find(|e| e.sha256 == file.sha256);
        let known =
            self.catalog().entries().iter().find(|entry| entry.files.iter().all(|f| has(f).is_some()));
        if let Some(known) = known {
            for file in &known.files {
                let from = has(file).map_or(file.name.as_str(), |entry| entry.name.as_str());
                self.move_in(&format!("{incoming}/{from}"), &self.path(known, file)).await?;
            }
            return Ok(known.id.clone());
        }
        if self.catalog().get(id).is_some() || crate::HubModel::get(id).is_some() {
            return Err(refused(
                id,
                "another model has this name, and these are not its files; give another name",
            ));
        }
        let entry = ModelEntry {
            id: id.into(),
            kind,
            files: entries,
            hub_repo: String::new(),
            revision: String::new(),
            python_package: None,
            licence: "not known".into(),
        };
        let json = format!("{}/{id}/{ENTRY}", self.folder);
        if platform::exists(&json).await.at(&json)? {
            // From now on the old model of this name is none.
            platform::remove(&json).await.at(&json)?;
        }
        for file in &entry.files {
            self.move_in(&format!("{incoming}/{}", file.name), &self.path(&entry, file)).await?;
        }
        local::write_json(&json, &entry).await?;
        Ok(id.into())
    }

    async fn move_in(&self, from: &str, to: &str) -> Result<()> {
        if platform::exists(to).await.at(to)? {
            platform::remove(to).await.at(to)?;
        }
        platform::rename(from, to).await.at(to)
    }

    async fn check_room_for(&self, id: &str, n_bytes: u64) -> Result<()> {
        let needed_bytes = n_bytes + SPARE_BYTES;
        match platform::room(&self.folder).await {
            Some(room) if room.free_bytes < needed_bytes => {
                Err(Error::NoRoom { id: id.into(), needed_bytes, free_bytes: room.free_bytes })
            }
            _ => Ok(()),
        }
    }

    async fn remove_if_empty(&self, id: &str) {
        let folder = format!("{}/{id}", self.folder);
        if platform::list(&folder).await.is_ok_and(|entries| entries.is_empty()) {
            // An empty folder harms nobody.
            let _ = platform::remove(&folder).await;
        }
    }

    /// Copies a model's files to the folder `to`, under the names that the hub has them by, and compares
    /// each with its SHA-256. Returns their paths.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Storage`], [`Error::Cancelled`].
    pub async fn export(
        &self,
        id: &str,
        to: &str,
        progress: &mut dyn FnMut(CopyProgress),
        cancel: &Cancel,
    ) -> Result<Vec<String>> {
        let files = self.find(id).await?;
        let entry = self.entry(files.id()).await.ok();
        let total_bytes = files.n_bytes().await?;
        let (mut done_bytes, mut paths) = (0, Vec::new());
        for name in files.names() {
            let known = entry.as_ref().and_then(|entry| entry.files.iter().find(|f| f.name == name));
            let path = format!("{to}/{}", known.map_or(name, |file| file.hub_path.as_str()));
            let source = files.file(name).await?;
            let mut hasher = Sha256::new();
            let mut tell = |n| {
                done_bytes += n;
                progress(CopyProgress { file: name.into(), done_bytes, total_bytes });
            };
            copy(&source, &path, &mut hasher, (&mut tell, cancel)).await?;
            source.close();
            let sha256 = hex(&hasher.finalize());
            if let Some(file) = known.filter(|file| file.sha256 != sha256) {
                platform::remove(&path).await.at(&path)?;
                let reason = format!("its SHA-256 is {sha256}, expected {}", file.sha256);
                return Err(Error::Damaged { path: files.path(name)?.into(), reason });
            }
            paths.push(path);
        }
        Ok(paths)
    }

    /// Deletes a model's files, and what was fetched of them so far. Returns how many bytes that were.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::Missing`] when nothing of it is here, [`Error::Storage`].
    pub async fn remove(&self, id: &str) -> Result<u64> {
        let id = match self.entry(id).await {
            Ok(entry) => entry.id.clone(),
            // Something may be left of it all the same.
            Err(Error::Missing { id, .. }) => id,
            Err(Error::Damaged { .. }) if is_name(id) => id.to_owned(),
            Err(e) => return Err(e),
        };
        let folder = format!("{}/{id}", self.folder);
        let entries = match platform::list(&folder).await {
            Err(platform::Error::NotFound { .. }) => {
                return Err(Error::Missing { id, file: "no file of it".into(), folder });
            }
            other => other.at(&folder)?,
        };
        let n_bytes = entries.iter().map(|entry| entry.len).sum();
        platform::remove(&folder).await.at(&folder)?;
        Ok(n_bytes)
    }

    /// Deletes what imports left that were cut. Nothing may be imported meanwhile.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn tidy(&self) -> Result<()> {
        let folders = match platform::list(&self.folder).await {
            Err(platform::Error::NotFound { .. }) => return Ok(()),
            other => other.at(&self.folder)?,
        };
        for folder in folders.into_iter().filter(|entry| entry.is_dir) {
            let incoming = format!("{}/{}/{INCOMING}", self.folder, folder.name);
            if platform::exists(&incoming).await.at(&incoming)? {
                platform::remove(&incoming).await.at(&incoming)?;
                self.remove_if_empty(&folder.name).await;
            }
        }
        Ok(())
    }

    /// Bytes that are here of a model that is not here as a whole: what a download has left that was cut.
    pub async fn begun_bytes(&self, id: &str) -> u64 {
        let Ok(entry) = self.entry(id).await else { return 0 };
        let mut n_bytes = 0;
        for file in &entry.files {
            let target = Target { file, path: self.path(&entry, file) };
            let is_here = platform::exists(&target.path).await.unwrap_or(false);
            n_bytes += if is_here { file.n_bytes } else { target.done_bytes().await };
        }
        n_bytes
    }

    /// The models that were taken in from files, in order.
    ///
    /// # Errors
    /// [`Error::Storage`] when the folder cannot be read.
    pub async fn imported(&self) -> Result<Vec<ModelEntry>> {
        let folders = match platform::list(&self.folder).await {
            Err(platform::Error::NotFound { .. }) => return Ok(Vec::new()),
            other => other.at(&self.folder)?,
        };
        let mut entries = Vec::new();
        for folder in folders.into_iter().filter(|entry| entry.is_dir) {
            // What cannot be read is no model; `remove` deletes it.
            entries.extend(local::read(&self.folder, &folder.name).await.ok().flatten());
        }
        Ok(entries)
    }
}

async fn copy(
    source: &File,
    path: &str,
    hasher: &mut Sha256,
    (tell, cancel): (&mut dyn FnMut(u64), &Cancel),
) -> Result<()> {
    let part_path = format!("{path}.part");
    let part = File::open(&part_path, OpenMode::Create).await.at(&part_path)?;
    let total_bytes = source.len().at(source.path())?;
    let mut piece = Vec::new();
    let mut done_bytes = 0;
    while done_bytes < total_bytes {
        if cancel.is_cancelled() {
            part.close();
            platform::remove(&part_path).await.at(&part_path)?;
            return Err(Error::Cancelled { file: path.into(), done_bytes, total_bytes });
        }
        piece.resize(PIECE_BYTES.min(total_bytes - done_bytes) as usize, 0);
        source.read_at(&mut piece, done_bytes).at(source.path())?;
        hasher.update(&piece);
        part.write_at(&piece, done_bytes).at(&part_path)?;
        done_bytes += piece.len() as u64;
        tell(piece.len() as u64);
        platform::yield_now().await;
    }
    part.sync().at(&part_path)?;
    part.close();
    platform::rename(&part_path, path).await.at(path)
}

/// The name that a file gets here: a single GGUF file is `model.gguf`, whatever it was called.
fn inner_name<I: Incoming>(name: &str, files: &[I]) -> String {
    let is_gguf = |name: &str| name.to_ascii_lowercase().ends_with(".gguf");
    if is_gguf(name) && files.iter().filter(|f| is_gguf(f.name())).count() == 1 {
        return "model.gguf".into();
    }
    if name == "1_Pooling/config.json" {
        return "pooling.json".into();
    }
    name_of(name)
}

/// What the files are a model of, where nothing that it needs is missing.
async fn kind_of_incoming<I: Incoming>(files: &[I]) -> Result<ModelKind> {
    let names: Vec<&str> = files.iter().map(Incoming::name).collect();
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(refused(
            "the model",
            &format!("it has {} files, expected 1 to {MAX_FILES}", files.len()),
        ));
    }
    let of = |name: &str| files.iter().find(|f| f.name() == name);
    if !names.iter().any(|name| name.to_ascii_lowercase().ends_with(".gguf")) {
        if !names.iter().any(|name| name.ends_with(".safetensors")) {
            let reason = "there are neither weights in GGUF nor in safetensors (`model.safetensors`)";
            return Err(refused(names[0], reason));
        }
        for needed in ["config.json", "tokenizer.json"] {
            if of(needed).is_none() {
                return Err(refused(
                    names[0],
                    &format!("`{needed}` is missing; give all files of the model"),
                ));
            }
        }
    }
    let config = match of("config.json").filter(|file| file.n_bytes() <= MAX_CONFIG_BYTES) {
        Some(file) => Some(file.read(0, file.n_bytes()).await.map_err(|e| refused("config.json", &e))?),
        None => None,
    };
    kind_of(&names, config.as_deref()).ok_or_else(|| refused("config.json", "it cannot be read"))
}

fn refused(name: &str, reason: &str) -> Error {
    Error::NotImported { name: name.into(), reason: reason.into() }
}
