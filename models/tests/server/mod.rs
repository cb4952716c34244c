//! A small server that does what servers do on bad days.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How many came before it.
    pub n: usize,
    pub path: String,
    /// The first byte of the range, and the one after its last.
    pub range: Option<(usize, Option<usize>)>,
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The bytes asked for, as a real server would send them.
    Good,
    /// Announces them and closes the connection after so many.
    Cut(usize),
    /// Ignores the range.
    WholeFile,
    /// Ignores the range, and closes the connection after so many bytes.
    WholeCut(usize),
    /// The range of a file of another content with the same length.
    Wrong,
    /// The range of a file that is longer by so many bytes.
    Longer(usize),
    /// Sends more bytes than it announced as a range.
    TooMuch,
    /// A page that says there is nothing, with status 200.
    Page,
    /// Sends the client to another path.
    Redirect(&'static str),
    /// A status without a file, with further header lines.
    Status(&'static str, &'static str),
    /// Sends pieces of this many bytes with pauses of so many milliseconds.
    Slow(usize, u64),
    /// Sends so many bytes and then nothing, with the connection open.
    Hang(usize),
}

/// A server of one file; dropping it stops nothing, the test's end does.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Request>>>,
    /// The most connections that were being answered at a time.
    busiest: Arc<AtomicUsize>,
}

impl Server {
    pub fn start(content: Vec<u8>, respond: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, busiest) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicUsize>::default());
        let (log, most) = (asked.clone(), busiest.clone());
        let shared = Arc::new((content, respond, AtomicUsize::new(0)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (log, most, shared) = (log.clone(), most.clone(), shared.clone());
                thread::spawn(move || {
                    let (content, respond, now) = &*shared;
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // A client that went away early is part of the test.
                    let _ = answer(&mut stream, content, respond, &log);
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, asked, busiest }
    }

    /// Replies in order; the last one holds for all that follow.
    pub fn in_order(content: Vec<u8>, replies: &[Reply]) -> Self {
        let replies = replies.to_vec();
        Self::start(content, move |request| replies[request.n.min(replies.len() - 1)].clone())
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// The first bytes that were asked for.
    pub fn starts(&self) -> Vec<usize> {
        self.asked().iter().map(|request| request.range.map_or(0, |(first, _)| first)).collect()
    }

    pub fn busiest(&self) -> usize {
        self.busiest.load(Ordering::SeqCst)
    }
}

fn answer(
    stream: &mut TcpStream,
    content: &[u8],
    respond: &impl Fn(&Request) -> Reply,
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut request = read(stream)?;
    {
        let mut log = log.lock().unwrap();
        request.n = log.len();
        log.push(request.clone());
    }
    let n_bytes = content.len();
    let (first, end) = request.range.map_or((0, n_bytes), |(first, end)| (first, end.unwrap_or(n_bytes)));
    let reply = respond(&request);
    let mut file = content.to_vec();
    match &reply {
        Reply::Longer(n) => file.extend(vec![1; *n]),
        Reply::Wrong => file.fill(7),
        _ => {}
    }
    let is_part = request.range.is_some() && !matches!(reply, Reply::WholeFile | Reply::WholeCut(_));
    let (status, bytes) = match &reply {
        Reply::Page => ("200 OK", b"<!doctype html><title>Welcome</title>".to_vec()),
        Reply::Redirect(_) => ("302 Found", Vec::new()),
        Reply::Status(status, _) => (*status, Vec::new()),
        _ if is_part && first >= file.len() => ("416 Range Not Satisfiable", Vec::new()),
        Reply::TooMuch => ("206 Partial Content", file[first..].to_vec()),
        _ if is_part => ("206 Partial Content", file[first..end.min(file.len())].to_vec()),
        _ => ("200 OK", file.clone()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", bytes.len())?;
    if status.starts_with("206") {
        write!(stream, "Content-Range: bytes {first}-{}/{}\r\n", end.min(file.len()) - 1, file.len())?;
    }
    match &reply {
        Reply::Redirect(path) => write!(stream, "Location: {path}\r\n\r\n")?,
        Reply::Status(_, lines) => write!(stream, "{lines}\r\n")?,
        _ => write!(stream, "\r\n")?,
    }
    send(stream, &reply, &bytes)
}

fn send(stream: &mut TcpStream, reply: &Reply, bytes: &[u8]) -> std::io::Result<()> {
    match reply {
        Reply::Cut(n) | Reply::WholeCut(n) => stream.write_all(&bytes[..bytes.len().min(*n)]),
        Reply::Slow(n, pause_ms) => bytes.chunks(*n).try_for_each(|piece| {
            thread::sleep(Duration::from_millis(*pause_ms));
            stream.write_all(piece)
        }),
        Reply::Hang(n) => {
            stream.write_all(&bytes[..bytes.len().min(*n)])?;
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        _ => stream.write_all(bytes),
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut request = Request { n: 0, path: String::new(), range: None };
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("GET ") {
            request.path = rest.split(' ').next().unwrap_or_default().to_owned();
        }
        let lower = line.to_lowercase();
        if let Some((first, last)) = lower.strip_prefix("range: bytes=").and_then(|r| r.split_once('-')) {
            let end = last.parse::<usize>().ok().map(|last| last + 1);
            request.range = first.parse().ok().map(|first| (first, end));
        }
    }
    Ok(request)
}
