//! The queue of files: requests about it, and the work on it while nothing is asked.

use assistant::{Assistant, Enqueued, Error, FolderFile, Job, SourceFile, SyncPlan, Work};
use js_sys::Uint8Array;
use ui::{Asker, Event, FileName, LibraryEvent, QueueRequest, ToIngest};
use web_sys::File;

use super::requests::told;
use super::{files, library, wire};

/// How often progress is told.
const TELL_MS: f64 = 200.0;

/// What is at work, and what was planned.
#[derive(Default)]
pub struct Queue {
    work: Option<(Job, Work)>,
    told_ms: f64,
    plan: Option<Plan>,
}

/// A plan for a folder, with its files by the names of documents.
struct Plan {
    plan: SyncPlan,
    files: Vec<(String, File)>,
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
            QueueRequest::State => return Ok(state(assistant)),
            QueueRequest::Enqueue { files, collection } => {
                return enqueue(assistant, files, given, collection).await;
            }
            QueueRequest::Pause { jobs } => {
                self.let_go(&jobs);
                assistant.pause_jobs(&jobs).map_err(told)?;
            }
            QueueRequest::Resume { jobs } => assistant.resume_jobs(&jobs).await.map_err(told)?,
            QueueRequest::Cancel { jobs } => {
                self.let_go(&jobs);
                assistant.cancel_jobs(&jobs).await.map_err(told)?;
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
                return self.plan(assistant, asker, &folder, paths, given).await;
            }
            QueueRequest::ApplySync { delete_gone, collection } => {
                return self.apply(assistant, delete_gone, collection).await;
            }
        }
        wire::post_all(state(assistant));
        Ok(state(assistant))
    }

    /// Does a step of work; `false` when there is none.
    pub async fn work(&mut self, assistant: &mut Assistant) -> bool {
        let job = match &self.work {
            Some((job, _)) => job.clone(),
            None => match assistant.next_job() {
                Some(job) => job,
                None => return false,
            },
        };
        let stepped = match &mut self.work {
            Some((_, work)) => work.step(assistant).await.map(|step| step.is_some()),
            None => self.begin(assistant, job.clone()).await,
        };
        let goes_on = match stepped {
            Ok(goes_on) => goes_on,
            Err(error) => {
                // If this cannot be written either, the job waits where it was.
                let _ = assistant.note_job_error(job.id.0, &error);
                told(error);
                false
            }
        };
        if !goes_on {
            self.work = None;
            // A store that cannot be read is told when it is asked.
            let _ = library::tell_shelf(assistant);
        }
        let now = platform::now_ms();
        if !goes_on || now - self.told_ms > TELL_MS {
            self.told_ms = now;
            wire::post_all(state(assistant));
        }
        true
    }

    /// Parses a job's file; `false` when it has ended with that.
    async fn begin(&mut self, assistant: &mut Assistant, job: Job) -> Result<bool, Error> {
        let Some(SourceFile { name, mime, bytes }) = assistant.job_file(job.id.0).await? else {
            return Ok(false);
        };
        wire::post_all(state(assistant));
        let started = platform::now_ms();
        let buffer = Uint8Array::from(bytes.as_slice()).buffer();
        drop(bytes);
        let request = ToIngest { name, mime: mime.unwrap_or_default(), password: None };
        let entries = files::parse_bytes(&buffer, &request).await?;
        let work = Work::begin(assistant, job.id.0, entries, platform::now_ms() - started).await?;
        self.work = Some((job, work));
        Ok(true)
    }

    /// Drops the work on these jobs; what it has written down stays.
    fn let_go(&mut self, jobs: &[u64]) {
        if self.work.as_ref().is_some_and(|(job, _)| jobs.contains(&job.id.0)) {
            self.work = None;
        }
    }

    async fn plan(
        &mut self,
        assistant: &Assistant,
        asker: &Asker,
        folder: &str,
        paths: Vec<String>,
        given: Vec<File>,
    ) -> Result<Event, String> {
        let (mut listed, mut by_name) = (Vec::new(), Vec::new());
        for (path, file) in paths.into_iter().zip(given) {
            let name = format!("{folder}/{path}");
            let sha256 = match files::read(&file, &name).await {
                Ok(bytes) => Some(files::hash(&bytes).await?),
                Err(_) => None,
            };
            listed.push(FolderFile { path, sha256, n_bytes: file.size() as u64 });
            by_name.push((name, file));
            let done_bytes = listed.iter().map(|file| file.n_bytes).sum();
            wire::post(asker, Event::Library(LibraryEvent::Copying { done_bytes, total_bytes: None }));
        }
        let plan = assistant.library().plan_sync(folder, &listed).map_err(told)?;
        self.plan = Some(Plan { plan: plan.clone(), files: by_name });
        Ok(Event::Library(LibraryEvent::SyncPlanned(plan)))
    }

    async fn apply(
        &mut self,
        assistant: &mut Assistant,
        delete_gone: bool,
        collection: Option<u64>,
    ) -> Result<Event, String> {
        let Plan { plan, files } = self.plan.take().ok_or("there is no plan; compare the folder again")?;
        let n_removed = assistant.library_mut().apply_sync(&plan, delete_gone).map_err(told)?;
        let wanted = |name: &String| plan.added.contains(name) || plan.changed.contains(name);
        let (names, given): (Vec<_>, Vec<_>) = files
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, file)| (FileName { name, mime: file.type_() }, file))
            .unzip();
        let n_enqueued = names.len();
        enqueue(assistant, names, given, collection).await?;
        library::tell_shelf(assistant)?;
        Ok(Event::Library(LibraryEvent::Synced { n_removed, n_enqueued }))
    }
}

fn state(assistant: &Assistant) -> Event {
    Event::Library(LibraryEvent::Queue(assistant.queue()))
}

async fn enqueue(
    assistant: &mut Assistant,
    names: Vec<FileName>,
    given: Vec<File>,
    collection: Option<u64>,
) -> Result<Event, String> {
    let mut outcomes: Vec<Result<Enqueued, String>> = Vec::new();
    let mut told_ms = platform::now_ms();
    let mut given = given.into_iter();
    for FileName { name, mime } in names {
        let outcome = match given.next() {
            Some(file) => take(assistant, &file, name, mime, collection).await,
            None => Err(format!("{name} came without its file; add it again")),
        };
        outcomes.push(outcome);
        if platform::now_ms() - told_ms > TELL_MS {
            told_ms = platform::now_ms();
            wire::post_all(state(assistant));
        }
    }
    wire::post_all(state(assistant));
    Ok(Event::Library(LibraryEvent::Enqueued { files: outcomes }))
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
    assistant.enqueue(&SourceFile { name, mime, bytes }, collection).await.map_err(told)
}
