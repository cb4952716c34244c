//! The browser's twin: the origin-private file system, `fetch`, timers.

pub(crate) mod files;
pub(crate) mod folders;
mod js;
pub(crate) mod net;
pub(crate) mod storage;
pub(crate) mod tasks;
