//! The queue of files to be read: what waits, how far the one at work has come, what failed.
//!
//! A job keeps the vectors of the passages that are embedded already, so that work that was cut off
//! goes on where it was. They go with the job: when its document is stored, in the same transaction.

use cozo::DataValue;
use serde::{Deserialize, Serialize};

use crate::engine::Params;
use crate::failure::Failure;
use crate::schema::{self, Transaction};
use crate::values::{Columns, floats, int, optional, optional_int};
use crate::{ChunkVectors, CollectionId, Db, Error, Result, SentenceVectors};

/// Jobs that wait or are done: as many files as one drop of a folder may bring.
pub const MAX_JOBS: usize = 20_000;

/// Names a job for as long as it is in the queue; never given out twice in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// The file's name.
    pub name: String,
    /// The media type that somebody said it has; empty when nobody did.
    pub mime: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its size.
    pub n_bytes: u64,
    /// Where its documents go.
    pub collection: Option<CollectionId>,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// It waits for its turn.
    Waiting,
    /// Its bytes are parsed.
    Reading,
    /// Its passages are embedded.
    Embedding,
    /// It waits until it is resumed.
    Paused,
    /// Its bytes were not kept: the file has to be given again.
    NeedsFile,
    /// Its file opens with a password, which has to be given.
    Locked,
    /// It gave no document; `error` says why.
    Failed,
    /// Its documents are stored.
    Done,
}

impl JobStage {
    const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Reading,
        Self::Embedding,
        Self::Paused,
        Self::NeedsFile,
        Self::Locked,
        Self::Failed,
        Self::Done,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reading => "reading",
            Self::Embedding => "embedding",
            Self::Paused => "paused",
            Self::NeedsFile => "needs_file",
            Self::Locked => "locked",
            Self::Failed => "failed",
            Self::Done => "done",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text)
    }
}

/// A job of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// The file it is about.
    pub file: NewJob,
    /// Where it is.
    pub stage: JobStage,
    /// Pages of the file; 0 before it was read and where there are none.
    pub n_pages: u32,
    /// Passages that are embedded.
    pub n_done: u32,
    /// Passages of the file; 0 before it was read.
    pub n_total: u32,
    /// What the kept vectors are of, in the words of whoever embeds; the store only keeps it.
    pub cursor: String,
    /// Why it failed, or what the user should do.
    pub error: Option<String>,
    /// When it came into the queue, in milliseconds since 1970 (UTC).
    pub created_unix_ms: i64,
    /// When it last changed.
    pub changed_unix_ms: i64,
}

