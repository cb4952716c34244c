//! The queue of files: it is kept in the knowledge base, so that work goes on after a reload where it
//! was, to the passage.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use vectordb::{CollectionId, Job, JobId, JobStage, NewJob};

use crate::assistant::Assistant;
use crate::library::sha256;
use crate::types::{AddedAll, Progress, SourceFile};
use crate::work::Work;
use crate::{Error, Result};

/// What became of a file that was put into the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Enqueued {
    /// It waits.
    Waiting {
        /// Its job.
        job: u64,
    },
    /// A document of the same content is stored.
    AlreadyThere {
        /// The document's name.
        document: String,
    },
    /// A file of the same content waits already.
    AlreadyWaiting {
        /// Its job.
        job: u64,
    },
}

/// The queue, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueState {
    /// The jobs in the order in which they came, those that are done until they are cleared. Of more
    /// than [`MAX_LISTED_JOBS`] those at work or in trouble come first, then those that wait.
    pub jobs: Vec<Job>,
    /// How many jobs there are.
    pub n_jobs: usize,
    /// How many of them wait or are at work.
    pub n_open: usize,
    /// How many are paused.
    pub n_paused: usize,
    /// How many are done, and not cleared yet.
    pub n_done: usize,
    /// Bytes of all files that wait, are at work, are paused, or are done.
    pub total_bytes: u64,
    /// Those that are done; of a file that is begun the share of its passages that is embedded.
    pub done_bytes: u64,
    /// Pages of the files that were read.
    pub n_pages: u64,
    /// Passages that are embedded.
    pub n_done_chunks: u64,
    /// Passages of the files that were read: more come with each further file.
    pub n_known_chunks: u64,
    /// How long the rest takes at the rates measured since the knowledge base was opened; `None`
    /// before there are any, and when nothing is left.
    pub left_ms: Option<f64>,
}

/// Jobs that [`Assistant::queue`] lists: 50 kB, told several times a second.
pub const MAX_LISTED_JOBS: usize = 100;

/// What was measured since the knowledge base was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) read_bytes: f64,
    pub(crate) read_chunks: f64,
    pub(crate) read_ms: f64,
    pub(crate) embedded_chunks: f64,
    pub(crate) embed_ms: f64,
}

impl Rates {
    /// Time for passages that are known and for bytes that are not read yet.
    fn left_ms(&self, n_chunks: f64, n_bytes: f64) -> Option<f64> {
        let per = |ms: f64, n: f64| (n > 0.0).then(|| ms / n);
        let ms_per_chunk = per(self.embed_ms, self.embedded_chunks)?;
        let unread = match n_bytes > 0.0 {
            true => {
                n_bytes
                    * (per(self.read_ms, self.read_bytes)?
                        + per(self.read_chunks, self.read_bytes)? * ms_per_chunk)
            }
            false => 0.0,
        };
        let left_ms = n_chunks * ms_per_chunk + unread;
        (left_ms > 0.0).then_some(left_ms)
    }
}

impl Assistant {
    /// Puts a file at the end of the queue. Its bytes are kept beside the knowledge base until it is
    /// read. A file whose content is stored or waits already is not taken; one whose job asks for the
    /// file again is given to it. A job of the same name that has failed goes.
    ///
    /// # Errors
    /// When the queue is full or cannot be written. A file whose bytes cannot be kept is taken, and
    /// its job says that it has to be given again when its turn comes.
    pub async fn enqueue(&mut self, file: &SourceFile, collection: Option<u64>) -> Result<Enqueued> {
        let sha256 = sha256(&file.bytes);
        let n_bytes = file.bytes.len() as u64;
        let is_same = |info: &&vectordb::DocumentInfo| info.sha256 == sha256 && info.n_bytes == n_bytes;
        if let Some(known) = self.library.db.infos().find(is_same) {
            return Ok(Enqueued::AlreadyThere { document: known.name.clone() });
        }
        let waits = |job: &&Job| job.file.sha256 == sha256 && is_open(job);
        let waiting = self.library.db.jobs().find(waits).cloned();
        if let Some(job) = waiting {
            if job.stage == JobStage::NeedsFile && self.staging.keep(sha256, &file.bytes).await? {
                self.set_stage(job.id, JobStage::Waiting, None)?;
                return Ok(Enqueued::Waiting { job: job.id.0 });
            }
            return Ok(Enqueued::AlreadyWaiting { job: job.id.0 });
        }
        let is_kept = self.staging.keep(sha256, &file.bytes).await?;
        let has_failed = |job: &&Job| job.stage == JobStage::Failed && job.file.name == file.name;
        let failed: Vec<JobId> = self.library.db.jobs().filter(has_failed).map(|job| job.id).collect();
        if !failed.is_empty() {
            self.library.db.remove_jobs(&failed)?;
        }
        let new = NewJob {
            name: file.name.clone(),
            mime: file.mime.clone().unwrap_or_default(),
            sha256,
            n_bytes,
            collection: collection.map(CollectionId),
        };
        let id = self.library.db.enqueue(&[new], platform::unix_ms())?[0];
        if !is_kept {
            self.set_stage(id, JobStage::NeedsFile, Some(NEEDS_FILE.to_owned()))?;
        }
        Ok(Enqueued::Waiting { job: id.0 })
    }

