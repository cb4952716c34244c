#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectordb::fuzzing::store(bytes));
