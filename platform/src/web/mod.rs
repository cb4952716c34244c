//! The browser's twin: the origin-private file system, `fetch`, timers, workers.

pub(crate) mod files;
pub(crate) mod folders;
mod js;
pub(crate) mod net;
pub(crate) mod storage;
pub(crate) mod tasks;
#[cfg(target_feature = "atomics")]
pub(crate) mod threads;
#[cfg(not(target_feature = "atomics"))]
#[path = "no_threads.rs"]
pub(crate) mod threads;
