//! Rescuing what a damaged file still holds: every row that is whole is found (module `scan`), put
//! together to documents, and can be written to a new file.

use std::collections::{BTreeMap, BTreeSet};

use cozo::DataValue;
use serde::{Deserialize, Serialize};

use crate::load::{self, Stored};
use crate::pages::Pages;
use crate::rows;
use crate::scan::Scan;
use crate::schema::{self, Transaction};
use crate::values::{Columns, floats};
use crate::{
    About, Db, DocumentId, DocumentInfo, EmbedderTag, Error, MAX_DOCUMENT_CHUNKS, NewChunk, NewDocument,
    Result, SentenceVectors,
};

/// What is left of a damaged knowledge base. The file is only read.
#[derive(Debug)]
pub struct Salvage {
    scan: Scan,
    relations: BTreeMap<String, u64>,
    tag: Option<EmbedderTag>,
    documents: BTreeMap<DocumentId, Stored>,
    /// Everything that was stored last is known, though perhaps not readable: what is not known was
    /// removed.
    is_list_whole: bool,
    /// The file is of a format in which each document has a row in `about`.
    has_about: bool,
    losses: Vec<Loss>,
}

/// Something that a damaged file does not hold any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The document's name; `None` where it concerns none.
    pub document: Option<String>,
    /// What is missing, and what to do about it.
    pub what: String,
}

impl Salvage {
    /// Looks through the whole file, damaged or not.
    ///
    /// # Errors
    /// `Io` when the file cannot be read at all, `NotAStore` when there is nothing of a knowledge
    /// base in it.
    pub fn of(file: &platform::File) -> Result<Self> {
        Self::of_pages(&Pages::in_file(file.clone()))
    }

    pub(crate) fn of_pages(pages: &Pages) -> Result<Self> {
        let scan = Scan::of(pages).map_err(|error| Error::Io { detail: error.to_string() })?;
        let mut salvage = Self {
            relations: relations(&scan),
            scan,
            tag: None,
            documents: BTreeMap::new(),
            is_list_whole: false,
            has_about: false,
            losses: Vec::new(),
        };
        let has_about = salvage.rows("about").any(|(_, is_live)| is_live);
        salvage.has_about = has_about;
        let meta = salvage.rows("meta").map(|(row, _)| row).collect::<Vec<_>>();
        let embedder = meta.iter().find(|row| row[0].get_str() == Some("embedder"));
        salvage.tag = embedder.and_then(|row| serde_json::from_str(row.get(1)?.get_str()?).ok());
        salvage.find_documents();
        if salvage.documents.is_empty() && meta.is_empty() {
            return Err(Error::NotAStore);
        }
        salvage.find_losses();
        Ok(salvage)
    }

    /// The embedder of the vectors, unless that is lost.
    pub fn tag(&self) -> Option<&EmbedderTag> {
        self.tag.as_ref()
    }

