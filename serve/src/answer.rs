//! From a request to a status, headers and a body.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use crate::files::{self, Folders, Found, Opened};
use crate::headers::{ALWAYS, ISOLATION, Wanted, accepted_codings, names_tag, policy, wanted};
use crate::request::{Method, Refused, Request};
use crate::server::Site;

/// What is sent after the head.
pub(crate) enum Body {
    None,
    Text(String),
    /// `n_bytes` from where `file` stands.
    File {
        file: File,
        n_bytes: u64,
    },
}

/// An answer, ready to be written.
pub(crate) struct Answer {
    status: &'static str,
    /// Further header lines, each with its line end.
    lines: String,
    /// The length that is told, also where no body is sent.
    n_bytes: Option<u64>,
    pub body: Body,
}

impl Answer {
    /// The answer to `request`.
    pub(crate) fn to(request: &Request, folders: &Folders) -> Answer {
        if !matches!(request.method, Method::Get | Method::Head) {
            return Answer::refusal(Refused::Method);
        }
        let mut answer = match folders.find(&request.path) {
            Some(found) => file(request, &found).unwrap_or_else(|error| {
                text("500 Internal Server Error", &format!("the file cannot be read: {error}"))
            }),
            None if request.path.is_empty() => {
                text("404 Not Found", "the web app is not built; run: cargo xtask serve")
            }
            None => text("404 Not Found", "no such file"),
        };
        if request.method == Method::Head {
            answer.body = Body::None;
        }
        answer
    }

    /// The answer to a request that gets no file, whatever it asks for.
    pub(crate) fn refusal(refused: Refused) -> Answer {
        match refused {
            Refused::Malformed => text("400 Bad Request", "this request cannot be read"),
            Refused::Method => {
                let mut answer = text("405 Method Not Allowed", "only GET and HEAD are answered");
                answer.lines += "Allow: GET, HEAD\r\n";
                answer
            }
            Refused::Host => text(
                "421 Misdirected Request",
                "this server answers to the names 127.0.0.1 and localhost only",
            ),
            Refused::TooLarge => {
                text("431 Request Header Fields Too Large", "the head of this request is too long")
            }
        }
    }

    /// The status line and the headers, with the empty line that ends them.
    pub(crate) fn head(&self, site: &Site, is_last: bool) -> String {
        let isolation = if site.is_isolated { ISOLATION } else { "" };
        let policy = policy(site.mirror.as_deref());
        let mut head = format!("HTTP/1.1 {}\r\n{isolation}{ALWAYS}{policy}{}", self.status, self.lines);
        if let Some(n_bytes) = self.n_bytes {
            let _ = write!(head, "Content-Length: {n_bytes}\r\n");
        }
        if is_last {
            head += "Connection: close\r\n";
        }
        head + "\r\n"
    }
}

fn text(status: &'static str, message: &str) -> Answer {
    let body = format!("{message}\n");
    Answer {
        status,
        lines: "Content-Type: text/plain; charset=utf-8\r\n".to_owned(),
        n_bytes: Some(body.len() as u64),
        body: Body::Text(body),
    }
}

fn file(request: &Request, found: &Found) -> io::Result<Answer> {
    let (Opened { mut file, n_bytes, version }, coding) = representation(request, found)?;
    let tag = match coding {
        Some(coding) => format!("\"{version}-{coding}\""),
        None => format!("\"{version}\""),
    };
    let mut lines = format!("ETag: {tag}\r\nAccept-Ranges: bytes\r\n");
    if found.may_be_compressed {
        lines += "Vary: Accept-Encoding\r\n";
    }
    if request.if_none_match.as_ref().is_some_and(|value| names_tag(value, &tag)) {
        return Ok(Answer { status: "304 Not Modified", lines, n_bytes: None, body: Body::None });
    }
    // A part of what the client has of another version would make a mixture of both.
    let is_current = request.if_range.as_ref().is_none_or(|value| *value == tag);
    let range = request.range.as_deref().filter(|_| is_current && coding.is_none());
    let (status, n_sent) = match wanted(range, n_bytes) {
        Wanted::Whole => ("200 OK", n_bytes),
        Wanted::Part(part) => {
            file.seek(SeekFrom::Start(part.start))?;
            let last = part.end - 1;
            let _ = write!(lines, "Content-Range: bytes {}-{last}/{n_bytes}\r\n", part.start);
            ("206 Partial Content", part.end - part.start)
        }
        Wanted::Unsatisfiable => {
            let mut answer = text("416 Range Not Satisfiable", "the file has no such bytes");
            let _ = write!(answer.lines, "Content-Range: bytes */{n_bytes}\r\n");
            return Ok(answer);
        }
    };
    let _ = write!(lines, "Content-Type: {}\r\n", found.mime);
    if let Some(coding) = coding {
        let _ = write!(lines, "Content-Encoding: {coding}\r\n");
    }
    Ok(Answer { status, lines, n_bytes: Some(n_sent), body: Body::File { file, n_bytes: n_sent } })
}

/// The compressed neighbour that the client takes, else the file itself. Ranges count bytes of
/// the file itself, so a request with one gets that.
fn representation(request: &Request, found: &Found) -> io::Result<(Opened, Option<&'static str>)> {
    if found.may_be_compressed && request.range.is_none() {
        for (coding, extension) in accepted_codings(&request.accept_encoding) {
            let mut name = found.path.clone().into_os_string();
            name.push(".");
            name.push(extension);
            if let Ok(opened) = files::open(name.as_ref()) {
                return Ok((opened, Some(coding)));
            }
        }
    }
    Ok((files::open(&found.path)?, None))
}
