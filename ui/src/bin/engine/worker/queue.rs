//! The queue of files: requests about it, and the work on it while nothing is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use assistant::{Assistant, Enqueued, Error, FolderFile, Job, JobStage, SourceFile, Work};
use ingest::{Limits, Reading};
use js_sys::Uint8Array;
use ui::{Asker, Event, FileName, Jobs, LibraryEvent, QueueRequest, ToIngest};
use web_sys::File;

use super::requests::told;
use super::{files, library, wire};

/// How often progress is told.
const TELL_MS: f64 = 200.0;

/// What is at work.
#[derive(Default)]
pub struct Queue {
    reading: Option<AtRead>,
    /// One that may read another file, as long as there are some.
    reader: Option<files::Reader>,
    work: Option<(Job, Work)>,
    /// Those that were given for jobs whose turn has not come since.
    passwords: BTreeMap<u64, String>,
    told_ms: f64,
    /// Instead of the usual limits, what reading a document may take.
    pub read_time: Option<Duration>,
}

/// A file of which not all is read: one reader after the other, as long as they come to an end before it.
struct AtRead {
    job: Job,
    password: Option<String>,
    reading: Reading,
    ms: f64,
}

impl Queue {
    pub async fn serve(
        &mut self,
        assistant: &mut Assistant,
        asker: &Asker,
        request: QueueRequest,
        given: Vec<File>,
    ) -> Result<Event, String> {
        match request {
            QueueRequest::State => {}
            QueueRequest::Enqueue { files, collection } => {
                return self.enqueue(assistant, files, given, collection).await;
            }
            QueueRequest::Pause { jobs } => {
                let jobs = ids(assistant, &jobs, is_busy);
                self.let_go(&jobs);
                assistant.pause_jobs(&jobs).map_err(told)?;
            }
            QueueRequest::Resume { jobs } => {
                let jobs = ids(assistant, &jobs, is_paused);
                assistant.resume_jobs(&jobs).await.map_err(told)?;
            }
            QueueRequest::Cancel { jobs } => {
                let jobs = ids(assistant, &jobs, |job| is_busy(job) || is_paused(job));
                self.let_go(&jobs);
                assistant.cancel_jobs(&jobs).await.map_err(told)?;
            }
            QueueRequest::Unlock { job, password } => {
                self.passwords.insert(job, password);
                let jobs = ids(assistant, &Jobs::These(vec![job]), is_busy);
                assistant.resume_jobs(&jobs).await.map_err(told)?;
            }
            QueueRequest::ClearDone => {
                assistant.clear_done_jobs().map_err(told)?;
            }
            QueueRequest::GiveFile { job } => {
                let file = given.first().ok_or("the job's file did not come along; give it again")?;
                let bytes = files::read(file, &file.name()).await.map_err(|refusal| refusal.to_string())?;
                assistant.give_file(job, &Uint8Array::new(&bytes).to_vec()).await.map_err(told)?;
            }
            QueueRequest::PlanSync { folder, paths } => {
                return plan(assistant, asker, &folder, paths, given).await;
            }
            QueueRequest::ApplySync { plan, delete_gone } => {
                let n_removed = assistant.library_mut().apply_sync(&plan, delete_gone).map_err(told)?;
                library::tell_shelf(assistant)?;
                return Ok(Event::Library(LibraryEvent::Synced { n_removed }));
            }
        }
        clear_if_idle(assistant);
        wire::post_all(self.state(assistant));
        Ok(self.state(assistant))
    }

    fn state(&self, assistant: &Assistant) -> Event {
        let state = match &self.work {
            Some((_, work)) => assistant.queue_during(work),
            None => assistant.queue(),
        };
        Event::Library(LibraryEvent::Queue(state))
    }

    /// Does a step of work; `false` when there is none.
    pub async fn work(&mut self, assistant: &mut Assistant) -> bool {
        let job = match (&self.work, &self.reading) {
            (Some((job, _)), _) | (None, Some(AtRead { job, .. })) => job.clone(),
            (None, None) => match assistant.next_job() {
                Some(job) => job,
                None => {
                    self.reader = None;
                    return false;
                }
            },
        };
        let name = job.file.name.clone();
        let stepped = match &mut self.work {
            Some((_, work)) => work.step(assistant).await.map(|step| step.is_some()),
            None => self.read(assistant, job.clone()).await,
        };
        let goes_on = match stepped {
            Ok(goes_on) => goes_on,
            Err(error) => {
                self.work = None;
                // If this cannot be written either, it is remembered, and told with the queue.
                let _ = assistant.note_job_error(job.id.0, &error);
                told(error);
                false
            }
        };
        if !goes_on {
            // A store that cannot be read is told when it is asked.
            let _ = library::tell_shelf(assistant);
            let all = self.work.take().map(|(_, work)| work.into_outcome());
            if let Some(all) = all.filter(|all| !all.added.is_empty()) {
                wire::post_all(Event::Library(LibraryEvent::Read { name, notes: all.notices() }));
            }
            clear_if_idle(assistant);
        }
        let now = platform::now_ms();
        if !goes_on || now - self.told_ms > TELL_MS {
            self.told_ms = now;
            wire::post_all(self.state(assistant));
        }
        true
    }