    /// The documents of which something is left, in the order in which they were added.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = &DocumentInfo> {
        self.documents.values().map(|stored| &stored.info)
    }

    /// What is missing. Empty for a file that is whole.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// What is left of a document: passages whose text or vector is lost are left out, and a lost
    /// text is put together from its passages, with spaces where there are none.
    pub fn read(&self, id: DocumentId) -> Option<NewDocument> {
        let stored = self.documents.get(&id)?;
        let info = &stored.info;
        let chunks: Vec<NewChunk> = (stored.first_chunk..)
            .take(info.n_chunks as usize)
            .filter_map(|chunk| {
                let chunk = self.chunk(chunk)?;
                Some(NewChunk { vector: chunk.vector?, ..chunk.passage })
            })
            .collect();
        let (text, page_starts) = self.text(id).unwrap_or_else(|| (self.patched_text(stored), Vec::new()));
        Some(NewDocument {
            name: info.name.clone(),
            kind: info.kind.clone(),
            title: info.title.clone(),
            sha256: info.sha256,
            n_bytes: info.n_bytes,
            added_unix_ms: info.added_unix_ms,
            text,
            page_starts,
            warnings: info.warnings.clone(),
            about: info.about.clone(),
            chunks,
        })
    }

    /// Writes everything that is left to a file, which must be empty. Documents keep their ids, and what is derived
    /// from them is made anew. `tag` is used where the file does not tell it any more.
    ///
    /// # Errors
    /// `Corrupt` when nobody knows the embedder; whatever [`Db::put_document`] fails with.
    pub fn rebuild(&self, into: platform::File, tag: Option<&EmbedderTag>) -> Result<Db> {
        if into.len()? > 0 {
            return Err(Error::Io { detail: format!("{} is not empty", into.path()) });
        }
        let mut db = self.rebuild_in(Pages::in_file(into.clone()), tag)?;
        db.file = Some(into);
        Ok(db)
    }

    pub(crate) fn rebuild_in(&self, pages: Pages, tag: Option<&EmbedderTag>) -> Result<Db> {
        let tag =
            self.tag.as_ref().or(tag).ok_or_else(|| Error::Corrupt {
                detail: "which embedder made its vectors is lost".to_owned(),
            })?;
        let mut db = Db::over(pages, tag)?;
        for (id, stored) in &self.documents {
            let mut new = self.read(*id).expect("it is listed");
            // A vector of another length cannot be of this store.
            new.chunks.retain(|chunk| chunk.vector.len() == tag.dimensions as usize);
            db.put_at(*id, stored.first_chunk, &new)?;
        }
        self.copy_rest(&mut db)?;
        Ok(db)
    }

    /// Settings, collections, tags and conversations, row by row. Files that waited to be read are left
    /// out: they are added again.
    fn copy_rest(&self, db: &mut Db) -> Result<()> {
        let numbers = db.engine.relations()?;
        let collections: BTreeSet<Option<i64>> =
            self.rows("collection").map(|(row, _)| row.first().and_then(DataValue::get_int)).collect();
        let mut copies = Vec::new();
        for name in COPIED {
            let (Some(old), Some(new)) = (self.relations.get(name), numbers.get(name)) else { continue };
            for (key, is_live) in self.scan.keys(*old) {
                let Some(value) = self.scan.value(key).filter(|_| is_live || !self.is_list_whole) else {
                    continue;
                };
                let Some(row) = rows::decode(key, &value) else { continue };
                let number = |at: usize| row.get(at).and_then(DataValue::get_int);
                let document = number(0).and_then(|id| u64::try_from(id).ok()).map(DocumentId);
                let is_kept = match name {
                    "member" | "tag" if !document.is_some_and(|id| self.documents.contains_key(&id)) => false,
                    "member" => collections.contains(&number(1)),
                    _ => true,
                };
                let renumbered = |bytes: &[u8]| [&new.to_be_bytes(), &bytes[rows::RELATION_BYTES..]].concat();
                if is_kept {
                    copies.push((renumbered(key), renumbered(&value)));
                }
            }
        }
        db.engine.put_rows(copies)?;
        self.keep_counters(db)?;
        db.is_stale = true;
        db.refresh()
    }

    /// No id is given out twice.
    fn keep_counters(&self, db: &Db) -> Result<()> {
        let mut transaction = Transaction::default();
        for (counter, relation) in COUNTERS {
            let known = self.rows("meta").filter(|(row, _)| row[0].get_str() == Some(counter));
            let told = known.filter_map(|(row, _)| row.get(1)?.get_str()?.parse::<u64>().ok());
            let used = self.rows(relation).filter_map(|(row, _)| row.first()?.get_int()?.try_into().ok());
            // A document may be known by its passages alone.
            let kept = match counter {
                "next_document" => db.catalog.next_document,
                "next_chunk" => db.catalog.next_chunk,
                _ => 1,
            };
            let next = told.chain(used.map(|id: u64| id.saturating_add(1))).chain([kept]);
            let next = next.filter(|id| *id < 1 << 52);
            transaction.set_counter(counter, next.max().unwrap_or(1).max(1));
        }
        db.engine.write(&transaction.script, transaction.params)
    }

    /// Decoded rows of a relation, and whether the last commit has them.
    fn rows(&self, relation: &str) -> impl Iterator<Item = (Vec<DataValue>, bool)> {
        let number = self.relations.get(relation).copied().unwrap_or(u64::MAX - 1);
        self.scan
            .keys(number)
            .filter_map(|(key, is_live)| Some((rows::decode(key, &self.scan.value(key)?)?, is_live)))
    }

    fn row(&self, relation: &str, numbers: &[u64]) -> Option<Vec<DataValue>> {
        let key = rows::key_of(*self.relations.get(relation)?, numbers);
        rows::decode(&key, &self.scan.value(&key)?)
    }

    /// Documents by their rows, and by rows that only make sense with one.
    fn find_documents(&mut self) {
        let (mut live, mut stale) = (BTreeMap::new(), BTreeMap::new());
        for (mut row, is_live) in self.rows("document") {
            // As the statements of this crate give them.
            if row.len() > 11 {
                row.swap(10, 11);
            }
            let Some(mut stored) = load::document(&row).ok().filter(has_sound_ids) else { continue };
            if let Some((about, has_sentences)) = self.about(&stored) {
                stored.info.about = about;
                stored.has_sentences = has_sentences;
            }
            let documents = if is_live { &mut live } else { &mut stale };
            documents.insert(stored.info.id, stored);
        }
        let n_missing = live.values().map(|stored| self.n_missing(stored)).sum();
        self.is_list_whole = self.scan.has_only(n_missing);
        self.documents = live;
        if self.is_list_whole {
            return;
        }
        self.documents.extend(stale);
        // A document replaced the older ones of its name; those may still stand somewhere.
        let newest: BTreeMap<String, DocumentId> =
            self.documents.values().map(|stored| (stored.info.name.clone(), stored.info.id)).collect();
        self.documents.retain(|id, stored| newest[&stored.info.name] == *id);
        for (id, chunks) in self.orphans(&self.documents) {
            self.documents.insert(id, nameless(id, &chunks));
        }
    }

    /// How many rows of a document the last commit lacks.
    fn n_missing(&self, stored: &Stored) -> u64 {
        let id = stored.info.id.0;
        let n_chunks = u64::from(stored.info.n_chunks);
        let chunks = || stored.first_chunk..stored.first_chunk + n_chunks;
        let n_parts = n_chunks.div_ceil(schema::MAX_PART_CHUNKS as u64);
        let keys = std::iter::once(("document_text", vec![id]))
            .chain(chunks().map(|chunk| ("chunk", vec![chunk])))
            .chain(chunks().map(|chunk| ("vector", vec![chunk])))
            .chain((0..n_parts).map(|part| ("terms", vec![id, part])))
            .chain(self.has_about.then(|| ("about", vec![id])))
            .chain(chunks().filter(|_| stored.has_sentences).map(|chunk| ("sentences", vec![chunk])));
        let is_missing = |(relation, numbers): &(&str, Vec<u64>)| {
            let relation = self.relations.get(*relation);
            !relation.is_some_and(|relation| self.scan.is_live(&rows::key_of(*relation, numbers)))
        };
        keys.filter(is_missing).count() as u64
    }

    /// Passages of the last commit whose documents are not listed any more.
    fn orphans(&self, listed: &BTreeMap<DocumentId, Stored>) -> BTreeMap<DocumentId, BTreeSet<u64>> {
        let mut orphans: BTreeMap<DocumentId, BTreeSet<u64>> = BTreeMap::new();
        for (row, is_live) in self.rows("chunk") {
            let mut columns = Columns::of(&row);
            let (Ok(chunk), Ok(document)) = (columns.number(), columns.number()) else { continue };
            if is_live && !listed.contains_key(&DocumentId(document)) {
                orphans.entry(DocumentId(document)).or_default().insert(chunk);
            }
        }
        orphans
    }

    fn find_losses(&mut self) {
        let mut losses = Vec::new();
        if self.tag.is_none() {
            losses.push(Loss { document: None, what: "which embedder made its vectors".to_owned() });
        }
        if !self.is_list_whole {
            let what = "parts of what was stored last: documents or settings may be missing, and some may be \
                        here again that were removed";
            losses.push(Loss { document: None, what: what.to_owned() });
        }
        for (id, stored) in &self.documents {
            let name = &stored.info.name;
            let mut lose = |what: String| losses.push(Loss { document: Some(name.clone()), what });
            let chunks = (stored.first_chunk..).take(stored.info.n_chunks as usize);
            let is_there = |chunk: u64| self.chunk(chunk).is_some_and(|chunk| chunk.vector.is_some());
            let n_lost = chunks.filter(|&chunk| !is_there(chunk)).count();
            if stored.is_nameless() {
                lose("its name; add the document again to have all of it".to_owned());
            }
            if n_lost > 0 {
                let n = stored.info.n_chunks;
                lose(format!("{n_lost} of {n} passages; add the document again to have all of it"));
            }
            if self.has_about && self.row("about", &[id.0]).is_none() && !stored.is_nameless() {
                lose("who wrote it and when; add the document again to have all of it".to_owned());
            }
            let has_sentences = |chunk: u64| self.row("sentences", &[chunk]).is_some();
            let chunks = (stored.first_chunk..).take(stored.info.n_chunks as usize);
            if stored.has_sentences && !chunks.into_iter().all(has_sentences) {
                lose(
                    "vectors of sentences; add the document again to find quotes as fast as before"
                        .to_owned(),
                );
            }
            if self.text(*id).is_none() {
                lose("its text between the passages; add the document again to have all of it".to_owned());
            }
        }
        self.losses = losses;
    }

    fn chunk(&self, id: u64) -> Option<Chunk> {
        let row = self.row("chunk", &[id])?;
        let chunk = crate::documents::chunk(&mut Columns::of(&row)).ok()?;
        let vector = self.row("vector", &[id]).and_then(|row| {
            let values: Vec<f32> = floats(row.get(2)?.get_bytes()?)?.collect();
            values.iter().all(|value| value.is_finite()).then_some(values)
        });
        let passage = NewChunk {
            start: chunk.start,
            end: chunk.end.max(chunk.start),
            page: chunk.page,
            heading_path: chunk.heading_path,
            text: chunk.text,
            vector: Vec::new(),
            sentences: self.sentences(id, vector.as_ref().map_or(0, Vec::len)).unwrap_or_default(),
        };
        Some(Chunk { passage, vector })
    }

    fn sentences(&self, chunk: u64, n_dims: usize) -> Option<SentenceVectors> {
        let row = self.row("sentences", &[chunk])?;
        SentenceVectors::parse(row.get(1)?.get_bytes()?, n_dims).ok()
    }

    /// What a document says of itself, and whether it has vectors of sentences; if that row is lost, what can
    /// be told of it.
    fn about(&self, stored: &Stored) -> Option<(About, bool)> {
        if let Some((_, about, has_sentences)) =
            self.row("about", &[stored.info.id.0]).and_then(|row| load::about(&row).ok())
        {
            return Some((about, has_sentences));
        }
        let mut chunks = (stored.first_chunk..).take(stored.info.n_chunks as usize);
        chunks.any(|chunk| self.row("sentences", &[chunk]).is_some()).then(|| (About::default(), true))
    }

    fn text(&self, id: DocumentId) -> Option<(String, Vec<u32>)> {
        let row = self.row("document_text", &[id.0])?;
        let (starts, _) = row.get(2)?.get_bytes()?.as_chunks::<4>();
        let page_starts = starts.iter().map(|&start| u32::from_le_bytes(start)).collect();
        Some((row.get(1)?.get_str()?.to_owned(), page_starts))
    }

    /// Passages at their places, and spaces between them.
    fn patched_text(&self, stored: &Stored) -> String {
        let mut text = String::new();
        let mut n_chars = 0;
        for id in (stored.first_chunk..).take(stored.info.n_chunks as usize) {
            let Some(Chunk { passage, .. }) = self.chunk(id) else { continue };
            let n_missing = (passage.start as usize).saturating_sub(n_chars).min(MAX_GAP_CHARS);
            text.extend(std::iter::repeat_n(' ', n_missing));
            n_chars += n_missing;
            let rest = passage.text.chars().skip(n_chars.saturating_sub(passage.start as usize));
            n_chars += rest.clone().count();
            text.extend(rest);
        }
        text
    }
}

