//! Fetching against a small server that cuts, lies and forgets ranges.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod server;

use models::{
    Cancel, Catalog, Error, FetchProgress, FileEntry, FileState, ModelEntry, ModelKind, Pace, Store,
};
use platform::block_on;
use server::{Reply, Server};
use sha2::{Digest, Sha256};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

const NOT_FOUND: Reply = Reply::Status("404 Not Found", "");
const ID: &str = "tiny";
const N_BYTES: usize = 300_000;

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
        revision: "main".into(),
        python_package: None,
        licence: "MIT".into(),
    }])
}

/// One connection, one range, and no patience.
const ONE: Pace = Pace { segment_bytes: 1 << 20, n_parallel: 1, retry_pause_ms: 1, stall_ms: 500 };
/// Several of both.
const MANY: Pace = Pace { segment_bytes: 20_000, n_parallel: 4, ..ONE };

/// A store whose only sources are `hub` and `origin`.
fn store(folder: &Path, hub: Option<&Server>, origin: Option<&Server>) -> Store {
    let folder = folder.to_str().unwrap();
    Store::open(folder, None, origin.map(|s| s.url.as_str()))
        .with_catalog(catalog())
        .with_hub(hub.map(|s| s.url.as_str()))
        .with_pace(ONE)
}

fn server(replies: &[Reply]) -> Server {
    Server::in_order(content(), replies)
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
    let server = server(&[Reply::Good]);
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
    let server = server(&[Reply::Cut(100_000), Reply::Cut(50_000), Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&server), None)).unwrap(), content());
    assert_eq!(server.starts(), [0, 100_000, 150_000]);
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Cut(100_000), Reply::WholeFile]);
    assert_eq!(fetch(&store(dir.path(), Some(&server), None)).unwrap(), content());
    assert_eq!(server.starts(), [0, 100_000]);
}

#[test]
fn a_wrong_hash_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Wrong]);
    let error = fetch(&store(dir.path(), Some(&server), None)).unwrap_err().to_string();
    assert!(error.contains("SHA-256") && error.contains("model.gguf"), "{error}");
    let (whole, part) = paths(dir.path());
    assert!(!whole.exists() && !part.exists());
}

#[test]
fn bytes_of_an_earlier_try_that_were_wrong_are_fetched_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (_, part) = paths(dir.path());
    // As a fetch leaves it that was given up.
    let first = server(&[Reply::Cut(100_000), NOT_FOUND]);
    let error = fetch(&store(dir.path(), Some(&first), None)).unwrap_err();
    assert!(matches!(error, Error::Unavailable { done_bytes: 100_000, .. }), "{error}");
    let mut bytes = fs::read(&part).unwrap();
    bytes[50_000] ^= 1;
    fs::write(&part, bytes).unwrap();
    let server = server(&[Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&server), None)).unwrap(), content());
    assert_eq!(server.starts(), [100_000, 0]);
}

#[test]
fn the_next_source_goes_on_where_the_first_one_failed() {
    let dir = tempfile::tempdir().unwrap();
    let origin = server(&[Reply::Cut(120_000), NOT_FOUND]);
    let hub = server(&[Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&hub), Some(&origin))).unwrap(), content());
    assert_eq!(hub.starts(), [120_000]);
}

#[test]
fn a_page_instead_of_a_file_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let origin = server(&[Reply::Page]);
    let hub = server(&[Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&hub), Some(&origin))).unwrap(), content());
    assert_eq!((origin.starts(), hub.starts()), (vec![0], vec![0]));
}

#[test]
fn every_source_is_named_when_none_gives_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let origin = server(&[NOT_FOUND]);
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
    let server = server(&[Reply::Good]);
    let store = store(dir.path(), Some(&server), None);
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let mut progress = |p: FetchProgress| {
        if p.done_bytes > 0 {
            stop.cancel();
        }
    };
    let error = block_on(store.fetch(ID, &mut progress, &cancel)).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    let (whole, part) = paths(dir.path());
    assert!(!whole.exists() && part.exists());
    let FileState::Missing { part_bytes } = block_on(store.verify(ID)).unwrap()[0].state else { panic!() };
    assert!(part_bytes > 0);
    assert_eq!(fetch(&store).unwrap(), content());
    assert_eq!(server.starts(), [0, part_bytes as usize]);
}

