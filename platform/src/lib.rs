//! `platform` is the only crate that knows whether it runs in a browser tab or on an operating
//! system: files with positional reads and writes, ranged downloads, the clock, tasks, threads.
//!
//! Floor 0. In a browser the files are those of the origin-private file system, which lives in the
//! profile folder of the browser and is invisible to other sites; natively they are plain files.
//!
//! ```
//! # fn main() -> Result<(), platform::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let path = folder.path().join("notes/first.bin").display().to_string();
//! platform::block_on(async {
//!     let file = platform::File::open(&path, platform::OpenMode::Create).await?;
//!     file.write_at(b"footnote", 0)?;
//!     file.sync()?;
//!     let mut word = [0; 4];
//!     file.read_at(&mut word, 4)?;
//!     assert_eq!(&word, b"note");
//!     Ok(())
//! })
//! # }
//! ```
//!
//! Invariants:
//! - `cfg(target_arch = "wasm32")` stands here and in `ui`, nowhere else. `native` and `web` are
//!   twins with the same signatures, and one body of tests serves both.
//! - Nothing here knows what is in a file or behind an address.
//! - Web: `File` works in a dedicated worker only, because only there a browser gives synchronous
//!   access; everything else works on a page too. No call blocks a page.
//! - Native: an `async` function may block its thread; `block_on` drives it to the end.

mod download;
mod error;
mod file;
mod folder;
mod memory;
#[cfg(any(not(target_arch = "wasm32"), target_feature = "atomics"))]
mod pool;
mod storage;
mod tasks;

#[cfg(not(target_arch = "wasm32"))]
#[path = "native/mod.rs"]
mod os;
#[cfg(target_arch = "wasm32")]
#[path = "web/mod.rs"]
mod os;

pub use download::{Asked, Download, MAX_STALL_MS, fetch};
pub use error::{Error, Result};
pub use file::{File, MAX_LOCK_WAIT_MS, OpenMode};
pub use folder::{DirEntry, exists, list, remove, rename};
#[cfg(not(target_arch = "wasm32"))]
pub use os::tasks::block_on;
#[cfg(target_arch = "wasm32")]
pub use os::tasks::spawn_local;
pub use storage::{Room, StorageEstimate, keeps_files, request_persistence, room, storage_estimate};
pub use tasks::{n_threads, now_ms, parallel_chunks_mut, sleep_ms, start_threads, unix_ms, yield_now};
