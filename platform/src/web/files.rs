//! Files of the origin-private file system.
//!
//! JavaScript's handles belong to the thread that opened them, while a [`RawFile`] may be moved to
//! any: so it is an index into a table of its thread. A file is used where it was opened; there is
//! one engine thread, so this costs nobody anything.

use std::cell::RefCell;

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{FileSystemFileHandle, FileSystemReadWriteOptions, FileSystemSyncAccessHandle, js_sys};

use super::folders;
use super::js::{io_error, settle};
use crate::{Error, OpenMode, Result};

thread_local! {
    static HANDLES: RefCell<Vec<Option<FileSystemSyncAccessHandle>>> =
        const { RefCell::new(Vec::new()) };
}

/// The place of an open handle in the table of its thread.
#[derive(Debug)]
pub(crate) struct RawFile(usize);

impl RawFile {
    pub(crate) async fn open(path: &str, mode: OpenMode) -> Result<RawFile> {
        let may_write = mode != OpenMode::Read;
        let file = folders::file_handle(path, may_write).await?;
        let handle = open_handle(path, &file, may_write).await?;
        let slot = HANDLES.with_borrow_mut(|handles| {
            let slot = handles.iter().position(Option::is_none).unwrap_or(handles.len());
            handles.resize(handles.len().max(slot + 1), None);
            handles[slot] = Some(handle);
            slot
        });
        Ok(RawFile(slot))
    }

    pub(crate) fn len(&self, path: &str) -> Result<u64> {
        let len = self.with(|handle| handle.get_size());
        Ok(len.map_err(|e| io_error(path, "read", 0, &e))? as u64)
    }

    /// Reads until `buf` is full or the file ends; returns how many bytes were read.
    pub(crate) fn read_at(&self, path: &str, buf: &mut [u8], offset: u64) -> Result<usize> {
        let n_read = self.with(|handle| handle.read_with_u8_array_and_options(buf, &at(offset)));
        Ok(n_read.map_err(|e| io_error(path, "read", 0, &e))? as usize)
    }

    pub(crate) fn write_at(&self, path: &str, buf: &[u8], offset: u64) -> Result<()> {
        let needed_bytes = buf.len() as u64;
        let written = self.with(|handle| handle.write_with_u8_array_and_options(buf, &at(offset)));
        match written {
            // Some browsers write what fits and stay silent about the rest.
            Ok(n_written) if (n_written as u64) < needed_bytes => {
                Err(Error::QuotaExceeded { path: path.to_owned(), needed_bytes })
            }
            Ok(_) => Ok(()),
            Err(e) => Err(io_error(path, "written", needed_bytes, &e)),
        }
    }

    pub(crate) fn set_len(&self, path: &str, len: u64) -> Result<()> {
        let cut = self.with(|handle| handle.truncate_with_f64(len as f64));
        cut.map_err(|e| io_error(path, "resized", len, &e))
    }

    pub(crate) fn sync(&self, path: &str) -> Result<()> {
        self.with(FileSystemSyncAccessHandle::flush).map_err(|e| io_error(path, "written", 0, &e))
    }

    fn with<R>(
        &self,
        act: impl FnOnce(&FileSystemSyncAccessHandle) -> std::result::Result<R, JsValue>,
    ) -> std::result::Result<R, JsValue> {
        HANDLES.with_borrow(|handles| match handles.get(self.0) {
            Some(Some(handle)) => act(handle),
            _ => Err(js_sys::Error::new("the file was opened on another thread").into()),
        })
    }
}

impl Drop for RawFile {
    fn drop(&mut self) {
        // At the end of the thread the table may be gone already, and its handles with it.
        let _ = HANDLES.try_with(|handles| {
            if let Some(handle) = handles.borrow_mut().get_mut(self.0).and_then(Option::take) {
                handle.close();
            }
        });
    }
}

async fn open_handle(
    path: &str,
    file: &FileSystemFileHandle,
    may_write: bool,
) -> Result<FileSystemSyncAccessHandle> {
    if !js_sys::Reflect::has(file, &"createSyncAccessHandle".into()).unwrap_or(false) {
        let what = "synchronous file access (only workers of a current browser have it)".into();
        return Err(Error::Unsupported { what });
    }
    // Browsers that do not know the mode open for reading and writing, alone.
    let options = js_sys::Object::new();
    let mode = if may_write { "readwrite" } else { "read-only" };
    js_sys::Reflect::set(&options, &"mode".into(), &mode.into())
        .map_err(|e| io_error(path, "opened", 0, &e))?;
    let create: js_sys::Function = js_sys::Reflect::get(file, &"createSyncAccessHandle".into())
        .map_err(|e| io_error(path, "opened", 0, &e))?
        .unchecked_into();
    let promise = create.call1(file, &options).map_err(|e| io_error(path, "opened", 0, &e))?;
    settle(promise.unchecked_into()).await.map_err(|e| io_error(path, "opened", 0, &e))
}

fn at(offset: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(offset as f64);
    options
}
