#![no_main]

#[path = "../../ingest/tests/common/entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::entry("chart").run(bytes));
