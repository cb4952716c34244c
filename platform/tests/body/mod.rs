//! The one body of tests that both twins pass: natively through `tests/native.rs`, in a browser's
//! worker through `examples/browser_tests.rs`. Plain functions, so that either can call them.

use std::sync::atomic::{AtomicUsize, Ordering};

use platform::{DirEntry, Error, File, OpenMode};

/// Everything about files and folders, below the folder `root`, which need not exist.
pub async fn files_and_folders(root: &str) {
    positional_reads_and_writes(&format!("{root}/a/b/positional.bin")).await;
    opening(&format!("{root}/opening")).await;
    sharing(&format!("{root}/sharing")).await;
    names(&format!("{root}/names")).await;
    platform::remove(root).await.expect("the folder with all it holds can be removed");
    assert_eq!(platform::exists(root).await, Ok(false));
}

async fn positional_reads_and_writes(path: &str) {
    let file = File::open(path, OpenMode::Create).await.expect("missing folders are made");
    assert_eq!(file.path(), path);
    assert_eq!(file.len(), Ok(0));
    file.write_at(b"world", 6).expect("a write past the end");
    file.write_at(b"hello", 0).expect("a write before it");
    assert_eq!(file.len(), Ok(11));
    let mut all = [0xff; 11];
    file.read_at(&mut all, 0).expect("all of it");
    assert_eq!(&all, b"hello\0world", "the gap reads as zeros");
    let mut part = [0; 3];
    file.read_at(&mut part, 7).expect("a part of it");
    assert_eq!(&part, b"orl");
    file.read_at(&mut [], 11).expect("nothing can be read anywhere");

    let past_end = file.read_at(&mut part, 9).expect_err("two of three bytes are there");
    let expected = Error::UnexpectedEof { path: path.to_owned(), offset: 9, wanted_bytes: 3, file_bytes: 11 };
    assert_eq!(past_end, expected);
    assert!(past_end.to_string().contains(path), "{past_end}");

    file.set_len(5).expect("the file can be cut");
    file.set_len(7).expect("and extended");
    let mut cut = [0xff; 7];
    file.read_at(&mut cut, 0).expect("all of it");
    assert_eq!(&cut, b"hello\0\0");

    let big: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    file.write_at(&big, 1 << 20).expect("a large write");
    let mut read = vec![0; big.len()];
    file.read_at(&mut read, 1 << 20).expect("a large read");
    assert!(big == read, "a large write comes back whole");
    file.sync().expect("a sync");
    let clone = file.clone();
    file.close();
    assert_eq!(clone.len(), Ok((1 << 20) + 300_000), "the last clone keeps it open");
}

async fn opening(root: &str) {
    let path = format!("{root}/file");
    let missing = File::open(&path, OpenMode::Read).await.expect_err("it is not there");
    assert_eq!(missing, Error::NotFound { path: path.clone() });
    assert_eq!(platform::exists(&path).await, Ok(false), "looking creates nothing");

    let file = File::open(&path, OpenMode::ReadWrite).await.expect("it is made");
    file.write_at(b"kept", 0).expect("a write");
    file.close();
    let file = File::open(&path, OpenMode::ReadWrite).await.expect("it opens again");
    assert_eq!(file.len(), Ok(4), "what it held is kept");
    file.close();
    let file = File::open(&path, OpenMode::Create).await.expect("it opens again");
    assert_eq!(file.len(), Ok(0), "Create empties it");
    file.close();
    let file = File::open(&path, OpenMode::Read).await.expect("it opens again");
    assert!(file.write_at(b"no", 0).is_err(), "a reader cannot write");
    file.close();
    let folder = File::open(root, OpenMode::Read).await.expect_err("a folder is no file");
    assert!(matches!(folder, Error::Io { .. }), "{folder:?}");
}

async fn sharing(root: &str) {
    let path = format!("{root}/file");
    let writer = File::open(&path, OpenMode::ReadWrite).await.expect("it is made");
    writer.write_at(b"x", 0).expect("a write");
    let began_ms = platform::now_ms();
    let second = File::open(&path, OpenMode::ReadWrite).await.expect_err("one writer at a time");
    assert_eq!(second, Error::Locked { path: path.clone() });
    let waited_ms = platform::now_ms() - began_ms;
    assert!(waited_ms >= f64::from(platform::MAX_LOCK_WAIT_MS), "gave up after {waited_ms} ms");
    writer.close();

    let first = File::open(&path, OpenMode::Read).await.expect("the lock ended with its handle");
    let second = File::open(&path, OpenMode::Read).await.expect("readers share");
    let mut byte = [0];
    first.read_at(&mut byte, 0).expect("the first reads");
    second.read_at(&mut byte, 0).expect("the second reads");
    assert_eq!(&byte, b"x");
}

