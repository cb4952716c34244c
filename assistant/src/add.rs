//! From a file to stored passages.

use embedder::{Embedder, PassageVectors, SpannedText};
use ingest::{Chunk, Document, Entry, Hint, Refusal, Span, Warning};
use vectordb::{
    About, ChunkVectors, DocumentId, DocumentInfo, MAX_DOCUMENT_CHUNKS, NearDuplicate, NewChunk, NewDocument,
    SentenceVectors,
};

use crate::assistant::Assistant;
use crate::library::{Library, sha256};
use crate::pieces::pieces;
use crate::types::{Added, AddedAll, NearCopy, Progress, SourceFile};
use crate::{Error, Result};

/// Passages embedded between two reports: 8 of 200 tokens take a browser's CPU about a second.
pub(crate) const BATCH: usize = 8;

impl Assistant {
    /// Reads a file, cuts it into passages, embeds them and stores all in one transaction. A
    /// document of the same name is replaced; one of the same content is left as it is.
    ///
    /// # Errors
    /// [`Error::Refused`] when the file is no readable document, or when embedding or storing fails;
    /// the knowledge base is then as it was.
    pub async fn add(&mut self, file: &SourceFile, progress: &mut dyn FnMut(Progress)) -> Result<Added> {
        let sha256 = sha256(&file.bytes);
        if let Some(added) = self.already_there(&file.name, &sha256)? {
            return Ok(added);
        }
        progress(Progress::Reading { name: file.name.clone() });
        let hint = Hint { name: &file.name, mime: file.mime.as_deref(), password: None };
        let (document, warnings) = ingest::ingest(&file.bytes, &hint, &self.options.limits)?;
        let n_bytes = file.bytes.len() as u64;
        self.add_extracted(&file.name, sha256, n_bytes, document, warnings, progress).await
    }

