//! The files of a model of the hub, as the hub listed them when it was first fetched.

use crate::catalog::{FileEntry, ModelEntry, ModelKind};
use crate::error::{AtPath, Attempt, Error, Result};
use crate::hash::hex;
use crate::hub::HubModel;
use platform::{File, OpenMode};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Kept beside the model's files.
pub(crate) const PIN: &str = "pinned.json";
/// What is read into memory of one address: the longest list, and the largest file that the hub has no
/// SHA-256 for (those are 10 MB at most).
const MAX_READ_BYTES: u64 = 16 << 20;
/// Settings that a model may have, and the name they get here.
const SETTINGS: [(&str, &str); 6] = [
    ("config.json", "config.json"),
    ("1_Pooling/config.json", "pooling.json"),
    ("modules.json", "modules.json"),
    ("sentence_bert_config.json", "sentence_bert_config.json"),
    ("config_sentence_transformers.json", "config_sentence_transformers.json"),
    ("tokenizer_config.json", "tokenizer_config.json"),
];
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";

/// A model that is in no catalog, by the name it was asked for.
pub(crate) struct Unpinned {
    pub id: String,
    pub hub_repo: String,
    kind: ModelKind,
    licence: String,
}

/// One line of the hub's list of files.
#[derive(Deserialize)]
struct Listed {
    path: String,
    #[serde(default)]
    size: u64,
    /// Where a file is large.
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    /// SHA-256.
    oid: String,
}

impl Unpinned {
    /// A known model, or any repository, `owner/name`.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(known) = HubModel::get(name) {
            let (kind, hub_repo, licence) = (known.kind, known.hub_repo.into(), known.licence.into());
            return Some(Self { id: known.id.into(), hub_repo, kind, licence });
        }
        let (owner, id) = name.split_once('/')?;
        let is_word = |word: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            word.bytes().all(fits) && !word.starts_with('.') && !word.is_empty()
        };
        let licence = "see its page".into();
        (is_word(owner) && is_word(id)).then(|| Self {
            id: id.into(),
            hub_repo: name.into(),
            kind: ModelKind::Embedder,
            licence,
        })
    }

    /// The entry that the files in `folder` were pinned by.
    pub async fn read(&self, folder: &str) -> Result<ModelEntry> {
        let path = format!("{folder}/{}/{PIN}", self.id);
        let file = match File::open(&path, OpenMode::Read).await {
            Err(platform::Error::NotFound { .. }) => {
                let (id, file) = (self.id.clone(), "its list of files".into());
                return Err(Error::Missing { id, file, folder: format!("{folder}/{}", self.id) });
            }
            other => other.at(&path)?,
        };
        let mut bytes = vec![0; file.len().at(&path)?.min(MAX_READ_BYTES) as usize];
        let read = file.read_at(&mut bytes, 0);
        file.close();
        read.at(&path)?;
        let files =
            serde_json::from_slice(&bytes).map_err(|e| Error::Damaged { path, reason: e.to_string() })?;
        Ok(self.entry(files))
    }

    /// Asks the hub for the list, and keeps it.
    pub async fn pin(&self, hub_url: Option<&str>, folder: &str) -> Result<ModelEntry> {
        let Some(hub) = hub_url else { return Err(self.unavailable(vec![])) };
        let source = format!("{hub}/{}", self.hub_repo);
        let files = self.list(hub).await;
        let files = files.map_err(|reason| self.unavailable(vec![Attempt { source, reason }]))?;
        let path = format!("{folder}/{}/{PIN}", self.id);
        let json = serde_json::to_vec_pretty(&files).expect("a list of texts and numbers");
        let part = format!("{path}.part");
        let file = File::open(&part, OpenMode::ReadWrite).await.at(&part)?;
        let written = file.set_len(0).and_then(|()| file.write_at(&json, 0)).and_then(|()| file.sync());
        file.close();
        written.at(&part)?;
        platform::rename(&part, &path).await.at(&path)?;
        Ok(self.entry(files))
    }

    async fn list(&self, hub: &str) -> std::result::Result<Vec<FileEntry>, String> {
        let url = format!("{hub}/api/models/{}/tree/main?recursive=true", self.hub_repo);
        let listed: Vec<Listed> = serde_json::from_slice(&read(&url).await?)
            .map_err(|e| format!("its list of files cannot be read: {e}"))?;
        let mut files = Vec::new();
        for (hub_path, name) in wanted(&listed)? {
            let file =
                listed.iter().find(|file| file.path == hub_path).ok_or(format!("it has no {hub_path}"))?;
            let (n_bytes, sha256) = match &file.lfs {
                Some(lfs) => (file.size, lfs.oid.clone()),
                None => {
                    let bytes = read(&format!("{hub}/{}/resolve/main/{hub_path}", self.hub_repo)).await?;
                    (bytes.len() as u64, hex(&Sha256::digest(&bytes)))
                }
            };
            files.push(FileEntry { name, hub_path, n_bytes, sha256 });
        }
        Ok(files)
    }

    fn entry(&self, files: Vec<FileEntry>) -> ModelEntry {
        ModelEntry {
            id: self.id.clone(),
            kind: self.kind,
            files,
            hub_repo: self.hub_repo.clone(),
            python_package: None,
            licence: self.licence.clone(),
        }
    }

    fn unavailable(&self, tried: Vec<Attempt>) -> Error {
        let file = "the list of files".into();
        Error::Unavailable { id: self.id.clone(), file, done_bytes: 0, total_bytes: 0, tried }
    }
}

/// (path on the hub, name here), small ones first.
fn wanted(listed: &[Listed]) -> std::result::Result<Vec<(String, String)>, String> {
    let has = |path: &str| listed.iter().any(|file| file.path == path);
    let settings = SETTINGS.into_iter().filter(|(path, _)| has(path));
    let mut wanted: Vec<_> = settings.map(|(path, name)| (path.to_owned(), name.to_owned())).collect();
    let mut same = |path: &str| wanted.push((path.to_owned(), path.to_owned()));
    same(TOKENIZER);
    if has(WEIGHTS) {
        same(WEIGHTS);
        return Ok(wanted);
    }
    let is_part =
        |path: &str| path.starts_with("model-") && path.ends_with(".safetensors") && !path.contains('/');
    let parts = listed.iter().filter(|file| is_part(&file.path));
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() {
        return Err(format!(
            "it has no {WEIGHTS}; convert the model (save_pretrained of transformers) and name its folder"
        ));
    }
    same("model.safetensors.index.json");
    parts.iter().for_each(|part| same(&part.path));
    Ok(wanted)
}

/// What is at an address, in memory.
async fn read(url: &str) -> std::result::Result<Vec<u8>, String> {
    let mut download = platform::fetch(url, 0).await.map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    while let Some(piece) = download.chunk().await.map_err(|e| e.to_string())? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > MAX_READ_BYTES {
            return Err(format!("{url} has more than {} MB", MAX_READ_BYTES >> 20));
        }
    }
    Ok(bytes)
}
