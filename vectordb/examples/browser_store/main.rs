//! The store in a browser's worker, without models: a program that is killed while it ingests, that
//! meets a full disk, and that opens what was built natively. `cargo xtask web --tests` builds it, and
//! `tests/tests/store.rs` runs it. What it is to do stands in the address of its script; its messages
//! are a word and what belongs to it.

mod documents;

use documents::{check, contents, document, tag, words};
use platform::{File, OpenMode};
use vectordb::{Db, Error};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = postMessage)]
    fn post(message: &str);
    #[wasm_bindgen(thread_local_v2, js_namespace = location, js_name = search)]
    static SEARCH: String;
    #[wasm_bindgen(thread_local_v2, js_namespace = location, js_name = origin)]
    static ORIGIN: String;
}

/// How long a full store waits before it tries again.
const RETRY_MS: u32 = 50;

fn main() {
    std::panic::set_hook(Box::new(|info| post(&format!("failed: {info}"))));
    wasm_bindgen_futures::spawn_local(async {
        let search = SEARCH.with(Clone::clone);
        let (task, file) = search.trim_start_matches('?').split_once('=').unwrap_or_default();
        let done = match task {
            "ingest" => ingest(file).await,
            "check" => check_only(file).await,
            "fill" => fill(file).await,
            "take" => take(file).await,
            _ => Err(format!("there is no task {task}")),
        };
        if let Err(reason) = done {
            post(&format!("failed: {reason}"));
        }
    });
}

/// Passages of a document that is one of many.
fn some(n: u64) -> usize {
    3 + n as usize % 11
}

/// Passages of a document, so many that a few of them fill a small disk.
fn many(_n: u64) -> usize {
    60
}

/// Checks what an earlier worker left, tells the number of the last document, and goes on with the
/// next one, without ever waiting, until it is killed.
async fn ingest(file: &str) -> Result<(), String> {
    let mut db = open(file).await?;
    let last = check(&mut db, 0, some)?;
    post(&format!("open {}", last.map_or(-1, |n| n as i64)));
    for n in last.map_or(0, |n| n + 1).. {
        db.put_document(&document(n, some(n))).map_err(words)?;
        post(&format!("stored {n}"));
    }
    Ok(())
}

async fn check_only(file: &str) -> Result<(), String> {
    let last = check(&mut open(file).await?, 0, some)?;
    post(&format!("open {}", last.map_or(-1, |n| n as i64)));
    Ok(())
}

/// Stores documents until there is no room, and tells how the refusal reads; makes room for one more by
/// removing the oldest; tells that it waits, and, when there is room again, that it went on.
async fn fill(file: &str) -> Result<(), String> {
    let mut db = open(file).await?;
    let mut n = 0;
    let refusal = loop {
        match db.put_document(&document(n, many(n))) {
            Ok(_) => n += 1,
            Err(error @ Error::Full { .. }) => break error,
            Err(error) => return Err(words(error)),
        }
    };
    if check(&mut db, 0, many)? != n.checked_sub(1) {
        return Err("a refused document left something".to_owned());
    }
    post(&format!("full {refusal}"));
    let oldest = db.infos().next().map(|info| info.id).ok_or("nothing fits")?;
    db.remove_document(oldest).map_err(words)?;
    db.put_document(&document(n, many(n))).map_err(words)?;
    check(&mut db, 1, many)?;
    post("waiting");
    loop {
        match db.put_document(&document(n + 1, many(n))) {
            Ok(_) => break,
            Err(Error::Full { .. }) => platform::sleep_ms(RETRY_MS).await,
            Err(error) => return Err(words(error)),
        }
    }
    check(&mut db, 1, many)?;
    drop(db);
    let last = check(&mut open(file).await?, 1, many)?;
    if last != Some(n + 1) {
        return Err(format!("the last document is {last:?} instead of {}", n + 1));
    }
    post("resumed");
    Ok(())
}

/// Copies a file of the server into the browser's storage, opens it, and tells what is in it.
async fn take(file: &str) -> Result<(), String> {
    let url = format!("{}/{file}", ORIGIN.with(Clone::clone));
    let mut download = platform::fetch(&url, 0).await.map_err(words)?;
    let copy = File::open(file, OpenMode::Create).await.map_err(words)?;
    while let Some(bytes) = download.chunk().await.map_err(words)? {
        copy.write_at(&bytes, copy.len().map_err(words)?).map_err(words)?;
    }
    let mut db = Db::open_existing(copy).map_err(words)?;
    if let Some(problem) = db.verify().map_err(words)?.first() {
        return Err(problem.clone());
    }
    post(&format!("holds {}", contents(&db)?));
    // The file keeps what this program adds to it.
    let n_documents = db.documents().map_err(words)?.len();
    db.set_setting("tab", &n_documents.into()).map_err(words)?;
    // A base is written to once more when it is closed, and a browser reads no file that just changed.
    drop(db);
    post("done");
    Ok(())
}

async fn open(path: &str) -> Result<Db, String> {
    let mut n_tries = 0;
    loop {
        // A worker that was killed may hold its files for seconds on a busy machine.
        match File::open(path, OpenMode::ReadWrite).await {
            Err(platform::Error::Locked { .. }) if n_tries < 4 => n_tries += 1,
            Err(error) => return Err(words(error)),
            Ok(file) => return Db::open(file, &tag()).map_err(words),
        }
    }
}
