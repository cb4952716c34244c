//! Limits of the wasm programs, which only the linker can set.

/// 1 GiB, four of the largest files (`ingest/src/limits.rs`): a document that needs more to be parsed is given
/// up, and the tab lives on.
const MAX_INGEST_BYTES: u32 = 1 << 30;
/// 4 MiB: parsers of nested input recurse deeper than the usual 1 MiB allows.
const STACK_BYTES: u32 = 4 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_web = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32");
    if is_web {
        println!("cargo::rustc-link-arg-bin=ingest=--max-memory={MAX_INGEST_BYTES}");
        for program in ["engine", "ingest"] {
            println!("cargo::rustc-link-arg-bin={program}=-zstack-size={STACK_BYTES}");
        }
    }
}
