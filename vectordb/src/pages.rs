//! The pages of the store: redb's six-method border over a platform file or over memory.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use crate::overlay::Overlay;

/// Where the pages live. A clone is the same place, so that the page store can be closed and opened
/// again after an I/O error; the file itself closes with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct Pages(Arc<dyn StorageBackend>);

impl Pages {
    pub(crate) fn in_file(file: platform::File) -> Self {
        Self(Arc::new(FilePages(file)))
    }

    pub(crate) fn in_memory() -> Self {
        Self(Arc::new(InMemoryBackend::new()))
    }

    /// Pages that are read from `below`, which never changes: what is written stays in memory.
    pub(crate) fn over_unchanged(below: Self) -> Self {
        Self(Arc::new(Overlay::new(below)))
    }

    #[cfg(test)]
    pub(crate) fn new(backend: impl StorageBackend) -> Self {
        Self(Arc::new(backend))
    }
}

impl Pages {
    /// Empties a file whose making was cut short. redb writes its magic number last, so such a file
    /// begins with zeros and has only zeros behind its header: it never held anything.
    pub(crate) fn forget_unfinished(&self) -> io::Result<()> {
        let n_bytes = self.len()?;
        if n_bytes == 0 || n_bytes > MAX_UNFINISHED_BYTES {
            return Ok(());
        }
        let mut bytes = vec![0; n_bytes as usize];
        self.read(0, &mut bytes)?;
        let is_zero = |part: &[u8]| part.iter().all(|&byte| byte == 0);
        let after_header = bytes.get(MAX_HEADER_BYTES..).unwrap_or_default();
        if is_zero(&bytes[..bytes.len().min(MAGIC_BYTES)]) && is_zero(after_header) {
            self.set_len(0)?;
        }
        Ok(())
    }
}

/// redb begins with a file of 1 MiB, its header and its page table; twice that is certainly enough.
const MAX_UNFINISHED_BYTES: u64 = 2 << 20;
/// redb's header, in the first page of the file.
const MAX_HEADER_BYTES: usize = 4096;
/// redb's magic number, in front of the header.
const MAGIC_BYTES: usize = 9;

/// `close` is left out on purpose: redb calls it when a database is dropped, and the place outlives
/// the database that an I/O error made useless.
impl StorageBackend for Pages {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// Locks need no methods: `platform::File` holds an exclusive one for as long as it is open.
#[derive(Debug)]
struct FilePages(platform::File);

impl StorageBackend for FilePages {
    fn len(&self) -> io::Result<u64> {
        self.0.len().map_err(into_io)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(out, offset).map_err(into_io)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len).map_err(into_io)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync().map_err(into_io)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(data, offset).map_err(into_io)
    }
}

fn into_io(error: platform::Error) -> io::Error {
    let kind = match &error {
        platform::Error::QuotaExceeded { .. } => io::ErrorKind::StorageFull,
        platform::Error::UnexpectedEof { .. } => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
