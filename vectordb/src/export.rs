//! A whole knowledge base as one stream: `docs/FORMAT.md` describes it. Index terms and jobs are not in
//! it: the one are derived from the text, the others belong to where they wait.

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::engine::Params;
use crate::framing::{Kind, Writer};
use crate::schema::{self, MAX_PART_CHUNKS};
use crate::values::Columns;
use crate::{
    About, ChunkId, ChunkRow, Conversation, Db, DocumentId, EmbedderTag, Error, Message, Result,
    SentenceVectors,
};

/// The first record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) embedder: EmbedderTag,
    pub(crate) exported_unix_ms: i64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

/// What is in an export, told at its head and once more at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) n_collections: u64,
    pub(crate) n_documents: u64,
    pub(crate) n_chunks: u64,
    pub(crate) n_conversations: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CollectionRecord {
    pub(crate) name: String,
    pub(crate) created_unix_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DocumentRecord {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) title: Option<String>,
    /// 64 hexadecimal digits.
    pub(crate) sha256: String,
    pub(crate) n_bytes: u64,
    pub(crate) added_unix_ms: i64,
    pub(crate) page_starts: Vec<u32>,
    pub(crate) warnings: Vec<String>,
    pub(crate) collection: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) n_chunks: u32,
    #[serde(default)]
    pub(crate) about: About,
    /// Vectors of sentences follow those of the passages.
    #[serde(default)]
    pub(crate) has_sentences: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChunkRecord {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) page: Option<u32>,
    pub(crate) heading_path: Vec<String>,
    pub(crate) text: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConversationRecord {
    pub(crate) title: String,
    pub(crate) created_unix_ms: i64,
    pub(crate) changed_unix_ms: i64,
    pub(crate) n_messages: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SettingRecord {
    pub(crate) key: String,
    pub(crate) value: serde_json::Value,
}

/// The last record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct End {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// CRC-32 of all bytes before this record.
    pub(crate) crc32: u32,
}

/// What was written by an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Documents.
    pub n_documents: u64,
    /// Passages.
    pub n_chunks: u64,
    /// Conversations.
    pub n_conversations: u64,
    /// Length of the export.
    pub n_bytes: u64,
}

/// An export that is being written, a document or a conversation at a time: others can be let in between,
/// and dropping it gives it up.
pub struct Export<'a> {
    db: &'a Db,
    writer: Writer<'a>,
    documents: std::vec::IntoIter<DocumentId>,
    /// The oldest first, so that they come to be listed in this order.
    conversations: std::iter::Rev<std::vec::IntoIter<Conversation>>,
    counts: Counts,
}

impl Export<'_> {
    /// Writes the next part; what was written when it was the last.
    ///
    /// # Errors
    /// `Full` and `Io` of the stream; `Corrupt` when a row cannot be read.
    pub fn step(&mut self) -> Result<Option<Exported>> {
        if let Some(id) = self.documents.next() {
            self.db.export_document(id, &mut self.writer)?;
            return Ok(None);
        }
        if let Some(conversation) = self.conversations.next() {
            self.db.export_conversation(&conversation, &mut self.writer)?;
            return Ok(None);
        }
        self.finish().map(Some)
    }

    fn finish(&mut self) -> Result<Exported> {
        for row in self.db.engine.read(schema::SETTINGS, Params::new())? {
            let mut columns = Columns::of(&row);
            let record = SettingRecord { key: columns.text()?.to_owned(), value: columns.json()? };
            self.writer.json(Kind::Setting, &record)?;
        }
        let (counts, crc32) = (self.counts, self.writer.crc());
        self.writer.json(Kind::End, &End { counts, crc32 })?;
        self.writer.flush()?;
        let Counts { n_documents, n_chunks, n_conversations, .. } = counts;
        Ok(Exported { n_documents, n_chunks, n_conversations, n_bytes: self.writer.n_bytes() })
    }
}

impl Db {
    /// Writes all that is stored, but for the queue of jobs, to `out`: one document at a time, so
    /// that nothing but the largest document's text is held in memory besides.
    ///
    /// # Errors
    /// `Full` and `Io` of `out`; `Corrupt` when a row cannot be read.
    pub fn export(&self, out: &mut dyn Write, now_unix_ms: i64) -> Result<Exported> {
        let mut export = self.begin_export(out, now_unix_ms)?;
        loop {
            if let Some(exported) = export.step()? {
                return Ok(exported);
            }
        }
    }