impl Db {
    /// All jobs, in the order in which they came.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = &Job> {
        self.catalog.jobs.values()
    }

    /// A job by its id.
    ///
    /// # Errors
    /// `UnknownJob`.
    pub fn job(&self, id: JobId) -> Result<&Job> {
        self.catalog.jobs.get(&id).ok_or(Error::UnknownJob { id })
    }

    /// Puts files at the end of the queue, all or none of them, and gives their ids.
    ///
    /// # Errors
    /// `QueueFull` when there would be more than [`MAX_JOBS`]; `ReadOnly`, `Full`, `Io`.
    pub fn enqueue(&mut self, files: &[NewJob], now_unix_ms: i64) -> Result<Vec<JobId>> {
        self.refresh()?;
        if self.catalog.jobs.len() + files.len() > MAX_JOBS {
            return Err(Error::QueueFull { max_jobs: MAX_JOBS });
        }
        let first = self.catalog.next_job;
        let jobs: Vec<Job> = (first..).zip(files).map(|(id, file)| waiting(id, file, now_unix_ms)).collect();
        let next = first + jobs.len() as u64;
        let mut transaction = Transaction::default();
        transaction.put_jobs(&jobs);
        transaction.set_counter("next_job", next);
        self.commit(transaction)?;
        self.catalog.next_job = next;
        let ids = jobs.iter().map(|job| job.id).collect();
        self.note_jobs(jobs);
        Ok(ids)
    }

    /// Writes what has become of jobs that are in the queue, all or none of them.
    ///
    /// # Errors
    /// `UnknownJob`; `ReadOnly`, `Full`, `Io` with the jobs as they were.
    pub fn update_jobs(&mut self, jobs: Vec<Job>) -> Result<()> {
        self.refresh()?;
        self.need_jobs(&jobs)?;
        let mut transaction = Transaction::default();
        transaction.put_jobs(&jobs);
        self.commit(transaction)?;
        self.note_jobs(jobs);
        Ok(())
    }

    /// Writes a job together with vectors that it keeps: those of the passages from `first` on.
    ///
    /// # Errors
    /// `UnknownJob`; `ReadOnly`, `Full`, `Io` with the job as it was.
    pub fn advance_job(&mut self, job: Job, first: u32, vectors: &[ChunkVectors]) -> Result<()> {
        self.refresh()?;
        self.need_jobs(std::slice::from_ref(&job))?;
        let mut transaction = Transaction::default();
        if first == 0 {
            self.drop_vectors(&mut transaction, job.id)?;
        }
        transaction.put_jobs(std::slice::from_ref(&job));
        let row = vec![int(job.id.0), int(first.into()), DataValue::Bytes(packed(vectors))];
        transaction.put("job_vectors", "job, part => values", [row]);
        self.commit(transaction)?;
        self.note_jobs(vec![job]);
        Ok(())
    }

    /// The vectors that a job keeps, in the order of the passages, up to the first gap.
    pub fn job_vectors(&self, id: JobId) -> Result<Vec<ChunkVectors>> {
        let n_dims = self.tag().dimensions as usize;
        let mut vectors: Vec<ChunkVectors> = Vec::new();
        for (first, bytes) in self.job_parts(id)? {
            if first as usize != vectors.len() {
                break;
            }
            vectors.extend(unpacked(&bytes, n_dims)?);
        }
        Ok(vectors)
    }

    /// Takes jobs out of the queue with all they keep; ids that are not in it are passed over.
    ///
    /// # Errors
    /// `ReadOnly`, `Full`, `Io` with the queue as it was.
    pub fn remove_jobs(&mut self, ids: &[JobId]) -> Result<()> {
        self.refresh()?;
        let mut transaction = Transaction::default();
        for &id in ids {
            self.drop_vectors(&mut transaction, id)?;
        }
        transaction.rm("job", "id", ids.iter().map(|id| vec![int(id.0)]));
        self.commit(transaction)?;
        self.catalog.jobs.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    /// Ends a job without another document: it keeps no vectors any more and is listed as `job` says.
    ///
    /// # Errors
    /// `UnknownJob`; `ReadOnly`, `Full`, `Io` with the job as it was.
    pub fn finish_job(&mut self, job: Job) -> Result<()> {
        self.refresh()?;
        self.need_jobs(std::slice::from_ref(&job))?;
        let mut transaction = Transaction::default();
        self.end_work(&mut transaction, &job)?;
        self.commit(transaction)?;
        self.note_jobs(vec![job]);
        Ok(())
    }

    /// Adds to a transaction what a job has become, and that it keeps no vectors.
    pub(crate) fn end_work(&self, transaction: &mut Transaction, job: &Job) -> Result<()> {
        self.drop_vectors(transaction, job.id)?;
        transaction.put_jobs(std::slice::from_ref(job));
        Ok(())
    }

    pub(crate) fn need_jobs(&self, jobs: &[Job]) -> Result<()> {
        jobs.iter().try_for_each(|job| self.job(job.id).map(drop))
    }

    pub(crate) fn note_jobs(&mut self, jobs: Vec<Job>) {
        self.catalog.jobs.extend(jobs.into_iter().map(|job| (job.id, job)));
    }

    fn drop_vectors(&self, transaction: &mut Transaction, id: JobId) -> Result<()> {
        let parts = self.job_parts(id)?.into_iter();
        transaction.rm("job_vectors", "job, part", parts.map(|(part, _)| vec![int(id.0), int(part.into())]));
        Ok(())
    }

    fn job_parts(&self, id: JobId) -> Result<Vec<(u32, Vec<u8>)>> {
        let params = Params::from([("job".to_owned(), int(id.0))]);
        let rows = self.engine.read(schema::JOB_VECTORS, params)?;
        let part = |row: &Vec<DataValue>| {
            let mut columns = Columns::of(row);
            Ok((columns.number()?, columns.bytes()?.to_vec()))
        };
        rows.iter().map(part).collect()
    }
}

