//! Files that are nowhere but in memory: those whose path begins with `memory:`, and in a browser that
//! gives a site no files (some private windows) all of them. They are gone with the program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{DirEntry, Error, OpenMode, Result, os};

/// What begins such a path.
const PREFIX: &str = "memory:";
/// A quarter of what wasm32 addresses: two models and a knowledge base fit, with room to compute.
const MAX_BYTES: usize = 1 << 30;
/// Files grow by this, so that growing never copies what is there.
const BLOCK_BYTES: usize = 1 << 20;

static TREE: Mutex<Tree> = Mutex::new(Tree { files: BTreeMap::new(), folders: BTreeSet::new(), n_blocks: 0 });

struct Tree {
    files: BTreeMap<String, Arc<Mutex<Content>>>,
    folders: BTreeSet<String>,
    n_blocks: usize,
}

#[derive(Debug, Default)]
struct Content {
    blocks: Vec<Box<[u8]>>,
    len: u64,
    n_readers: usize,
    has_writer: bool,
}

/// Whether a path is one of memory.
pub(crate) async fn has(path: &str) -> bool {
    path.starts_with(PREFIX) || !os::storage::keeps_files().await
}

/// What is left of all that files in memory may take.
pub(crate) fn free_bytes() -> u64 {
    MAX_BYTES.saturating_sub(tree().n_blocks * BLOCK_BYTES) as u64
}

/// An open file and its lock, which ends with it.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    content: Arc<Mutex<Content>>,
    may_write: bool,
}

impl MemoryFile {
    pub(crate) fn open(path: &str, mode: OpenMode) -> Result<Self> {
        let may_write = mode != OpenMode::Read;
        let mut tree = tree();
        if tree.folders.contains(path) {
            return Err(refused(path, "opened", "it is a folder"));
        }
        if !tree.files.contains_key(path) && !may_write {
            return Err(Error::NotFound { path: path.to_owned() });
        }
        tree.add_parents(path);
        let content = Arc::clone(tree.files.entry(path.to_owned()).or_default());
        let mut held = lock(&content);
        if held.has_writer || (may_write && held.n_readers > 0) {
            return Err(Error::Locked { path: path.to_owned() });
        }
        held.has_writer = may_write;
        held.n_readers += usize::from(!may_write);
        drop(held);
        Ok(Self { content, may_write })
    }

    pub(crate) fn len(&self) -> u64 {
        lock(&self.content).len
    }

    /// Reads until `buf` is full or the file ends; returns how many bytes were read.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        let content = lock(&self.content);
        let n_bytes = content.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        for (block, from, to) in pieces(offset as usize, n_bytes) {
            let start = block * BLOCK_BYTES + from - offset as usize;
            buf[start..start + to - from].copy_from_slice(&content.blocks[block][from..to]);
        }
        n_bytes
    }

    pub(crate) fn write_at(&self, path: &str, buf: &[u8], offset: u64) -> Result<()> {
        if !self.may_write {
            return Err(refused(path, "written", "it is open for reading"));
        }
        let end = offset + buf.len() as u64;
        if end > self.len() {
            self.set_len(path, end)?;
        }
        let mut content = lock(&self.content);
        for (block, from, to) in pieces(offset as usize, buf.len()) {
            let start = block * BLOCK_BYTES + from - offset as usize;
            content.blocks[block][from..to].copy_from_slice(&buf[start..start + to - from]);
        }
        Ok(())
    }

    pub(crate) fn set_len(&self, path: &str, len: u64) -> Result<()> {
        if !self.may_write {
            return Err(refused(path, "resized", "it is open for reading"));
        }
        let mut tree = tree();
        let mut content = lock(&self.content);
        let n_others = tree.n_blocks.saturating_sub(content.blocks.len());
        let n_blocks = usize::try_from(len.div_ceil(BLOCK_BYTES as u64)).unwrap_or(usize::MAX);
        if n_blocks > MAX_BYTES / BLOCK_BYTES - n_others.min(MAX_BYTES / BLOCK_BYTES) {
            return Err(Error::QuotaExceeded { path: path.to_owned(), needed_bytes: len });
        }
        content.blocks.resize_with(n_blocks, || vec![0; BLOCK_BYTES].into_boxed_slice());
        // What is behind the end must read as zeros should the file grow again.
        let n_last = (len % BLOCK_BYTES as u64) as usize;
        if len < content.len && n_last > 0 {
            content.blocks[n_blocks - 1][n_last..].fill(0);
        }
        content.len = len;
        tree.n_blocks = n_others + n_blocks;
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let mut content = lock(&self.content);
        if self.may_write {
            content.has_writer = false;
        } else {
            content.n_readers -= 1;
        }
    }
}

