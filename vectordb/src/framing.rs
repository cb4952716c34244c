//! The records of an export: kind, length, content, checksum. `docs/FORMAT.md` has the table.

use std::io::{self, Read, Write};

use crate::{Error, Result};

/// What an export begins with.
const MAGIC: [u8; 8] = *b"FOOTNOTE";
/// The version of exports that this program writes; it reads this one and the one before, which had neither
/// vectors of sentences nor what documents say of themselves.
const VERSION: u32 = 2;
/// A record holds at most this much: a document's text is the largest thing in one piece.
const MAX_RECORD_BYTES: u64 = 1 << 30;
/// Read at once while a record's length is not proven by its bytes.
const READ_STEP_BYTES: u64 = 1 << 20;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// JSON of `Head`; the first record.
    Head = 1,
    /// JSON of `CollectionRecord`.
    Collection = 2,
    /// JSON of `DocumentRecord`; text, chunks and vectors follow.
    Document = 3,
    /// UTF-8.
    Text = 4,
    /// JSON of up to `MAX_PART_CHUNKS` `ChunkRecord`s.
    Chunks = 5,
    /// `f32`s of the chunks before it.
    Vectors = 6,
    /// JSON of `ConversationRecord`; its messages follow.
    Conversation = 7,
    /// JSON of a `Message`.
    Message = 8,
    /// JSON of `SettingRecord`.
    Setting = 9,
    /// JSON of `End`; the last record.
    End = 10,
    /// Vectors of the sentences of the chunks before it, where their document has any.
    Sentences = 11,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Head,
        Self::Collection,
        Self::Document,
        Self::Text,
        Self::Chunks,
        Self::Vectors,
        Self::Conversation,
        Self::Message,
        Self::Setting,
        Self::End,
        Self::Sentences,
    ];
}

fn bad(detail: impl Into<String>) -> Error {
    Error::BadExport { detail: detail.into() }
}

fn io_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => bad("it ends in the middle"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::Full { detail: error.to_string() }
        }
        _ => Error::Io { detail: error.to_string() },
    }
}

/// Writes records one after the other.
pub(crate) struct Writer<'a> {
    out: &'a mut dyn Write,
    /// Of all bytes so far.
    crc: crc32fast::Hasher,
    n_bytes: u64,
}

impl<'a> Writer<'a> {
    pub(crate) fn begin(out: &'a mut dyn Write) -> Result<Self> {
        let mut writer = Self { out, crc: crc32fast::Hasher::new(), n_bytes: 0 };
        writer.raw(&MAGIC)?;
        writer.raw(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// CRC-32 of all bytes so far.
    pub(crate) fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }

    pub(crate) fn record(&mut self, kind: Kind, content: &[u8]) -> Result<()> {
        let head = head(kind, content.len() as u64);
        self.raw(&head)?;
        self.raw(content)?;
        self.raw(&checksum(&head, content).to_le_bytes())
    }

    pub(crate) fn json(&mut self, kind: Kind, value: &impl serde::Serialize) -> Result<()> {
        let content =
            serde_json::to_vec(value).map_err(|error| Error::Engine { detail: error.to_string() })?;
        self.record(kind, &content)
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(io_error)
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc.update(bytes);
        self.n_bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(io_error)
    }
}

fn head(kind: Kind, n_bytes: u64) -> [u8; 9] {
    let mut head = [kind as u8; 9];
    head[1..].copy_from_slice(&n_bytes.to_le_bytes());
    head
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    crc.update(content);
    crc.finalize()
}

/// A record that agrees with its checksum.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) content: Vec<u8>,
    /// CRC-32 of all bytes before this record.
    pub(crate) crc_before: u32,
}

impl Record {
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        let unreadable = |_| bad(format!("a record ({:?}) cannot be read", self.kind));
        serde_json::from_slice(&self.content).map_err(unreadable)
    }
}

/// Reads records one after the other.
pub(crate) struct Reader<'a> {
    input: &'a mut dyn Read,
    crc: crc32fast::Hasher,
}

impl<'a> Reader<'a> {
    pub(crate) fn begin(input: &'a mut dyn Read) -> Result<Self> {
        let mut reader = Self { input, crc: crc32fast::Hasher::new() };
        if reader.raw::<8>()? != MAGIC {
            return Err(bad("it does not begin like one"));
        }
        let version = u32::from_le_bytes(reader.raw()?);
        if !(1..=VERSION).contains(&version) {
            return Err(bad(format!(
                "its version is {version}, and this program reads {VERSION}: update Footnote"
            )));
        }
        Ok(reader)
    }

    pub(crate) fn record(&mut self) -> Result<Record> {
        let crc_before = self.crc.clone().finalize();
        let head = self.raw::<9>()?;
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == head[0]);
        let kind = kind.ok_or_else(|| bad("a record is of no kind that is known"))?;
        let n_bytes = u64::from_le_bytes(head[1..].try_into().expect("nine bytes less one"));
        if n_bytes > MAX_RECORD_BYTES {
            return Err(bad("a record is larger than can be"));
        }
        let mut content = Vec::new();
        while (content.len() as u64) < n_bytes {
            let step = (n_bytes - content.len() as u64).min(READ_STEP_BYTES);
            let from = content.len();
            content.resize(from + step as usize, 0);
            self.input.read_exact(&mut content[from..]).map_err(io_error)?;
        }
        self.crc.update(&content);
        if checksum(&head, &content) != u32::from_le_bytes(self.raw()?) {
            return Err(bad("a record does not match its checksum"));
        }
        Ok(Record { kind, content, crc_before })
    }

    /// The next record, which must be of that kind.
    pub(crate) fn expect(&mut self, kind: Kind) -> Result<Record> {
        let record = self.record()?;
        if record.kind == kind {
            Ok(record)
        } else {
            Err(bad(format!("a record ({kind:?}) is missing before another ({:?})", record.kind)))
        }
    }

    /// Whether all is read.
    pub(crate) fn is_at_end(&mut self) -> Result<bool> {
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(true),
            Ok(_) => Ok(false),
            Err(error) => Err(io_error(error)),
        }
    }

    fn raw<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(io_error)?;
        self.crc.update(&bytes);
        Ok(bytes)
    }
}
