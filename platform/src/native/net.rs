//! HTTP on a thread of its own, so that a stalled connection is noticed and dropping the
//! [`Body`] ends the transfer.

use std::future::poll_fn;
use std::io::{ErrorKind, Read};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use futures_channel::mpsc::{self, Receiver, Sender};
use futures_channel::oneshot;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, http};

use super::tasks::block_on;
use super::timer::Sleep;
use crate::MAX_STALL_MS;
use crate::download::{Asked, Head};

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
pub(crate) struct Body {
    chunks: Receiver<Chunk>,
    stall: Sleep,
    stall_ms: u32,
}

impl Body {
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.stall.restart(Duration::from_millis(self.stall_ms.into()));
        match select(self.chunks.next(), &mut self.stall).await {
            Either::Left((Some(chunk), _)) => chunk.map(|bytes| (!bytes.is_empty()).then_some(bytes)),
            // The end was told already; asking again finds it again.
            Either::Left((None, _)) => Ok(None),
            Either::Right(((), _)) => Err(crate::download::stalled(self.stall_ms)),
        }
    }
}

pub(crate) async fn request(asked: &Asked<'_>) -> Result<Head, String> {
    let (send_head, head) = oneshot::channel();
    let (url, range, stall_ms) = (asked.url.to_owned(), asked.range(), asked.stall_ms);
    thread::Builder::new()
        .name("download".to_owned())
        .spawn(move || {
            let response = match ask(&url, range.as_deref()) {
                Ok(response) => response,
                Err(error) => return drop(send_head.send(Err(error.to_string()))),
            };
            let (send_chunk, chunks) = mpsc::channel(MAX_QUEUED_CHUNKS);
            let stall = Sleep::new(Duration::ZERO);
            let head = Head {
                status: response.status().as_u16(),
                content_length: header(&response, "content-length").and_then(|v| v.parse().ok()),
                content_range: header(&response, "content-range"),
                retry_after: header(&response, "retry-after"),
                body: Body { chunks, stall, stall_ms },
            };
            if send_head.send(Ok(head)).is_ok() {
                pump(response.into_body().into_reader(), send_chunk);
            }
        })
        .map_err(|e| e.to_string())?;
    let patience = Sleep::new(Duration::from_millis(stall_ms.into()));
    match select(head, patience).await {
        Either::Left((head, _)) => head.unwrap_or_else(|_| Err("its thread has ended".to_owned())),
        Either::Right(((), _)) => Err(crate::download::stalled(stall_ms)),
    }
}

fn ask(url: &str, range: Option<&str>) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let mut request = agent().get(url);
    if let Some(range) = range {
        request = request.header("Range", range);
    }
    request.call()
}

fn header(response: &http::Response<ureq::Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// Sends the body in chunks and an empty one as its end; stops when nobody listens.
fn pump(mut body: impl Read, mut chunks: Sender<Chunk>) {
    let mut buf = vec![0; MAX_CHUNK_BYTES];
    loop {
        let chunk = match body.read(&mut buf) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error.to_string()),
            Ok(n_read) => Ok(buf[..n_read].to_vec()),
        };
        let is_last = chunk.as_ref().map_or(true, Vec::is_empty);
        let is_heard = block_on(poll_fn(|context| chunks.poll_ready(context))).is_ok();
        if !is_heard || chunks.start_send(chunk).is_err() || is_last {
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
