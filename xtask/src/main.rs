//! `cargo xtask` is the only task runner: set-up, web build, local server, tests, benchmarks.
//!
//! It stands alone: it uses no crate of the product, and starts the product's own programs like a
//! user would. Everything it makes lies below `target/`; outside it, it only installs what
//! `setup` names, with the system's own package manager.

mod apt;
mod browser;
mod pack;
mod paths;
mod run;
mod serve;
mod shell;
mod std_from_source;
mod test;
mod tidy;
mod wasm;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wasm::Build;

/// What a task may fail with; only ever shown.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Footnote's tasks")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make everything available that the other tasks need.
    Setup {
        /// Also what only the tests need: Chromium and a software graphics adapter.
        #[arg(long)]
        tests: bool,
    },
    /// Build the web app into target/web-dist.
    Web {
        /// Build the programs of browser tests instead, into target/web-tests.
        #[arg(long)]
        tests: bool,
        /// Leave out the build with threads, which takes half of the time.
        #[arg(long, conflicts_with = "tests")]
        plain: bool,
    },
    /// Set up, build, fetch the models, and serve the app on this machine.
    Serve {
        /// Port on 127.0.0.1.
        #[arg(long, default_value_t = 8017)]
        port: u16,
    },
    /// Set up, build, and run every test, native and browser.
    Test {
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// What continuous integration runs: the tests, as the README says.
    Ci,
    /// Measure: embed, generate, search, quotes, ingest, store, size, web, peers.
    Bench {
        /// What to measure, and the options of `bench`.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Format, lint, and check sizes.
    Tidy {
        /// Change nothing; fail where something would change.
        #[arg(long)]
        check: bool,
    },
    /// Print the variables under which cargo builds for wasm32 as `web` does, for a shell.
    WasmEnv {
        /// As the build with threads has it.
        #[arg(long)]
        threads: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Args::parse().task {
        Task::Setup { tests } => setup(tests),
        Task::Web { tests: true, .. } => web::build_tests(),
        Task::Web { plain: true, .. } => web::build_plain().map(drop),
        Task::Web { .. } => web::build().map(drop),
        Task::Serve { port } => serve::serve(port),
        Task::Test { filter } => test::test(filter.as_deref()),
        Task::Ci => test::ci(),
        Task::Bench { args } => serve::bench(&args),
        Task::Tidy { check } => tidy::tidy(check),
        Task::WasmEnv { threads: false } => wasm_env(Build::Plain),
        Task::WasmEnv { threads: true } => wasm_env(Build::Threads),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn setup(for_tests: bool) -> Outcome {
    for how in [Build::Plain, Build::Threads] {
        wasm::toolchain(how)?;
    }
    if for_tests {
        browser::ensure()?;
    }
    run::say("everything needed is there");
    Ok(())
}

fn wasm_env(how: Build) -> Outcome {
    for (name, value) in wasm::toolchain(how)?.env() {
        println!("export {name}='{}'", value.replace('\'', r"'\''"));
    }
    println!("export CARGO_TARGET_DIR='{}'", paths::web_target(how).display());
    Ok(())
}

/// The folder of the whole workspace.
fn workspace() -> PathBuf {
    let manifest_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().expect("xtask lies in the workspace").to_owned()
}
