//! How much this program may keep.

use crate::{memory, os};

/// What the browser says about the room of this site. Estimates: browsers blur them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageEstimate {
    /// Bytes in use.
    pub usage_bytes: u64,
    /// Bytes that may be in use.
    pub quota_bytes: u64,
    /// Whether the browser promises not to clear them when the disk runs full.
    pub persisted: bool,
}

/// How much more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are free. An estimate: others write, too.
    pub free_bytes: u64,
    /// Whether a file takes its whole length even where nothing was written to it.
    pub counts_holes: bool,
}

/// The room for a file at `path`, which need not be there; `None` where the system does not tell.
pub async fn room(path: &str) -> Option<Room> {
    if memory::has(path).await {
        return Some(Room { free_bytes: memory::free_bytes(), counts_holes: true });
    }
    os::storage::room(path).await
}

/// The room of this site; `None` natively and where the browser does not tell.
pub async fn storage_estimate() -> Option<StorageEstimate> {
    os::storage::estimate().await
}

/// Asks the browser not to clear the files of this site when the disk runs full. Returns whether
/// it promises that; natively nobody clears them, so `true`. Works on a page; a worker cannot ask
/// and learns only what was granted.
pub async fn request_persistence() -> bool {
    os::storage::persist().await
}

/// Whether files outlive this program. Natively they do; a browser may give a site no files at all, as
/// some do in private windows: then they are in memory, and gone with the tab.
pub async fn keeps_files() -> bool {
    os::storage::keeps_files().await
}
