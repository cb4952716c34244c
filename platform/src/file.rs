//! Files with positional reads and writes.

use std::sync::Arc;

use crate::memory::{self, MemoryFile};
use crate::os::files::RawFile;
use crate::{Result, now_ms, sleep_ms};

/// How long [`File::open`] waits for another handle to let go. A browser needs up to two seconds
/// to release the files of a worker that was stopped; this is twice that, and some.
pub const MAX_LOCK_WAIT_MS: u32 = 5_000;
/// How often it looks.
const LOCK_POLL_MS: u32 = 50;

/// How [`File::open`] treats what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Read an existing file. Any number of readers may share it.
    Read,
    /// Read and write, alone; an absent file is created empty, missing folders with it.
    ReadWrite,
    /// As `ReadWrite`, and the file is emptied first.
    Create,
}

/// An open file. Cheap to clone; the last clone closes it.
///
/// A writer holds an exclusive lock and a reader a shared one, across tabs and processes.
#[derive(Debug, Clone)]
pub struct File {
    raw: Arc<Raw>,
    path: Arc<str>,
}

#[derive(Debug)]
enum Raw {
    System(RawFile),
    Memory(MemoryFile),
}

impl Raw {
    async fn open(path: &str, mode: OpenMode) -> Result<Self> {
        if memory::has(path).await {
            return MemoryFile::open(path, mode).map(Self::Memory);
        }
        RawFile::open(path, mode).await.map(Self::System)
    }
}

impl File {
    /// Opens `path`: natively a path of the file system, on the web one relative to the root of
    /// the origin-private file system, separated by `/`. A path that begins with `memory:` is only in
    /// memory, and so are all where [`crate::keeps_files`] says no.
    ///
    /// # Errors
    /// `NotFound` (only with [`OpenMode::Read`]), `Locked` after [`MAX_LOCK_WAIT_MS`], `Io`, and on
    /// a page, outside a worker, `Unsupported`.
    pub async fn open(path: &str, mode: OpenMode) -> Result<File> {
        let give_up_ms = now_ms() + f64::from(MAX_LOCK_WAIT_MS);
        loop {
            match Raw::open(path, mode).await {
                Err(crate::Error::Locked { .. }) if now_ms() < give_up_ms => {
                    sleep_ms(LOCK_POLL_MS).await;
                }
                Err(error) => return Err(error),
                Ok(raw) => {
                    let file = File { raw: Arc::new(raw), path: path.into() };
                    if mode == OpenMode::Create {
                        file.set_len(0)?;
                    }
                    return Ok(file);
                }
            }
        }
    }

    /// The path it was opened with.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a length that can fail has no cheap emptiness")]
    pub fn len(&self) -> Result<u64> {
        match &*self.raw {
            Raw::System(raw) => raw.len(&self.path),
            Raw::Memory(raw) => Ok(raw.len()),
        }
    }

    /// Fills all of `buf` from the bytes at `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends earlier; then `buf` holds nothing of use.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let n_read = match &*self.raw {
            Raw::System(raw) => raw.read_at(&self.path, buf, offset)?,
            Raw::Memory(raw) => raw.read_at(buf, offset),
        };
        if n_read == buf.len() {
            return Ok(());
        }
        Err(crate::Error::UnexpectedEof {
            path: self.path.to_string(),
            offset,
            wanted_bytes: buf.len() as u64,
            file_bytes: self.len()?,
        })
    }

    /// Writes all of `buf` at `offset`; a gap before it reads as zeros.
    ///
    /// # Errors
    /// `QuotaExceeded` when there is no room; a part of `buf` may have been written then.
    pub fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        match &*self.raw {
            Raw::System(raw) => raw.write_at(&self.path, buf, offset),
            Raw::Memory(raw) => raw.write_at(&self.path, buf, offset),
        }
    }

    /// Cuts or extends the file; what is added reads as zeros.
    pub fn set_len(&self, len: u64) -> Result<()> {
        match &*self.raw {
            Raw::System(raw) => raw.set_len(&self.path, len),
            Raw::Memory(raw) => raw.set_len(&self.path, len),
        }
    }

    /// Returns when everything written has reached the disk, as far as the system tells the truth.
    pub fn sync(&self) -> Result<()> {
        match &*self.raw {
            Raw::System(raw) => raw.sync(&self.path),
            Raw::Memory(_) => Ok(()),
        }
    }

    /// Gives this clone back. The file closes, and its lock ends, with the last clone.
    pub fn close(self) {
        drop(self);
    }
}

// Files cross into the store's engine, which asks for this of every storage backend.
const _: () = {
    const fn thread_safe<T: Send + Sync + Clone>() {}
    thread_safe::<File>();
};
