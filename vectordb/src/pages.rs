//! The pages of the store: redb's six-method border over a platform file or over memory.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use crate::failure::Failure;
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
    /// Looks at what is there before redb does: a file whose making was cut short is emptied, and one
    /// that never was a store is refused.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        match self.kind().map_err(redb::StorageError::from)? {
            Kind::Empty | Kind::Store => Ok(()),
            Kind::Unfinished => Ok(self.set_len(0).map_err(redb::StorageError::from)?),
            Kind::Damaged => Err(Failure::corrupt("its first bytes are destroyed")),
            Kind::Foreign => Err(Failure::foreign()),
        }
    }

    /// What the file is, by its first page. redb writes its magic number last and its header stays
    /// below our mark, so a file with the mark, without the magic number and without anything behind
    /// the first page never held anything.
    fn kind(&self) -> io::Result<Kind> {
        let n_bytes = self.len()?;
        let mut first = vec![0; n_bytes.min(PAGE_BYTES as u64) as usize];
        self.read(0, &mut first)?;
        let is_zero = |part: &[u8]| part.iter().all(|&byte| byte == 0);
        let magic = first.get(..MAGIC.len()).unwrap_or_default();
        let has_mark = first.get(MARK_AT..MARK_END) == Some(MARK);
        if n_bytes == 0 {
            return Ok(Kind::Empty);
        }
        if magic == MAGIC {
            return Ok(Kind::Store);
        }
        // Only the mark was being written; a power cut may have kept the length and not the bytes.
        if n_bytes == MARK_END as u64 && is_zero(&first[..MARK_AT]) {
            return Ok(Kind::Unfinished);
        }
        if has_mark && is_zero(magic) && n_bytes <= MAX_UNFINISHED_BYTES {
            let mut rest = vec![0; (n_bytes - first.len() as u64) as usize];
            self.read(first.len() as u64, &mut rest)?;
            if is_zero(&rest) {
                return Ok(Kind::Unfinished);
            }
        }
        let n_equal = magic.iter().zip(MAGIC).filter(|(a, b)| a == b).count();
        Ok(if has_mark || n_equal > MAGIC.len() / 2 { Kind::Damaged } else { Kind::Foreign })
    }

    /// Marks a file that is about to become a store, so that what a power cut leaves is known as ours.
    fn mark(&self) -> io::Result<()> {
        self.0.set_len(MARK_END as u64)?;
        self.0.write(MARK_AT as u64, MARK)?;
        self.0.sync_data()
    }
}

enum Kind {
    Empty,
    /// A store, whole or not: redb and the checksums of rows tell.
    Store,
    /// It was being made, and never held anything.
    Unfinished,
    /// It was a store, and its beginning is gone.
    Damaged,
    Foreign,
}

/// redb begins with a file of 1 MiB, its header and its page table; twice that is certainly enough.
const MAX_UNFINISHED_BYTES: u64 = 2 << 20;
/// redb's page. Its header is the first 320 bytes of the file, and nothing else is in the first page.
pub(crate) const PAGE_BYTES: usize = 4096;
/// redb's magic number, in front of the header.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// Ours, behind redb's header.
const MARK: &[u8] = b"footnote knowledge base";
/// Where it stands. It ends at a place where no other file of zeros is likely to end.
const MARK_AT: usize = 4050;
const MARK_END: usize = MARK_AT + MARK.len();
const _: () = assert!(MARK_END < PAGE_BYTES);

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
        if len > 0 && self.len()? == 0 {
            self.mark()?;
        }
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