impl Transaction {
    pub(crate) fn put_jobs(&mut self, jobs: &[Job]) {
        let columns = "id => name, mime, sha256, n_bytes, collection, stage, n_pages, n_done, n_total, \
            cursor, error, created_unix_ms, changed_unix_ms";
        self.put("job", columns, jobs.iter().map(row));
    }
}

/// For each passage its vector, and behind their length in bytes (`u32`) those of its sentences.
fn packed(vectors: &[ChunkVectors]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ChunkVectors { passage, sentences } in vectors {
        bytes.extend(passage.iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend((sentences.as_bytes().len() as u32).to_le_bytes());
        bytes.extend_from_slice(sentences.as_bytes());
    }
    bytes
}

fn unpacked(mut bytes: &[u8], n_dims: usize) -> Result<Vec<ChunkVectors>> {
    let wrong = || Failure::corrupt("kept vectors have a wrong length");
    let mut vectors = Vec::new();
    while !bytes.is_empty() {
        let (passage, rest) = bytes.split_at_checked(n_dims * size_of::<f32>()).ok_or_else(wrong)?;
        let (n_bytes, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (sentences, rest) =
            rest.split_at_checked(u32::from_le_bytes(*n_bytes) as usize).ok_or_else(wrong)?;
        vectors.push(ChunkVectors {
            passage: floats(passage).ok_or_else(wrong)?.collect(),
            sentences: SentenceVectors::parse(sentences, n_dims)?,
        });
        bytes = rest;
    }
    Ok(vectors)
}

fn waiting(id: u64, file: &NewJob, now_unix_ms: i64) -> Job {
    Job {
        id: JobId(id),
        file: file.clone(),
        stage: JobStage::Waiting,
        n_pages: 0,
        n_done: 0,
        n_total: 0,
        cursor: String::new(),
        error: None,
        created_unix_ms: now_unix_ms,
        changed_unix_ms: now_unix_ms,
    }
}

fn row(job: &Job) -> Vec<DataValue> {
    let Job { id, file, stage, n_pages, n_done, n_total, cursor, error, created_unix_ms, changed_unix_ms } =
        job;
    vec![
        int(id.0),
        DataValue::from(file.name.as_str()),
        DataValue::from(file.mime.as_str()),
        DataValue::Bytes(file.sha256.to_vec()),
        int(file.n_bytes),
        optional_int(file.collection.map(|id| id.0)),
        DataValue::from(stage.as_str()),
        int((*n_pages).into()),
        int((*n_done).into()),
        int((*n_total).into()),
        DataValue::from(cursor.as_str()),
        optional(error.as_deref()),
        DataValue::from(*created_unix_ms),
        DataValue::from(*changed_unix_ms),
    ]
}

pub(crate) fn job(row: &[DataValue]) -> std::result::Result<Job, Failure> {
    let mut columns = Columns::of(row);
    let id = JobId(columns.number()?);
    let file = NewJob {
        name: columns.text()?.to_owned(),
        mime: columns.text()?.to_owned(),
        sha256: columns.bytes()?.try_into().map_err(|_| Failure::corrupt("a job has no SHA-256"))?,
        n_bytes: columns.number()?,
        collection: columns.optional_number()?.map(CollectionId),
    };
    let stage = JobStage::parse(columns.text()?);
    Ok(Job {
        id,
        file,
        stage: stage.ok_or_else(|| Failure::corrupt("a job is at no stage that is known"))?,
        n_pages: columns.number()?,
        n_done: columns.number()?,
        n_total: columns.number()?,
        cursor: columns.text()?.to_owned(),
        error: columns.optional_text()?,
        created_unix_ms: columns.number()?,
        changed_unix_ms: columns.number()?,
    })
}
