//! Names in the origin-private file system.

use js_sys::{AsyncIterator, Function, IteratorNext, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions, FileSystemGetFileOptions,
    FileSystemHandle, FileSystemHandleKind, FileSystemRemoveOptions,
};

use super::js::{error_name, io_error, settle, storage_manager};
use crate::{DirEntry, Error, Result};

pub(crate) async fn exists(path: &str) -> Result<bool> {
    let found = async {
        let (parents, name) = split(path)?;
        let folder = directory(path, parents, false).await?;
        match settle::<JsValue>(folder.get_file_handle(name)).await {
            // It is there, as a folder.
            Err(e) if error_name(&e) == "TypeMismatchError" => Ok(()),
            other => other.map(drop).map_err(|e| io_error(path, "looked up", 0, &e)),
        }
    };
    match found.await {
        Ok(()) => Ok(true),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) async fn remove(path: &str) -> Result<()> {
    let (parents, name) = split(path)?;
    let folder = directory(path, parents, false).await?;
    let options = FileSystemRemoveOptions::new();
    options.set_recursive(true);
    let removed = settle::<JsValue>(folder.remove_entry_with_options(name, &options)).await;
    removed.map(drop).map_err(|e| io_error(path, "deleted", 0, &e))
}

pub(crate) async fn rename(from: &str, to: &str) -> Result<()> {
    let of_target = |e: JsValue| io_error(to, "renamed", 0, &e);
    let file = file_handle(from, false).await?;
    let (parents, name) = split(to)?;
    let folder = directory(to, parents, true).await?;
    let method = Reflect::get(&file, &"move".into()).map_err(of_target)?;
    let method: Function = method
        .dyn_into()
        .map_err(|_| Error::Unsupported { what: "renaming a stored file in this browser".into() })?;
    let promise: Promise = method.call2(&file, &folder, &name.into()).map_err(of_target)?.unchecked_into();
    settle::<JsValue>(promise).await.map(drop).map_err(of_target)
}

pub(crate) async fn list(dir: &str) -> Result<Vec<DirEntry>> {
    let of_dir = |e: JsValue| io_error(dir, "listed", 0, &e);
    let folder = directory(dir, dir, false).await?;
    let handles: AsyncIterator = folder.values();
    let mut entries = Vec::new();
    loop {
        let next: IteratorNext =
            settle(handles.next().map_err(of_dir)?.unchecked_into()).await.map_err(of_dir)?;
        if next.done() {
            return Ok(entries);
        }
        let handle: FileSystemHandle = next.value().unchecked_into();
        let is_dir = handle.kind() == FileSystemHandleKind::Directory;
        let name = handle.name();
        let len = if is_dir {
            0
        } else {
            let file: &FileSystemFileHandle = handle.unchecked_ref();
            // A name that is gone by now is no entry.
            match settle::<web_sys::File>(file.get_file()).await {
                Ok(file) => file.size() as u64,
                Err(e) if error_name(&e) == "NotFoundError" => continue,
                Err(e) => return Err(of_dir(e)),
            }
        };
        entries.push(DirEntry { name, len, is_dir });
    }
}

/// The handle of a file; with `create`, made together with its folders where it is missing.
pub(super) async fn file_handle(path: &str, create: bool) -> Result<FileSystemFileHandle> {
    let (parents, name) = split(path)?;
    let folder = directory(path, parents, create).await?;
    let options = FileSystemGetFileOptions::new();
    options.set_create(create);
    let handle = settle(folder.get_file_handle_with_options(name, &options)).await;
    handle.map_err(|e| io_error(path, "opened", 0, &e))
}

/// The folder `parents`, on behalf of `path`. An empty one is the root.
async fn directory(path: &str, parents: &str, create: bool) -> Result<FileSystemDirectoryHandle> {
    let of_path = |e: JsValue| io_error(path, "opened", 0, &e);
    let unsupported = || Error::Unsupported {
        what: "file storage (it needs https or localhost, and no private window)".into(),
    };
    let storage = storage_manager().ok_or_else(unsupported)?;
    if !Reflect::has(&storage, &"getDirectory".into()).unwrap_or(false) {
        return Err(unsupported());
    }
    let mut folder: FileSystemDirectoryHandle = settle(storage.get_directory()).await.map_err(of_path)?;
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(create);
    for name in parents.split('/').filter(|name| !name.is_empty()) {
        folder = settle(folder.get_directory_handle_with_options(name, &options)).await.map_err(of_path)?;
    }
    Ok(folder)
}

/// Splits `a/b/c` into `a/b` and `c`.
fn split(path: &str) -> Result<(&str, &str)> {
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() {
        let reason = "it has no name".to_owned();
        return Err(Error::Io { path: path.to_owned(), action: "opened", reason });
    }
    Ok((parents, name))
}
