//! Files are read one by one, each in a process of its own that is thrown away: a crash, a hang or too much
//! memory costs that file, as it does in the browser's disposable worker.

use std::io::{self, BufRead, Read};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ingest::{Entry, Hint, Limits, Reading, ingest_each};
use serde::{Deserialize, Serialize};

use crate::child::{self, Bounds, Ended};
use crate::error::{Error, Result};
use crate::output;

/// The command that a reader is started with.
pub const COMMAND: &str = "read-one";

/// 2 GiB: eight of the largest files.
const MAX_MEMORY_BYTES: u64 = 2 << 30;
/// Other bounds, for files that need more and for machines that have less.
const SECONDS: &str = "FOOTNOTE_READ_SECONDS";
const MEGABYTES: &str = "FOOTNOTE_READ_MB";

/// What a reader is told, on one line before the bytes.
#[derive(Serialize, Deserialize)]
struct Request {
    name: String,
    mime: Option<String>,
    password: Option<String>,
    limits: Limits,
    /// Entries that are known already.
    n_known: usize,
}

/// The documents of a file, as [`ingest::ingest_all`] gives them. What a member of an archive does to its reader
/// costs that member: another reader goes on behind it.
pub fn read(bytes: &[u8], hint: &Hint<'_>, limits: &Limits) -> Vec<Entry> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number(SECONDS).map(Duration::from_secs);
    let memory_bytes = number(MEGABYTES).map_or(MAX_MEMORY_BYTES, |megabytes| megabytes << 20);
    let mut reading = Reading::new(hint.name, bytes.len() as u64, limits, seconds);
    while reading.goes_on() {
        run_one(bytes, hint, limits, memory_bytes, &mut reading);
    }
    reading.into_entries()
}

/// One reader, to its end.
fn run_one(bytes: &[u8], hint: &Hint<'_>, limits: &Limits, memory_bytes: u64, reading: &mut Reading) {
    let request = Request {
        name: hint.name.to_owned(),
        mime: hint.mime.map(str::to_owned),
        password: hint.password.map(str::to_owned),
        limits: *limits,
        n_known: reading.n_known(),
    };
    let line = serde_json::to_string(&request).expect("a request is plain data") + "\n";
    let bounds = Bounds { time: reading.patience(), memory_bytes: Some(memory_bytes) };
    let (mut told_at, mut is_garbled) = (Instant::now(), false);
    let mut hear = |line: Vec<u8>| {
        match serde_json::from_slice(&line) {
            Ok(told) => reading.told(told, told_at.elapsed()),
            Err(_) => is_garbled = true,
        }
        told_at = Instant::now();
        reading.patience()
    };
    let ended = child::run_lines(&[COMMAND.as_ref()], &[line.as_bytes(), bytes], &bounds, &mut hear);
    match ended {
        Ended::Said(_) if !is_garbled => reading.done(),
        Ended::Said(_) | Ended::Crashed => reading.stopped("its reader crashed"),
        Ended::TimedOut => reading.timed_out(),
        Ended::OutOfMemory => {
            reading.stopped(&format!("reading it takes more memory than {} MB", memory_bytes >> 20));
        }
        Ended::NotStarted(error) => reading.stopped(&format!("its reader did not start ({error})")),
    }
}

/// The reader itself: reads what [`read`] gives it and prints what is told of it, a line each.
pub fn run() -> Result<ExitCode> {
    let mut input = io::stdin().lock();
    let told = |error: io::Error| Error::Usage(format!("{COMMAND}: {error}"));
    let mut line = String::new();
    input.read_line(&mut line).map_err(told)?;
    let request: Request =
        serde_json::from_str(&line).map_err(|error| Error::Usage(format!("{COMMAND}: {error}")))?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(told)?;
    let Request { name, mime, password, limits, n_known } = &request;
    let hint = Hint { name, mime: mime.as_deref(), password: password.as_deref() };
    ingest_each(&bytes, &hint, limits, *n_known, &mut |told| {
        output::line(&serde_json::to_string(&told).expect("what is told is plain data"));
    });
    Ok(ExitCode::SUCCESS)
}
