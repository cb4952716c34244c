//! `footnote`: index, search and ask one's own documents from the command line, measure how well
//! that works, and serve the web app.
//!
//! Results go to standard output, everything else to standard error; exit code 0 means it worked.

mod api;
mod args;
mod ask;
mod child;
mod collections;
mod conversations;
mod copies;
mod docs;
mod doctor;
mod error;
mod eval;
mod files;
mod index;
mod jobs;
mod library_args;
mod models;
mod models_bench;
mod output;
mod quantize;
mod reader;
mod repair;
mod search;
mod serve;
mod setup;
mod sync;
mod when;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;
use error::Result;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match platform::block_on(run(cli)) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("footnote: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    if matches!(cli.command, Command::ReadOne) {
        return reader::run();
    }
    let shared = cli.shared;
    platform::start_threads(shared.threads).await;
    match cli.command {
        Command::Index(args) => index::run(&shared, &args).await,
        Command::Search(args) => search::run(&shared, &args).await,
        Command::Ask(args) => ask::run(&shared, &args).await,
        Command::Docs(args) => docs::run(&args).await,
        Command::Collections(args) => collections::run(&args).await,
        Command::Tags(args) => docs::tags(&args).await,
        Command::Conversations(args) => conversations::run(&args).await,
        Command::Jobs(args) => jobs::run(&shared, &args).await,
        Command::Sync(args) => sync::run(&shared, &args).await,
        Command::Export(args) => copies::export(&shared, &args).await,
        Command::Import(args) => copies::import(&shared, &args).await,
        Command::Compact(args) => copies::compact(&args).await,
        Command::Stats(args) => copies::stats(&args).await,
        Command::Models(args) => models::run(&shared, &args.command).await,
        Command::Quantize(args) => quantize::run(&shared, &args).await,
        Command::Verify(args) => repair::verify(&args).await,
        Command::Repair(args) => repair::repair(&args).await,
        Command::Doctor(args) => doctor::run(&shared, &args).await,
        Command::Serve(args) => serve::run(&shared, &args),
        Command::Eval(args) => eval::run(&shared, &args.command).await,
        // Before a thread is started: see above.
        Command::ReadOne => reader::run(),
    }
}
