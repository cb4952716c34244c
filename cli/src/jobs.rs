//! `footnote jobs`: the queue of files.

use std::path::PathBuf;
use std::process::ExitCode;

use assistant::{Access, Assistant, Enqueued, Job, Place, SourceFile};
use serde::Serialize;

use crate::args::Shared;
use crate::error::Result;
use crate::library_args::{JobsArgs, JobsCommand, KbArgs};
use crate::output::{self, Reporter};
use crate::{files, index, setup};

/// What became of a file that was put into the queue.
#[derive(Serialize)]
struct Given {
    file: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Taken(Enqueued),
    Refused { outcome: &'static str, reason: String },
}

pub async fn run(shared: &Shared, args: &JobsArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    match &args.command {
        JobsCommand::List { kb } => {
            let library = setup::library(&kb.kb, Access::ReadOnly).await?;
            tell(kb, &library.jobs())?;
        }
        JobsCommand::Add { kb, paths, collection } => {
            let place = Place::File(kb.kb.clone());
            let mut assistant = setup::open(shared, place, false, &mut reporter).await?;
            let collection = collection.as_ref().map(|name| assistant.library_mut().collection_named(name));
            add(&mut assistant, kb, paths, collection.transpose()?).await?;
        }
        JobsCommand::Run { kb } => {
            let mut assistant = open(shared, kb, &mut reporter).await?;
            while let Some(job) = assistant.next_job() {
                let worked = assistant.run_job(job.id.0, &mut |p| reporter.tell(&p)).await;
                reporter.clear();
                worked?;
            }
            return tell_queue(kb, &assistant);
        }
        JobsCommand::Pause { kb, ids } => {
            let mut assistant = open(shared, kb, &mut reporter).await?;
            assistant.pause_jobs(ids)?;
            tell_queue(kb, &assistant)?;
        }
        JobsCommand::Resume { kb, ids } => {
            let mut assistant = open(shared, kb, &mut reporter).await?;
            assistant.resume_jobs(ids).await?;
            tell_queue(kb, &assistant)?;
        }
        JobsCommand::Cancel { kb, ids } => {
            let mut assistant = open(shared, kb, &mut reporter).await?;
            assistant.cancel_jobs(ids).await?;
            tell_queue(kb, &assistant)?;
        }
        JobsCommand::Clear { kb } => {
            let mut assistant = open(shared, kb, &mut reporter).await?;
            assistant.clear_done_jobs()?;
            tell_queue(kb, &assistant)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(shared: &Shared, kb: &KbArgs, reporter: &mut Reporter) -> Result<Assistant> {
    let place = setup::existing(&kb.kb).await?;
    setup::open(shared, place, false, reporter).await
}

async fn add(
    assistant: &mut Assistant,
    kb: &KbArgs,
    paths: &[PathBuf],
    collection: Option<u64>,
) -> Result<()> {
    let mut all = Vec::new();
    for path in paths {
        for found in files::under(path)? {
            let name = files::name_below(&found.path, None);
            let outcome = match index::read(&found.path) {
                Ok(bytes) => {
                    let file = SourceFile { name: name.clone(), mime: None, bytes };
                    Outcome::Taken(assistant.enqueue(&file, collection).await?)
                }
                Err(reason) => Outcome::Refused { outcome: "refused", reason },
            };
            all.push(Given { file: name, outcome });
        }
    }
    if kb.json {
        return output::json(&all);
    }
    for given in &all {
        let told = match &given.outcome {
            Outcome::Taken(Enqueued::Waiting { job }) => format!("waits as job {job}"),
            Outcome::Taken(Enqueued::AlreadyThere { document }) => format!("is there as {document}"),
            Outcome::Taken(Enqueued::AlreadyWaiting { job }) => format!("waits already as job {job}"),
            Outcome::Refused { reason, .. } => format!("left out: {reason}"),
        };
        output::line(&format!("{}: {told}", given.file));
    }
    Ok(())
}

/// Lists the queue; fails when a job has.
fn tell_queue(kb: &KbArgs, assistant: &Assistant) -> Result<ExitCode> {
    let jobs = assistant.library().jobs();
    if kb.json {
        output::json(&assistant.queue())?;
    } else {
        tell(kb, &jobs)?;
    }
    let has_failed = jobs.iter().any(|job| job.error.is_some());
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tell(kb: &KbArgs, jobs: &[Job]) -> Result<()> {
    if kb.json {
        return output::json(&jobs);
    }
    for job in jobs {
        let stage = serde_json::to_value(job.stage)?;
        let stage = stage.as_str().unwrap_or_default();
        let of = if job.n_total > 0 { format!(" {}/{}", job.n_done, job.n_total) } else { String::new() };
        let error = job.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        output::line(&format!("{:4}  {stage}{of}  {}{error}", job.id.0, job.file.name));
    }
    Ok(())
}