#[test]
fn cancel_does_not_wait_for_a_silent_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Hang(1000)]);
    let store = store(dir.path(), Some(&server), None).with_pace(Pace { stall_ms: 60_000, ..ONE });
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let began = Instant::now();
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        stop.cancel();
    });
    let error = block_on(store.fetch(ID, &mut |_| {}, &cancel)).unwrap_err();
    assert!(matches!(error, Error::Cancelled { done_bytes: 1000, .. }), "{error}");
    assert!(began.elapsed().as_secs() < 30);
}

#[test]
fn ranges_come_in_parallel_and_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Slow(2_000, 15)]);
    let store = store(dir.path(), Some(&server), None).with_pace(MANY);
    let mut told = Vec::<FetchProgress>::new();
    block_on(store.fetch(ID, &mut |p| told.push(p), &Cancel::new())).unwrap();
    assert_eq!(fs::read(paths(dir.path()).0).unwrap(), content());
    let mut ranges: Vec<_> = server.asked().iter().filter_map(|r| r.range).collect();
    ranges.sort_unstable();
    let all: Vec<_> = (0..15).map(|i| (i * 20_000, Some((i + 1) * 20_000))).collect();
    assert_eq!(ranges, all);
    assert!((2..=4).contains(&server.busiest()), "{}", server.busiest());
    assert!(told.windows(2).all(|pair| pair[0].done_bytes <= pair[1].done_bytes));
    let last = told.last().unwrap();
    assert_eq!((last.done_bytes, last.total_bytes, last.left_ms), (300_000, 300_000, Some(0)));
    assert!(last.bytes_per_s.is_some_and(|speed| speed > 0), "{last:?}");
}

#[test]
fn ranges_that_are_cut_or_fail_are_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    // Every third connection breaks, every seventh is refused for a while.
    let server = Server::start(content(), |request| match request.n {
        n if n % 7 == 6 => Reply::Status("503 Service Unavailable", "Retry-After: 0\r\n"),
        n if n % 3 == 2 => Reply::Cut(7_001),
        _ => Reply::Good,
    });
    assert_eq!(fetch(&store(dir.path(), Some(&server), None).with_pace(MANY)).unwrap(), content());
}

#[test]
fn a_program_that_was_killed_goes_on_with_what_had_reached_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, part) = paths(dir.path());
    let first = Server::start(content(), |request| match request.range {
        Some((first, _)) if first >= 100_000 => NOT_FOUND,
        _ => Reply::Good,
    });
    let store_of = |server: &Server| store(dir.path(), Some(server), None).with_pace(MANY);
    fetch(&store_of(&first).with_pace(Pace { n_parallel: 1, ..MANY })).unwrap_err();
    assert!(part.exists() && !whole.exists());
    let second = server(&[Reply::Good]);
    assert_eq!(fetch(&store_of(&second)).unwrap(), content());
    assert!(second.starts().iter().all(|start| *start >= 100_000), "{:?}", second.starts());
    assert!(!part.exists());
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let dir = tempfile::tempdir().unwrap();
    let busy = Reply::Status("429 Too Many Requests", "Retry-After: 1\r\n");
    let server = server(&[busy.clone(), busy, Reply::Good]);
    let began = Instant::now();
    assert_eq!(fetch(&store(dir.path(), Some(&server), None)).unwrap(), content());
    assert!(began.elapsed().as_millis() >= 2000, "{:?}", began.elapsed());
    assert_eq!(server.starts().len(), 3);
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let origin = server(&[Reply::Status("429 Too Many Requests", "Retry-After: 0\r\n")]);
    let hub = server(&[Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&hub), Some(&origin))).unwrap(), content());
    assert!(origin.starts().len() < 20, "{}", origin.starts().len());
}

#[test]
fn redirects_are_followed_with_the_range() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(content(), |request| match request.path.as_str() {
        "/elsewhere" => Reply::Good,
        _ => Reply::Redirect("/elsewhere"),
    });
    assert_eq!(fetch(&store(dir.path(), Some(&server), None).with_pace(MANY)).unwrap(), content());
    let last = server.asked().into_iter().rfind(|r| r.path == "/elsewhere").unwrap();
    assert!(last.range.is_some(), "{last:?}");
}