    /// Gives the bytes of a job that needs them again; it waits from then on.
    ///
    /// # Errors
    /// [`Error::OtherFile`] when they are of another file than before; [`Error::Store`] when there is
    /// no such job.
    pub async fn give_file(&mut self, job: u64, bytes: &[u8]) -> Result<()> {
        let known = self.library.db.job(JobId(job))?;
        let (name, sha256) = (known.file.name.clone(), known.file.sha256);
        if crate::sha256(bytes) != sha256 {
            return Err(Error::OtherFile { name });
        }
        if !self.staging.keep(sha256, bytes).await? {
            return Err(Error::NoRoomToWait { name });
        }
        self.set_stage(JobId(job), JobStage::Waiting, None)
    }

    /// Stops jobs until they are resumed; what they have done is kept. One that is at work has to be
    /// dropped by whoever does the work.
    ///
    /// # Errors
    /// When there is no such job, or the store cannot be written.
    pub fn pause_jobs(&mut self, jobs: &[u64]) -> Result<()> {
        self.change_jobs(jobs, |job| {
            if matches!(job.stage, JobStage::Waiting | JobStage::Reading | JobStage::Embedding) {
                job.stage = JobStage::Paused;
            }
        })
    }

    /// Lets jobs that are paused, locked or failed wait for their turn again. One whose bytes are gone
    /// says that its file has to be given again.
    ///
    /// # Errors
    /// When there is no such job, or the store cannot be written.
    pub async fn resume_jobs(&mut self, jobs: &[u64]) -> Result<()> {
        let stuck: BTreeSet<JobId> = self.stuck.keys().copied().collect();
        self.change_jobs(jobs, |job| {
            let rests = matches!(
                job.stage,
                JobStage::Paused | JobStage::Failed | JobStage::NeedsFile | JobStage::Locked
            );
            if rests || stuck.contains(&job.id) {
                (job.stage, job.error) = (JobStage::Waiting, None);
            }
        })?;
        self.stuck.retain(|id, _| !jobs.contains(&id.0));
        self.check_files().await
    }

