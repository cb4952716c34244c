//! The folder with the models, and the sources it is filled from.

use crate::cancel::Cancel;
use crate::catalog::{Catalog, FileEntry, ModelEntry};
use crate::download::{Pace, Target};
use crate::error::{AtPath, Error, Result};
use crate::fetch::{Fetch, FetchProgress};
use crate::files::ModelFiles;
use crate::hub::HubModel;
use crate::local;
use crate::pin::{PIN, Unpinned};
use platform::{File, OpenMode};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

const HUB: &str = "https://huggingface.co";

/// What [`Store::verify`] found out about one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCheck {
    /// Name of the file.
    pub name: String,
    /// Where it is or would be.
    pub path: String,
    /// Whether it is what it should be.
    #[serde(flatten)]
    pub state: FileState,
}

/// Whether a file is what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileState {
    /// Size and SHA-256 are right.
    Whole,
    /// It is not there; so many bytes of it wait in the `.part` file.
    Missing {
        /// Length of the `.part` file.
        part_bytes: u64,
    },
    /// Size or SHA-256 is wrong.
    Damaged {
        /// What was found and what was expected.
        reason: String,
    },
}

/// A folder with models, and the sources it is filled from. Opening it touches no disk.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) folder: String,
    pub(crate) given_folder: Option<String>,
    pub(crate) origin_url: Option<String>,
    pub(crate) hub_url: Option<String>,
    catalog: Cow<'static, Catalog>,
    pub(crate) pace: Pace,
}

impl Store {
    /// A store in `folder` (natively a path, in the browser a path from the OPFS root).
    /// `given_folder` is only read: models there, in the same layout or with the hub's file names,
    /// are used where they are. `origin_url` is an address that serves the same layout, such as
    /// `/models` on the page's own host.
    pub fn open(folder: &str, given_folder: Option<&str>, origin_url: Option<&str>) -> Self {
        let trimmed = |s: &str| s.trim_end_matches('/').to_owned();
        Self {
            folder: trimmed(folder),
            given_folder: given_folder.map(trimmed),
            origin_url: origin_url.map(trimmed),
            hub_url: Some(HUB.into()),
            catalog: Cow::Borrowed(Catalog::builtin()),
            pace: Pace::default(),
        }
    }

