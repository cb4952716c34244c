//! Taking in an export, all of it or nothing: every record goes into one transaction of the file, which
//! is committed when the last one was found to be right.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::export::{
    ChunkRecord, CollectionRecord, ConversationRecord, Counts, DocumentRecord, End, Head, SettingRecord,
};
use crate::framing::{Kind, Reader, Record};
use crate::values::floats;
use crate::{
    CollectionId, Conversation, ConversationId, Db, DocumentId, Error, MAX_CONVERSATION_MESSAGES,
    MAX_DOCUMENT_CHUNKS, Message, NewChunk, NewDocument, Placement, Result, SentenceVectors,
};

/// Messages of a conversation that are held at once.
const MESSAGE_BATCH: u32 = 64;

/// What became of the parts of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Documents that were not there.
    pub n_added: u64,
    /// Documents that took the place of an older one of the same name.
    pub n_replaced: u64,
    /// Documents that were there already, by their content.
    pub n_unchanged: u64,
    /// Documents of whose name a newer one is stored, which stayed.
    pub n_older: u64,
    /// Collections that were not there.
    pub n_collections: u64,
    /// Conversations that were not there.
    pub n_conversations: u64,
}

/// What is known while an export is taken in.
#[derive(Default)]
struct Known {
    counts: Counts,
    imported: Imported,
    /// What was stored before, by content: of these the text can be read.
    by_content: HashMap<[u8; 32], Vec<DocumentId>>,
    names: BTreeSet<String>,
    conversations: Vec<Conversation>,
}

fn bad<T>(detail: impl Into<String>) -> Result<T> {
    Err(Error::BadExport { detail: detail.into() })
}

/// An export that is being taken in, a document or a conversation at a time: others can be let in
/// between, and dropping it before its end leaves the store as it was.
pub struct Import<'a> {
    db: &'a mut Db,
    reader: Reader<'a>,
    head: Counts,
    known: Known,
    is_open: bool,
}

impl Import<'_> {
    /// Takes in the next part; what became of all when it was the last, and is durable then.
    ///
    /// # Errors
    /// As [`Db::import`]; the store is as it was then.
    pub fn step(&mut self) -> Result<Option<Imported>> {
        let taken = self.db.take_in(&mut self.reader, &self.head, &mut self.known);
        if matches!(taken, Ok(false)) {
            return Ok(None);
        }
        self.is_open = false;
        let kept = self.db.engine.end_together(taken.is_ok());
        if let Err(error) = taken.map(drop).and(kept) {
            self.db.is_stale = true;
            self.db.refresh()?;
            return Err(error);
        }
        Ok(Some(self.known.imported))
    }
}

impl Drop for Import<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.db.is_stale = true;
            // What cannot be forgotten or read now is told by whoever asks the store next.
            let _ = self.db.engine.end_together(false);
            let _ = self.db.refresh();
        }
    }
}

impl Db {
    /// Takes in what [`Db::export`] wrote, merged with what is here. A document of the same content
    /// stays as it is; of two with the same name the one that was added later stays; collections are
    /// the same by name. One document is held in memory at a time. Either all of it is stored when
    /// this returns, in one transaction, or the store is as it was.
    ///
    /// # Errors
    /// `BadExport` when the stream is damaged, cut, or no export; `EmbedderMismatch` when its vectors
    /// are of another embedder; `ReadOnly`, `Full`, `Io`.
    pub fn import(&mut self, input: &mut dyn Read) -> Result<Imported> {
        let mut import = self.begin_import(input)?;
        loop {
            if let Some(imported) = import.step()? {
                return Ok(imported);
            }
        }
    }

    /// The same step by step.
    ///
    /// # Errors
    /// As [`Db::import`].
    pub fn begin_import<'a>(&'a mut self, input: &'a mut dyn Read) -> Result<Import<'a>> {
        if self.is_read_only() {
            return Err(Error::ReadOnly);
        }
        self.refresh()?;
        let mut reader = Reader::begin(input)?;
        let head: Head = reader.expect(Kind::Head)?.json()?;
        if head.embedder != *self.tag() {
            let (stored, asked) = (Box::new(head.embedder), Box::new(self.tag().clone()));
            return Err(Error::EmbedderMismatch { stored, asked });
        }
        let mut known = Known { conversations: self.conversations()?, ..Known::default() };
        for info in self.documents()? {
            known.by_content.entry(info.sha256).or_default().push(info.id);
        }
        self.engine.begin_together()?;
        Ok(Import { db: self, reader, head: head.counts, known, is_open: true })
    }

