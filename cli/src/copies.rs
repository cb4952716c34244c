//! `footnote export`, `import`, `compact`, `stats`: a knowledge base as a whole.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::process::ExitCode;

use assistant::{Access, Library, Place};
use serde::Serialize;

use crate::args::Shared;
use crate::error::{AtPath, Result};
use crate::library_args::{ExportArgs, ImportArgs, KbArgs};
use crate::output::{self, Reporter};
use crate::setup;

/// Read and written at once.
const BUFFER_BYTES: usize = 1 << 20;

#[derive(Serialize)]
struct Compacted {
    n_bytes: u64,
    file_bytes: u64,
}

pub async fn export(_shared: &Shared, args: &ExportArgs) -> Result<ExitCode> {
    let library = setup::library(&args.kb.kb, Access::ReadOnly).await?;
    let exported = write(&library, &args.out).await;
    if exported.is_err() && !matches!(&exported, Err(crate::error::Error::File { .. })) {
        // A part of an export is of no use to anybody.
        drop(std::fs::remove_file(&args.out));
    }
    let exported = exported?;
    let told = format!(
        "wrote {} documents, {} conversations: {} bytes",
        exported.n_documents, exported.n_conversations, exported.n_bytes
    );
    output::told(args.kb.json, &exported, &told)?;
    Ok(ExitCode::SUCCESS)
}

async fn write(library: &Library, path: &Path) -> Result<assistant::Exported> {
    let file = File::create_new(path).at(path)?;
    let exported = library.export(&mut BufWriter::with_capacity(BUFFER_BYTES, &file)).await?;
    file.sync_all().at(path)?;
    Ok(exported)
}

pub async fn import(shared: &Shared, args: &ImportArgs) -> Result<ExitCode> {
    let file = File::open(&args.file).at(&args.file)?;
    let kb = &args.kb.kb;
    let is_there = platform::exists(kb).await.is_ok_and(|is_there| is_there);
    let mut input = BufReader::with_capacity(BUFFER_BYTES, file);
    let imported = if is_there {
        setup::library(kb, Access::ReadWrite).await?.import(&mut input).await?
    } else {
        // A new one is made for the embedder that this program has.
        let mut reporter = Reporter::new(shared.quiet);
        let place = Place::File(kb.clone());
        let mut assistant = setup::open(shared, place, false, &mut reporter).await?;
        let imported = assistant.library_mut().import(&mut input).await;
        drop(assistant);
        if imported.is_err() {
            drop(std::fs::remove_file(kb));
        }
        imported?
    };
    let told = format!(
        "{} documents added, {} replaced, {} unchanged, {} older than here; {} conversations added",
        imported.n_added,
        imported.n_replaced,
        imported.n_unchanged,
        imported.n_older,
        imported.n_conversations
    );
    output::told(args.kb.json, &imported, &told)?;
    Ok(ExitCode::SUCCESS)
}

pub async fn compact(args: &KbArgs) -> Result<ExitCode> {
    let mut library = setup::library(&args.kb, Access::ReadWrite).await?;
    let n_bytes = library.compact()?;
    let file_bytes = library.stats()?.file_bytes;
    let told = format!("the file lost {n_bytes} bytes and has {file_bytes}");
    output::told(args.json, &Compacted { n_bytes, file_bytes }, &told)?;
    Ok(ExitCode::SUCCESS)
}

pub async fn stats(args: &KbArgs) -> Result<ExitCode> {
    let library = setup::library(&args.kb, Access::ReadOnly).await?;
    let stats = library.stats()?;
    let told = format!(
        "{} documents, {} passages, {} collections, {} conversations: {} bytes",
        stats.n_documents, stats.n_chunks, stats.n_collections, stats.n_conversations, stats.file_bytes
    );
    output::told(args.json, &stats, &told)?;
    Ok(ExitCode::SUCCESS)
}
