//! The pages of the store: redb's six-method border over a platform file or over memory.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

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

    #[cfg(test)]
    pub(crate) fn new(backend: impl StorageBackend) -> Self {
        Self(Arc::new(backend))
    }
}

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