async fn names(root: &str) {
    let path = |name: &str| format!("{root}/{name}");
    let missing = platform::list(root).await.expect_err("it is not there");
    assert_eq!(missing, Error::NotFound { path: root.to_owned() });
    for (name, bytes) in [("b", &b"bb"[..]), ("a", b"a"), ("folder/c", b"ccc")] {
        let file = File::open(&path(name), OpenMode::Create).await.expect("it is made");
        file.write_at(bytes, 0).expect("a write");
    }
    let entry = |name: &str, len, is_dir| DirEntry { name: name.to_owned(), len, is_dir };
    let expected = vec![entry("a", 1, false), entry("b", 2, false), entry("folder", 0, true)];
    assert_eq!(platform::list(root).await, Ok(expected), "sorted by name");
    assert_eq!(platform::exists(&path("folder")).await, Ok(true));

    platform::rename(&path("a"), &path("b")).await.expect("it replaces what was there");
    platform::rename(&path("b"), &path("new/b")).await.expect("missing folders are made");
    let expected = vec![entry("folder", 0, true), entry("new", 0, true)];
    assert_eq!(platform::list(root).await, Ok(expected));
    assert_eq!(platform::list(&path("new")).await, Ok(vec![entry("b", 1, false)]));
    let missing = platform::rename(&path("a"), &path("b")).await.expect_err("it is gone");
    assert_eq!(missing, Error::NotFound { path: path("a") });

    platform::remove(&path("new/b")).await.expect("a file can be removed");
    let missing = platform::remove(&path("new/b")).await.expect_err("it is gone");
    assert_eq!(missing, Error::NotFound { path: path("new/b") });
    platform::remove(&path("folder")).await.expect("a folder goes with what it holds");
}

/// Clock and tasks.
pub async fn tasks() {
    assert!(platform::room("tests").await.is_some_and(|room| room.free_bytes > 0));
    let began_ms = platform::now_ms();
    platform::sleep_ms(20).await;
    let slept_ms = platform::now_ms() - began_ms;
    assert!(slept_ms >= 19.0, "slept only {slept_ms} ms of 20");
    for _ in 0..100 {
        platform::yield_now().await;
    }
    let year_2024_ms = 1_704_067_200_000;
    assert!(platform::unix_ms() > year_2024_ms, "the clock of this machine is wrong");
}

/// Loops on the `expected` number of threads, which were asked for by that number.
pub async fn threads(wanted: usize, expected: usize) {
    assert_eq!(platform::start_threads(Some(wanted)).await, expected);
    assert_eq!(platform::n_threads(), expected);
    assert_eq!(platform::start_threads(Some(wanted + 1)).await, expected, "later calls change nothing");

    let mut data: Vec<usize> = (0..10).collect();
    platform::parallel_chunks_mut(&mut data, 4, |chunk_idx, chunk| {
        assert_eq!(chunk.len(), if chunk_idx == 2 { 2 } else { 4 });
        for x in chunk {
            *x += 100 * chunk_idx;
        }
    });
    assert_eq!(data, [0, 1, 2, 3, 104, 105, 106, 107, 208, 209]);

    // Each thread comes when each piece waits for all of them, be it out of sleep; at first they start.
    for pause_ms in [200, 0, 20] {
        platform::sleep_ms(pause_ms).await;
        let n_inside = AtomicUsize::new(0);
        let until_ms = platform::now_ms() + 30_000.0;
        platform::parallel_chunks_mut(&mut vec![0_u8; expected], 1, |_, _| {
            n_inside.fetch_add(1, Ordering::SeqCst);
            while n_inside.load(Ordering::SeqCst) < expected {
                assert!(platform::now_ms() < until_ms, "a thread does not come");
            }
        });
    }

    // A model is thousands of short loops, and each allocates.
    let mut sums = [0_u64; 16];
    for round in 0..5_000 {
        platform::parallel_chunks_mut(&mut sums, 1, |idx, sum| {
            let terms: Vec<u64> = (0..=idx as u64).map(|term| term + round % 2).collect();
            sum[0] += terms.iter().sum::<u64>();
        });
    }
    for (idx, sum) in (0..).zip(sums) {
        assert_eq!(sum, 5_000 * idx * (idx + 1) / 2 + 2_500 * (idx + 1), "sum {idx}");
    }
}

/// Downloads of `url`, which serves `expected` and knows ranges, and of `missing_url`, a 404.
pub async fn downloads(url: &str, expected: &[u8], missing_url: &str) {
    for start in [0, 1, expected.len() as u64 - 1] {
        let mut download = platform::fetch(url, start).await.expect("an answer");
        assert_eq!(download.resumed, start > 0);
        assert_eq!(download.status, if start > 0 { 206 } else { 200 });
        assert_eq!(download.total_bytes, Some(expected.len() as u64));
        let mut bytes = Vec::new();
        while let Some(chunk) = download.chunk().await.expect("a chunk") {
            bytes.extend(chunk);
        }
        assert!(bytes == expected[start as usize..], "from {start}: other bytes than served");
        assert_eq!(download.chunk().await, Ok(None), "the end stays the end");
    }
    for (start, end) in [(0, 5), (70_000, 300_000), (expected.len() as u64 - 1, expected.len() as u64)] {
        let asked = platform::Asked { start, end: Some(end), ..platform::Asked::new(url) };
        let mut download = asked.fetch().await.expect("an answer");
        assert_eq!((download.resumed, download.total_bytes), (true, Some(expected.len() as u64)));
        let mut bytes = Vec::new();
        while let Some(chunk) = download.chunk().await.expect("a chunk") {
            bytes.extend(chunk);
        }
        assert!(bytes == expected[start as usize..end as usize], "{start} to {end}: other bytes than asked");
    }
    drop(platform::fetch(url, 0).await.expect("a download can be given up at once"));
    let at_end = platform::fetch(url, expected.len() as u64).await.expect_err("nothing is left");
    assert_eq!(at_end, Error::Http { url: url.to_owned(), status: 416 });
    let missing = platform::fetch(missing_url, 0).await.expect_err("it is not there");
    assert_eq!(missing, Error::Http { url: missing_url.to_owned(), status: 404 });
}
