//! Footnote beside what a user would take instead: the same model files, the same number of threads,
//! in the same browser, run by run in turns. `bench/README.md` says how the peers are set up.

mod embedding;
mod generation;
mod native;
mod page;
mod searching;
mod server;
pub(crate) mod store;
mod texts;

use std::path::PathBuf;

use crate::report::Rows;
use crate::{Args, Outcome};

pub(crate) use native::{python, serve as serve_engine};
pub(crate) use page::Page;

/// Threads that are measured.
const THREADS: [u32; 2] = [1, 2];

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    let mut rows = Rows::default();
    if args.wants("embed") {
        embedding::measure(args, &mut rows)?;
    }
    if args.wants("webgpu") {
        embedding::measure_webgpu(args, &mut rows)?;
    }
    if args.wants("generate") {
        generation::measure(args, &mut rows)?;
    }
    if args.wants("webgpu-generate") {
        generation::measure_webgpu(args, &mut rows)?;
    }
    if args.wants("search") {
        searching::measure(args, &mut rows)?;
    }
    if args.wants("native") {
        native::measure(args, &mut rows)?;
    }
    Ok(rows)
}

/// A number of threads in words.
fn threads(n_threads: u32) -> String {
    if n_threads == 1 { "1 thread".into() } else { format!("{n_threads} threads") }
}

/// Where the peers are installed.
fn folder() -> PathBuf {
    browser::target_folder().join("peers")
}
