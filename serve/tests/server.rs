//! The server over real connections, as a browser and as an attacker would talk to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serve::{Handle, Options, spawn};
use tempfile::TempDir;

/// A server over a small web app and one model; the folder lives as long as the server.
struct Site {
    server: Handle,
    folder: TempDir,
}

/// An answer in parts.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Site {
    fn start() -> Site {
        Site::start_with(true)
    }

    fn start_with(isolated: bool) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("web/sub")).unwrap();
        fs::create_dir_all(at("models/tiny")).unwrap();
        for (name, bytes) in [
            ("web/index.html", "<!doctype html>"),
            ("web/page.js", "export {};"),
            ("web/page.js.br", "BROTLI"),
            ("web/page.js.gz", "GZIP"),
            ("web/engine.wasm", "0123456789"),
            ("web/sub/a b.mjs", "space"),
            ("web/.hidden", "no"),
            ("models/tiny/model.gguf", "GGUF-0123456789"),
            ("models/tiny/model.gguf.br", "never"),
            ("models/tiny/half.gguf.part", "half"),
            ("secret", "outside"),
        ] {
            fs::write(at(name), bytes).unwrap();
        }
        let options = Options { isolated, ..Options::new(0, at("web"), at("models")) };
        Site { server: spawn(&options).unwrap(), folder }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(("127.0.0.1", self.server.port())).unwrap())
    }

    fn get(&self, path: &str, headers: &str) -> Reply {
        ask(&mut self.connect(), "GET", path, headers)
    }
}

fn ask(stream: &mut BufReader<TcpStream>, method: &str, path: &str, headers: &str) -> Reply {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    reply(stream, method == "HEAD")
}

fn reply(stream: &mut BufReader<TcpStream>, is_head: bool) -> Reply {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let status = line().split(' ').nth(1).expect("a status line").parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut reply = Reply { status, headers, body: Vec::new() };
    if !is_head && status != 304 {
        let n_bytes = reply.header("content-length").parse().unwrap();
        reply.body.resize(n_bytes, 0);
        stream.read_exact(&mut reply.body).unwrap();
    }
    reply
}

impl Reply {
    /// The value of a header that is there at most once; empty where it is missing.
    fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let value = values.next().unwrap_or_default();
        assert_eq!(values.next(), None, "{name} stands twice");
        value
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

#[test]
fn without_isolation_the_other_headers_stay() {
    let site = Site::start_with(false);
    let reply = site.get("/", "");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cross-origin-opener-policy"), "");
    assert_eq!(reply.header("cross-origin-embedder-policy"), "");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(reply.header("content-security-policy").contains("script-src 'self'"));
}

#[test]
fn files_have_their_types_and_every_answer_isolates_the_page() {
    let site = Site::start();
    for (path, status, mime, body) in [
        ("/", 200, "text/html; charset=utf-8", "<!doctype html>"),
        ("/index.html?x=1", 200, "text/html; charset=utf-8", "<!doctype html>"),
        ("/page.js", 200, "text/javascript; charset=utf-8", "export {};"),
        ("/engine.wasm", 200, "application/wasm", "0123456789"),
        ("/sub/a%20b.mjs", 200, "text/javascript; charset=utf-8", "space"),
        ("/models/tiny/model.gguf", 200, "application/octet-stream", "GGUF-0123456789"),
        ("/sub", 404, "text/plain; charset=utf-8", "no such file\n"),
        ("/nothing", 404, "text/plain; charset=utf-8", "no such file\n"),
        ("/models/tiny", 404, "text/plain; charset=utf-8", "no such file\n"),
        ("/models/tiny/half.gguf.part", 404, "text/plain; charset=utf-8", "no such file\n"),
    ] {
        let reply = site.get(path, "");
        assert_eq!((reply.status, reply.text()), (status, body), "{path}");
        assert_eq!(reply.header("content-type"), mime, "{path}");
        assert_eq!(reply.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(reply.header("cross-origin-embedder-policy"), "require-corp");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("connect-src 'self' https://huggingface.co"), "{policy}");
        assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
    }
}

#[test]
fn a_missing_web_app_says_how_to_build_it() {
    let site = Site::start();
    fs::remove_file(site.folder.path().join("web/index.html")).unwrap();
    let reply = site.get("/", "");
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("cargo xtask serve"), "{}", reply.text());
}

#[test]
fn ranges_of_the_file_itself() {
    let site = Site::start();
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=10-", 416, "the file has no such bytes\n", "bytes */10"),
        ("bytes=0-1,4-5", 200, "0123456789", ""),
    ] {
        let reply = site.get("/engine.wasm", &format!("Range: {range}\r\n"));
        assert_eq!((reply.status, reply.text()), (status, body), "{range}");
        assert_eq!(reply.header("content-range"), content_range, "{range}");
    }
    let reply = site.get("/page.js", "Range: bytes=0-5\r\nAccept-Encoding: br\r\n");
    assert_eq!((reply.text(), reply.header("content-encoding")), ("export", ""));

    let tag = site.get("/engine.wasm", "").header("etag").to_owned();
    let resume =
        |tag: &str| site.get("/engine.wasm", &format!("Range: bytes=5-\r\nIf-Range: {tag}\r\n")).status;
    assert_eq!(resume(&tag), 206);
    assert_eq!(resume("\"other\""), 200, "a changed file is sent whole");
}

