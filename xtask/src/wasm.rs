//! The compiler for wasm32: rustup's where its server can be reached, else the distribution's with
//! a standard library built from source.

use std::env;
use std::path::{Path, PathBuf};

use crate::run::{command, find_program, output_of, run_logged, say};
use crate::{Outcome, std_from_source};

/// The target of everything that runs in a browser.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// `FOOTNOTE_WASM=source` uses the compiler of the distribution even where rustup has the target.
const FORCE_VARIABLE: &str = "FOOTNOTE_WASM";

/// How cargo is to be called for wasm32.
pub struct Toolchain {
    /// `None` for the compiler that cargo takes anyway.
    pub from_source: Option<FromSource>,
}

/// A compiler whose standard library we built.
pub struct FromSource {
    /// The compiler.
    pub rustc: PathBuf,
    /// The folder it finds the library in.
    pub sysroot: PathBuf,
    /// A linker for wasm.
    pub linker: PathBuf,
}

impl Toolchain {
    /// The variables that a cargo for wasm32 needs.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut flags = vec!["-Ctarget-feature=+simd128", "--cfg=getrandom_backend=\"wasm_js\""]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let mut env = Vec::new();
        if let Some(from_source) = &self.from_source {
            flags.push(format!("--sysroot={}", from_source.sysroot.display()));
            env.push(("RUSTC", from_source.rustc.display().to_string()));
            let linker = from_source.linker.display().to_string();
            env.push(("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker));
        }
        // The one form that allows spaces in paths and that nothing of the user's overrides.
        env.push(("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")));
        // All time zones but UTC would be a large part of the engine; nothing here asks for one.
        env.push(("CHRONO_TZ_TIMEZONE_FILTER", "^UTC$".to_owned()));
        env
    }
}

/// Finds a compiler for wasm32, installing one where that is possible.
pub fn toolchain() -> Outcome<Toolchain> {
    let is_forced = env::var(FORCE_VARIABLE).is_ok_and(|value| value == "source");
    if !is_forced {
        if has_std("rustc") {
            return Ok(Toolchain { from_source: None });
        }
        if let Some(from_source) = std_from_source::ready() {
            return Ok(Toolchain { from_source: Some(from_source) });
        }
        if find_program(&["rustup"]).is_some() {
            say(&format!("adding the target {TARGET} with rustup"));
            let added = run_logged(&mut command("rustup", &["target", "add", TARGET]), "setup-rustup.log");
            match added {
                Ok(()) if has_std("rustc") => return Ok(Toolchain { from_source: None }),
                Ok(()) => say("rustup added the target, but to another compiler than cargo uses"),
                Err(error) => say(&format!("{error}; using the distribution's compiler instead")),
            }
        }
    }
    Ok(Toolchain { from_source: Some(std_from_source::ensure()?) })
}

/// Whether a compiler has the standard library for wasm32.
fn has_std(rustc: &str) -> bool {
    output_of(&mut command(rustc, &["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|dir| holds_std(Path::new(&dir)))
}

/// Whether a folder of libraries holds the standard one.
pub fn holds_std(libdir: &Path) -> bool {
    let entries = libdir.read_dir().into_iter().flatten().filter_map(Result::ok);
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}