    /// Takes jobs out of the queue with all they keep. Documents that are stored stay.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn cancel_jobs(&mut self, jobs: &[u64]) -> Result<()> {
        let ids: Vec<JobId> = jobs.iter().copied().map(JobId).collect();
        self.library.db.remove_jobs(&ids)?;
        self.stuck.retain(|id, _| !ids.contains(id));
        self.sweep().await
    }

    /// Takes the jobs that are done out of the list; gives how many there were.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn clear_done_jobs(&mut self) -> Result<usize> {
        let done = self.library.db.jobs().filter(|job| job.stage == JobStage::Done);
        let done: Vec<JobId> = done.map(|job| job.id).collect();
        self.library.db.remove_jobs(&done)?;
        Ok(done.len())
    }

    /// The queue, and how far it is.
    pub fn queue(&self) -> QueueState {
        self.queue_now(None)
    }

    /// The same in the middle of work, with what that has done and not written down yet.
    pub fn queue_during(&self, work: &Work) -> QueueState {
        self.queue_now(Some(work.job()))
    }

    fn queue_now(&self, at_work: Option<&Job>) -> QueueState {
        let mut state = QueueState { n_jobs: self.library.db.jobs().len(), ..QueueState::default() };
        let (mut n_left_chunks, mut n_unread_bytes) = (0.0, 0.0);
        for job in self.jobs_now(at_work) {
            match job.stage {
                JobStage::Waiting | JobStage::Reading | JobStage::Embedding => state.n_open += 1,
                JobStage::Paused => state.n_paused += 1,
                JobStage::Done => state.n_done += 1,
                JobStage::NeedsFile | JobStage::Locked | JobStage::Failed => continue,
            }
            let share = match job.stage {
                JobStage::Done => 1.0,
                _ if job.n_total > 0 => f64::from(job.n_done) / f64::from(job.n_total),
                _ => 0.0,
            };
            state.total_bytes += job.file.n_bytes;
            state.done_bytes += (job.file.n_bytes as f64 * share) as u64;
            state.n_pages += u64::from(job.n_pages);
            state.n_done_chunks += u64::from(job.n_done);
            state.n_known_chunks += u64::from(job.n_total);
            if matches!(job.stage, JobStage::Done | JobStage::Paused) {
                continue;
            }
            match job.n_total {
                0 => n_unread_bytes += job.file.n_bytes as f64,
                n_total => n_left_chunks += f64::from(n_total.saturating_sub(job.n_done)),
            }
        }
        state.jobs = listed(self.jobs_now(at_work));
        state.left_ms = self.rates.left_ms(n_left_chunks, n_unread_bytes);
        state
    }

    /// The jobs that are wanted, by their ids, in the order in which they came.
    pub fn job_ids(&self, is_wanted: impl Fn(&Job) -> bool) -> Vec<u64> {
        self.jobs_now(None).filter(|job| is_wanted(job)).map(|job| job.id.0).collect()
    }

    /// The jobs with what is not written down: the one at work, and why others are stuck.
    fn jobs_now<'a>(&'a self, at_work: Option<&'a Job>) -> impl Iterator<Item = Cow<'a, Job>> {
        self.library.db.jobs().map(move |job| match (at_work, self.stuck.get(&job.id)) {
            (Some(at_work), _) if at_work.id == job.id => Cow::Borrowed(at_work),
            (_, Some(error)) => {
                Cow::Owned(Job { stage: JobStage::Paused, error: Some(error.clone()), ..job.clone() })
            }
            _ => Cow::Borrowed(job),
        })
    }

    /// The job whose turn it is.
    pub fn next_job(&self) -> Option<Job> {
        let is_next = |job: &&Job| job.stage == JobStage::Waiting && !self.stuck.contains_key(&job.id);
        self.library.db.jobs().find(is_next).cloned()
    }

    /// The file of a job. Without its bytes the job says that they have to be given again.
    ///
    /// # Errors
    /// When there is no such job, or its bytes cannot be read.
    pub async fn job_file(&mut self, job: u64) -> Result<Option<SourceFile>> {
        let file = self.library.db.job(JobId(job))?.file.clone();
        let Some(bytes) = self.staging.get(&file.sha256).await? else {
            self.set_stage(JobId(job), JobStage::NeedsFile, Some(NEEDS_FILE.to_owned()))?;
            return Ok(None);
        };
        self.set_stage(JobId(job), JobStage::Reading, None)?;
        let mime = Some(file.mime).filter(|mime| !mime.is_empty());
        Ok(Some(SourceFile { name: file.name, mime, bytes }))
    }

    /// Reads and stores the file of a job, which is done or has failed then; `None` when its bytes
    /// were gone. Dropping the future is safe: the job goes on from where it was.
    ///
    /// # Errors
    /// When embedding or storing fails; the job tells it too.
    pub async fn run_job(
        &mut self,
        job: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<AddedAll>> {
        let Some(file) = self.job_file(job).await? else { return Ok(None) };
        progress(Progress::Reading { name: file.name.clone() });
        let started = platform::now_ms();
        let entries = self.read(&file);
        let read_ms = platform::now_ms() - started;
        let worked = async {
            let mut work = Work::begin(self, job, entries, read_ms).await?;
            while let Some(step) = work.step(self).await? {
                progress(step);
                platform::yield_now().await;
            }
            Ok(work.into_outcome())
        };
        match worked.await {
            Ok(all) => Ok(Some(all)),
            Err(error) => {
                self.note_job_error(job, &error)?;
                Err(error)
            }
        }
    }

    /// Writes down why the work on a job ended: one for want of room or of a device waits to be
    /// resumed, others have failed. What cannot be written is remembered while this is open, so that
    /// a full disk is told and the job is not begun over and over.
    ///
    /// # Errors
    /// When there is no such job, or the store cannot be written.
    pub fn note_job_error(&mut self, job: u64, error: &Error) -> Result<()> {
        let passes = matches!(error, Error::Store(vectordb::Error::Full { .. } | vectordb::Error::Io { .. }))
            || error.is_device_lost()
            || error.is_out_of_memory();
        let stage = if passes { JobStage::Paused } else { JobStage::Failed };
        let written = self.set_stage(JobId(job), stage, Some(error.to_string()));
        if written.is_err() && self.library.db.job(JobId(job)).is_ok() {
            self.stuck.insert(JobId(job), error.to_string());
        }
        written
    }

    /// Brings the queue in order when the knowledge base was opened: what was at work waits again, and
    /// what has lost its file says so.
    pub(crate) async fn recover_queue(&mut self) -> Result<()> {
        if self.library.is_read_only() {
            return Ok(());
        }
        let at_work = |job: &&Job| matches!(job.stage, JobStage::Reading | JobStage::Embedding);
        let at_work: Vec<u64> = self.library.db.jobs().filter(at_work).map(|job| job.id.0).collect();
        self.change_jobs(&at_work, |job| job.stage = JobStage::Waiting)?;
        self.check_files().await?;
        // A file that a tab which has just ended still holds goes the next time.
        let _ = self.sweep().await;
        Ok(())
    }

    async fn check_files(&mut self) -> Result<()> {
        let kept = self.staging.kept().await?;
        let is_lost = |job: &&Job| {
            job.stage == JobStage::Waiting && !self.staging.has(&kept, &job.file.sha256, job.file.n_bytes)
        };
        let lost: Vec<u64> = self.library.db.jobs().filter(is_lost).map(|job| job.id.0).collect();
        self.change_jobs(&lost, |job| {
            (job.stage, job.error) = (JobStage::NeedsFile, Some(NEEDS_FILE.to_owned()));
        })
    }

    /// Removes the bytes that no job needs any more.
    pub(crate) async fn sweep(&mut self) -> Result<()> {
        let open = self.library.db.jobs().filter(|job| is_open(job));
        let wanted: BTreeSet<[u8; 32]> = open.map(|job| job.file.sha256).collect();
        self.staging.sweep(&wanted).await
    }

    fn set_stage(&mut self, id: JobId, stage: JobStage, error: Option<String>) -> Result<()> {
        self.change_jobs(&[id.0], |job| (job.stage, job.error) = (stage, error.clone()))
    }

    fn change_jobs(&mut self, ids: &[u64], mut change: impl FnMut(&mut Job)) -> Result<()> {
        let now = platform::unix_ms();
        let mut changed = Vec::new();
        for &id in ids {
            let mut job = self.library.db.job(JobId(id))?.clone();
            let before = job.clone();
            change(&mut job);
            if job != before {
                job.changed_unix_ms = now;
                changed.push(job);
            }
        }
        if !changed.is_empty() {
            self.library.db.update_jobs(changed)?;
        }
        Ok(())
    }
}

