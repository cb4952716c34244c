//! Names: what is there, and what becomes of it.

use crate::{Result, memory, os};

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Its name, without the folder.
    pub name: String,
    /// Its length in bytes; 0 for a folder.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// Whether a file or folder of that name is there.
pub async fn exists(path: &str) -> Result<bool> {
    if memory::has(path).await {
        return Ok(memory::exists(path));
    }
    os::folders::exists(path).await
}

/// Deletes a file, or a folder with all it holds.
///
/// # Errors
/// `NotFound` when it is not there; on the web `Locked` while it is open.
pub async fn remove(path: &str) -> Result<()> {
    if memory::has(path).await {
        return memory::remove(path);
    }
    os::folders::remove(path).await
}

/// Moves the file `from` to the name `to` in one step, replacing what was there and creating
/// missing folders. After it either the old or the new state stands, never a mixture.
///
/// # Errors
/// `NotFound` when `from` is not there; on the web `Locked` while either is open.
pub async fn rename(from: &str, to: &str) -> Result<()> {
    if memory::has(from).await {
        return memory::rename(from, to);
    }
    os::folders::rename(from, to).await
}

/// What a folder holds, sorted by name. An empty path is the root of the origin-private file system
/// on the web and the working directory natively.
///
/// # Errors
/// `NotFound` when there is no such folder.
pub async fn list(dir: &str) -> Result<Vec<DirEntry>> {
    let mut entries =
        if memory::has(dir).await { memory::list(dir)? } else { os::folders::list(dir).await? };
    entries.sort();
    Ok(entries)
}