    /// Knows these models instead of the built-in ones.
    pub fn with_catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = Cow::Owned(catalog);
        self
    }

    /// Fetches in this way.
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Asks this hub, a mirror with the same addresses, instead of huggingface.co; with `None`, no hub.
    pub fn with_hub(mut self, url: Option<&str>) -> Self {
        self.hub_url = url.map(|u| u.trim_end_matches('/').to_owned());
        self
    }

    /// The models this store knows.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The folder models are kept in.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The model's files if all are here with the right size. The hash of a file that was fetched was
    /// checked when it got its name; [`Store::verify`] checks it again.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::Missing`], [`Error::Damaged`].
    pub async fn open_model(&self, id: &str) -> Result<ModelFiles> {
        let entry = &*self.entry(id).await?;
        let mut files = Vec::new();
        for file in &entry.files {
            let path = match self.given(entry, file).await? {
                Some(path) => path,
                None => self.cached(entry, file).await?,
            };
            files.push((file.name.clone(), path));
        }
        Ok(model_files(entry, files))
    }

    /// The model that a user names: by its id, by its repository on the hub (`owner/name`), by a folder
    /// with its files as the hub has them, or by a GGUF file. A folder of that name in the store's own is
    /// taken, too.
    ///
    /// # Errors
    /// As [`Store::open_model`].
    pub async fn find(&self, name: &str) -> Result<ModelFiles> {
        let own = format!("{}/{name}", self.folder);
        let given = self.given_folder.as_ref().map(|folder| format!("{folder}/{name}"));
        let is_listed = self.catalog.get(name).is_some();
        for folder in [Some(name.to_owned()), given, Some(own)].into_iter().flatten().filter(|_| !is_listed) {
            let has = async |file: &str| platform::exists(&format!("{folder}/{file}")).await.unwrap_or(false);
            if folder.ends_with(".gguf") && platform::exists(&folder).await.unwrap_or(false) {
                return ModelFiles::from_gguf(&folder).await;
            }
            // What was pinned or imported is opened by what was written down then.
            let is_model = has("config.json").await || has("model.gguf").await;
            if is_model && !has(PIN).await && !has(local::ENTRY).await {
                let folder = folder.trim_end_matches(['/', '\\']);
                let id = folder.rsplit(['/', '\\']).next().unwrap_or(folder);
                return ModelFiles::from_folder(id, folder).await;
            }
        }
        self.open_model(name).await
    }

    /// The model's files, fetched where they are missing and checked by SHA-256 where they are not;
    /// a damaged file is replaced. `progress` is told after each piece.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::NoRoom`] before anything is fetched, [`Error::Unavailable`] with
    /// the reason of every source, [`Error::Cancelled`], [`Error::Storage`] when the disk refuses.
    pub async fn fetch(
        &self,
        id: &str,
        progress: &mut dyn FnMut(FetchProgress),
        cancel: &Cancel,
    ) -> Result<ModelFiles> {
        let entry = &*match self.entry(id).await {
            Err(Error::Missing { .. }) => {
                Cow::Owned(self.unpinned(id)?.pin(self.hub_url.as_deref(), &self.folder).await?)
            }
            other => other?,
        };
        let mut fetch = Fetch::new(self, entry, progress, cancel).await?;
        let mut files = Vec::new();
        for file in &entry.files {
            files.push((file.name.clone(), fetch.file(file).await?));
        }
        Ok(model_files(entry, files))
    }

    /// Reads every file of the model and compares size and SHA-256 with the catalog.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::Storage`] when a file that is there cannot be read.
    pub async fn verify(&self, id: &str) -> Result<Vec<FileCheck>> {
        let entry = &*self.entry(id).await?;
        let mut checks = Vec::new();
        for file in &entry.files {
            let given = self.given(entry, file).await?;
            let path = given.unwrap_or_else(|| self.path(entry, file));
            let target = Target { file, path };
            let state = check(&target).await?;
            checks.push(FileCheck { name: file.name.clone(), path: target.path, state });
        }
        Ok(checks)
    }

    /// The entry of the catalog, or of a model that was imported or pinned.
    pub(crate) async fn entry(&self, id: &str) -> Result<Cow<'_, ModelEntry>> {
        if let Some(entry) = self.catalog.get(id) {
            return Ok(Cow::Borrowed(entry));
        }
        match local::read(&self.folder, id).await? {
            Some(entry) => Ok(Cow::Owned(entry)),
            None => Ok(Cow::Owned(self.unpinned(id)?.read(&self.folder).await?)),
        }
    }

    fn unpinned(&self, name: &str) -> Result<Unpinned> {
        let listed = self.catalog.entries().iter().map(|e| e.id.as_str());
        Unpinned::named(name).ok_or_else(|| Error::UnknownModel {
            id: name.into(),
            known: listed.chain(HubModel::all().iter().map(|m| m.id.as_str())).collect::<Vec<_>>().join(", "),
        })
    }

    pub(crate) fn path(&self, entry: &ModelEntry, file: &FileEntry) -> String {
        format!("{}/{}/{}", self.folder, entry.id, file.name)
    }

    /// The file's path in the given folder, if it is there and its SHA-256 is right: nobody checked
    /// it before, so it is checked each time.
    pub(crate) async fn given(&self, entry: &ModelEntry, file: &FileEntry) -> Result<Option<String>> {
        let Some(folder) = &self.given_folder else { return Ok(None) };
        for name in [&file.name, &file.hub_path] {
            let target = Target { file, path: format!("{folder}/{}/{name}", entry.id) };
            if check(&target).await? == FileState::Whole {
                return Ok(Some(target.path));
            }
        }
        Ok(None)
    }

    /// The file's path in the folder, if it has the right size.
    async fn cached(&self, entry: &ModelEntry, file: &FileEntry) -> Result<String> {
        let path = self.path(entry, file);
        let opened = match File::open(&path, OpenMode::Read).await {
            Err(platform::Error::NotFound { .. }) => {
                return Err(Error::Missing {
                    id: entry.id.clone(),
                    file: file.name.clone(),
                    folder: format!("{}/{}", self.folder, entry.id),
                });
            }
            other => other.at(&path)?,
        };
        let n_bytes = opened.len().at(&path);
        opened.close();
        match n_bytes? {
            n if n == file.n_bytes => Ok(path),
            n => Err(Error::Damaged { path, reason: format!("it has {n} bytes, expected {}", file.n_bytes) }),
        }
    }
}

pub(crate) fn model_files(entry: &ModelEntry, files: Vec<(String, String)>) -> ModelFiles {
    let largest = entry.files.iter().max_by_key(|f| f.n_bytes);
    ModelFiles::new(&entry.id, largest.map_or("local", |f| &f.sha256[..12]), files)
}

pub(crate) async fn check(target: &Target<'_>) -> Result<FileState> {
    let file = match File::open(&target.path, OpenMode::Read).await {
        Err(platform::Error::NotFound { .. }) => {
            return Ok(FileState::Missing { part_bytes: target.done_bytes().await });
        }
        other => other.at(&target.path)?,
    };
    let checked = target.check(&file).await;
    file.close();
    Ok(match checked? {
        Ok(()) => FileState::Whole,
        Err(reason) => FileState::Damaged { reason },
    })
}
