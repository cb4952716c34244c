//! HTTP on a thread of its own, so that a stalled connection is noticed and dropping the
//! [`Body`] ends the transfer.

use std::io::{ErrorKind, Read};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, http};

use crate::MAX_STALL_MS;
use crate::download::Head;

/// The most that one read brings.
const MAX_CHUNK_BYTES: usize = 256 * 1024;
/// Chunks between the network and a slow disk: 8 of 256 KiB are 2 MiB.
const MAX_QUEUED_CHUNKS: usize = 8;
/// A host that does not take a connection for this long is out of reach: callers have other sources.
const CONNECT: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_millis(MAX_STALL_MS as u64);

type Chunk = Result<Vec<u8>, String>;

/// The rest of an answer.
#[derive(Debug)]
pub(crate) struct Body(Receiver<Chunk>);

impl Body {
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.0.recv_timeout(STALL) {
            Ok(chunk) => chunk.map(|bytes| (!bytes.is_empty()).then_some(bytes)),
            Err(RecvTimeoutError::Timeout) => Err(stalled()),
            // The end was told already; asking again finds it again.
            Err(RecvTimeoutError::Disconnected) => Ok(None),
        }
    }
}

fn stalled() -> String {
    format!("nothing arrived for {} seconds", MAX_STALL_MS / 1000)
}

pub(crate) async fn request(url: &str, start: u64) -> Result<Head, String> {
    let (send_head, head) = mpsc::sync_channel(1);
    let url = url.to_owned();
    thread::Builder::new()
        .name("download".to_owned())
        .spawn(move || {
            let response = match ask(&url, start) {
                Ok(response) => response,
                Err(error) => return drop(send_head.send(Err(error.to_string()))),
            };
            let (send_chunk, chunks) = mpsc::sync_channel(MAX_QUEUED_CHUNKS);
            let head = Head {
                status: response.status().as_u16(),
                content_length: header(&response, "content-length").and_then(|v| v.parse().ok()),
                content_range: header(&response, "content-range"),
                body: Body(chunks),
            };
            if send_head.send(Ok(head)).is_ok() {
                pump(response.into_body().into_reader(), &send_chunk);
            }
        })
        .map_err(|e| e.to_string())?;
    head.recv_timeout(STALL).unwrap_or_else(|_| Err(stalled()))
}

fn ask(url: &str, start: u64) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let mut request = agent().get(url);
    if start > 0 {
        request = request.header("Range", format!("bytes={start}-"));
    }
    request.call()
}

fn header(response: &http::Response<ureq::Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// Sends the body in chunks and an empty one as its end; stops when nobody listens.
fn pump(mut body: impl Read, chunks: &SyncSender<Chunk>) {
    let mut buf = vec![0; MAX_CHUNK_BYTES];
    loop {
        let chunk = match body.read(&mut buf) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error.to_string()),
            Ok(n_read) => Ok(buf[..n_read].to_vec()),
        };
        let is_last = chunk.as_ref().map_or(true, Vec::is_empty);
        if chunks.send(chunk).is_err() || is_last {
            return;
        }
    }
}

/// One client for the process: connections are reused, proxies come from the environment, and
/// certificates are judged as the operating system does, so that company networks work.
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(STALL))
            .user_agent(concat!("footnote/", env!("CARGO_PKG_VERSION")));
        config.build().new_agent()
    })
}
