//! Progress on standard error, results on standard output.

use std::io::{self, IsTerminal, Write};

use assistant::Progress;
use serde::Serialize;

use crate::error::Result;

/// Prints a result as indented JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    line(&text);
    Ok(())
}

/// Prints a result as JSON, or in words.
pub fn told(is_json: bool, value: &impl Serialize, words: &str) -> Result<()> {
    if is_json {
        return json(value);
    }
    line(words);
    Ok(())
}

/// Prints a line of a result. A reader that has gone (`| head`) ends the program quietly.
pub fn line(text: &str) {
    if writeln!(io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints a piece of a line at once.
pub fn piece(text: &str) {
    let mut out = io::stdout();
    if write!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Four digits are enough for a measure.
pub fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// Tells progress on standard error: on a terminal in one line that changes, else a line for each
/// new step.
pub struct Reporter {
    quiet: bool,
    is_terminal: bool,
    last: String,
}

impl Reporter {
    pub fn new(quiet: bool) -> Self {
        Self { quiet, is_terminal: io::stderr().is_terminal(), last: String::new() }
    }

    pub fn tell(&mut self, progress: &Progress) {
        let (step, count) = words(progress);
        self.show(step, &count);
    }

    /// A step that is counted in bytes.
    pub fn step(&mut self, step: &str, (done_bytes, total_bytes): (u64, u64)) {
        self.show(step.to_owned(), &format!(" {} %", 100 * done_bytes / total_bytes.max(1)));
    }

    fn show(&mut self, step: String, count: &str) {
        if self.quiet {
            return;
        }
        if self.is_terminal {
            eprint!("\r\x1b[2K{step}{count}");
        } else if self.last != step {
            eprintln!("{step}");
        }
        self.last = step;
    }

    /// A line that stays.
    pub fn note(&mut self, text: &str) {
        self.clear();
        eprintln!("{text}");
    }

    /// Takes the changing line away.
    pub fn clear(&mut self) {
        if self.is_terminal && !self.last.is_empty() {
            eprint!("\r\x1b[2K");
        }
        self.last.clear();
    }
}

/// (what is done, how far)
fn words(progress: &Progress) -> (String, String) {
    match progress {
        Progress::Fetching(p) => {
            let mut count = format!(" {} %", 100 * p.done_bytes / p.total_bytes.max(1));
            if let (Some(bytes_per_s), Some(left_ms)) = (p.bytes_per_s, p.left_ms) {
                let speed = bytes_per_s as f64 / 1e6;
                count += &format!(", {speed:.1} MB/s, {} left", seconds(left_ms.div_ceil(1000)));
            }
            (format!("fetching {}/{} from {}", p.id, p.file, p.source), count)
        }
        Progress::Loading { model } => (format!("loading {model}"), String::new()),
        Progress::Reading { name } => (format!("reading {name}"), String::new()),
        Progress::Embedding { name, n_done, n_total } => {
            (format!("embedding {name}"), format!(" {n_done}/{n_total}"))
        }
        Progress::Storing { name } => (format!("storing {name}"), String::new()),
    }
}

/// `7 s`, `2 min 5 s`, `3 h 20 min`.
fn seconds(n: u64) -> String {
    match n {
        0..60 => format!("{n} s"),
        60..3600 => format!("{} min {} s", n / 60, n % 60),
        _ => format!("{} h {} min", n / 3600, n % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_read_well() {
        assert_eq!([seconds(7), seconds(125), seconds(12_000)], ["7 s", "2 min 5 s", "3 h 20 min"]);
    }
}
