//! Fetching against a small server that cuts, lies and forgets ranges.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use models::{Cancel, Catalog, Error, FileEntry, FileState, ModelEntry, ModelKind, Store};
use platform::block_on;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

const ID: &str = "tiny";
const N_BYTES: usize = 300_000;

/// What the server does with the n-th request; the last one holds for all that follow.
#[derive(Clone, Copy)]
enum Reply {
    /// The bytes from the asked start, as far as a real server would send them.
    Good,
    /// Announces everything and closes the connection after so many bytes.
    Cut(usize),
    /// Ignores the range.
    WholeFile,
    /// Sends other bytes of the same length.
    Wrong,
    /// A page that says there is nothing, with status 200.
    Page,
    NotFound,
}

struct Server {
    url: String,
    /// The `Range` starts that were asked for.
    starts: Arc<Mutex<Vec<u64>>>,
}

impl Server {
    fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let starts = Arc::new(Mutex::new(Vec::new()));
        let (replies, log) = (replies.to_vec(), starts.clone());
        thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let reply = replies[i.min(replies.len() - 1)];
                // A client that went away early is part of the test.
                let _ = answer(&mut stream.unwrap(), reply, &log);
            }
        });
        Self { url, starts }
    }

    fn starts(&self) -> Vec<u64> {
        self.starts.lock().unwrap().clone()
    }
}

fn answer(stream: &mut TcpStream, reply: Reply, log: &Mutex<Vec<u64>>) -> std::io::Result<()> {
    let mut start = 0;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
    }
    log.lock().unwrap().push(start as u64);
    let content = content();
    let (status, from, bytes) = match reply {
        Reply::Good if start > 0 => ("206 Partial Content", start, content[start..].to_vec()),
        Reply::Cut(_) if start > 0 => ("206 Partial Content", start, content[start..].to_vec()),
        Reply::Good | Reply::Cut(_) | Reply::WholeFile => ("200 OK", 0, content),
        Reply::Wrong => ("200 OK", 0, vec![7; N_BYTES]),
        Reply::Page => ("200 OK", 0, b"<!doctype html><title>Welcome</title>".to_vec()),
        Reply::NotFound => ("404 Not Found", 0, Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", bytes.len())?;
    if status.starts_with("206") {
        write!(stream, "Content-Range: bytes {from}-{}/{N_BYTES}\r\n", N_BYTES - 1)?;
    }
    write!(stream, "\r\n")?;
    let n = if let Reply::Cut(n) = reply { n.min(bytes.len()) } else { bytes.len() };
    stream.write_all(&bytes[..n])
}

fn content() -> Vec<u8> {
    (0..N_BYTES).map(|i| (i % 251) as u8).collect()
}

fn catalog() -> Catalog {
    let sha256 = Sha256::digest(content()).iter().map(|b| format!("{b:02x}")).collect();
    let file = FileEntry {
        name: "model.gguf".into(),
        hub_path: "Model.gguf".into(),
        n_bytes: N_BYTES as u64,
        sha256,
    };
    Catalog::from_entries(vec![ModelEntry {
        id: ID.into(),
        kind: ModelKind::Generator,
        files: vec![file],
        hub_repo: "owner/tiny".into(),
        python_package: None,
        licence: "MIT".into(),
    }])
}

/// A store whose only sources are `hub` and `origin`.
fn store(folder: &Path, hub: Option<&Server>, origin: Option<&Server>) -> Store {
    let folder = folder.to_str().unwrap();
    Store::open(folder, None, origin.map(|s| s.url.as_str()))
        .with_catalog(catalog())
        .with_hub(hub.map(|s| s.url.as_str()))
}

fn fetch(store: &Store) -> models::Result<Vec<u8>> {
    block_on(async {
        let files = store.fetch(ID, &mut |_| {}, &Cancel::new()).await?;
        files.read("model.gguf").await
    })
}

fn paths(folder: &Path) -> (PathBuf, PathBuf) {
    let folder = folder.join(ID);
    (folder.join("model.gguf"), folder.join("model.gguf.part"))
}

#[test]
fn a_whole_download_is_checked_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[Reply::Good]);
    let store = store(dir.path(), Some(&server), None);
    assert!(matches!(block_on(store.open_model(ID)), Err(Error::Missing { .. })));
    assert_eq!(fetch(&store).unwrap(), content());
    assert_eq!(block_on(store.open_model(ID)).unwrap().id(), ID);
    assert_eq!(fetch(&store).unwrap(), content());
    assert_eq!(server.starts(), [0], "what is here is not fetched again");
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[Reply::Cut(100_000), Reply::Cut(50_000), Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&server), None)).unwrap(), content());
    assert_eq!(server.starts(), [0, 100_000, 150_000]);
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[Reply::Cut(100_000), Reply::WholeFile]);
    assert_eq!(fetch(&store(dir.path(), Some(&server), None)).unwrap(), content());
    assert_eq!(server.starts(), [0, 100_000]);
}

