//! The work on one job of the queue, step by step: it owns all it needs, so that questions can be
//! answered between two steps, and may be dropped after any of them.

use std::collections::VecDeque;

use ingest::{Chunk, Document, Entry, Refusal, Warning};
use sha2::{Digest, Sha256};
use vectordb::{ChunkVectors, Job, JobId, JobStage, Placement};

use crate::add::{self, BATCH};
use crate::assistant::Assistant;
use crate::types::{AddedAll, Progress};
use crate::{Error, Result};

/// Embedded passages are written down when there are as many, or after so long: what a reload costs
/// at most.
const MAX_UNSAVED_CHUNKS: usize = 64;
const MAX_UNSAVED_MS: f64 = 2_000.0;

/// Names what is kept of a passage: with other things a job begins anew.
const KEPT: &[u8] = b"passage and sentences";

/// Work on a job.
pub struct Work {
    job: Job,
    waiting: VecDeque<Read>,
    current: Option<Current>,
    all: AddedAll,
}

/// A document that is to be embedded.
struct Read {
    name: String,
    n_bytes: u64,
    document: Document,
    warnings: Vec<Warning>,
    chunks: Vec<Chunk>,
}

/// The document that is being embedded.
struct Current {
    read: Read,
    vectors: Vec<ChunkVectors>,
    n_saved: usize,
    saved_ms: f64,
}

impl Work {
    /// Begins the work on what was read from a job's file, which took `read_ms`.
    ///
    /// # Errors
    /// When there is no such job, or the store cannot be written.
    pub async fn begin(
        assistant: &mut Assistant,
        job: u64,
        entries: Vec<Entry>,
        read_ms: f64,
    ) -> Result<Self> {
        let started = platform::now_ms();
        let job = assistant.library.db.job(JobId(job))?.clone();
        let mut work = Self { job, waiting: VecDeque::new(), current: None, all: AddedAll::default() };
        let (mut n_pages, mut n_chunks, mut n_stored) = (0, 0, 0);
        for entry in entries {
            let Entry { name, n_bytes, outcome } = entry;
            let (document, warnings) = match outcome {
                Ok(read) => read,
                Err(refusal) => {
                    work.all.refused.push(refusal);
                    continue;
                }
            };
            n_pages += document.page_starts.len() as u32;
            if let Some(added) = assistant.already_there(&name, &work.job.file.sha256)? {
                n_chunks += added.n_chunks;
                n_stored += added.n_chunks;
                work.all.added.push(added);
                continue;
            }
            match assistant.cut(&name, &document) {
                Ok(chunks) => {
                    n_chunks += chunks.len() as u32;
                    work.waiting.push_back(Read { name, n_bytes, document, warnings, chunks });
                }
                Err(Error::Refused(refusal)) => work.all.refused.push(refusal),
                Err(error) => return Err(error),
            }
            platform::yield_now().await;
        }
        let rates = &mut assistant.rates;
        rates.read_bytes += work.job.file.n_bytes as f64;
        rates.read_chunks += f64::from(n_chunks);
        rates.read_ms += read_ms + platform::now_ms() - started;
        let job = &mut work.job;
        (job.stage, job.n_pages, job.n_total, job.n_done) =
            (JobStage::Embedding, n_pages, n_chunks, n_stored);
        job.changed_unix_ms = platform::unix_ms();
        assistant.library.db.update_jobs(vec![job.clone()])?;
        Ok(work)
    }

    /// Embeds some passages, or stores a document whose passages all are. `None` when nothing is
    /// left: the job is done then, or has failed if its file gave no document, or waits for a password.
    ///
    /// # Errors
    /// When embedding or storing fails. What was written down stays; the work can be begun again.
    pub async fn step(&mut self, assistant: &mut Assistant) -> Result<Option<Progress>> {
        let Some(current) = &mut self.current else {
            let Some(read) = self.waiting.pop_front() else {
                self.finish(assistant).await?;
                return Ok(None);
            };
            let current = self.resume(assistant, read)?;
            let progress = current.progress();
            self.current = Some(current);
            return Ok(Some(progress));
        };
        let chunks = &current.read.chunks;
        if current.vectors.len() < chunks.len() {
            let from = current.vectors.len();
            let to = (from + BATCH).min(chunks.len());
            let title = current.read.document.title.as_deref().unwrap_or_default();
            let started = platform::now_ms();
            current.vectors.extend(add::embed_chunks(&assistant.embedder, &chunks[from..to], title).await?);
            assistant.rates.embed_ms += platform::now_ms() - started;
            assistant.rates.embedded_chunks += (to - from) as f64;
            self.job.n_done += (to - from) as u32;
            let progress = current.progress();
            self.save_if_due(assistant)?;
            return Ok(Some(progress));
        }
        let name = current.read.name.clone();
        self.store(assistant)?;
        Ok(Some(Progress::Storing { name }))
    }

