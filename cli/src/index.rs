//! `footnote index`: files and folders into a knowledge base.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use assistant::{Added, Assistant, Place, SourceFile};
use serde::Serialize;

use crate::args::{IndexArgs, Shared};
use crate::error::{Error, Result};
use crate::files::{self, Found};
use crate::output::{self, Reporter};
use crate::setup;

/// What became of the files.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub added: Vec<Added>,
    pub unchanged: Vec<String>,
    /// Files that no reader could make a document of.
    pub failed: Vec<Failed>,
    /// Files in folders that are of no kind Footnote reads.
    pub skipped: Vec<Failed>,
}

#[derive(Debug, Serialize)]
pub struct Failed {
    pub file: String,
    pub reason: String,
}

#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    report: &'a Report,
    n_documents: u64,
    n_chunks: u64,
    ms: f64,
}

pub async fn run(shared: &Shared, args: &IndexArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let place = Place::File(args.kb.clone());
    let mut assistant = setup::open(shared, place, false, &mut reporter).await?;
    let started = platform::now_ms();
    let report = add_all(&mut assistant, &args.paths, None, &mut reporter).await?;
    let state = assistant.state()?;
    output::json(&Summary {
        report: &report,
        n_documents: state.n_documents,
        n_chunks: state.n_chunks,
        ms: (platform::now_ms() - started).round(),
    })?;
    let nothing_worked = report.added.is_empty() && report.unchanged.is_empty();
    Ok(if nothing_worked { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Adds all files under `paths`; one that fails costs itself alone. Names are paths relative to
/// `base`, or as they were given.
pub async fn add_all(
    assistant: &mut Assistant,
    paths: &[PathBuf],
    base: Option<&Path>,
    reporter: &mut Reporter,
) -> Result<Report> {
    let mut report = Report::default();
    for path in paths {
        let found = match files::under(path) {
            Ok(found) => found,
            Err(e) => {
                let file = path.display().to_string();
                report.failed.push(told(Failed { file, reason: e.to_string() }, reporter));
                continue;
            }
        };
        for file in found {
            let relative = base.and_then(|base| file.path.strip_prefix(base).ok());
            let name = files::name_of(relative.unwrap_or(&file.path));
            add(assistant, &file, name, &mut report, reporter).await?;
        }
    }
    reporter.clear();
    Ok(report)
}

async fn add(
    assistant: &mut Assistant,
    found: &Found,
    name: String,
    report: &mut Report,
    reporter: &mut Reporter,
) -> Result<()> {
    let bytes = match read(&found.path) {
        Ok(bytes) => bytes,
        Err(reason) => {
            report.failed.push(told(Failed { file: name, reason }, reporter));
            return Ok(());
        }
    };
    let file = SourceFile { name, mime: None, bytes };
    match assistant.add(&file, &mut |p| reporter.tell(&p)).await {
        Ok(added) if added.already_there => report.unchanged.push(file.name),
        Ok(added) => {
            for warning in &added.warnings {
                reporter.note(&format!("{}: {warning}", added.name));
            }
            report.added.push(added);
        }
        Err(assistant::Error::Refused(refusal)) => {
            let is_other_kind = matches!(refusal, ingest::Refusal::UnknownKind { .. });
            let failed = Failed { file: file.name, reason: refusal.to_string() };
            if is_other_kind && !found.is_named {
                report.skipped.push(failed);
            } else {
                report.failed.push(told(failed, reporter));
            }
        }
        // The store or the embedder: the next file would fail as well.
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

fn told(failed: Failed, reporter: &mut Reporter) -> Failed {
    reporter.note(&format!("left out: {}", failed.reason));
    failed
}

/// The file's bytes, unless it is larger than any document may be.
fn read(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let n_bytes = fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?.len();
    let max_bytes = ingest::Limits::default().max_bytes;
    if n_bytes > max_bytes {
        let name = path.display().to_string();
        return Err(ingest::Refusal::TooLarge { name, n_bytes, max_bytes }.to_string());
    }
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Fails if there is nothing to ask.
pub fn need_documents(assistant: &Assistant, paths: &[PathBuf]) -> Result<()> {
    if assistant.state()?.n_documents > 0 {
        return Ok(());
    }
    let paths = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(Error::NothingRead { paths })
}
