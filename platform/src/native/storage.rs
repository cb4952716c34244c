//! Disk room. Nobody grants or clears it, so there is nothing to ask for.

use std::path::Path;

use crate::{Room, StorageEstimate};

pub(crate) async fn estimate() -> Option<StorageEstimate> {
    None
}

pub(crate) async fn persist() -> bool {
    true
}

pub(crate) async fn keeps_files() -> bool {
    true
}

/// The room of the disk that `path` is on, or will be.
pub(crate) async fn room(path: &str) -> Option<Room> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let free_bytes = fs4::available_space(there).ok()?;
    Some(Room { free_bytes, counts_holes: false })
}
