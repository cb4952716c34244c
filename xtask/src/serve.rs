//! The app on this machine, and the benchmarks.

use std::process::{Command, Stdio};

use crate::run::{cargo, command, run, say};
use crate::{Outcome, paths, web};

/// Builds everything, fetches the models and serves until stopped.
pub fn serve(port: u16) -> Outcome {
    let web_dist = web::build()?;
    build_footnote()?;
    fetch_models()?;
    let port = port.to_string();
    let mut serve = command(paths::program("footnote"), &["serve", "--port", &port, "--web"]);
    serve.arg(web_dist);
    become_process(&mut serve)
}

/// Runs a benchmark with what it needs in place.
pub fn bench(args: &[String]) -> Outcome {
    let has = |part: &str| args.iter().any(|arg| arg == part);
    match args.first().map(String::as_str) {
        Some("web") => {
            web::build()?;
            build_footnote()?;
            fetch_models()?;
        }
        Some("size") => drop(web::build()?),
        Some("peers") if has("search") => web::build_measure(false)?,
        Some("peers" | "tab") => {
            web::build_measure(true)?;
            build_footnote()?;
            fetch_models()?;
        }
        Some("search" | "store") if has("web") => web::build_measure(false)?,
        Some("embed" | "generate" | "gpu") => {
            build_footnote()?;
            fetch_models()?;
        }
        _ => {}
    }
    // The development profile compiles what is measured at level 3, and is built already.
    build_program("bench")?;
    run(command(paths::program("bench"), &[]).args(args))
}

/// Builds the command line.
fn build_footnote() -> Outcome {
    say("building the command line");
    build_program("footnote")
}

/// Of the whole workspace, because a package alone is built with other features, and all it needs anew.
fn build_program(name: &str) -> Outcome {
    run(&mut cargo(&["build", "--workspace", "--bin", name]))
}

/// Fetches the two default models, the same way as a user; checks only, when they are there.
pub fn fetch_models() -> Outcome {
    // Its result is for programs; progress and errors go to standard error.
    run(command(paths::program("footnote"), &["models", "fetch"]).stdout(Stdio::null()))
}

/// On Unix the server takes this process's place, so that stopping the task stops it.
fn become_process(command: &mut Command) -> Outcome {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        Err(format!("the server cannot be started: {}", command.exec()).into())
    }
    #[cfg(not(unix))]
    run(command)
}
