//! Disk room. Nobody grants or clears it, so there is nothing to ask for.

use crate::StorageEstimate;

pub(crate) async fn estimate() -> Option<StorageEstimate> {
    None
}

pub(crate) async fn persist() -> bool {
    true
}

pub(crate) async fn keeps_files() -> bool {
    true
}
