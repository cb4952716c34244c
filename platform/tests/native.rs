//! The shared body on the native twin, and what only a server of our own can do wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod body;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use futures_util::future::{Either, select};
use platform::{Error, File, OpenMode, block_on, fetch};

#[test]
fn files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    block_on(body::files_and_folders(&folder.path().join("root").display().to_string()));
}

#[test]
fn files_and_folders_in_memory() {
    block_on(body::files_and_folders("memory:tests"));
    let path = "memory:large";
    let file = block_on(File::open(path, OpenMode::Create)).unwrap();
    let full = file.set_len(2 << 30).unwrap_err();
    assert!(matches!(full, Error::QuotaExceeded { .. }), "{full}");
}

#[test]
fn tasks() {
    block_on(body::tasks());
}

#[test]
fn threads() {
    block_on(body::threads(3, 3));
}

#[test]
fn downloads() {
    let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 253) as u8).collect();
    let served = bytes.clone();
    let base = serve_each(move |path, range| {
        let total = served.len();
        match (path, range) {
            ("/file", Some((first, _))) if first >= total => answer("416 Nope", "", b""),
            ("/file", Some((first, end))) => {
                let end = end.unwrap_or(total);
                let range = format!("Content-Range: bytes {first}-{}/{total}\r\n", end - 1);
                answer("206 Partial Content", &range, &served[first..end])
            }
            ("/file", None) => answer("200 OK", "", &served),
            _ => answer("404 Not Found", "", b"no"),
        }
    });
    block_on(body::downloads(&format!("{base}/file"), &bytes, &format!("{base}/missing")));
}

#[test]
fn servers_that_do_not_keep_their_word() {
    let base = serve_each(|path, _| match path {
        "/no-ranges" => answer("200 OK", "", b"0123456789"),
        "/other-range" => answer("206 Partial Content", "Content-Range: bytes 0-9/10\r\n", b"0123456789"),
        "/no-range-told" => answer("206 Partial Content", "", b"56789"),
        "/cut-off" => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123".to_vec(),
        _ => answer("503 Busy", "", b""),
    });
    block_on(async {
        let whole = fetch(&format!("{base}/no-ranges"), 5).await.unwrap();
        assert!(!whole.resumed, "the bytes begin at 0 and the caller must know");
        assert_eq!(whole.total_bytes, Some(10));

        for path in ["other-range", "no-range-told"] {
            let url = format!("{base}/{path}");
            let error = fetch(&url, 5).await.unwrap_err();
            assert!(matches!(error, Error::Network { .. }), "{path}: {error:?}");
        }

        let mut cut = fetch(&format!("{base}/cut-off"), 0).await.unwrap();
        let mut n_bytes = 0;
        let error = loop {
            match cut.chunk().await {
                Ok(Some(chunk)) => n_bytes += chunk.len(),
                Ok(None) => panic!("{n_bytes} of 10 bytes passed for a whole file"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Network { .. }), "{error:?}");

        let busy = format!("{base}/busy");
        let error = fetch(&busy, 0).await.unwrap_err();
        assert_eq!(error, Error::Busy { url: busy, status: 503, wait_s: None });
        let nobody = fetch("http://127.0.0.1:1/file", 0).await.unwrap_err();
        assert!(matches!(nobody, Error::Network { .. }), "{nobody:?}");
    });
}

#[test]
fn a_download_waits_for_the_network_and_not_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123").unwrap();
            silent.push(stream);
        }
    });
    block_on(async {
        let asked = platform::Asked { stall_ms: 300, ..platform::Asked::new(&url) };
        let mut download = asked.fetch().await.unwrap();
        assert_eq!(download.chunk().await.unwrap().as_deref(), Some(&b"0123"[..]));
        // Another task goes on while this one waits.
        let waiting = std::pin::pin!(download.chunk());
        let other = std::pin::pin!(platform::sleep_ms(20));
        let Either::Right((_, waiting)) = select(waiting, other).await else {
            panic!("nothing more was sent")
        };
        let error = waiting.await.unwrap_err();
        assert!(
            matches!(&error, Error::Network { reason, .. } if reason.contains("nothing arrived")),
            "{error:?}"
        );
    });
}

/// `/dev/full` refuses every write as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_as_such() {
    let error = block_on(async {
        let file = File::open("/dev/full", OpenMode::ReadWrite).await.unwrap();
        file.write_at(b"12345", 0).unwrap_err()
    });
    assert_eq!(error, Error::QuotaExceeded { path: "/dev/full".to_owned(), needed_bytes: 5 });
    assert!(error.to_string().contains("free some disk space"), "{error}");
}

/// The first byte of a range, and the one after its last.
type Range = Option<(usize, Option<usize>)>;

/// Answers each connection's one request with `respond(path, range)`.
fn serve_each(respond: impl Fn(&str, Range) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut path, mut range) = (String::new(), None);
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                } else if let Some(rest) = line.strip_prefix("get ") {
                    path = rest.split(' ').next().unwrap().to_owned();
                } else if let Some((first, last)) =
                    line.strip_prefix("range: bytes=").and_then(|range| range.split_once('-'))
                {
                    let end = last.parse::<usize>().ok().map(|last| last + 1);
                    range = first.parse().ok().map(|first| (first, end));
                }
            }
            // A client that gave up is no fault of the server.
            let _ = stream.write_all(&respond(&path, range));
        }
    });
    base
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let n_bytes = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {n_bytes}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}
