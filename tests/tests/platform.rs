//! The body of tests that `platform`'s twins share, in workers of headless Chromium: without and
//! with threads, with and without the isolation that threads need.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use browser::{Browser, Launch};

const PAGE: &str = "<!doctype html><title>starting</title><script src=\"page.js\"></script>";
/// The worker's messages, one after the other, become the title.
const PAGE_SCRIPT: &str = r#"
const worker = new Worker(`worker.js${location.search}`, { type: "module" });
worker.onmessage = (event) => { document.title = event.data; };
// The echo of a panic that has told its reason.
worker.onerror = (event) => { if (!document.title.includes("panicked")) document.title = `failed: ${event.message}`; };
"#;
const WORKER_SCRIPT: &str = r#"
if (location.search.includes("private-window")) {
  navigator.storage.getDirectory = () => Promise.reject(new DOMException("not here", "SecurityError"));
}
const program = location.search.includes("build=threads") ? "./browser_tests-threads.js" : "./browser_tests.js";
import(program).then((tests) => tests.default()).catch((error) => self.postMessage(`failed: ${error}`));
"#;
/// What the app has beside its programs.
const THREAD_SCRIPT: &str = include_str!("../../ui/static/compute-worker.js");

#[test]
fn the_web_twin_passes_the_shared_body() {
    assert_eq!(last_word("", true), "ok");
}

#[test]
fn the_web_twin_with_threads_passes_the_shared_body() {
    assert_eq!(last_word("?build=threads&expect-threads", true), "ok");
}

#[test]
fn the_web_twin_with_threads_passes_the_shared_body_where_they_cannot_be_started() {
    assert_eq!(last_word("?build=threads", false), "ok");
}

#[test]
fn files_are_in_memory_where_the_browser_gives_none() {
    assert_eq!(last_word("?private-window", true), "ok");
}

#[test]
fn a_thread_that_crashes_ends_the_program_with_a_message() {
    let said = last_word("?build=threads&crash", true);
    assert!(said.contains("panicked") && said.contains("a compute thread crashed"), "{said}");
}

/// Runs the program and gives the last of its messages.
fn last_word(query: &str, isolated: bool) -> String {
    let folder = site();
    let models_dir = folder.join("models");
    let options = serve::Options { isolated, ..serve::Options::new(0, folder, models_dir) };
    let server = serve::spawn(&options).unwrap();
    let mut browser = Browser::launch(Launch::default());
    browser.goto(&format!("http://127.0.0.1:{}/{query}", server.port()));
    let is_over = "document.title === 'ok' || /failed|panicked/.test(document.title)";
    browser.wait_for("the end of the tests", is_over, 60);
    let title = browser.eval("document.title").as_str().unwrap().to_owned();
    if title != "ok" {
        eprintln!("{}", browser.console());
    }
    title
}

/// The folder of the programs, with the scripts that run them.
fn site() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/web-tests");
    for program in ["browser_tests_bg.wasm", "browser_tests-threads_bg.wasm"] {
        assert!(
            folder.join(program).is_file(),
            "{program} is not built: run `cargo xtask web --tests`, or `cargo xtask test`"
        );
    }
    let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 253) as u8).collect();
    for (name, content) in [
        ("index.html", PAGE.as_bytes()),
        ("page.js", PAGE_SCRIPT.as_bytes()),
        ("worker.js", WORKER_SCRIPT.as_bytes()),
        ("compute-worker.js", THREAD_SCRIPT.as_bytes()),
        ("bytes.bin", &bytes),
    ] {
        // Tests run beside each other: none may see half of a file.
        let partial = folder.join(format!("{name}.{:?}", std::thread::current().id()));
        fs::write(&partial, content).unwrap();
        fs::rename(partial, folder.join(name)).unwrap();
    }
    folder
}
