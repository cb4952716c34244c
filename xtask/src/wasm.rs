//! The compiler for wasm32: rustup's where its server can be reached, else the distribution's with
//! a standard library built from source. For threads the library is always built from source.

use std::env;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::run::{command, find_program, output_of, run_logged, say};
use crate::std_from_source::Recipe;

/// The target of everything that runs in a browser.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// `FOOTNOTE_WASM=source` uses the compiler of the distribution even where rustup has the target.
const FORCE_VARIABLE: &str = "FOOTNOTE_WASM";

/// The two ways in which programs for browsers are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Runs in every current browser, on one thread.
    Plain,
    /// Needs shared memory and relaxed SIMD, and uses more threads where the page is isolated.
    Threads,
}

impl Build {
    /// What the compiler may use besides the target's own instructions.
    pub fn features(self) -> &'static str {
        match self {
            Build::Plain => "-Ctarget-feature=+simd128",
            Build::Threads => {
                "-Ctarget-feature=+simd128,+relaxed-simd,+atomics,+bulk-memory,+mutable-globals"
            }
        }
    }
}

/// A program with threads imports its memory, which all of them share, and lets wasm-bindgen see
/// where each thread's own variables go. The maximum is all that 32 bits address: it is reserved,
/// not taken.
const SHARED_MEMORY: [&str; 8] = [
    "-Clink-arg=--shared-memory",
    "-Clink-arg=--import-memory",
    "-Clink-arg=--max-memory=4294967296",
    "-Clink-arg=--export=__wasm_init_tls",
    "-Clink-arg=--export=__tls_size",
    "-Clink-arg=--export=__tls_align",
    "-Clink-arg=--export=__tls_base",
    "-Clink-arg=--export=__heap_base",
];

/// How cargo is to be called for wasm32.
pub struct Toolchain {
    build: Build,
    /// `None` for the compiler that cargo takes anyway.
    from_source: Option<FromSource>,
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
        let mut flags = vec![self.build.features(), "--cfg=getrandom_backend=\"wasm_js\""];
        if self.build == Build::Threads {
            flags.extend(SHARED_MEMORY);
        }
        let mut flags = flags.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let mut env = Vec::new();
        if let Some(from_source) = &self.from_source {
            flags.push(format!("--sysroot={}", from_source.sysroot.display()));
            env.push(("RUSTC", from_source.rustc.display().to_string()));
            let linker = from_source.linker.display().to_string();
            env.push(("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker));
        }
        if self.build == Build::Threads {
            // Shared memory is compiled as nightly compilers do: only they tell code that it is there.
            env.push(("RUSTC_BOOTSTRAP", "1".to_owned()));
        }
        // The one form that allows spaces in paths and that nothing of the user's overrides.
        env.push(("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")));
        // All time zones but UTC would be a large part of the engine; nothing here asks for one.
        env.push(("CHRONO_TZ_TIMEZONE_FILTER", "^UTC$".to_owned()));
        env
    }
}

/// Finds a compiler for wasm32, installing one where that is possible.
pub fn toolchain(build: Build) -> Outcome<Toolchain> {
    let from_source = match build {
        Build::Plain if has_rustup_target() => None,
        Build::Plain => Some(Recipe::of_distribution(build).ensure()?),
        // No compiler comes with a standard library for threads.
        Build::Threads if has_rustup_target() && has_rustup_source() => {
            Some(Recipe::of_cargo(build).ensure()?)
        }
        Build::Threads => Some(Recipe::of_distribution(build).ensure()?),
    };
    Ok(Toolchain { build, from_source })
}

/// Whether the compiler that cargo takes anyway has the library for wasm32; asks rustup for it.
fn has_rustup_target() -> bool {
    if env::var(FORCE_VARIABLE).is_ok_and(|value| value == "source") {
        return false;
    }
    if has_std("rustc") {
        return true;
    }
    // Where rustup could not bring it once, it is not asked again.
    if Recipe::of_distribution(Build::Plain).ready().is_some() {
        return false;
    }
    rustup(&["target", "add", TARGET]) && has_std("rustc")
}

/// Whether the source of the library lies beside the compiler that cargo takes; asks rustup for it.
fn has_rustup_source() -> bool {
    let recipe = Recipe::of_cargo(Build::Threads);
    recipe.ready().is_some()
        || recipe.has_source()
        || rustup(&["component", "add", "rust-src"]) && recipe.has_source()
}

fn rustup(args: &[&str]) -> bool {
    if find_program(&["rustup"]).is_none() {
        return false;
    }
    say(&format!("rustup {}", args.join(" ")));
    match run_logged(&mut command("rustup", args), "setup-rustup.log") {
        Ok(()) => true,
        Err(error) => {
            say(&format!("{error}; using the distribution's compiler instead"));
            false
        }
    }
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
