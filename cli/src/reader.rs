//! Files are read one by one, each in a process of its own that is thrown away: a crash, a hang or too much
//! memory costs that file, as it does in the browser's disposable worker.

use std::io::{self, BufRead, Read};
use std::process::ExitCode;
use std::time::Duration;

use ingest::{Entry, Hint, Limits, Refusal, ingest_all};
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
}

/// The documents of a file, as [`ingest_all`] gives them.
pub fn read(bytes: &[u8], hint: &Hint<'_>, limits: &Limits) -> Vec<Entry> {
    let request = Request {
        name: hint.name.to_owned(),
        mime: hint.mime.map(str::to_owned),
        password: hint.password.map(str::to_owned),
        limits: *limits,
    };
    let line = serde_json::to_string(&request).expect("a request is plain data") + "\n";
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number(SECONDS).map(Duration::from_secs);
    let bounds = Bounds {
        time: seconds.unwrap_or_else(|| limits.max_time(bytes.len() as u64)),
        memory_bytes: Some(number(MEGABYTES).map_or(MAX_MEMORY_BYTES, |megabytes| megabytes << 20)),
    };
    let reason = match child::run(&[COMMAND.as_ref()], &[line.as_bytes(), bytes], &bounds) {
        Ended::Said(said) => match serde_json::from_slice(&said) {
            Ok(entries) => return entries,
            Err(_) => "its reader crashed".to_owned(),
        },
        Ended::TimedOut => format!("reading it took longer than {} s", bounds.time.as_secs()),
        Ended::OutOfMemory => {
            let n_mb = bounds.memory_bytes.unwrap_or_default() >> 20;
            format!("reading it takes more memory than {n_mb} MB")
        }
        Ended::Crashed => "its reader crashed".to_owned(),
        Ended::NotStarted(error) => format!("its reader did not start ({error})"),
    };
    let refusal = Refusal::GivenUp { name: hint.name.to_owned(), reason };
    vec![Entry { name: hint.name.to_owned(), n_bytes: bytes.len() as u64, outcome: Err(refusal) }]
}

/// The reader itself: reads what [`read`] gives it and prints the entries.
pub fn run() -> Result<ExitCode> {
    let mut input = io::stdin().lock();
    let told = |error: io::Error| Error::Usage(format!("{COMMAND}: {error}"));
    let mut line = String::new();
    input.read_line(&mut line).map_err(told)?;
    let request: Request =
        serde_json::from_str(&line).map_err(|error| Error::Usage(format!("{COMMAND}: {error}")))?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(told)?;
    let Request { name, mime, password, limits } = &request;
    let hint = Hint { name, mime: mime.as_deref(), password: password.as_deref() };
    output::line(&serde_json::to_string(&ingest_all(&bytes, &hint, limits))?);
    Ok(ExitCode::SUCCESS)
}
