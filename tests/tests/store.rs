//! The store in workers of headless Chromium, on the browser's own files: killed in the middle of
//! ingest over and over, on a full disk, and opening what was built natively.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../vectordb/examples/browser_store/documents.rs"]
mod documents;

use std::fs;
use std::path::Path;
use std::time::Duration;

use browser::{Browser, Launch, target_folder};
use platform::{File, OpenMode, block_on};
use serde_json::{Value, json};
use vectordb::Db;

const PAGE: &str = "<!doctype html><title>store</title><script src=\"store-page.js\"></script>";
/// The program comes compiled with the first message.
const WORKER_SCRIPT: &str = r#"
onmessage = async ({ data }) => {
  try {
    const store = await import("./browser_store.js");
    await store.default({ module_or_path: data });
  } catch (error) {
    postMessage(`failed: ${error}`);
  }
};
"#;
/// A worker that stores without a pause runs on for up to two seconds after `terminate()`, and is then
/// stopped at any instruction; one whose page crashes is stopped at once.
const PAGE_SCRIPT: &str = r#"
const program = WebAssembly.compileStreaming(fetch("browser_store_bg.wasm"));
globalThis.problems = [];
/** The last document of each file that was said to be stored. */
globalThis.acknowledged = {};

const start = async (task, take) => {
  const worker = new Worker(`store-worker.js?${task}`, { type: "module" });
  worker.onmessage = ({ data }) => {
    const [, word, rest] = /^(\S+) ?(.*)$/s.exec(data);
    if (word === "failed:") problems.push(`${task}: ${rest}`);
    take(word, rest);
  };
  worker.onerror = (event) => {
    problems.push(`${task}: ${event.message}`);
    take("failed:", event.message);
  };
  worker.postMessage(await program);
  return worker;
};

/** Starts a worker; resolves when it has found the file to be sound, and to hold all that was acknowledged. */
const open = (task, file, last) => new Promise((opened, failed) => {
  const worker = start(`${task}=${file}`, (word, rest) => {
    const n = Number(rest);
    if (word === "open" && n < last) problems.push(`${file} ends with ${n}, and ${last} was acknowledged`);
    if (word === "failed:") return failed(rest);
    acknowledged[file] = Math.max(n, acknowledged[file] ?? -1);
    opened(worker);
  });
});

globalThis.killLoop = async (file, nKills) => {
  for (let n = 0; n < nKills; n++) {
    const worker = await open("ingest", file, acknowledged[file] ?? -1);
    await new Promise((wake) => setTimeout(wake, 10 + 60 * Math.random()));
    worker.terminate();
  }
};
globalThis.openAll = (task, files) =>
  Promise.all(Object.entries(files).map(([file, last]) => open(task, file, last))).then(() => true);
/** Keeps what a worker says, each message under its word. */
globalThis.run = (task) => start(task, (word, rest) => { globalThis[word] = rest; }).then(() => true);
/** The bytes of a file of the browser's storage, as hexadecimal digits. */
globalThis.bytesOf = async (name) => {
  const path = name.split("/");
  let folder = await navigator.storage.getDirectory();
  for (const part of path.slice(0, -1)) folder = await folder.getDirectoryHandle(part);
  const file = await (await folder.getFileHandle(path.at(-1))).getFile();
  const digits = [...Array(256).keys()].map((n) => n.toString(16).padStart(2, "0"));
  return Array.from(new Uint8Array(await file.arrayBuffer()), (n) => digits[n]).join("");
};
"#;

/// So many workers store beside each other, each in a file of its own.
const N_FILES: usize = 13;
/// How often each is terminated, and how often their page crashes.
const N_KILLS: usize = 4;
const N_CRASHES: usize = 2;
const _: () = assert!(N_FILES * N_KILLS >= 50, "the issue says so");
/// The browser may take so much on this origin, for a while.
const SMALL_QUOTA_BYTES: u64 = 4 << 20;