#[test]
fn tags_spare_what_the_browser_has() {
    let site = Site::start();
    for encoding in ["", "Accept-Encoding: br\r\n"] {
        let tag = site.get("/page.js", encoding).header("etag").to_owned();
        let reply = site.get("/page.js", &format!("{encoding}If-None-Match: {tag}\r\n"));
        assert_eq!((reply.status, reply.header("etag")), (304, tag.as_str()));
    }
    let plain = site.get("/page.js", "").header("etag").to_owned();
    let packed = site.get("/page.js", "Accept-Encoding: br\r\n").header("etag").to_owned();
    assert_ne!(plain, packed, "other bytes, other tag");

    fs::write(site.folder.path().join("web/page.js"), "export {}; // changed").unwrap();
    let reply = site.get("/page.js", &format!("If-None-Match: {plain}\r\n"));
    assert_eq!((reply.status, reply.text()), (200, "export {}; // changed"));
}

#[test]
fn compressed_neighbours_by_accept_encoding() {
    let site = Site::start();
    for (accept, body, coding) in [
        ("gzip, deflate, br, zstd", "BROTLI", "br"),
        ("gzip", "GZIP", "gzip"),
        ("br;q=0, gzip", "GZIP", "gzip"),
        ("identity", "export {};", ""),
    ] {
        let reply = site.get("/page.js", &format!("Accept-Encoding: {accept}\r\n"));
        assert_eq!((reply.text(), reply.header("content-encoding")), (body, coding), "{accept}");
        assert_eq!(reply.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(reply.header("vary"), "Accept-Encoding");
    }
    let model = site.get("/models/tiny/model.gguf", "Accept-Encoding: br\r\n");
    assert_eq!(model.text(), "GGUF-0123456789", "models are never compressed");
}

#[test]
fn no_path_leads_out() {
    let site = Site::start();
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/models/../../secret",
        "/models/tiny/..%2f..%2fsecret",
        "/..\\secret",
        "/.hidden",
        "secret",
        "http://127.0.0.1/index.html",
    ] {
        let reply = site.get(path, "");
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
    }
    assert_eq!(site.get("//secret", "").status, 404);
}

#[test]
fn only_this_machine_by_its_own_names() {
    let site = Site::start();
    for (host_lines, status) in [
        ("Host: 127.0.0.1:8017\r\n", 200),
        ("Host: evil.example\r\n", 421),
        ("Host: localhost.evil.example:8017\r\n", 421),
        ("Host: localhost\r\nHost: evil.example\r\n", 421),
        ("", 421),
    ] {
        let mut stream = site.connect();
        let request = format!("GET / HTTP/1.1\r\n{host_lines}\r\n");
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        assert_eq!(reply(&mut stream, false).status, status, "{host_lines:?}");
    }
}

#[test]
fn methods() {
    let site = Site::start();
    let head = ask(&mut site.connect(), "HEAD", "/engine.wasm", "");
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let reply = ask(&mut site.connect(), method, "/engine.wasm", "");
        assert_eq!((reply.status, reply.header("allow")), (405, "GET, HEAD"), "{method}");
    }
}

#[test]
fn a_connection_serves_many_requests_even_sent_at_once() {
    let site = Site::start();
    let mut stream = site.connect();
    for _ in 0..3 {
        assert_eq!(ask(&mut stream, "GET", "/engine.wasm", "").text(), "0123456789");
        assert_eq!(ask(&mut stream, "HEAD", "/", "").status, 200);
    }
    let both = "GET /engine.wasm HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    stream.get_mut().write_all(both.as_bytes()).unwrap();
    assert_eq!(reply(&mut stream, false).text(), "0123456789");
    assert_eq!(reply(&mut stream, false).text(), "0123456789");

    let last = ask(&mut stream, "GET", "/engine.wasm", "Connection: close\r\n");
    assert_eq!(last.header("connection"), "close");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "then the connection ends");
}

#[test]
fn what_is_no_request_gets_a_refusal_and_harms_nobody() {
    let site = Site::start();
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    for (bytes, status) in [(&b"\x16\x03\x01\x02\x00\x01\r\n\r\n"[..], 400), (long.as_bytes(), 431)] {
        let mut stream = site.connect();
        // The server may answer before it has read everything.
        let _ = stream.get_mut().write_all(bytes);
        assert_eq!(reply(&mut stream, false).status, status);
    }
    assert_eq!(site.get("/", "").status, 200);
}

#[test]
fn stopping_closes_the_port_and_its_connections() {
    let site = Site::start();
    let port = site.server.port();
    let mut idle = site.connect();
    assert_eq!(ask(&mut idle, "GET", "/", "").status, 200);
    site.server.stop();
    assert!(!matches!(idle.read(&mut [0]), Ok(1..)), "an idle connection is closed");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is free again");
}
