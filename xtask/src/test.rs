//! Every test, native and browser.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::run::{beside, cargo, run, say};
use crate::wasm::Build;
use crate::{Outcome, browser, serve, tidy, wasm, web};

/// The Vulkan driver of Chromium's software GPU.
const SWIFTSHADER: &str = "/usr/lib/chromium/vk_swiftshader_icd.json";

/// What continuous integration runs; the README names the same command.
pub fn ci() -> Outcome {
    run(&mut cargo(&["xtask", "test"]))
}

/// Sets up, builds, checks, and runs the tests. The cheap checks come first.
pub fn test(filter: Option<&str>) -> Outcome {
    let began = Instant::now();
    let step = |name: &str| say(&format!("[{:>4} s] {name}", began.elapsed().as_secs()));
    step("set-up");
    for how in [Build::Plain, Build::Threads] {
        wasm::toolchain(how)?;
    }
    browser::ensure()?;
    step("format, sizes");
    tidy::check_format()?;
    tidy::check_sizes()?;
    step("web app, programs, tests, lints");
    // Linking a wasm program keeps one core busy; the others build and check what is native meanwhile.
    let native = || {
        // The command line is built with its tests; alone it would be built with other features, all anew.
        run(&mut cargo(&["test", "--workspace", "--no-run", "--quiet"]))?;
        tidy::lint()
    };
    let web = || {
        web::build()?;
        web::build_tests()
    };
    beside(&[&native, &web])?;
    step("models");
    serve::fetch_models()?;
    step("tests");
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    tests.args(filter);
    run_tests(&mut tests)?;
    if filter.is_none() {
        step("GPU kernels on another adapter");
        gpu_again()?;
    }
    Ok(())
}

/// The tests of single GPU kernels once more, on SwiftShader: other subgroups, no f16, and a browser's
/// limits.
fn gpu_again() -> Outcome {
    if !Path::new(SWIFTSHADER).exists() {
        say(&format!("left out: there is no {SWIFTSHADER}, which comes with Debian's chromium"));
        return Ok(());
    }
    // Of the whole workspace, which is built; the package alone would be built with other features.
    let mut tests = cargo(&["test", "--workspace", "--tests", "--"]);
    tests.args(["gpu::tests::linear", "gpu::tests::rest", "gpu::tests::variants"]);
    run_tests(tests.env("VK_ICD_FILENAMES", SWIFTSHADER))
}

/// Passes everything through; before the last summary line, lists what was skipped and why.
fn run_tests(tests: &mut Command) -> Outcome {
    let mut child = tests.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().expect("it is piped");
    let skipped = pass_through(stdout, &mut |line| println!("{line}"))?;
    let status = child.wait()?;
    say(&format!("{} skipped", skipped.len()));
    if status.success() { Ok(()) } else { Err("there are failing tests, see above".into()) }
}

/// Hands each line on, the last summary (`test result: ..`) only after the list of skipped tests.
fn pass_through(output: impl Read, print: &mut dyn FnMut(&str)) -> Outcome<Vec<String>> {
    let mut skipped = Vec::new();
    let mut held: Vec<String> = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some((name, reason)) = skipped_test(&line) {
            skipped.push(format!("skipped: {name}: {reason}"));
        }
        let is_summary = line.starts_with("test result: ");
        // Something follows this summary, so it was not the last.
        if !held.is_empty() && line.starts_with("running ") {
            held.drain(..).for_each(|line| print(&line));
        }
        if is_summary || !held.is_empty() {
            held.push(line);
        } else {
            print(&line);
        }
    }
    skipped.iter().for_each(|line| print(line));
    held.iter().filter(|line| !line.is_empty()).for_each(|line| print(line));
    Ok(skipped)
}

/// The name and reason in `test NAME ... ignored, REASON`.
fn skipped_test(line: &str) -> Option<(&str, &str)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let reason = outcome.strip_prefix("ignored")?;
    Some((name, reason.strip_prefix(", ").unwrap_or("no reason is given")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_summary_stays_last_and_skipped_tests_are_told() {
        let output = "\
running 2 tests
test a ... ok
test b ... ignored, needs a GPU

test result: ok. 1 passed; 0 failed; 1 ignored

running 1 test
test c ... ignored

test result: ok. 0 passed; 0 failed; 1 ignored
";
        let mut printed = Vec::new();
        let skipped = pass_through(output.as_bytes(), &mut |line| printed.push(line.to_owned())).unwrap();
        assert_eq!(skipped, ["skipped: b: needs a GPU", "skipped: c: no reason is given"]);
        let n_summaries = printed.iter().filter(|line| line.starts_with("test result")).count();
        assert_eq!(n_summaries, 2, "each summary is there once: {printed:?}");
        assert_eq!(printed.last().unwrap(), "test result: ok. 0 passed; 0 failed; 1 ignored");
    }
}