    /// What became of the file so far.
    pub fn into_outcome(self) -> AddedAll {
        self.all
    }

    /// The job as far as it is done, written down or not.
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// Takes up a document, with the vectors that were kept of it.
    fn resume(&mut self, assistant: &Assistant, read: Read) -> Result<Current> {
        let title = read.document.title.as_deref().unwrap_or_default();
        let texts: Vec<String> = read.chunks.iter().map(|chunk| chunk.embedding_text(title)).collect();
        let cursor = cursor_of(&read.name, &texts);
        let mut vectors = Vec::new();
        if self.job.cursor == cursor {
            vectors = assistant.library.db.job_vectors(self.job.id)?;
            vectors.truncate(texts.len());
        }
        self.job.cursor = cursor;
        self.job.n_done += vectors.len() as u32;
        let n_saved = vectors.len();
        Ok(Current { read, vectors, n_saved, saved_ms: platform::now_ms() })
    }

    fn save_if_due(&mut self, assistant: &mut Assistant) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let unsaved = &current.vectors[current.n_saved..];
        let now = platform::now_ms();
        let is_due = unsaved.len() >= MAX_UNSAVED_CHUNKS || now - current.saved_ms > MAX_UNSAVED_MS;
        // The last ones go into the store at once.
        if !is_due || current.vectors.len() == current.read.chunks.len() {
            return Ok(());
        }
        self.job.changed_unix_ms = platform::unix_ms();
        assistant.library.db.advance_job(self.job.clone(), current.n_saved as u32, unsaved)?;
        (current.n_saved, current.saved_ms) = (current.vectors.len(), now);
        Ok(())
    }

    /// Stores the current document, in one transaction with what the job has become.
    fn store(&mut self, assistant: &mut Assistant) -> Result<()> {
        let Some(Current { read, vectors, .. }) = self.current.take() else { return Ok(()) };
        self.job.cursor = String::new();
        self.job.changed_unix_ms = platform::unix_ms();
        if self.waiting.is_empty() {
            self.job.stage = JobStage::Done;
        }
        let Read { name, n_bytes, document, warnings, chunks } = read;
        let sha256 = self.job.file.sha256;
        let new =
            add::new_document(&name, (sha256, n_bytes), document, warnings, add::joined(chunks, vectors));
        // A collection that was deleted meanwhile is no reason to lose the document.
        let has = |id| assistant.library.db.collections().iter().any(|listed| listed.id == id);
        let collection = self.job.file.collection.filter(|&id| has(id));
        let place = Placement { collection, tags: Vec::new(), job: Some(self.job.clone()) };
        match assistant.library.db.put_document_at(&new, &place) {
            Ok(id) => self.all.added.push(assistant.library.added(id, &new)),
            Err(error @ vectordb::Error::BadDocument { .. }) => {
                self.all.refused.push(Refusal::Unreadable { name, reason: error.to_string() });
                self.job.stage = JobStage::Embedding;
                assistant.library.db.finish_job(self.job.clone())?;
            }
            Err(error) => return Err(error.into()),
        }
        assistant.make_room()
    }

    async fn finish(&mut self, assistant: &mut Assistant) -> Result<()> {
        if !self.all.added.is_empty() {
            assistant.remove_older_members(&self.job.file.name, self.job.file.sha256)?;
        }
        if self.job.stage != JobStage::Done {
            let first = self.all.refused.first();
            self.job.stage = match first {
                _ if !self.all.added.is_empty() => JobStage::Done,
                Some(Refusal::PasswordNeeded { .. } | Refusal::WrongPassword { .. }) => JobStage::Locked,
                _ => JobStage::Failed,
            };
            let is_done = self.job.stage == JobStage::Done;
            self.job.error = first.map(ToString::to_string).filter(|_| !is_done);
            self.job.changed_unix_ms = platform::unix_ms();
            assistant.library.db.finish_job(self.job.clone())?;
        }
        if self.job.stage == JobStage::Locked {
            return Ok(());
        }
        assistant.staging.forget(&self.job.file.sha256).await
    }
}

impl Current {
    fn progress(&self) -> Progress {
        Progress::Embedding {
            name: self.read.name.clone(),
            n_done: self.vectors.len() as u32,
            n_total: self.read.chunks.len() as u32,
        }
    }
}

/// Names the passages that kept vectors are of: another version of the program may cut a file
/// otherwise.
fn cursor_of(name: &str, texts: &[String]) -> String {
    let mut hash = Sha256::new();
    hash.update(KEPT);
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash} {name}")
}
