//! One connection: requests in, answers out, until either side has enough.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::answer::{Answer, Body};
use crate::api;
use crate::request::{self, Parsed, Refused};
use crate::server::Site;

/// Browsers send a few hundred bytes; a head of this size is no browser's.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a connection may be idle, or a client may take to read the next piece.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// How much of what a client still sends is read, and how long each piece may take, before a
/// connection closes.
const MAX_LINGER_BYTES: u64 = 256 * 1024;
const MAX_LINGER: Duration = Duration::from_secs(1);

/// Answers requests one after the other.
pub(crate) fn answer_all(mut stream: &TcpStream, site: &Site) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(MAX_IDLE))?;
    stream.set_write_timeout(Some(MAX_IDLE))?;
    let mut received = Vec::new();
    loop {
        let (answer, n_used, is_last) = match next_request(stream, &mut received)? {
            None => return Ok(()),
            Some(Ok((request, n_head))) => match site.api.as_ref().filter(|_| api::is_for(&request)) {
                Some(served) => {
                    received.drain(..n_head);
                    api::answer(served, &request, std::mem::take(&mut received), stream)?;
                    return linger(stream);
                }
                None => (Answer::to(&request, &site.folders), n_head, !request.keep_alive),
            },
            Some(Err(refused)) => (Answer::refusal(refused), received.len(), true),
        };
        received.drain(..n_used);
        stream.write_all(answer.head(site, is_last).as_bytes())?;
        write_body(stream, answer.body)?;
        if is_last {
            return linger(stream);
        }
    }
}

/// Closes so that the answer arrives: with bytes of the client unread, closing at once would make
/// its system drop what we sent.
fn linger(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(MAX_LINGER))?;
    io::copy(&mut stream.take(MAX_LINGER_BYTES), &mut io::sink())?;
    Ok(())
}

type Next = Result<(Box<request::Request>, usize), Refused>;

/// Reads until a whole head is there; `None` when the client is done.
fn next_request(mut stream: &TcpStream, received: &mut Vec<u8>) -> io::Result<Option<Next>> {
    let mut piece = [0; 4096];
    loop {
        match request::parse(received) {
            Parsed::Whole(request, n_head) => return Ok(Some(Ok((request, n_head)))),
            Parsed::Refused(refused) => return Ok(Some(Err(refused))),
            Parsed::Partial if received.len() >= MAX_HEAD_BYTES => {
                return Ok(Some(Err(Refused::TooLarge)));
            }
            Parsed::Partial => {}
        }
        match stream.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(n_read) => received.extend_from_slice(&piece[..n_read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn write_body(mut stream: &TcpStream, body: Body) -> io::Result<()> {
    match body {
        Body::None => Ok(()),
        Body::Text(text) => stream.write_all(text.as_bytes()),
        Body::File { file, n_bytes } => {
            let n_sent = io::copy(&mut file.take(n_bytes), &mut stream)?;
            // A file that shrank meanwhile: only a broken connection tells the client.
            if n_sent == n_bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        }
    }
}