/// What a job says whose bytes were not kept.
const NEEDS_FILE: &str = "the file was not kept here; give it again";

/// The jobs that a user wants to see most, in the order in which they came.
fn listed<'a>(jobs: impl Iterator<Item = Cow<'a, Job>>) -> Vec<Job> {
    let mut jobs: Vec<Cow<Job>> = jobs.collect();
    jobs.sort_by_key(|job| match job.stage {
        JobStage::Reading | JobStage::Embedding => 0,
        JobStage::Paused | JobStage::NeedsFile | JobStage::Locked | JobStage::Failed => 1,
        JobStage::Waiting => 2,
        JobStage::Done => 3,
    });
    jobs.truncate(MAX_LISTED_JOBS);
    jobs.sort_by_key(|job| job.id);
    jobs.into_iter().map(Cow::into_owned).collect()
}

/// Whether the bytes of a job may still be needed.
fn is_open(job: &Job) -> bool {
    !matches!(job.stage, JobStage::Done | JobStage::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_estimated_from_what_was_measured() {
        let none = Rates::default();
        assert_eq!(none.left_ms(10.0, 0.0), None);
        let rates = Rates {
            read_bytes: 1000.0,
            read_chunks: 10.0,
            read_ms: 50.0,
            embedded_chunks: 4.0,
            embed_ms: 400.0,
        };
        assert_eq!(rates.left_ms(0.0, 0.0), None);
        assert_eq!(rates.left_ms(6.0, 0.0), Some(600.0));
        // 2,000 bytes: 100 ms to read them, 20 passages of 100 ms.
        assert_eq!(rates.left_ms(6.0, 2000.0), Some(600.0 + 100.0 + 2000.0));
    }
}
