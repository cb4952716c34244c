//! `footnote`: index, search and ask one's own documents from the command line, measure how well
//! that works, and serve the web app.
//!
//! Results go to standard output, everything else to standard error; exit code 0 means it worked.

mod args;
mod ask;
mod doctor;
mod error;
mod eval;
mod files;
mod index;
mod models;
mod output;
mod search;
mod serve;
mod setup;

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
    let shared = cli.shared;
    platform::start_threads(shared.threads).await;
    match cli.command {
        Command::Index(args) => index::run(&shared, &args).await,
        Command::Search(args) => search::run(&shared, &args).await,
        Command::Ask(args) => ask::run(&shared, &args).await,
        Command::Models(args) => models::run(&shared, &args.command).await,
        Command::Doctor(args) => doctor::run(&shared, &args).await,
        Command::Serve(args) => serve::run(&shared, &args),
        Command::Eval(args) => eval::run(&shared, &args.command).await,
    }
}