    /// Runs one reader on a job's file; `false` when the job has ended with that.
    async fn read(&mut self, assistant: &mut Assistant, job: Job) -> Result<bool, Error> {
        let at_read = self.reading.take();
        let Some(SourceFile { name, mime, bytes }) = assistant.job_file(job.id.0).await? else {
            return Ok(false);
        };
        wire::post_all(self.state(assistant));
        let mut at_read = at_read.unwrap_or_else(|| {
            let reading = Reading::new(&name, bytes.len() as u64, &Limits::default(), self.read_time);
            AtRead { password: self.passwords.remove(&job.id.0), job, reading, ms: 0.0 }
        });
        let started = platform::now_ms();
        let buffer = Uint8Array::from(bytes.as_slice()).buffer();
        drop(bytes);
        let request = ToIngest {
            name,
            mime: mime.unwrap_or_default(),
            password: at_read.password.clone(),
            n_known: at_read.reading.n_known(),
        };
        self.reader = files::read_on(self.reader.take(), &buffer, &request, &mut at_read.reading).await;
        at_read.ms += platform::now_ms() - started;
        if at_read.reading.goes_on() {
            self.reading = Some(at_read);
            return Ok(true);
        }
        let AtRead { job, reading, ms, .. } = at_read;
        let work = Work::begin(assistant, job.id.0, reading.into_entries(), ms).await?;
        self.work = Some((job, work));
        Ok(true)
    }

    async fn enqueue(
        &mut self,
        assistant: &mut Assistant,
        names: Vec<FileName>,
        given: Vec<File>,
        collection: Option<u64>,
    ) -> Result<Event, String> {
        let mut outcomes: Vec<Result<Enqueued, String>> = Vec::new();
        let mut given = given.into_iter();
        for FileName { name, mime } in names {
            let outcome = match given.next() {
                Some(file) => take(assistant, &file, name, mime, collection).await,
                None => Err(format!("{name} came without its file; add it again")),
            };
            outcomes.push(outcome);
            if platform::now_ms() - self.told_ms > TELL_MS {
                self.told_ms = platform::now_ms();
                wire::post_all(self.state(assistant));
            }
        }
        wire::post_all(self.state(assistant));
        Ok(Event::Library(LibraryEvent::Enqueued { files: outcomes }))
    }

    /// Drops the work on these jobs; what it has written down stays.
    fn let_go(&mut self, jobs: &[u64]) {
        self.work.take_if(|(job, _)| jobs.contains(&job.id.0));
        self.reading.take_if(|at_read| jobs.contains(&at_read.job.id.0));
    }
}

async fn plan(
    assistant: &Assistant,
    asker: &Asker,
    folder: &str,
    paths: Vec<String>,
    given: Vec<File>,
) -> Result<Event, String> {
    let (mut listed, n_total) = (Vec::new(), paths.len());
    let mut told_ms = platform::now_ms();
    for (path, file) in paths.into_iter().zip(given) {
        let sha256 = match files::read(&file, &path).await {
            Ok(bytes) => Some(files::hash(&bytes).await?),
            Err(_) => None,
        };
        listed.push(FolderFile { path, sha256, n_bytes: file.size() as u64 });
        if platform::now_ms() - told_ms > TELL_MS {
            told_ms = platform::now_ms();
            let n_done = listed.len();
            wire::post(asker, Event::Library(LibraryEvent::Comparing { n_done, n_total }));
        }
    }
    let plan = assistant.library().plan_sync(folder, &listed).map_err(told)?;
    Ok(Event::Library(LibraryEvent::SyncPlanned(plan)))
}

fn is_busy(job: &Job) -> bool {
    matches!(job.stage, JobStage::Waiting | JobStage::Reading | JobStage::Embedding)
}

fn is_paused(job: &Job) -> bool {
    job.stage == JobStage::Paused
}

/// The jobs that are meant and there: of all those that `applies` to.
fn ids(assistant: &Assistant, jobs: &Jobs, applies: fn(&Job) -> bool) -> Vec<u64> {
    assistant.job_ids(|job| match jobs {
        Jobs::All => applies(job),
        Jobs::These(ids) => ids.contains(&job.id.0),
    })
}

/// Those that are done are of one batch with those that are still to be done, and go with the last.
fn clear_if_idle(assistant: &mut Assistant) {
    let state = assistant.queue();
    if state.n_done > 0 && state.n_open + state.n_paused == 0 {
        // What stays is cleared with the next batch.
        let _ = assistant.clear_done_jobs();
    }
}

async fn take(
    assistant: &mut Assistant,
    file: &File,
    name: String,
    mime: String,
    collection: Option<u64>,
) -> Result<Enqueued, String> {
    let bytes = files::read(file, &name).await.map_err(|refusal| refusal.to_string())?;
    let bytes = Uint8Array::new(&bytes).to_vec();
    let mime = Some(mime).filter(|mime| !mime.is_empty());
    let source = SourceFile { name: name.clone(), mime, bytes };
    let outcome = assistant.enqueue(&source, collection).await;
    outcome.map_err(|error| format!("{name} was not added: {}", told(error)))
}
