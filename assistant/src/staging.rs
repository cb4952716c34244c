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

    /// Whether bytes of that hash and length seem to be here.
    pub(crate) async fn has(&self, sha256: &[u8; 32], n_bytes: u64) -> Result<bool> {
        if self.held.contains_key(sha256) {
            return Ok(true);
        }
        let Some(path) = self.path(sha256) else { return Ok(false) };
        if !platform::exists(&path).await? {
            return Ok(false);
        }
        Ok(File::open(&path, OpenMode::Read).await?.len()? == n_bytes)
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
        if !platform::exists(folder).await? {
            return Ok(());
        }
        let wanted: BTreeSet<String> = wanted.iter().map(hex).collect();
        for entry in platform::list(folder).await? {
            if !entry.is_dir && !wanted.contains(&entry.name) {
                platform::remove(&format!("{folder}/{}", entry.name)).await?;
            }
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