#[test]
fn a_worker_killed_in_the_middle_of_ingest_loses_nothing_that_was_acknowledged() {
    let (_server, mut browser, origin) = page();
    let loops = format!(
        "Promise.all([...Array({N_FILES}).keys()].map((n) => killLoop(`kills-${{n}}`, {N_KILLS}))).then(() => true)"
    );
    browser.eval_within(&loops, Duration::from_secs(240));
    for crash in 0..N_CRASHES {
        let acknowledged = acknowledged(&mut browser);
        browser.eval_within(&format!("openAll('ingest', {acknowledged})"), Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(80 + 70 * crash as u64));
        let acknowledged = self::acknowledged(&mut browser);
        let crashed = browser.open_page();
        let crashed = browser.switch_to(&crashed);
        browser.crash_page(&crashed);
        browser.goto(&format!("{origin}/store.html"));
        browser.eval(&format!("acknowledged = {acknowledged}; 0"));
    }
    let acknowledged = acknowledged(&mut browser);
    browser.eval_within(&format!("openAll('check', {acknowledged})"), Duration::from_secs(60));
    let files = self::acknowledged(&mut browser);
    for (file, last) in files.as_object().unwrap() {
        let n_stored = last.as_u64().unwrap() + 1;
        assert!(n_stored > (N_KILLS + N_CRASHES) as u64, "{file} has {n_stored}: hardly anything was cut");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut db = fetched(&mut browser, "kills-0", folder.path());
    let found = documents::check(&mut db, 0, |n| 3 + n as usize % 11).unwrap();
    assert_eq!(found, files["kills-0"].as_u64(), "natively, the same is in the file");
}

#[test]
fn a_full_disk_is_told_and_ingest_goes_on_when_there_is_room() {
    let (_server, mut browser, origin) = page();
    browser.limit_storage(&origin, Some(SMALL_QUOTA_BYTES));
    browser.eval("run('fill=full')");
    let over = |word: &str| format!("globalThis.{word} !== undefined || problems.length > 0");
    browser.wait_for("the disk is full, and one document gave room for another", &over("waiting"), 60);
    assert_eq!(browser.eval("problems"), json!([]));
    let told = browser.eval("globalThis.full");
    let told = told.as_str().unwrap();
    assert!(told.contains("free some space or delete documents"), "{told}");
    assert!(browser.eval("globalThis.resumed === undefined").as_bool().unwrap());
    browser.limit_storage(&origin, None);
    browser.wait_for("it goes on", &over("resumed"), 60);
    assert_eq!(browser.eval("problems"), json!([]));
}

#[test]
fn a_base_that_was_built_natively_opens_in_the_tab_and_the_other_way_round() {
    let (_server, mut browser, _) = page();
    let folder = target_folder().join("web-tests");
    // Its name stands in an address: a hidden folder is served to nobody.
    let folder = tempfile::Builder::new().prefix("bases-").tempdir_in(folder).unwrap();
    let name = |file: &str| format!("{}/{file}", folder.path().file_name().unwrap().to_str().unwrap());
    let base = folder.path().join("native.footnote");
    let mut db = Db::open(file(&base, OpenMode::Create), &documents::tag()).unwrap();
    for n in 0..30 {
        db.put_document(&documents::document(n, 12)).unwrap();
    }
    let built = documents::contents(&db).unwrap();
    drop(db);
    let older = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/stores/format-1.footnote");
    fs::copy(older, folder.path().join("older.footnote")).unwrap();
    for base in ["native.footnote", "older.footnote"] {
        browser.eval("globalThis.done = undefined");
        browser.eval(&format!("run({})", json!(format!("take={}", name(base)))));
        browser.wait_for("it is opened", "globalThis.done !== undefined || problems.length > 0", 60);
        assert_eq!(browser.eval("problems"), json!([]), "{base}");
        let held: Value = serde_json::from_str(browser.eval("globalThis.holds").as_str().unwrap()).unwrap();
        let native = match base {
            "native.footnote" => built.clone(),
            _ => documents::contents(
                &Db::open_read_only(file(&folder.path().join(base), OpenMode::Read)).unwrap(),
            )
            .unwrap(),
        };
        assert_eq!(held, native, "{base}");
        assert!(held["documents"].as_array().is_some_and(|documents| !documents.is_empty()));
        let mut back = fetched(&mut browser, &name(base), folder.path());
        assert_eq!(back.verify().unwrap(), [] as [String; 0]);
        assert_eq!(documents::contents(&back).unwrap(), native);
        let n_documents = native["documents"].as_array().unwrap().len();
        assert_eq!(back.setting("tab").unwrap(), Some(n_documents.into()), "what the tab added is there");
    }
}

/// What the page was told is stored, after making sure that nothing went wrong.
fn acknowledged(browser: &mut Browser) -> Value {
    assert_eq!(browser.eval("problems"), json!([]), "{}", browser.console());
    browser.eval("acknowledged")
}

fn file(path: &Path, mode: OpenMode) -> File {
    block_on(File::open(path.to_str().unwrap(), mode)).unwrap()
}

/// A base of the browser's storage, opened natively.
fn fetched(browser: &mut Browser, name: &str, folder: &Path) -> Db {
    let digits = browser.eval_within(&format!("bytesOf({})", json!(name)), Duration::from_secs(60));
    let (pairs, _) = digits.as_str().unwrap().as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    let path = folder.join("fetched.footnote");
    fs::write(&path, pairs.iter().map(byte).collect::<Vec<u8>>()).unwrap();
    Db::open_existing(file(&path, OpenMode::ReadWrite)).unwrap()
}

/// A server, a browser on its page, and the page's origin.
fn page() -> (serve::Handle, Browser, String) {
    let folder = target_folder().join("web-tests");
    assert!(
        folder.join("browser_store_bg.wasm").is_file(),
        "the store is not built: run `cargo xtask web --tests`, or `cargo xtask test`"
    );
    for (name, content) in
        [("store.html", PAGE), ("store-page.js", PAGE_SCRIPT), ("store-worker.js", WORKER_SCRIPT)]
    {
        // Tests run beside each other: none may see half of a file.
        let partial = folder.join(format!("{name}.{:?}", std::thread::current().id()));
        fs::write(&partial, content).unwrap();
        fs::rename(partial, folder.join(name)).unwrap();
    }
    let models_dir = folder.join("models");
    let options = serve::Options::new(0, folder, models_dir);
    let server = serve::spawn(&options).unwrap();
    let mut browser = Browser::launch(Launch::default());
    let origin = format!("http://127.0.0.1:{}", server.port());
    browser.goto(&format!("{origin}/store.html"));
    (server, browser, origin)
}
