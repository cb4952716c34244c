//! The files under a path.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{AtPath, Result};

/// Folders nested deeper are left out: no collection of documents is, but a circle of mounts may be.
const MAX_DEPTH: usize = 64;

/// A file and whether it was named itself, or found in a named folder.
pub struct Found {
    pub path: PathBuf,
    pub is_named: bool,
}

/// All files under `path` in the order of their names. Hidden files and folders are left out, links
/// to folders are not followed.
///
/// # Errors
/// When `path` itself cannot be read; unreadable folders below it are only told.
pub fn under(path: &Path) -> Result<Vec<Found>> {
    let meta = fs::metadata(path).at(path)?;
    if !meta.is_dir() {
        return Ok(vec![Found { path: path.into(), is_named: true }]);
    }
    fs::read_dir(path).at(path)?;
    let mut found = Vec::new();
    walk(path, 0, &mut found);
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<Found>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) if depth < MAX_DEPTH => entries,
        Ok(_) => return eprintln!("{}: left out, too deep", folder.display()),
        Err(e) => return eprintln!("{}: left out, {e}", folder.display()),
    };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, depth + 1, found),
            Ok(_) if path.is_file() => found.push(Found { path, is_named: false }),
            _ => {}
        }
    }
}

/// A document's name: its path below `base`; a file that is itself the base has its file name.
pub fn name_below(path: &Path, base: Option<&Path>) -> String {
    match base.and_then(|base| path.strip_prefix(base).ok()) {
        Some(relative) if relative.as_os_str().is_empty() => {
            name_of(Path::new(path.file_name().unwrap_or_default()))
        }
        Some(relative) => name_of(relative),
        None => name_of(path),
    }
}

/// The path with `/` between its parts and without `.` parts.
fn name_of(path: &Path) -> String {
    let parts = path.components().filter(|c| !matches!(c, std::path::Component::CurDir));
    let path: PathBuf = parts.collect();
    path.to_string_lossy().replace('\\', "/")
}
