//! The body of tests that `platform`'s twins share, in a worker of headless Chromium.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use tests::{Browser, Launch};

const PAGE: &str = "<!doctype html><title>starting</title><script src=\"page.js\"></script>";
/// The worker's messages, one after the other, become the title.
const PAGE_SCRIPT: &str = r#"
const worker = new Worker("worker.js", { type: "module" });
worker.onmessage = (event) => { document.title = event.data; };
worker.onerror = (event) => { document.title = `failed: ${event.message}`; };
"#;
const WORKER_SCRIPT: &str = r#"
import init from "./browser_tests.js";
init().catch((error) => self.postMessage(`failed: ${error}`));
"#;

#[test]
fn the_web_twin_passes_the_shared_body() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/web-tests");
    assert!(
        folder.join("browser_tests_bg.wasm").is_file(),
        "the program is not built: run `cargo xtask web --tests`, or `cargo xtask test`"
    );
    let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 253) as u8).collect();
    for (name, content) in [
        ("index.html", PAGE.as_bytes()),
        ("page.js", PAGE_SCRIPT.as_bytes()),
        ("worker.js", WORKER_SCRIPT.as_bytes()),
        ("bytes.bin", &bytes),
    ] {
        fs::write(folder.join(name), content).unwrap();
    }
    let options = serve::Options { port: 0, web_dir: folder.clone(), models_dir: folder.join("models") };
    let server = serve::spawn(&options).unwrap();

    let mut browser = Browser::launch(Launch::default());
    browser.goto(&format!("http://127.0.0.1:{}/", server.port()));
    let is_over = "document.title === 'ok' || /failed|panicked/.test(document.title)";
    browser.wait_for("the end of the tests", is_over, 60);
    let title = browser.eval("document.title");
    assert_eq!(title, "ok", "{}", browser.console());
}
