//! The native twin: `std`, and a blocking HTTP client on a thread of its own.

pub(crate) mod files;
pub(crate) mod folders;
pub(crate) mod net;
pub(crate) mod storage;
pub(crate) mod tasks;
pub(crate) mod threads;
pub(crate) mod timer;