#[test]
fn a_redirect_that_never_ends_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Redirect("/again")]);
    let error = fetch(&store(dir.path(), Some(&server), None)).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(server.asked().len() < 30);
}

#[test]
fn a_file_of_another_length_is_refused_before_it_is_fetched() {
    for reply in [Reply::Longer(1), Reply::Longer(100_000)] {
        for pace in [ONE, MANY] {
            let dir = tempfile::tempdir().unwrap();
            let server = server(std::slice::from_ref(&reply));
            let error =
                fetch(&store(dir.path(), Some(&server), None).with_pace(pace)).unwrap_err().to_string();
            assert!(error.contains("expected 300000"), "{error}");
            assert_eq!(server.asked().len(), 1);
            assert!(!paths(dir.path()).1.exists(), "nothing came and nothing stays");
        }
    }
}

#[test]
fn wrong_bytes_in_one_range_cost_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Server::start(content(), |request| match request.range {
        Some((60_000, _)) => Reply::Wrong,
        _ => Reply::Good,
    });
    let hub = server(&[Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&hub), Some(&origin)).with_pace(MANY)).unwrap(), content());
    let mut starts = hub.starts();
    starts.sort_unstable();
    assert_eq!(starts, (0..15).map(|i| i * 20_000).collect::<Vec<_>>(), "nothing of the wrong file is kept");
}

#[test]
fn more_bytes_than_a_range_has_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::TooMuch]);
    let error = fetch(&store(dir.path(), Some(&server), None).with_pace(MANY)).unwrap_err().to_string();
    assert!(error.contains("more than the expected"), "{error}");
}

#[test]
fn a_server_without_ranges_gives_the_whole_file_however_it_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::WholeCut(50_000), Reply::WholeFile]);
    assert_eq!(fetch(&store(dir.path(), Some(&server), None).with_pace(MANY)).unwrap(), content());
    assert_eq!(server.asked().len(), 2);
    let dir = tempfile::tempdir().unwrap();
    let server = self::server(&[Reply::WholeCut(290_000)]);
    fetch(&store(dir.path(), Some(&server), None).with_pace(MANY)).unwrap_err();
    assert!(server.asked().len() < 10, "it is not listened to for ever");
}

#[test]
fn a_slow_server_is_waited_for_and_a_silent_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let slow = server(&[Reply::Slow(30_000, 100)]);
    let began = Instant::now();
    assert_eq!(fetch(&store(dir.path(), Some(&slow), None)).unwrap(), content());
    assert!(began.elapsed().as_millis() >= 1000, "longer than the patience for silence");
    let dir = tempfile::tempdir().unwrap();
    let silent = server(&[Reply::Hang(120_000), Reply::Good]);
    assert_eq!(fetch(&store(dir.path(), Some(&silent), None)).unwrap(), content());
    assert_eq!(silent.starts(), [0, 120_000]);
}

#[test]
fn two_programs_fetch_a_file_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Slow(50_000, 100)]);
    let stores = [store(dir.path(), Some(&server), None), store(dir.path(), Some(&server), None)];
    let fetched: Vec<_> = stores
        .map(|store| std::thread::spawn(move || fetch(&store)))
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert!(fetched.into_iter().all(|bytes| bytes.unwrap() == content()));
    assert_eq!(server.asked().len(), 1, "{:?}", server.asked());
}

#[test]
fn a_model_that_does_not_fit_is_refused_before_it_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Good]);
    let mut entry = catalog().entries()[0].clone();
    entry.files[0].n_bytes = 1 << 60;
    let store = store(dir.path(), Some(&server), None).with_catalog(Catalog::from_entries(vec![entry]));
    let error = fetch(&store).unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
    assert!(server.asked().is_empty());
}

#[test]
fn without_a_network_what_is_here_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Good]);
    fetch(&store(dir.path(), Some(&server), None)).unwrap();
    let offline = store(dir.path(), None, None);
    assert_eq!(fetch(&offline).unwrap(), content());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn damage_is_told_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&[Reply::Good]);
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
