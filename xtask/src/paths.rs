//! Where things lie below `target/`.

use std::env;
use std::path::PathBuf;

use crate::wasm::Build;
use crate::workspace;

/// The folder of everything that is built.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// Cargo's folder for wasm32. Apart from the native one, so that neither waits for the other's lock,
/// and one for each way to build, or each would make what the other compiled for this machine stale.
pub fn web_target(how: Build) -> PathBuf {
    target().join(match how {
        Build::Plain => "web",
        Build::Threads => "web-threads",
    })
}

/// The finished web app.
pub fn web_dist() -> PathBuf {
    target().join("web-dist")
}

/// Tests that run in a browser.
pub fn web_tests() -> PathBuf {
    target().join("web-tests")
}

/// The program that measures in a browser.
pub fn web_measure() -> PathBuf {
    target().join("web-measure")
}

/// Standard libraries built from source, a folder per compiler version.
pub fn wasm_sysroots() -> PathBuf {
    target().join("wasm-sysroot")
}

/// A program, as `cargo build` leaves it.
pub fn program(name: &str) -> PathBuf {
    target().join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX))
}