/// The parts of `n_bytes` bytes at `offset`: block, and from where to where in it.
fn pieces(offset: usize, n_bytes: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let end = offset + n_bytes;
    let blocks = offset / BLOCK_BYTES..if n_bytes == 0 { 0 } else { end.div_ceil(BLOCK_BYTES) };
    blocks.map(move |block| {
        let start = block * BLOCK_BYTES;
        (block, offset.max(start) - start, end.min(start + BLOCK_BYTES) - start)
    })
}

impl Tree {
    fn add_parents(&mut self, path: &str) {
        let parents = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        self.folders.extend(parents);
    }

    /// Everything in a folder, by its whole path.
    fn below(&self, dir: &str) -> impl Iterator<Item = (&str, Option<u64>)> {
        let files = self.files.iter().map(|(path, content)| (path.as_str(), Some(lock(content).len)));
        let folders = self.folders.iter().map(|path| (path.as_str(), None));
        let dir = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        files.chain(folders).filter(move |(path, _)| path.starts_with(&dir))
    }
}

pub(crate) fn exists(path: &str) -> bool {
    let tree = tree();
    tree.files.contains_key(path) || tree.folders.contains(path)
}

pub(crate) fn remove(path: &str) -> Result<()> {
    if !exists(path) {
        return Err(Error::NotFound { path: path.to_owned() });
    }
    let mut tree = tree();
    let gone: Vec<String> =
        tree.below(path).map(|(path, _)| path.to_owned()).chain([path.to_owned()]).collect();
    for path in gone {
        tree.folders.remove(&path);
        if let Some(content) = tree.files.remove(&path) {
            tree.n_blocks = tree.n_blocks.saturating_sub(lock(&content).blocks.len());
        }
    }
    Ok(())
}

pub(crate) fn rename(from: &str, to: &str) -> Result<()> {
    let mut tree = tree();
    let content = tree.files.remove(from).ok_or_else(|| Error::NotFound { path: from.to_owned() })?;
    tree.add_parents(to);
    if let Some(replaced) = tree.files.insert(to.to_owned(), content) {
        tree.n_blocks = tree.n_blocks.saturating_sub(lock(&replaced).blocks.len());
    }
    Ok(())
}

pub(crate) fn list(dir: &str) -> Result<Vec<DirEntry>> {
    if !dir.is_empty() && !tree().folders.contains(dir) {
        return Err(Error::NotFound { path: dir.to_owned() });
    }
    let n_dir = if dir.is_empty() { 0 } else { dir.len() + 1 };
    let tree = tree();
    let entries = tree.below(dir).filter(|(path, _)| !path[n_dir..].contains('/'));
    Ok(entries
        .map(|(path, len)| DirEntry {
            name: path[n_dir..].to_owned(),
            len: len.unwrap_or_default(),
            is_dir: len.is_none(),
        })
        .collect())
}

fn refused(path: &str, action: &'static str, reason: &str) -> Error {
    Error::Io { path: path.to_owned(), action, reason: reason.to_owned() }
}

fn tree() -> MutexGuard<'static, Tree> {
    TREE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock(content: &Mutex<Content>) -> MutexGuard<'_, Content> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}