    /// Takes in one record with those that belong to it; whether it was the last.
    fn take_in(&mut self, reader: &mut Reader<'_>, head: &Counts, known: &mut Known) -> Result<bool> {
        let record = reader.record()?;
        match record.kind {
            Kind::Collection => self.take_collection(&record, known)?,
            Kind::Document => self.take_document(&record, reader, known)?,
            Kind::Conversation => self.take_conversation(&record, reader, known)?,
            Kind::Setting => {
                let SettingRecord { key, value } = record.json()?;
                if self.setting(&key)?.is_none() {
                    self.set_setting(&key, &value)?;
                }
            }
            Kind::End => {
                let end: End = record.json()?;
                if end.crc32 != record.crc_before {
                    return bad("its parts do not match their checksum");
                }
                if end.counts != known.counts || end.counts != *head {
                    return bad("it does not hold as much as it says");
                }
                return if reader.is_at_end()? { Ok(true) } else { bad("it goes on behind its end") };
            }
            kind => return bad(format!("a record ({kind:?}) stands where none belongs")),
        }
        Ok(false)
    }

    fn take_collection(&mut self, record: &Record, known: &mut Known) -> Result<()> {
        let CollectionRecord { name, created_unix_ms } = record.json()?;
        known.counts.n_collections += 1;
        if self.collection_named(&name).is_none() {
            self.create_collection(&name, created_unix_ms)?;
            known.imported.n_collections += 1;
        }
        Ok(())
    }

    fn take_document(&mut self, record: &Record, reader: &mut Reader<'_>, known: &mut Known) -> Result<()> {
        let record: DocumentRecord = record.json()?;
        if !known.names.insert(record.name.clone()) {
            return bad(format!("it holds `{}` twice", record.name));
        }
        let collection = match &record.collection {
            Some(name) => match self.collection_named(name) {
                Some(id) => Some(id),
                None => return bad(format!("a document is in `{name}`, which is not in it")),
            },
            None => None,
        };
        let tags = record.tags.clone();
        let new = self.read_document(record, reader)?;
        known.counts.n_documents += 1;
        known.counts.n_chunks += new.chunks.len() as u64;
        if let Some(same) = self.same_content(&new, known)? {
            known.imported.n_unchanged += 1;
            return self.add_order(same, collection, &tags);
        }
        let older = self.document_id(&new.name).and_then(|id| self.info(id));
        match older.map(|older| older.added_unix_ms > new.added_unix_ms) {
            Some(true) => known.imported.n_older += 1,
            Some(false) => known.imported.n_replaced += 1,
            None => known.imported.n_added += 1,
        }
        if older.is_none_or(|older| older.added_unix_ms <= new.added_unix_ms) {
            // What is the same was found above. Documents of this import cannot be compared: they are not
            // there to be read before its end, and were different ones where they come from.
            let older = self.document_named(&new.name).cloned();
            self.put_as(&new, &Placement { collection, tags, job: None }, older, None)?;
        }
        Ok(())
    }