    /// The same for a file that may hold several documents: an archive, or mail with attachments.
    /// One that cannot be read costs itself alone. Documents of an earlier version of the file that
    /// are no longer in it are removed.
    ///
    /// # Errors
    /// When embedding or storing fails; what was added before that stays.
    pub async fn add_all(
        &mut self,
        file: &SourceFile,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<AddedAll> {
        let sha256 = sha256(&file.bytes);
        if let Some(added) = self.already_there(&file.name, &sha256)? {
            return Ok(AddedAll { added: vec![added], refused: Vec::new() });
        }
        progress(Progress::Reading { name: file.name.clone() });
        let entries = self.read(file);
        self.add_entries(&file.name, sha256, entries, progress).await
    }

    /// All documents of a file, by whoever reads.
    pub(crate) fn read(&self, file: &SourceFile) -> Vec<Entry> {
        let hint = Hint { name: &file.name, mime: file.mime.as_deref(), password: None };
        let read = self.options.read.unwrap_or(ingest::ingest_all);
        read(&file.bytes, &hint, &self.options.limits)
    }

    async fn add_entries(
        &mut self,
        file_name: &str,
        sha256: [u8; 32],
        entries: Vec<Entry>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<AddedAll> {
        let mut all = AddedAll::default();
        for Entry { name, n_bytes, outcome } in entries {
            let added = match outcome {
                Ok((document, warnings)) => {
                    self.add_extracted(&name, sha256, n_bytes, document, warnings, progress).await
                }
                Err(refusal) => Err(Error::Refused(refusal)),
            };
            match added {
                Ok(added) => all.added.push(added),
                Err(Error::Refused(refusal)) => all.refused.push(refusal),
                Err(Error::Store(error @ vectordb::Error::BadDocument { .. })) => {
                    all.refused.push(Refusal::Unreadable { name, reason: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        if !all.added.is_empty() {
            self.remove_older_members(file_name, sha256)?;
        }
        Ok(all)
    }

    /// Removes the documents of a file that holds several which are not of its version `sha256`.
    pub(crate) fn remove_older_members(&mut self, file_name: &str, sha256: [u8; 32]) -> Result<()> {
        let within = format!("{file_name}/");
        let is_older = |old: &DocumentInfo| old.name.starts_with(&within) && old.sha256 != sha256;
        let older: Vec<u64> =
            self.library.documents()?.iter().filter(|old| is_older(old)).map(|old| old.id.0).collect();
        if older.is_empty() {
            return Ok(());
        }
        self.library.remove(&older)?;
        self.make_room()
    }

    /// `sha256` and `n_bytes` are those of the file.
    async fn add_extracted(
        &mut self,
        name: &str,
        sha256: [u8; 32],
        n_bytes: u64,
        document: Document,
        warnings: Vec<Warning>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Added> {
        if let Some(added) = self.already_there(name, &sha256)? {
            return Ok(added);
        }
        if let Some(added) = self.stored_elsewhere(name, &sha256, &document.text)? {
            return Ok(added);
        }
        let chunks = self.embed(name, &document, progress).await?;
        progress(Progress::Storing { name: name.to_owned() });
        let new = new_document(name, (sha256, n_bytes), document, warnings, chunks);
        let id = self.library.db.put_document(&new)?;
        self.make_room()?;
        Ok(self.library.added(id, &new))
    }

    /// The same file under another name is not stored twice; what had the name before goes.
    fn stored_elsewhere(&mut self, name: &str, sha256: &[u8; 32], text: &str) -> Result<Option<Added>> {
        let Some(same) = self.library.db.same_document(sha256, text)? else { return Ok(None) };
        if let Some(older) = self.library.document_named(name) {
            self.library.remove(&[older])?;
        }
        let same_as = Some(same.name.clone());
        Ok(Some(Added { name: name.to_owned(), same_as, ..Added::before(same) }))
    }

    pub(crate) fn already_there(&self, name: &str, sha256: &[u8; 32]) -> Result<Option<Added>> {
        let known = self.library.db.infos().find(|d| d.name == name && d.sha256 == *sha256);
        Ok(known.cloned().map(Added::before))
    }

    async fn embed(
        &self,
        name: &str,
        document: &Document,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<NewChunk>> {
        let embedder = &self.embedder;
        let chunks = self.cut(name, document)?;
        let title = document.title.as_deref().unwrap_or_default();
        let n_total = chunks.len() as u32;
        let mut vectors = Vec::with_capacity(chunks.len());
        for batch in chunks.chunks(BATCH) {
            let n_done = vectors.len() as u32;
            progress(Progress::Embedding { name: name.to_owned(), n_done, n_total });
            vectors.extend(embed_chunks(embedder, batch, title).await?);
            platform::yield_now().await;
        }
        progress(Progress::Embedding { name: name.to_owned(), n_done: n_total, n_total });
        Ok(joined(chunks, vectors))
    }

    /// The passages of a document; more than the store takes are refused here, before they are embedded.
    pub(crate) fn cut(&self, name: &str, document: &Document) -> Result<Vec<Chunk>> {
        let count = |text: &str| self.embedder.count_tokens(text);
        let chunks = ingest::chunk(document, &self.options.chunk_policy, &count);
        let name = || name.to_owned();
        match chunks.len() {
            0 => Err(Error::Refused(Refusal::NoText { name: name() })),
            1..=MAX_DOCUMENT_CHUNKS => Ok(chunks),
            n => {
                let reason = format!("it has {n} passages, and a document may have {MAX_DOCUMENT_CHUNKS}");
                Err(Error::Refused(Refusal::GivenUp { name: name(), reason }))
            }
        }
    }
}

/// Vectors of passages and, from the same pass of the model, of what can be quoted from them.
pub(crate) async fn embed_chunks(
    embedder: &Embedder,
    chunks: &[Chunk],
    title: &str,
) -> Result<Vec<ChunkVectors>> {
    let quotable: Vec<Vec<Span>> =
        chunks.iter().map(|chunk| pieces(&chunk.text).into_iter().map(|(span, _)| span).collect()).collect();
    let texts: Vec<String> = chunks.iter().map(|chunk| chunk.embedding_text(title)).collect();
    let places: Vec<_> = chunks
        .iter()
        .zip(&quotable)
        .map(|(chunk, spans)| chunk.places_in_embedding_text(title, spans))
        .collect();
    let passages: Vec<SpannedText<'_>> =
        texts.iter().zip(&places).map(|(text, spans)| SpannedText { text, spans }).collect();
    let embedded = embedder.embed_passages_with_spans(&passages).await?;
    let of_chunk = |(found, spans): (PassageVectors, Vec<Span>)| {
        let mut sentences = SentenceVectors::default();
        for (span, vector) in spans.iter().zip(&found.spans) {
            if let Some(vector) = vector {
                sentences.push(span.start, span.end, vector);
            }
        }
        ChunkVectors { passage: found.passage, sentences }
    };
    Ok(embedded.into_iter().zip(quotable).map(of_chunk).collect())
}

/// Passages with their vectors.
pub(crate) fn joined(chunks: Vec<Chunk>, vectors: Vec<ChunkVectors>) -> Vec<NewChunk> {
    let joined = chunks.into_iter().zip(vectors).map(|(chunk, vectors)| NewChunk {
        start: chunk.span.start,
        end: chunk.span.end,
        page: chunk.page,
        heading_path: chunk.heading_path,
        text: chunk.text,
        vector: vectors.passage,
        sentences: vectors.sentences,
    });
    joined.collect()
}

/// A document to store; `file` has SHA-256 and size of what it was read from.
pub(crate) fn new_document(
    name: &str,
    file: ([u8; 32], u64),
    document: Document,
    warnings: Vec<Warning>,
    chunks: Vec<NewChunk>,
) -> NewDocument {
    let (sha256, n_bytes) = file;
    NewDocument {
        name: name.to_owned(),
        kind: document.kind.as_str().to_owned(),
        title: document.title,
        sha256,
        n_bytes,
        added_unix_ms: platform::unix_ms(),
        text: document.text,
        page_starts: document.page_starts,
        warnings: warnings.into_iter().map(|w| w.message).collect(),
        about: About { authors: document.authors, created: document.created },
        chunks,
    }
}

impl Added {
    /// A document that was stored before.
    pub(crate) fn before(document: DocumentInfo) -> Self {
        Self {
            id: document.id.0,
            name: document.name,
            n_chunks: document.n_chunks,
            n_pages: document.n_pages,
            warnings: document.warnings,
            already_there: true,
            same_as: None,
            near: None,
        }
    }
}

impl Library {
    /// What is told of a document that was put into the store, where it has this id now.
    pub(crate) fn added(&self, id: DocumentId, new: &NewDocument) -> Added {
        let stored_as = self.db.info(id).map(|info| info.name.clone());
        let same_as = stored_as.filter(|stored_as| *stored_as != new.name);
        Added {
            id: id.0,
            name: new.name.clone(),
            n_chunks: new.chunks.len() as u32,
            n_pages: new.page_starts.len() as u32,
            warnings: new.warnings.clone(),
            already_there: same_as.is_some(),
            near: if same_as.is_none() { self.near_copies(id.0).into_iter().next() } else { None },
            same_as,
        }
    }

    /// The stored documents that say nearly the same as this one, the nearest first.
    pub fn near_copies(&self, document: u64) -> Vec<NearCopy> {
        let copy = |near: NearDuplicate| {
            let name = self.db.info(near.document)?.name.clone();
            let percent = (near.overlap * 100.0).round() as u32;
            Some(NearCopy { id: near.document.0, name, percent })
        };
        self.db.near_duplicates(DocumentId(document)).into_iter().filter_map(copy).collect()
    }
}
