//! `footnote eval`: how well it works, on documents and questions with known answers.

mod answers;
mod extract;
mod metrics;
mod questions;
mod retrieval;

use std::path::Path;
use std::process::ExitCode;

use assistant::{Assistant, Place};

use crate::args::{Corpus, EvalCommand, Shared};
use crate::error::Result;
use crate::index;
use crate::output::Reporter;
use crate::setup;

pub async fn run(shared: &Shared, command: &EvalCommand) -> Result<ExitCode> {
    match command {
        EvalCommand::Retrieval(args) => retrieval::run(shared, args).await,
        EvalCommand::Answers(args) => answers::run(shared, args).await,
        EvalCommand::Extract(args) => extract::run(args),
        EvalCommand::ExtractOne { file } => extract::one(file),
    }
}

/// An assistant that holds the documents, named by their paths below the folder.
async fn open(shared: &Shared, corpus: &Corpus, generator: bool, reporter: &mut Reporter) -> Result<Assistant> {
    let place = corpus.kb.clone().map_or(Place::Memory, Place::File);
    let mut assistant = setup::open(shared, place, generator, reporter).await?;
    let docs: &Path = &corpus.docs;
    let paths = [docs.to_path_buf()];
    let report = index::add_all(&mut assistant, &paths, Some(docs), reporter).await?;
    index::need_documents(&assistant, &paths)?;
    if !shared.quiet {
        let (n_added, n_unchanged) = (report.added.len(), report.unchanged.len());
        eprintln!("{n_added} documents added, {n_unchanged} unchanged, {} failed", report.failed.len());
    }
    Ok(assistant)
}