/// Ids are given out one by one and stay far below this, which every number of cozo holds exactly.
fn has_sound_ids(stored: &Stored) -> bool {
    stored.info.id.0.max(stored.first_chunk) < 1 << 52
}

/// A gap in a lost text is at most as long as texts that are read at all.
const MAX_GAP_CHARS: usize = 64 << 20;

/// The relations whose rows are copied as they are.
const COPIED: [&str; 6] = ["setting", "collection", "member", "tag", "conversation", "message"];
/// What counts the ids of which relation.
const COUNTERS: [(&str, &str); 5] = [
    ("next_document", "document"),
    ("next_chunk", "chunk"),
    ("next_collection", "collection"),
    ("next_conversation", "conversation"),
    ("next_job", "job"),
];

struct Chunk {
    passage: NewChunk,
    vector: Option<Vec<f32>>,
}

/// A document whose own row is lost, by its passages.
fn nameless(id: DocumentId, chunks: &BTreeSet<u64>) -> Stored {
    let (first, last) = (chunks.first().copied().unwrap_or(1), chunks.last().copied().unwrap_or(1));
    let n_chunks = (last - first + 1).min(MAX_DOCUMENT_CHUNKS as u64) as u32;
    let info = DocumentInfo {
        id,
        name: format!("{NAMELESS}{}", id.0),
        kind: "text".to_owned(),
        title: None,
        sha256: [0; 32],
        n_bytes: 0,
        added_unix_ms: 0,
        n_chars: 0,
        n_pages: 0,
        n_chunks,
        warnings: vec!["recovered from a damaged knowledge base, which had lost its name".to_owned()],
        collection: None,
        tags: Vec::new(),
        about: About::default(),
    };
    Stored { info, first_chunk: first, has_sentences: false }
}

/// What documents are called whose name is lost, before their number.
const NAMELESS: &str = "recovered document ";

impl Stored {
    fn is_nameless(&self) -> bool {
        self.info.name.starts_with(NAMELESS) && self.info.sha256 == [0; 32]
    }
}

/// Names and numbers of the relations: as cozo's list has them, and where that is lost as they are in
/// every new store.
fn relations(scan: &Scan) -> BTreeMap<String, u64> {
    let mut relations: BTreeMap<String, u64> =
        (1..).zip(schema::RELATIONS).map(|(number, name)| (name.to_owned(), number)).collect();
    for (key, _) in scan.keys(0) {
        relations.extend(scan.value(key).and_then(|value| rows::listed_relation(key, &value)));
    }
    relations
}
