//! The head of a request, read into what an answer depends on.

/// More headers than any browser sends.
const MAX_HEADERS: usize = 64;

/// A request that deserves an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: Method,
    /// The decoded names between the slashes of the path; none for `/`. None of them can lead out
    /// of a folder.
    pub path: Vec<String>,
    pub keep_alive: bool,
    pub accept_encoding: String,
    pub if_none_match: Option<String>,
    pub if_range: Option<String>,
    pub range: Option<String>,
    /// The page that asks, as its browser says.
    pub origin: Option<String>,
    /// Where that page is from, as its browser says: `same-origin`, `cross-site`, ..
    pub fetch_site: Option<String>,
    /// The name this machine was asked by.
    pub host: String,
    /// Bytes that follow the head; `None` where only the sender knows.
    pub body_bytes: Option<u64>,
}

/// What a request wants done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Method {
    #[default]
    Get,
    Head,
    Post,
    Options,
}

/// Why a request gets no file, whatever it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not HTTP, or a path that no file can have.
    Malformed,
    /// Neither `GET` nor `HEAD`.
    Method,
    /// Addressed to another name than this machine's.
    Host,
    /// A head too long.
    TooLarge,
}

pub(crate) enum Parsed {
    /// The request, and how many bytes its head took.
    Whole(Box<Request>, usize),
    /// More bytes are needed.
    Partial,
    Refused(Refused),
}

/// Reads the head at the start of `received`.
pub(crate) fn parse(received: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(received) {
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Ok(httparse::Status::Complete(n_head)) => match read(&head) {
            Ok(request) => Parsed::Whole(Box::new(request), n_head),
            Err(refused) => Parsed::Refused(refused),
        },
        Err(httparse::Error::TooManyHeaders) => Parsed::Refused(Refused::TooLarge),
        Err(_) => Parsed::Refused(Refused::Malformed),
    }
}

fn read(head: &httparse::Request) -> Result<Request, Refused> {
    let mut request =
        Request { keep_alive: head.version == Some(1), body_bytes: Some(0), ..Request::default() };
    let mut hosts = Vec::new();
    for header in head.headers.iter() {
        let value = || Ok(std::str::from_utf8(header.value).or(Err(Refused::Malformed))?.trim());
        match header.name.to_ascii_lowercase().as_str() {
            "host" => hosts.push(value()?),
            "accept-encoding" => request.accept_encoding = value()?.to_ascii_lowercase(),
            "if-none-match" => request.if_none_match = Some(value()?.to_owned()),
            "if-range" => request.if_range = Some(value()?.to_owned()),
            "range" => request.range = Some(value()?.to_owned()),
            "connection" if value()?.eq_ignore_ascii_case("close") => request.keep_alive = false,
            "origin" => request.origin = Some(value()?.to_owned()),
            "sec-fetch-site" => request.fetch_site = Some(value()?.to_owned()),
            "transfer-encoding" => request.body_bytes = None,
            "content-length" => {
                let n_bytes: u64 = value()?.parse().or(Err(Refused::Malformed))?;
                // Of two lengths none can be believed.
                if request.body_bytes.is_some_and(|n| n != 0 && n != n_bytes) {
                    return Err(Refused::Malformed);
                }
                request.body_bytes = request.body_bytes.map(|_| n_bytes);
            }
            _ => {}
        }
    }
    match hosts[..] {
        [host] if is_this_machine(host) => request.host = host.to_owned(),
        _ => return Err(Refused::Host),
    }
    request.method = match head.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        Some("OPTIONS") => Method::Options,
        _ => return Err(Refused::Method),
    };
    // Of a body nobody reads what follows could not be told from it.
    request.keep_alive &= request.body_bytes == Some(0);
    request.path = names(head.path.unwrap_or_default()).ok_or(Refused::Malformed)?;
    Ok(request)
}

/// Whether a `Host` header means this machine. The port may be another one: it may be forwarded.
fn is_this_machine(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    let is_port = port.parse::<u16>().is_ok();
    is_port && (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost"))
}

/// The names in a path, decoded; `None` where one could mean another place than it says.
fn names(target: &str) -> Option<Vec<String>> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let mut names = Vec::new();
    for part in path.split('/') {
        let name = percent_decoded(part)?;
        let is_strange = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
        // A leading dot covers `.`, `..` and every hidden file.
        if name.starts_with('.') || name.contains(is_strange) {
            return None;
        }
        names.push(name);
    }
    if names == [""] {
        names.clear();
    }
    Some(names)
}

fn percent_decoded(part: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            decoded.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let cases: [(&str, Option<&[&str]>); 15] = [
            ("/", Some(&[])),
            ("/page.js?v=1#top", Some(&["page.js"])),
            ("/models/id/model.gguf", Some(&["models", "id", "model.gguf"])),
            ("/a%20b/%C3%A9", Some(&["a b", "é"])),
            ("//a", Some(&["", "a"])),
            ("/..", None),
            ("/a/../b", None),
            ("/%2e%2e/b", None),
            ("/a%2fb", None),
            ("/a\\..\\b", None),
            ("/.git/config", None),
            ("/c:/windows", None),
            ("/%00", None),
            ("/%+1", None),
            ("http://127.0.0.1/a", None),
        ];
        for (target, expected) in cases {
            let expected = expected.map(|names| names.iter().map(|n| n.to_string()).collect());
            assert_eq!(names(target), expected, "{target}");
        }
    }

    #[test]
    fn hosts() {
        for host in ["127.0.0.1", "127.0.0.1:8017", "localhost:1", "LOCALHOST"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example", "localhost:x", "10.0.0.1:8017"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
