//! The bytes of files that wait in the queue, kept under their hash beside the knowledge base, so that
//! they are there after a reload.

use std::collections::{BTreeMap, BTreeSet};

use platform::{File, OpenMode};

use crate::Result;
use crate::library::sha256 as hash;

/// Files that wait in memory, where there is no other place: four of the largest that are read.
const MAX_HELD_BYTES: usize = 1 << 30;

/// Where waiting files are.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    /// Nowhere but in memory without it.
    folder: Option<String>,
    held: BTreeMap<[u8; 32], Vec<u8>>,
}

impl Staging {
    pub(crate) fn new(folder: Option<String>) -> Self {
        Self { folder, held: BTreeMap::new() }
    }

    /// Keeps a file; `false` where there is no room for it at all.
    pub(crate) async fn keep(&mut self, sha256: [u8; 32], bytes: &[u8]) -> Result<bool> {
        if let Some(path) = self.path(&sha256) {
            match write(&path, bytes).await {
                Err(platform::Error::QuotaExceeded { .. }) => {
                    // What was written of it is of no use; that it cannot be removed neither.
                    let _ = platform::remove(&path).await;
                }
                done => return Ok(done.map(|()| true)?),
            }
        }
        let n_held: usize = self.held.values().map(Vec::len).sum();
        if n_held + bytes.len() > MAX_HELD_BYTES {
            return Ok(false);
        }
        self.held.insert(sha256, bytes.to_vec());
        Ok(true)
    }

    /// The bytes of that hash, if they are here and whole.
    pub(crate) async fn get(&self, sha256: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.held.get(sha256) {
            return Ok(Some(bytes.clone()));
        }
        let Some(path) = self.path(sha256) else { return Ok(None) };
        if !platform::exists(&path).await? {
            return Ok(None);
        }
        let file = File::open(&path, OpenMode::Read).await?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_at(&mut bytes, 0)?;
        Ok((hash(&bytes) == *sha256).then_some(bytes))
    }

    /// The files that are kept on the disk, with their lengths.
    pub(crate) async fn kept(&self) -> Result<BTreeMap<String, u64>> {
        let Some(folder) = &self.folder else { return Ok(BTreeMap::new()) };
        if !platform::exists(folder).await? {
            return Ok(BTreeMap::new());
        }
        let files = platform::list(folder).await?.into_iter().filter(|entry| !entry.is_dir);
        Ok(files.map(|entry| (entry.name, entry.len)).collect())
    }

    /// Whether bytes of that hash and length seem to be here, with `kept` as it was just now.
    pub(crate) fn has(&self, kept: &BTreeMap<String, u64>, sha256: &[u8; 32], n_bytes: u64) -> bool {
        self.held.contains_key(sha256) || kept.get(&hex(sha256)) == Some(&n_bytes)
    }

    pub(crate) async fn forget(&mut self, sha256: &[u8; 32]) -> Result<()> {
        self.held.remove(sha256);
        match self.path(sha256) {
            Some(path) if platform::exists(&path).await? => Ok(platform::remove(&path).await?),
            _ => Ok(()),
        }
    }

    /// Removes files that nobody waits for, such as those of a job that was being made in a crash.
    pub(crate) async fn sweep(&mut self, wanted: &BTreeSet<[u8; 32]>) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let wanted: BTreeSet<String> = wanted.iter().map(hex).collect();
        for name in self.kept().await?.into_keys().filter(|name| !wanted.contains(name)) {
            platform::remove(&format!("{folder}/{name}")).await?;
        }
        Ok(())
    }

    fn path(&self, sha256: &[u8; 32]) -> Option<String> {
        self.folder.as_ref().map(|folder| format!("{folder}/{}", hex(sha256)))
    }
}

async fn write(path: &str, bytes: &[u8]) -> platform::Result<()> {
    let file = File::open(path, OpenMode::Create).await?;
    file.write_at(bytes, 0)?;
    file.sync()
}

fn hex(sha256: &[u8; 32]) -> String {
    sha256.iter().map(|byte| format!("{byte:02x}")).collect()
}
