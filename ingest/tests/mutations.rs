//! Every parser over changed bytes of sound files: a little fuzzing in each run of the tests, the
//! same each time. `FOOTNOTE_FUZZ_SECONDS` gives each parser that long, from a seed of its own;
//! `fuzz/README.md` says how to let a fuzzer look for more, which begins with the files that
//! `FOOTNOTE_FUZZ_CORPUS` lets this write.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/entries.rs"]
mod entries;
#[path = "common/mutate.rs"]
mod mutate;

use entries::{ENTRIES, Entry};
use mutate::Mutator;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Changes of each seed in an ordinary run.
const N_TRIALS: usize = 25;
/// Longer than any of them takes on a machine of 2 cores that is busy.
const MAX: Duration = Duration::from_secs(20);

#[test]
fn no_change_of_a_sound_file_stops_a_parser() {
    let seconds = std::env::var("FOOTNOTE_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let names = std::env::var("FOOTNOTE_FUZZ_ONLY").unwrap_or_default();
    if let Ok(folder) = std::env::var("FOOTNOTE_FUZZ_CORPUS") {
        return ENTRIES.iter().for_each(|entry| write_corpus(entry, folder.as_ref()));
    }
    for entry in ENTRIES.iter().filter(|entry| names.is_empty() || names == entry.name) {
        let started = Instant::now();
        let start_seed = seconds.map_or(1, |_: u64| started.elapsed().subsec_nanos().into());
        let mut mutator = Mutator::new(start_seed);
        let mut n_runs = 0;
        let mut slowest = Duration::ZERO;
        loop {
            for seed in entry.seeds {
                let bytes = mutator.change(&entry.subject(seed), entry.seeds);
                slowest = slowest.max(run_within(entry, seed, bytes));
                n_runs += 1;
            }
            let is_done = match seconds {
                Some(seconds) => started.elapsed() >= Duration::from_secs(seconds),
                None => n_runs >= N_TRIALS * entry.seeds.len(),
            };
            if is_done {
                break;
            }
        }
        eprintln!("{}: {n_runs} inputs, the slowest {slowest:?}", entry.name);
    }
}

/// Writes what a target begins with to a folder of its name.
fn write_corpus(entry: &Entry, folder: &Path) {
    let folder = folder.join(format!("read_{}", entry.name));
    std::fs::create_dir_all(&folder).unwrap();
    for (i, seed) in entry.seeds.iter().enumerate() {
        std::fs::write(folder.join(i.to_string()), entry.subject(seed)).unwrap();
    }
}

/// Runs on a thread of its own; what panics or takes too long is written beside the system's other
/// temporary files.
fn run_within(entry: &'static Entry, seed: &'static [u8], bytes: Vec<u8>) -> Duration {
    let (sender, receiver) = mpsc::channel();
    let kept = bytes.clone();
    let start = Instant::now();
    std::thread::Builder::new()
        .stack_size(8 << 20)
        .spawn(move || {
            entry.run_in(seed, &bytes);
            let _ = sender.send(());
        })
        .expect("threads can be started");
    if let Err(error) = receiver.recv_timeout(MAX) {
        let path = std::env::temp_dir().join(format!("footnote-{}-{}", entry.name, kept.len()));
        std::fs::write(&path, &kept).expect("the input can be kept");
        panic!("{}: {error}; the input is in {}", entry.name, path.display());
    }
    start.elapsed()
}
