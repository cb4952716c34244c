//! The part below `/v1`: who gets in, and what comes back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use serve::{Api, Call, Handle, Options, Reply, spawn};

/// Says what it was asked.
#[derive(Debug)]
struct Echo;

impl Api for Echo {
    fn answer(&self, call: &Call, reply: &mut Reply<'_>) -> io::Result<()> {
        if call.path == "events" {
            reply.begin_events()?;
            reply.event("one")?;
            return reply.event("[DONE]");
        }
        let Call { is_post, path, body } = call;
        reply.json(200, &format!("{is_post} {path} {}", String::from_utf8_lossy(body)))
    }

    fn refusal(&self, status: u16, message: &str) -> String {
        format!("{{\"{status}\": \"{message}\"}}")
    }
}

fn server(origins: &[&str]) -> Handle {
    let folder = std::env::temp_dir();
    let api_origins = origins.iter().map(|origin| origin.to_string()).collect();
    let options = Options::new(0, folder.clone(), folder);
    spawn(&Options { api: Some(Arc::new(Echo)), api_origins, ..options }).unwrap()
}

/// Sends bytes as they are and reads to the end.
fn raw(server: &Handle, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn ask(server: &Handle, method: &str, path: &str, lines: &str, body: &str) -> String {
    let port = server.port();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n", body.len());
    raw(server, &format!("{head}{lines}\r\n{body}"))
}

#[test]
fn programs_are_answered() {
    let server = server(&[]);
    let reply = ask(&server, "POST", "/v1/chat/completions", "Authorization: Bearer x\r\n", "{\"a\": \"é\"}");
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.ends_with("\r\n\r\ntrue chat/completions {\"a\": \"é\"}"), "{reply}");
    assert!(ask(&server, "GET", "/v1/models", "", "").ends_with("false models "));
    let events = ask(&server, "POST", "/v1/events", "", "");
    assert!(events.contains("Content-Type: text/event-stream\r\n"), "{events}");
    assert!(events.ends_with("\r\n\r\ndata: one\n\ndata: [DONE]\n\n"), "{events}");
}

#[test]
fn a_body_may_come_in_pieces() {
    let server = server(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let body = "x".repeat(300_000);
    let head = format!("POST /v1/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    for piece in body.as_bytes().chunks(70_000) {
        stream.write_all(piece).unwrap();
        stream.flush().unwrap();
    }
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.ends_with(&format!("true a {body}")));
}

#[test]
fn pages_of_other_sites_are_kept_out_unless_they_are_let_in() {
    let server = server(&["http://localhost:3000"]);
    let own = format!("Origin: http://127.0.0.1:{}\r\n", server.port());
    assert!(ask(&server, "POST", "/v1/a", &own, "x").starts_with("HTTP/1.1 200"));
    for lines in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:3001\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        for method in ["POST", "GET", "OPTIONS"] {
            let reply = ask(&server, method, "/v1/a", lines, "");
            assert!(reply.starts_with("HTTP/1.1 403"), "{method} {lines}: {reply}");
            assert!(reply.contains("{\"403\": \"pages of other sites"), "{reply}");
            assert!(!reply.contains("Access-Control"), "{reply}");
        }
    }
    let allowed = "Origin: http://localhost:3000\r\n";
    let reply = ask(&server, "POST", "/v1/a", allowed, "x");
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    assert!(reply.contains("Access-Control-Allow-Origin: http://localhost:3000\r\n"), "{reply}");
    let preflight = ask(&server, "OPTIONS", "/v1/a", allowed, "");
    assert!(preflight.starts_with("HTTP/1.1 204"), "{preflight}");
    assert!(preflight.contains("Access-Control-Allow-Methods: GET, POST\r\n"), "{preflight}");
}

#[test]
fn another_name_is_another_machine() {
    let server = server(&["*"]);
    for host in ["evil.example", "127.0.0.1.evil.example"] {
        let reply =
            raw(&server, &format!("POST /v1/a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"));
        assert!(reply.starts_with("HTTP/1.1 421"), "{reply}");
    }
}

#[test]
fn bodies_have_a_length_and_an_end() {
    let server = server(&[]);
    let host = "Host: localhost\r\n";
    for (lines, status) in [
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Content-Length: 99999999\r\n", 413),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", 400),
    ] {
        let reply = raw(&server, &format!("POST /v1/a HTTP/1.1\r\n{host}{lines}\r\n"));
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{lines}: {reply}");
    }
    assert!(ask(&server, "DELETE", "/v1/a", "", "").starts_with("HTTP/1.1 405"));
}

#[test]
fn without_an_api_there_is_none() {
    let folder = std::env::temp_dir();
    let server = spawn(&Options::new(0, folder.clone(), folder)).unwrap();
    assert!(ask(&server, "POST", "/v1/a", "Connection: close\r\n", "").starts_with("HTTP/1.1 405"));
    assert!(ask(&server, "GET", "/v1/models", "Connection: close\r\n", "").starts_with("HTTP/1.1 404"));
}
