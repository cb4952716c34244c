//! Which file a path means.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::mime;

/// The two folders that are served.
#[derive(Debug)]
pub(crate) struct Folders {
    web_dir: PathBuf,
    models_dir: PathBuf,
}

/// A file that is there.
pub(crate) struct Found {
    pub path: PathBuf,
    pub mime: &'static str,
    /// Whether a compressed neighbour may stand in for it.
    pub may_be_compressed: bool,
}

/// An opened file.
pub(crate) struct Opened {
    pub file: File,
    pub n_bytes: u64,
    /// Changes whenever the file does; without quotes.
    pub version: String,
}

impl Folders {
    pub(crate) fn new(web_dir: &Path, models_dir: &Path) -> Folders {
        Folders { web_dir: web_dir.to_owned(), models_dir: models_dir.to_owned() }
    }

    /// The file behind the decoded names of a path, which are known to stay in their folder.
    pub(crate) fn find(&self, names: &[String]) -> Option<Found> {
        let (path, may_be_compressed) = match names {
            [] => (self.web_dir.join("index.html"), true),
            [models, id, file] if models == "models" => {
                if file.ends_with(".part") {
                    return None;
                }
                (self.models_dir.join(id).join(file), false)
            }
            names => (self.web_dir.join(names.iter().collect::<PathBuf>()), true),
        };
        let mime = mime::of(&path);
        path.is_file().then_some(Found { path, mime, may_be_compressed })
    }
}

/// Opens a file and notes its length and version.
pub(crate) fn open(path: &Path) -> io::Result<Opened> {
    let file = File::open(path)?;
    let metadata: fs::Metadata = file.metadata()?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let n_bytes = metadata.len();
    Ok(Opened { file, n_bytes, version: format!("{n_bytes:x}-{:x}", changed.as_nanos()) })
}
