//! `footnote index`: files and folders into a knowledge base.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use assistant::{Added, Assistant, Library, Place, SourceFile};
use serde::Serialize;

use crate::args::{IndexArgs, Shared};
use crate::docs;
use crate::error::{Error, Result};
use crate::files::{self, Found};
use crate::output::{self, Reporter};
use crate::setup;

/// What became of the files.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub added: Vec<Added>,
    pub unchanged: Vec<String>,
    /// Files that are stored under another name.
    pub same: Vec<Same>,
    /// Files that no reader could make a document of.
    pub failed: Vec<Failed>,
    /// Files in folders that are of no kind Footnote reads.
    pub skipped: Vec<Failed>,
}

#[derive(Debug, Serialize)]
pub struct Same {
    pub file: String,
    pub stored_as: String,
}

#[derive(Debug, Serialize)]
pub struct Failed {
    pub file: String,
    pub reason: String,
    /// Whether the command line asked for this very file.
    #[serde(skip)]
    is_named: bool,
}

/// Which files of a folder are documents, and what they are called.
pub struct Scope<'a> {
    /// Names are paths below it; without it, paths as they were given.
    pub base: Option<&'a Path>,
    pub is_document: &'a dyn Fn(&Path) -> bool,
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
    let kb = fs::canonicalize(&args.kb).ok();
    let is_document = |path: &Path| fs::canonicalize(path).is_ok_and(|path| Some(path) != kb);
    let scope = Scope { base: None, is_document: &is_document };
    let report = add_all(&mut assistant, &args.paths, &scope, &mut reporter).await?;
    put_in_order(assistant.library_mut(), args, &report)?;
    let state = assistant.state()?;
    output::json(&Summary {
        report: &report,
        n_documents: state.n_documents,
        n_chunks: state.n_chunks,
        ms: (platform::now_ms() - started).round(),
    })?;
    if report.added.is_empty() && report.unchanged.is_empty() && report.same.is_empty() {
        need_documents(&assistant, &args.paths)?;
        return Ok(ExitCode::FAILURE);
    }
    let all_named_worked = !report.failed.iter().any(|failed| failed.is_named);
    Ok(if all_named_worked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts all documents that were named, the unchanged ones too, where the options say.
fn put_in_order(library: &mut Library, args: &IndexArgs, report: &Report) -> Result<()> {
    let added = report.added.iter().map(|added| &added.name);
    let ids: Vec<u64> =
        added.chain(&report.unchanged).filter_map(|name| library.document_named(name)).collect();
    if let Some(name) = &args.collection {
        let collection = library.collection_named(name)?;
        library.move_documents(&ids, Some(collection))?;
    }
    if !args.tags.is_empty() {
        docs::change_tags(library, &ids, &args.tags, &[])?;
    }
    Ok(())
}

/// Adds all documents under `paths`; one that fails costs itself alone.
pub async fn add_all(
    assistant: &mut Assistant,
    paths: &[PathBuf],
    scope: &Scope<'_>,
    reporter: &mut Reporter,
) -> Result<Report> {
    let mut report = Report::default();
    for path in paths {
        let found = match files::under(path) {
            Ok(found) => found,
            Err(e) => {
                let file = path.display().to_string();
                report.failed.push(told(Failed { file, reason: e.to_string(), is_named: true }, reporter));
                continue;
            }
        };
        for file in found.into_iter().filter(|file| (scope.is_document)(&file.path)) {
            let name = files::name_below(&file.path, scope.base);
            add(assistant, &file, name, &mut report, reporter).await?;
        }
    }
    reporter.clear();
    Ok(report)
}

/// Adds one file; one that gives no document is told in the report.
pub async fn add(
    assistant: &mut Assistant,
    found: &Found,
    name: String,
    report: &mut Report,
    reporter: &mut Reporter,
) -> Result<()> {
    let bytes = match read(&found.path) {
        Ok(bytes) => bytes,
        Err(reason) => {
            report.failed.push(told(Failed { file: name, reason, is_named: found.is_named }, reporter));
            return Ok(());
        }
    };
    let file = SourceFile { name, mime: None, bytes };
    // An error of the store or the embedder ends the run: the next file would fail as well.
    let all = assistant.add_all(&file, &mut |p| reporter.tell(&p)).await?;
    let is_several = all.added.len() + all.refused.len() > 1;
    for added in all.added {
        if added.already_there && added.same_as.is_none() {
            report.unchanged.push(added.name);
            continue;
        }
        for note in added.notes() {
            reporter.note(&format!("{}: {note}", added.name));
        }
        match added.same_as {
            Some(stored_as) => report.same.push(Same { file: added.name, stored_as }),
            None => report.added.push(added),
        }
    }
    for refusal in all.refused {
        let is_other_kind = matches!(refusal, ingest::Refusal::UnknownKind { .. });
        let reason = refusal.to_string();
        let file = file.name.clone();
        if is_other_kind && (is_several || !found.is_named) {
            report.skipped.push(Failed { file, reason, is_named: false });
        } else {
            report.failed.push(told(Failed { file, reason, is_named: found.is_named }, reporter));
        }
    }
    Ok(())
}

fn told(failed: Failed, reporter: &mut Reporter) -> Failed {
    reporter.note(&format!("left out: {}", failed.reason));
    failed
}

/// The file's bytes, unless it is larger than any document may be. Devices and pipes, which may
/// never end, are no documents.
pub fn read(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    let meta = fs::metadata(path).map_err(told)?;
    if !meta.is_file() {
        return Err(format!("{} is not a regular file", path.display()));
    }
    let max_bytes = ingest::Limits::default().max_bytes;
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(max_bytes + 1).read_to_end(&mut bytes)).map_err(told)?;
    if bytes.len() as u64 > max_bytes {
        let name = path.display().to_string();
        return Err(ingest::Refusal::TooLarge { name, n_bytes: meta.len(), max_bytes }.to_string());
    }
    Ok(bytes)
}

/// Fails if there is nothing to ask.
pub fn need_documents(assistant: &Assistant, paths: &[PathBuf]) -> Result<()> {
    if assistant.state()?.n_documents > 0 {
        return Ok(());
    }
    let paths = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(Error::NothingRead { paths })
}
