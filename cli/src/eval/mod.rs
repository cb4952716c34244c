//! `footnote eval`: how well it works, on documents and questions with known answers.

mod answers;
mod extract;
mod follow_ups;
mod metrics;
mod questions;
mod report;
mod retrieval;
mod sets;
mod traps;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use assistant::{Assistant, Options, Place};

use crate::args::{EvalCommand, Shared};
use crate::error::{Error, Result};
use crate::files;
use crate::index;
use crate::output::Reporter;
use crate::setup;
use questions::Question;
use sets::Set;

pub async fn run(shared: &Shared, command: &EvalCommand) -> Result<ExitCode> {
    match command {
        EvalCommand::Retrieval(args) => retrieval::run(shared, args).await,
        EvalCommand::Answers(args) => answers::run(shared, args).await,
        EvalCommand::FollowUps(args) => follow_ups::run(shared, args).await,
        EvalCommand::Extract(args) => extract::run(args),
        EvalCommand::ExtractOne { file, text } => extract::one(file, text.as_deref()),
    }
}

/// An assistant that holds the documents of a set, named by their paths below its folder; only those
/// named so in `names`, if there are any. Files that hold questions are no documents, also where they
/// lie beside them.
async fn open(
    shared: &Shared,
    set: &Set,
    names: &[String],
    generator: bool,
    reporter: &mut Reporter,
) -> Result<Assistant> {
    let place = set.kb.clone().map_or(Place::Memory, Place::File);
    let options = Options { generator, chunk_policy: set.policy, ..setup::options(shared, place)? };
    let mut assistant = setup::open_with(options, reporter).await?;
    let kb = set.kb.as_ref().and_then(|kb| fs::canonicalize(kb).ok());
    let is_document = |path: &Path| {
        let name = files::name_below(path, Some(&set.docs));
        path.extension().is_none_or(|extension| extension != "jsonl")
            && fs::canonicalize(path).is_ok_and(|path| Some(path) != kb)
            && (names.is_empty() || names.contains(&name))
    };
    let scope = index::Scope { base: Some(&set.docs), is_document: &is_document };
    let paths = [set.docs.clone()];
    let report = index::add_all(&mut assistant, &paths, &scope, reporter).await?;
    index::need_documents(&assistant, &paths)?;
    if !shared.quiet {
        let (n_added, n_unchanged) = (report.added.len(), report.unchanged.len());
        eprintln!("{n_added} documents added, {n_unchanged} unchanged, {} failed", report.failed.len());
    }
    Ok(assistant)
}

/// Replaces what questions call their documents by the names these are stored under, and counts
/// their spans as we count: the extracted text has no byte order mark, the file's text may.
///
/// # Errors
/// When a question's document is not there, or more than one could be meant.
fn settle(questions: &mut [Question], set: &Set, assistant: &Assistant) -> Result<()> {
    let docs = &set.docs;
    let names: Vec<String> = assistant.documents()?.into_iter().map(|document| document.name).collect();
    for question in questions {
        let Some(name) = questions::document_named(&question.doc, &names) else {
            return Err(Error::Usage(format!(
                "{}: no document below {} is the one that is meant by `{}`",
                set.questions.display(),
                docs.display(),
                question.doc
            )));
        };
        question.doc = name.to_owned();
        let path = if docs.is_dir() { docs.join(name) } else { docs.clone() };
        if starts_with_bom(&path) {
            for span in &mut question.spans {
                *span = span.shifted_down();
            }
        }
    }
    Ok(())
}

fn starts_with_bom(path: &Path) -> bool {
    let mut head = [0; 3];
    let read = File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    [&[0xef, 0xbb, 0xbf][..], &[0xfe, 0xff], &[0xff, 0xfe]].iter().any(|bom| head[..read].starts_with(bom))
}
