//! Names in the file system.

use std::fs;
use std::path::Path;

use super::files::{create_parent, io_error};
use crate::{DirEntry, Result};

pub(crate) async fn exists(path: &str) -> Result<bool> {
    fs::exists(path).map_err(|e| io_error(path, "looked up", 0, &e))
}

pub(crate) async fn remove(path: &str) -> Result<()> {
    let of_path = |e| io_error(path, "deleted", 0, &e);
    // Not through a link: a link is deleted, never what it points at.
    if fs::symlink_metadata(path).map_err(of_path)?.is_dir() {
        fs::remove_dir_all(path).map_err(of_path)
    } else {
        fs::remove_file(path).map_err(of_path)
    }
}

pub(crate) async fn rename(from: &str, to: &str) -> Result<()> {
    fs::metadata(from).map_err(|e| io_error(from, "renamed", 0, &e))?;
    create_parent(to)?;
    fs::rename(from, to).map_err(|e| io_error(to, "renamed", 0, &e))?;
    sync_parent(to);
    Ok(())
}

/// A new name is durable only when its folder is. Systems that cannot open a folder keep their
/// names in order themselves, hence no error.
fn sync_parent(path: &str) {
    let parent = Path::new(path).parent().filter(|p| !p.as_os_str().is_empty());
    if let Ok(folder) = fs::File::open(parent.unwrap_or(Path::new("."))) {
        drop(folder.sync_all());
    }
}

pub(crate) async fn list(dir: &str) -> Result<Vec<DirEntry>> {
    let of_dir = |e| io_error(dir, "listed", 0, &e);
    let folder = if dir.is_empty() { "." } else { dir };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(of_dir)? {
        let entry = entry.map_err(of_dir)?;
        // A name that is gone by now, or a dangling link, is no entry.
        let Ok(metadata) = fs::metadata(entry.path()) else {
            continue;
        };
        entries.push(DirEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            len: if metadata.is_dir() { 0 } else { metadata.len() },
            is_dir: metadata.is_dir(),
        });
    }
    Ok(entries)
}
