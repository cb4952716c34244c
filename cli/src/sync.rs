//! `footnote sync`: a knowledge base agrees with a folder.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use assistant::{Assistant, FolderFile, Place, SyncPlan, sha256};
use serde::Serialize;

use crate::args::Shared;
use crate::error::{AtPath, Result};
use crate::index::{self, Report};
use crate::library_args::SyncArgs;
use crate::output::{self, Reporter};
use crate::{docs, files, setup};

/// What was planned, and what became of it.
#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    plan: &'a SyncPlan,
    is_done: bool,
    n_removed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
}

pub async fn run(shared: &Shared, args: &SyncArgs) -> Result<ExitCode> {
    let mut reporter = Reporter::new(shared.quiet);
    let dir = args.dir.canonicalize().at(&args.dir)?;
    let folder =
        dir.file_name().map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned());
    let kb = std::fs::canonicalize(&args.kb.kb).ok();
    let (listed, paths) = list(&dir, kb.as_deref(), &mut reporter)?;
    let place = Place::File(args.kb.kb.clone());
    let mut assistant = setup::open(shared, place, false, &mut reporter).await?;
    let plan = assistant.library().plan_sync(&folder, &listed)?;
    let mut outcome = Outcome { plan: &plan, is_done: !args.dry_run, n_removed: 0, report: None };
    if !args.dry_run {
        let delete_gone = !plan.gone.is_empty() && (args.delete || confirm(&plan));
        outcome.n_removed = assistant.library_mut().apply_sync(&plan, delete_gone)?;
        outcome.report = Some(read(&mut assistant, args, &plan, &folder, &paths, &mut reporter).await?);
    }
    if args.kb.json {
        output::json(&outcome)?;
    } else {
        tell(&outcome);
    }
    let has_failed = outcome.report.is_some_and(|report| !report.failed.is_empty());
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The files of the folder with their hashes, and where they are by path below it.
fn list(
    dir: &Path,
    kb: Option<&Path>,
    reporter: &mut Reporter,
) -> Result<(Vec<FolderFile>, BTreeMap<String, PathBuf>)> {
    let (mut listed, mut paths) = (Vec::new(), BTreeMap::new());
    for found in files::under(dir)? {
        if kb.is_some() && found.path.canonicalize().ok().as_deref() == kb {
            continue;
        }
        let path = files::name_below(&found.path, Some(dir));
        let (hash, n_bytes) = match index::read(&found.path) {
            Ok(bytes) => (Some(sha256(&bytes)), bytes.len() as u64),
            Err(reason) => {
                reporter.note(&format!("left out: {reason}"));
                (None, 0)
            }
        };
        listed.push(FolderFile { path: path.clone(), sha256: hash, n_bytes });
        paths.insert(path, found.path);
    }
    Ok((listed, paths))
}

async fn read(
    assistant: &mut Assistant,
    args: &SyncArgs,
    plan: &SyncPlan,
    folder: &str,
    paths: &BTreeMap<String, PathBuf>,
    reporter: &mut Reporter,
) -> Result<Report> {
    let mut report = Report::default();
    for name in plan.added.iter().chain(&plan.changed) {
        let path = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        let Some(path) = path.and_then(|path| paths.get(path)) else { continue };
        let found = files::Found { path: path.clone(), is_named: false };
        index::add(assistant, &found, name.clone(), &mut report, reporter).await?;
    }
    reporter.clear();
    if let Some(collection) = &args.collection {
        let library = assistant.library_mut();
        let names: Vec<String> = report.added.iter().map(|added| added.name.clone()).collect();
        let collection = library.collection_named(collection)?;
        library.move_documents(&docs::ids(library, &names)?, Some(collection))?;
    }
    Ok(report)
}

/// Asks on a terminal whether what is gone shall be removed; elsewhere it stays.
fn confirm(plan: &SyncPlan) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    for name in &plan.gone {
        eprintln!("gone: {name}");
    }
    eprint!("Remove {} documents whose files are gone? [y/N] ", plan.gone.len());
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn tell(outcome: &Outcome<'_>) {
    let plan = outcome.plan;
    for (what, names) in [("added", &plan.added), ("changed", &plan.changed), ("duplicate", &plan.duplicates)]
    {
        for name in names {
            output::line(&format!("{what}: {name}"));
        }
    }
    for (old, new) in &plan.moved {
        output::line(&format!("moved: {old} -> {new}"));
    }
    let gone = match (outcome.n_removed > 0, outcome.is_done) {
        (true, _) => "removed",
        (false, true) => "gone, kept (--delete removes it)",
        (false, false) => "gone",
    };
    for name in &plan.gone {
        output::line(&format!("{gone}: {name}"));
    }
    output::line(&format!("{} unchanged", plan.n_unchanged));
}