    /// A document that was stored before and says the same. Documents of one archive share its
    /// hash, so the text decides.
    fn same_content(&self, new: &NewDocument, known: &Known) -> Result<Option<DocumentId>> {
        for &id in known.by_content.get(&new.sha256).into_iter().flatten() {
            let is_close = self.info(id).is_some_and(|info| info.n_bytes == new.n_bytes);
            if is_close && self.document(id)?.is_some_and(|stored| stored.text == new.text) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Adds what an export knows of a document's place to what is known here.
    fn add_order(
        &mut self,
        id: DocumentId,
        collection: Option<CollectionId>,
        more_tags: &[String],
    ) -> Result<()> {
        let Some(info) = self.info(id).cloned() else { return Ok(()) };
        if collection.is_some() && info.collection.is_none() {
            self.move_documents(&[id], collection)?;
        }
        if more_tags.iter().any(|tag| !info.tags.contains(tag)) {
            self.set_tags(id, &[info.tags, more_tags.to_vec()].concat())?;
        }
        Ok(())
    }

    fn read_document(&self, record: DocumentRecord, reader: &mut Reader<'_>) -> Result<NewDocument> {
        let n_chunks = record.n_chunks as usize;
        if n_chunks > MAX_DOCUMENT_CHUNKS {
            return bad(format!("`{}` has more passages than can be", record.name));
        }
        let text = String::from_utf8(reader.expect(Kind::Text)?.content);
        let Ok(text) = text else { return bad(format!("the text of `{}` is no text", record.name)) };
        let n_chars = text.chars().count() as u64;
        let Some(sha256) = parse_hex(&record.sha256) else {
            return bad(format!("`{}` has no SHA-256", record.name));
        };
        let mut chunks = Vec::new();
        while chunks.len() < n_chunks {
            let rows: Vec<ChunkRecord> = reader.expect(Kind::Chunks)?.json()?;
            let vectors = reader.expect(Kind::Vectors)?.content;
            let sentences = match record.has_sentences {
                true => self.read_sentences(&reader.expect(Kind::Sentences)?.content, rows.len())?,
                false => vec![SentenceVectors::default(); rows.len()],
            };
            self.read_chunks(rows, &vectors, sentences, &mut chunks)?;
        }
        let is_inside = |chunk: &NewChunk| u64::from(chunk.end) <= n_chars;
        if chunks.len() != n_chunks || !chunks.iter().all(is_inside) {
            return bad(format!("the passages of `{}` do not fit its text", record.name));
        }
        Ok(NewDocument {
            name: record.name,
            kind: record.kind,
            title: record.title,
            sha256,
            n_bytes: record.n_bytes,
            added_unix_ms: record.added_unix_ms,
            text,
            page_starts: record.page_starts,
            warnings: record.warnings,
            about: record.about,
            chunks,
        })
    }

    fn read_sentences(&self, mut bytes: &[u8], n_chunks: usize) -> Result<Vec<SentenceVectors>> {
        let mut all = Vec::new();
        while let Some((n_bytes, rest)) = bytes.split_first_chunk() {
            let Some((own, rest)) = rest.split_at_checked(u32::from_le_bytes(*n_bytes) as usize) else {
                break;
            };
            let vectors = SentenceVectors::parse(own, self.tag().dimensions as usize);
            let Ok(vectors) = vectors else { return bad("vectors of sentences cannot be read") };
            all.push(vectors);
            bytes = rest;
        }
        if all.len() != n_chunks || !bytes.is_empty() {
            return bad("vectors of sentences do not fit their passages");
        }
        Ok(all)
    }

    fn read_chunks(
        &self,
        rows: Vec<ChunkRecord>,
        vectors: &[u8],
        sentences: Vec<SentenceVectors>,
        chunks: &mut Vec<NewChunk>,
    ) -> Result<()> {
        let n_dims = self.tag().dimensions as usize;
        let values = floats(vectors).filter(|values| values.len() == rows.len() * n_dims);
        let (Some(values), false) = (values, rows.is_empty()) else {
            return bad("vectors do not fit their passages");
        };
        let values: Vec<f32> = values.collect();
        let vectors = values.chunks(n_dims.max(1));
        chunks.extend(rows.into_iter().zip(vectors).zip(sentences).map(|((row, vector), sentences)| {
            let ChunkRecord { start, end, page, heading_path, text } = row;
            NewChunk { start, end, page, heading_path, text, vector: vector.to_vec(), sentences }
        }));
        Ok(())
    }

    fn take_conversation(
        &mut self,
        record: &Record,
        reader: &mut Reader<'_>,
        known: &mut Known,
    ) -> Result<()> {
        let record: ConversationRecord = record.json()?;
        known.counts.n_conversations += 1;
        if record.n_messages > MAX_CONVERSATION_MESSAGES {
            return bad("a conversation has more messages than can be");
        }
        let is_known = known.conversations.iter().any(|other| {
            (&other.title, other.created_unix_ms, other.n_messages)
                == (&record.title, record.created_unix_ms, record.n_messages)
        });
        let mut conversation = Conversation {
            id: ConversationId(self.catalog.next_conversation),
            title: record.title,
            created_unix_ms: record.created_unix_ms,
            changed_unix_ms: record.changed_unix_ms,
            n_messages: 0,
        };
        if !is_known {
            self.put_conversation(&conversation, &[])?;
            known.imported.n_conversations += 1;
        }
        let mut n_left = record.n_messages;
        while n_left > 0 {
            let n_now = n_left.min(MESSAGE_BATCH);
            let messages: Result<Vec<Message>> =
                (0..n_now).map(|_| reader.expect(Kind::Message)?.json()).collect();
            let messages = messages?;
            if !is_known {
                self.put_conversation(&conversation, &messages)?;
                conversation.n_messages += n_now;
            }
            n_left -= n_now;
        }
        Ok(())
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}