    /// The same step by step.
    ///
    /// # Errors
    /// As [`Db::export`].
    pub fn begin_export<'a>(&'a self, out: &'a mut dyn Write, now_unix_ms: i64) -> Result<Export<'a>> {
        let conversations = self.conversations()?;
        let documents = self.documents()?;
        let counts = Counts {
            n_collections: self.catalog.collections.len() as u64,
            n_documents: documents.len() as u64,
            n_chunks: documents.iter().map(|info| u64::from(info.n_chunks)).sum(),
            n_conversations: conversations.len() as u64,
        };
        let mut writer = Writer::begin(out)?;
        let head = Head { embedder: self.tag().clone(), exported_unix_ms: now_unix_ms, counts };
        writer.json(Kind::Head, &head)?;
        for stored in self.catalog.collections.values() {
            let record =
                CollectionRecord { name: stored.name.clone(), created_unix_ms: stored.created_unix_ms };
            writer.json(Kind::Collection, &record)?;
        }
        let documents = documents.iter().map(|info| info.id).collect::<Vec<_>>().into_iter();
        Ok(Export { db: self, writer, documents, conversations: conversations.into_iter().rev(), counts })
    }

    fn export_conversation(&self, conversation: &Conversation, writer: &mut Writer<'_>) -> Result<()> {
        let messages: Vec<Message> = self.messages(conversation.id)?;
        let record = ConversationRecord {
            title: conversation.title.clone(),
            created_unix_ms: conversation.created_unix_ms,
            changed_unix_ms: conversation.changed_unix_ms,
            n_messages: messages.len() as u32,
        };
        writer.json(Kind::Conversation, &record)?;
        messages.iter().try_for_each(|message| writer.json(Kind::Message, message))
    }

    fn export_document(&self, id: DocumentId, writer: &mut Writer<'_>) -> Result<()> {
        let gone = || Error::UnknownDocument { id };
        let stored = self.document(id)?.ok_or_else(gone)?;
        let info = stored.info;
        let place = self.stored(&[id]).pop().ok_or_else(gone)?;
        let collection = info.collection.and_then(|id| self.catalog.collections.get(&id));
        let record = DocumentRecord {
            name: info.name,
            kind: info.kind,
            title: info.title,
            sha256: hex(&info.sha256),
            n_bytes: info.n_bytes,
            added_unix_ms: info.added_unix_ms,
            page_starts: stored.page_starts,
            warnings: info.warnings,
            collection: collection.map(|stored| stored.name.clone()),
            tags: info.tags,
            n_chunks: info.n_chunks,
            about: info.about,
            has_sentences: place.has_sentences,
        };
        writer.json(Kind::Document, &record)?;
        writer.record(Kind::Text, stored.text.as_bytes())?;
        let ids: Vec<ChunkId> = place.chunks().collect();
        for ids in ids.chunks(MAX_PART_CHUNKS) {
            let chunks = self.chunks(ids)?;
            let vectors = self.vector_bytes(ids)?;
            if chunks.len() != ids.len()
                || vectors.len() != ids.len() * size_of::<f32>() * self.tag().dimensions as usize
            {
                return Err(Error::Corrupt { detail: "a document lacks passages".to_owned() });
            }
            writer.json(Kind::Chunks, &chunks.into_iter().map(chunk_record).collect::<Vec<_>>())?;
            writer.record(Kind::Vectors, &vectors)?;
            if place.has_sentences {
                writer.record(Kind::Sentences, &self.sentence_bytes(ids)?)?;
            }
        }
        Ok(())
    }

    /// For each chunk the length of what it has of vectors of sentences (`u32`), and these.
    fn sentence_bytes(&self, ids: &[ChunkId]) -> Result<Vec<u8>> {
        let found = self.sentence_vectors(ids)?;
        let mut bytes = Vec::new();
        for id in ids {
            let own = found.get(id).map_or(&[][..], SentenceVectors::as_bytes);
            bytes.extend((own.len() as u32).to_le_bytes());
            bytes.extend_from_slice(own);
        }
        Ok(bytes)
    }

    /// The stored vectors of chunks of ascending ids, one behind the other.
    fn vector_bytes(&self, ids: &[ChunkId]) -> Result<Vec<u8>> {
        let params = Params::from([("ids".to_owned(), schema::ids(ids))]);
        let mut bytes = Vec::new();
        for row in self.engine.read(schema::VECTORS, params)? {
            let mut columns = Columns::of(&row);
            columns.number::<u64>()?;
            bytes.extend_from_slice(columns.bytes()?);
        }
        Ok(bytes)
    }
}

fn chunk_record(row: ChunkRow) -> ChunkRecord {
    let ChunkRow { id: _, document: _, start, end, page, heading_path, text } = row;
    ChunkRecord { start, end, page, heading_path, text }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
