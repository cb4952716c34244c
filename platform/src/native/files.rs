//! Files of the operating system.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::{Error, OpenMode, Result};

/// An open file with its advisory lock, which ends when the handle closes.
#[derive(Debug)]
pub(crate) struct RawFile(fs::File);

impl RawFile {
    pub(crate) async fn open(path: &str, mode: OpenMode) -> Result<RawFile> {
        let may_write = mode != OpenMode::Read;
        if may_write {
            create_parent(path)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(may_write)
            .create(may_write)
            .truncate(false)
            .open(path)
            .map_err(|e| io_error(path, "opened", 0, &e))?;
        if file.metadata().map_err(|e| io_error(path, "opened", 0, &e))?.is_dir() {
            let reason = "it is a folder".to_owned();
            return Err(Error::Io { path: path.to_owned(), action: "opened", reason });
        }
        let locked = if may_write { file.try_lock() } else { file.try_lock_shared() };
        match locked {
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_owned() }),
            // A file system without locks serves all the same.
            Err(TryLockError::Error(_)) | Ok(()) => Ok(RawFile(file)),
        }
    }

    pub(crate) fn len(&self, path: &str) -> Result<u64> {
        let metadata = self.0.metadata().map_err(|e| io_error(path, "read", 0, &e))?;
        Ok(metadata.len())
    }

    /// Reads until `buf` is full or the file ends; returns how many bytes were read.
    pub(crate) fn read_at(&self, path: &str, buf: &mut [u8], offset: u64) -> Result<usize> {
        let mut n_read = 0;
        while n_read < buf.len() {
            match read_some(&self.0, &mut buf[n_read..], offset + n_read as u64) {
                Ok(0) => break,
                Ok(n) => n_read += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(io_error(path, "read", 0, &e)),
            }
        }
        Ok(n_read)
    }

    pub(crate) fn write_at(&self, path: &str, buf: &[u8], offset: u64) -> Result<()> {
        let mut n_written = 0;
        while n_written < buf.len() {
            match write_some(&self.0, &buf[n_written..], offset + n_written as u64) {
                Ok(n) => n_written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(io_error(path, "written", buf.len() as u64, &e)),
            }
        }
        Ok(())
    }

    pub(crate) fn set_len(&self, path: &str, len: u64) -> Result<()> {
        self.0.set_len(len).map_err(|e| io_error(path, "resized", len, &e))
    }

    pub(crate) fn sync(&self, path: &str) -> Result<()> {
        self.0.sync_data().map_err(|e| io_error(path, "written", 0, &e))
    }
}

#[cfg(unix)]
fn read_some(file: &fs::File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(unix)]
fn write_some(file: &fs::File, buf: &[u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, buf, offset)
}

#[cfg(windows)]
fn read_some(file: &fs::File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

#[cfg(windows)]
fn write_some(file: &fs::File, buf: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, buf, offset)
}

/// Creates the folders above `path`.
pub(crate) fn create_parent(path: &str) -> Result<()> {
    match Path::new(path).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::create_dir_all(parent).map_err(|e| io_error(path, "created", 0, &e))
        }
        _ => Ok(()),
    }
}

/// Sorts the system's error into ours.
pub(crate) fn io_error(path: &str, action: &'static str, needed_bytes: u64, error: &io::Error) -> Error {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound { path },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::QuotaExceeded { path, needed_bytes }
        }
        ErrorKind::ResourceBusy => Error::Locked { path },
        _ => Error::Io { path, action, reason: error.to_string() },
    }
}