#[test]
fn a_wrong_hash_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[Reply::Wrong]);
    let error = fetch(&store(dir.path(), Some(&server), None)).unwrap_err().to_string();
    assert!(error.contains("SHA-256") && error.contains("model.gguf"), "{error}");
    let (whole, part) = paths(dir.path());
    assert!(!whole.exists() && !part.exists());
}

#[test]
fn bytes_of_an_earlier_try_that_were_wrong_are_fetched_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (_, part) = paths(dir.path());
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(&part, vec![9; 1000]).unwrap();
    let server = Server::start(&[Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&server), None)).unwrap(), content());
    assert_eq!(server.starts(), [1000, 0]);
}

#[test]
fn the_next_source_goes_on_where_the_first_one_failed() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Server::start(&[Reply::Cut(120_000), Reply::NotFound]);
    let hub = Server::start(&[Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&hub), Some(&origin))).unwrap(), content());
    assert_eq!(hub.starts(), [120_000]);
}

#[test]
fn a_page_instead_of_a_file_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Server::start(&[Reply::Page]);
    let hub = Server::start(&[Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&hub), Some(&origin))).unwrap(), content());
    assert_eq!((origin.starts(), hub.starts()), (vec![0], vec![0]));
}

#[test]
fn every_source_is_named_when_none_gives_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Server::start(&[Reply::NotFound]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hub = format!("http://{closed}");
    let store = store(dir.path(), None, Some(&origin)).with_hub(Some(&hub));
    let Err(Error::Unavailable { tried, file, .. }) = fetch(&store) else { panic!("it was fetched") };
    assert_eq!(file, "model.gguf");
    assert_eq!(tried.len(), 2);
    assert!(tried[0].reason.contains("404"), "{}", tried[0]);
    assert!(tried[1].source.starts_with(&hub), "{}", tried[1]);
}

#[test]
fn cancel_keeps_what_came_and_the_next_fetch_uses_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[Reply::Good]);
    let store = store(dir.path(), Some(&server), None);
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let mut progress = |p: models::FetchProgress| {
        if p.done_bytes > 0 {
            stop.cancel();
        }
    };
    let error = block_on(store.fetch(ID, &mut progress, &cancel)).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    let (whole, part) = paths(dir.path());
    let part_bytes = fs::metadata(&part).unwrap().len();
    assert!(!whole.exists() && part_bytes > 0);
    assert_eq!(fetch(&store).unwrap(), content());
    assert_eq!(server.starts(), [0, part_bytes]);
}

#[test]
fn damage_is_told_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[Reply::Good]);
    let store = store(dir.path(), Some(&server), None);
    fetch(&store).unwrap();
    let (whole, _) = paths(dir.path());

    fs::write(&whole, &content()[..N_BYTES / 2]).unwrap();
    let error = block_on(store.open_model(ID)).unwrap_err().to_string();
    assert!(error.contains("model.gguf") && error.contains("fetch the model again"), "{error}");

    let mut flipped = content();
    flipped[N_BYTES / 2] ^= 1;
    fs::write(&whole, flipped).unwrap();
    let checks = block_on(store.verify(ID)).unwrap();
    assert!(matches!(checks[0].state, FileState::Damaged { .. }), "{checks:?}");
    assert_eq!(fetch(&store).unwrap(), content());
    assert_eq!(block_on(store.verify(ID)).unwrap()[0].state, FileState::Whole);
}

#[test]
fn a_given_folder_is_used_where_it_is_and_only_when_right() {
    let (dir, given) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = given.path().join(ID).join("Model.gguf");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content()).unwrap();
    let store = Store::open(dir.path().to_str().unwrap(), Some(given.path().to_str().unwrap()), None)
        .with_catalog(catalog())
        .with_hub(None);
    let files = block_on(store.open_model(ID)).unwrap();
    assert_eq!(Path::new(files.path("model.gguf").unwrap()), file);
    fs::write(&file, vec![7; N_BYTES]).unwrap();
    assert!(matches!(block_on(store.open_model(ID)), Err(Error::Missing { .. })));
    let error = fetch(&store).unwrap_err().to_string();
    assert!(error.contains(given.path().to_str().unwrap()), "{error}");
}

#[test]
fn an_unknown_model_is_answered_with_the_known_ones() {
    let store = Store::open("nowhere", None, None);
    let error = block_on(store.open_model("gpt-9")).unwrap_err().to_string();
    assert!(error.contains("all-MiniLM-L6-v2"), "{error}");
}
