//! What answers below `/v1`: who may ask, the body of a request, and answers whole or in pieces.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::request::{Method, Request};

/// The longest body: a conversation that fills any context, many times over.
const MAX_BODY_BYTES: u64 = 8 << 20;

/// Answers requests below `/v1`. It is called on the thread of a connection, of many at a time.
pub trait Api: fmt::Debug + Send + Sync {
    /// Answers one request.
    ///
    /// # Errors
    /// When the client has gone.
    fn answer(&self, call: &Call, reply: &mut Reply<'_>) -> io::Result<()>;

    /// The body of an answer that refuses a request before it gets here.
    fn refusal(&self, status: u16, message: &str) -> String;
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Whether something is to be done (`POST`), not only told (`GET`).
    pub is_post: bool,
    /// Below `/v1/`, such as `chat/completions`.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Where the answer goes.
#[derive(Debug)]
pub struct Reply<'a> {
    stream: &'a TcpStream,
    /// Header lines of every answer.
    lines: String,
}

/// An API and the pages that may use it.
#[derive(Debug)]
pub(crate) struct Served {
    pub api: Arc<dyn Api>,
    pub origins: Vec<String>,
}

impl Reply<'_> {
    /// Answers with JSON.
    ///
    /// # Errors
    /// When the client has gone.
    pub fn json(&mut self, status: u16, body: &str) -> io::Result<()> {
        let n_bytes = body.len();
        self.head(status, &format!("Content-Type: application/json\r\nContent-Length: {n_bytes}\r\n"))?;
        self.stream.write_all(body.as_bytes())
    }

    /// Begins an answer in pieces (server-sent events); it ends with the connection.
    ///
    /// # Errors
    /// When the client has gone.
    pub fn begin_events(&mut self) -> io::Result<()> {
        self.head(200, "Content-Type: text/event-stream\r\n")
    }

    /// Sends a piece, which has no line break.
    ///
    /// # Errors
    /// When the client has gone.
    pub fn event(&mut self, data: &str) -> io::Result<()> {
        self.stream.write_all(format!("data: {data}\n\n").as_bytes())
    }

    fn head(&mut self, status: u16, lines: &str) -> io::Result<()> {
        let reason = match status {
            200 => "OK",
            204 => "No Content",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            411 => "Length Required",
            413 => "Content Too Large",
            503 => "Service Unavailable",
            _ => "Error",
        };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\n{}{lines}X-Content-Type-Options: nosniff\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            self.lines
        );
        self.stream.write_all(head.as_bytes())
    }
}

/// Whether the API answers a request.
pub(crate) fn is_for(request: &Request) -> bool {
    request.path.first().is_some_and(|name| name == "v1")
}

/// Answers a request, of whose body `received` has come already. The connection is done then.
pub(crate) fn answer(
    served: &Served,
    request: &Request,
    received: Vec<u8>,
    stream: &TcpStream,
) -> io::Result<()> {
    let mut reply = Reply { stream, lines: String::new() };
    let refuse = |reply: &mut Reply<'_>, status, message: &str| {
        reply.json(status, &served.api.refusal(status, message))
    };
    match page(request, &served.origins) {
        Page::None => {}
        // Another answer may be kept for another page.
        Page::Allowed(origin) => {
            reply.lines = format!("Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n");
        }
        Page::Foreign => {
            let message = "pages of other sites may not use this server; \
                           `footnote serve --allow-origin` lets one in";
            return refuse(&mut reply, 403, message);
        }
    }
    match (request.method, request.body_bytes) {
        (Method::Options, _) => {
            let lines = "Access-Control-Allow-Methods: GET, POST\r\n\
                         Access-Control-Allow-Headers: authorization, content-type, *\r\n\
                         Access-Control-Max-Age: 600\r\n";
            reply.head(204, lines)
        }
        (Method::Head, _) => refuse(&mut reply, 405, "only GET and POST are answered here"),
        (_, None) => refuse(&mut reply, 411, "the length of the body must be told"),
        (_, Some(n_bytes)) if n_bytes > MAX_BODY_BYTES => {
            refuse(&mut reply, 413, &format!("a body may have {MAX_BODY_BYTES} bytes"))
        }
        (method, Some(n_bytes)) => {
            let body = read_body(stream, received, n_bytes as usize)?;
            let call = Call { is_post: method == Method::Post, path: request.path[1..].join("/"), body };
            served.api.answer(&call, &mut reply)
        }
    }
}

/// The page that asks.
#[derive(Debug, PartialEq, Eq)]
enum Page {
    /// No page of another site: a program, or a page of this server.
    None,
    /// A page of this origin, which may.
    Allowed(String),
    /// A page that may not.
    Foreign,
}

/// Browsers say which page asks: by `Origin` whenever a request could do something, else by
/// `Sec-Fetch-Site`. Programs say neither, and could say anything.
fn page(request: &Request, origins: &[String]) -> Page {
    match request.origin.as_deref() {
        Some(origin) if origin == format!("http://{}", request.host) => Page::None,
        Some(origin) => {
            let may = origins.iter().any(|allowed| allowed == "*" || allowed.trim_end_matches('/') == origin);
            if may { Page::Allowed(origin.to_owned()) } else { Page::Foreign }
        }
        None => match request.fetch_site.as_deref() {
            None | Some("same-origin" | "none") => Page::None,
            Some(_) => Page::Foreign,
        },
    }
}

fn read_body(mut stream: &TcpStream, mut received: Vec<u8>, n_bytes: usize) -> io::Result<Vec<u8>> {
    let n_received = received.len().min(n_bytes);
    received.resize(n_bytes, 0);
    stream.read_exact(&mut received[n_received..])?;
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_from_programs() {
        let of = |origin: Option<&str>, fetch_site: Option<&str>| Request {
            host: "127.0.0.1:8017".into(),
            origin: origin.map(str::to_owned),
            fetch_site: fetch_site.map(str::to_owned),
            ..Request::default()
        };
        let allowed = ["http://localhost:3000/".to_owned()];
        for (origin, fetch_site, expected) in [
            (None, None, Page::None),
            (None, Some("none"), Page::None),
            (None, Some("same-origin"), Page::None),
            (None, Some("cross-site"), Page::Foreign),
            (None, Some("same-site"), Page::Foreign),
            (Some("http://127.0.0.1:8017"), Some("same-origin"), Page::None),
            (Some("http://127.0.0.1:9000"), Some("same-site"), Page::Foreign),
            (Some("https://evil.example"), None, Page::Foreign),
            (Some("null"), None, Page::Foreign),
            (Some("http://localhost:3000"), None, Page::Allowed("http://localhost:3000".into())),
        ] {
            assert_eq!(page(&of(origin, fetch_site), &allowed), expected, "{origin:?} {fetch_site:?}");
        }
        let all = page(&of(Some("https://any.example"), None), &["*".to_owned()]);
        assert_eq!(all, Page::Allowed("https://any.example".into()));
    }
}
