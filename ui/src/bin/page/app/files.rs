//! Files that are handed to the engine, which keeps them until they are read, and what it tells of them.

use assistant::{Enqueued, JobStage};
use ui::{FileName, Jobs, QueueRequest, Request, RequestId, words};
use web_sys::File;

use super::link::{Link, Pending};
use super::model::LeftOut;

/// Files in one message: what is asked meanwhile is served between two of them.
const MAX_FILES_AT_ONCE: usize = 16;
/// Lines that are kept about files; older ones go.
const MAX_NOTES: usize = 20;

impl Link {
    /// Hands files to the engine under the names that their documents shall have. They come into the
    /// collection that is looked at.
    pub fn add(self, files: &[(String, File)]) {
        self.ask_to_keep();
        let collection = self.app().within.get_untracked();
        for files in files.chunks(MAX_FILES_AT_ONCE) {
            let names = files.iter().map(|(name, file)| FileName { name: name.clone(), mime: file.type_() });
            let request = QueueRequest::Enqueue { files: names.collect(), collection };
            self.send(Request::Queue(request), files.iter().map(|(_, file)| file.clone()).collect());
        }
    }

    /// Asks something of the queue that needs no file.
    pub fn queue(self, request: QueueRequest) {
        self.send(Request::Queue(request), Vec::new());
    }

    /// Takes a job out of the queue.
    pub fn cancel_job(self, job: u64) {
        self.queue(QueueRequest::Cancel { jobs: Jobs::These(vec![job]) });
    }

    /// Gives the file of a job that has lost it.
    pub fn give_file(self, job: u64, file: File) {
        self.app().problem.set(None);
        self.send(Request::Queue(QueueRequest::GiveFile { job }), vec![file]);
    }

    /// Asks the browser once in a visit not to clear what is kept: when there is something to keep, so
    /// that a user who is asked knows why.
    pub(super) fn ask_to_keep(self) {
        let app = self.app();
        if app.persisted.get_untracked().is_none() {
            app.persisted.set(Some(false));
            platform::spawn_local(async move {
                app.persisted.set(Some(platform::request_persistence().await));
            });
        }
    }

    /// How many files the engine has not taken yet: they are lost when this tab is closed.
    pub(super) fn n_arriving(self) -> usize {
        self.with_pending(|all| all.values().map(|pending| names_of(pending).len()).sum())
    }

    /// The folder that is being compared, and the request for it.
    pub(super) fn comparing(self) -> Option<(RequestId, String)> {
        self.with_pending(|all| {
            all.iter().find_map(|(id, pending)| match &pending.request {
                Request::Queue(QueueRequest::PlanSync { folder, .. }) => Some((*id, folder.clone())),
                _ => None,
            })
        })
    }

    /// The job that the engine was at when it was last heard.
    pub(super) fn at_work(self) -> Vec<u64> {
        let is_at_work = |stage| matches!(stage, JobStage::Reading | JobStage::Embedding);
        self.app().queue.with_untracked(|queue| {
            queue.jobs.iter().filter(|job| is_at_work(job.stage)).map(|job| job.id.0).collect()
        })
    }

    /// What became of files that were handed over.
    pub(super) fn take_enqueued(self, asked: Option<Pending>, outcomes: Vec<Result<Enqueued, String>>) {
        let Some(asked) = asked else { return };
        // An engine that has ended may have taken them: that is no copy.
        let is_first_time = asked.n_begun < 2;
        let mut notes = Vec::new();
        for (name, outcome) in names_of(&asked).iter().map(|file| &file.name).zip(outcomes) {
            match outcome {
                Ok(Enqueued::AlreadyThere { document }) if is_first_time => {
                    notes.push(words::already_there(name, &document));
                }
                Ok(Enqueued::AlreadyWaiting { .. }) if is_first_time => {
                    notes.push(words::already_waiting(name));
                }
                Ok(_) => {}
                Err(reason) => {
                    let left_out = LeftOut { n: self.next_id(), name: name.clone(), reason };
                    self.app().left_out.update(|all| all.push(left_out));
                }
            }
        }
        self.note(notes);
    }

    /// A file is read.
    pub(super) fn take_read(self, name: &str, notes: Vec<String>) {
        self.app().announcement.set(words::added(name, &notes));
        self.note(notes.iter().map(|note| words::noted(name, note)).collect());
    }

    pub(super) fn note(self, mut notes: Vec<String>) {
        if notes.is_empty() {
            return;
        }
        self.app().notes.update(|all| {
            all.append(&mut notes);
            let n_over = all.len().saturating_sub(MAX_NOTES);
            all.drain(..n_over);
        });
    }
}

/// The files that a request hands over.
fn names_of(pending: &Pending) -> &[FileName] {
    match &pending.request {
        Request::Queue(QueueRequest::Enqueue { files, .. }) => files,
        _ => &[],
    }
}
