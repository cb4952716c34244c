//! The files of a model of the hub, as the hub listed them when it was first fetched.

use crate::catalog::{FileEntry, MAIN, ModelEntry, ModelKind};
use crate::error::{Attempt, Error, Result};
use crate::hash::hex;
use crate::hub::{HubModel, QUANTISATIONS};
use crate::local::{is_name, read_small, write_json};
use serde::{Deserialize, Serialize};
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
const GGUF: &str = "model.gguf";
/// What is kept of what the hub said.
#[derive(Serialize, Deserialize)]
struct Pinned {
    /// The commit that the files are of.
    revision: String,
    files: Vec<FileEntry>,
    /// What the model is for, where its files say more than the list of known models.
    #[serde(default)]
    kind: Option<ModelKind>,
}

/// What is read: files that were pinned before commits were noted are of the main branch.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    OfCommit(Pinned),
    OfMain(Vec<FileEntry>),
}

impl From<Kept> for Pinned {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::OfCommit(pinned) => pinned,
            Kept::OfMain(files) => Self { revision: MAIN.into(), files, kind: None },
        }
    }
}

/// What the hub says of a repository as a whole.
#[derive(Deserialize)]
struct About {
    /// The newest commit.
    sha: String,
}

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
            let (kind, hub_repo, licence) = (known.kind, known.hub_repo.clone(), known.licence.clone());
            return Some(Self { id: known.id.clone(), hub_repo, kind, licence });
        }
        let (owner, id) = name.split_once('/')?;
        let licence = "see its page".into();
        (is_name(owner) && is_name(id)).then(|| Self {
            id: id.into(),
            hub_repo: name.into(),
            kind: ModelKind::Embedder,
            licence,
        })
    }

    /// The entry that the files in `folder` were pinned by.
    pub async fn read(&self, folder: &str) -> Result<ModelEntry> {
        let path = format!("{folder}/{}/{PIN}", self.id);
        let Some(bytes) = read_small(&path).await? else {
            let (id, file) = (self.id.clone(), "its list of files".into());
            return Err(Error::Missing { id, file, folder: format!("{folder}/{}", self.id) });
        };
        let kept: Kept =
            serde_json::from_slice(&bytes).map_err(|e| Error::Damaged { path, reason: e.to_string() })?;
        Ok(self.entry(kept.into()))
    }

    /// Asks the hub for the list, and keeps it.
    pub async fn pin(&self, hub_url: Option<&str>, folder: &str) -> Result<ModelEntry> {
        let Some(hub) = hub_url else { return Err(self.unavailable(vec![])) };
        let source = format!("{hub}/{}", self.hub_repo);
        let pinned = self.list(hub).await;
        let pinned = pinned.map_err(|reason| self.unavailable(vec![Attempt { source, reason }]))?;
        write_json(&format!("{folder}/{}/{PIN}", self.id), &pinned).await?;
        Ok(self.entry(pinned))
    }

    async fn list(&self, hub: &str) -> std::result::Result<Pinned, String> {
        let revision = self.newest_commit(hub).await;
        let url = format!("{hub}/api/models/{}/tree/{revision}?recursive=true", self.hub_repo);
        let listed: Vec<Listed> = serde_json::from_slice(&read(&url).await?)
            .map_err(|e| format!("its list of files cannot be read: {e}"))?;
        let mut files = Vec::new();
        for (hub_path, name) in wanted(&listed)? {
            let file =
                listed.iter().find(|file| file.path == hub_path).ok_or(format!("it has no {hub_path}"))?;
            let (n_bytes, sha256) = match &file.lfs {
                Some(lfs) => (file.size, lfs.oid.clone()),
                None => {
                    let bytes =
                        read(&format!("{hub}/{}/resolve/{revision}/{hub_path}", self.hub_repo)).await?;
                    (bytes.len() as u64, hex(&Sha256::digest(&bytes)))
                }
            };
            files.push(FileEntry { name, hub_path, n_bytes, sha256 });
        }
        let is_gguf = files.iter().any(|file| file.name == GGUF);
        Ok(Pinned { revision, files, kind: is_gguf.then_some(ModelKind::Generator) })
    }

    /// A commit stays what it is, so a download that takes days ends with what it began with. A mirror that
    /// does not tell is read at its main branch.
    async fn newest_commit(&self, hub: &str) -> String {
        let about = read(&format!("{hub}/api/models/{}", self.hub_repo)).await.ok();
        let about: Option<About> = about.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        about.map(|about| about.sha).filter(|sha| is_name(sha)).unwrap_or_else(|| MAIN.into())
    }

    fn entry(&self, Pinned { revision, files, kind }: Pinned) -> ModelEntry {
        ModelEntry {
            id: self.id.clone(),
            kind: kind.unwrap_or(self.kind),
            files,
            hub_repo: self.hub_repo.clone(),
            revision,
            python_package: None,
            licence: self.licence.clone(),
        }
    }

    fn unavailable(&self, tried: Vec<Attempt>) -> Error {
        let file = "the list of files".into();
        Error::Unavailable { id: self.id.clone(), file, done_bytes: 0, total_bytes: 0, tried }
    }
}

/// The one file of a repository with GGUF files.
fn gguf(listed: &[Listed]) -> Option<&str> {
    let is_whole = |path: &str| path.ends_with(".gguf") && !path.contains("-of-") && !path.contains('/');
    let files: Vec<&str> =
        listed.iter().map(|file| file.path.as_str()).filter(|path| is_whole(path)).collect();
    let of = |name: &str| files.iter().find(|path| path.to_ascii_lowercase().contains(name));
    QUANTISATIONS.iter().find_map(|name| of(name)).or(files.first()).copied()
}

/// (path on the hub, name here), small ones first.
fn wanted(listed: &[Listed]) -> std::result::Result<Vec<(String, String)>, String> {
    if let Some(path) = gguf(listed) {
        return Ok(vec![(path.to_owned(), GGUF.to_owned())]);
    }
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
            "it has no {WEIGHTS} and no GGUF file; convert the model (save_pretrained of transformers) and name its folder"
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
