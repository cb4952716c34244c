//! The standard library for wasm32, built once from the source that Debian packages beside its
//! compiler for web browsers (`rustc-web`, `rust-web-src`).
//!
//! The library goes to a folder below `target/`, which the compiler is told with `--sysroot`, so
//! nothing of the system changes. Building the app itself with `-Zbuild-std` is no way: build
//! scripts that probe for std would not find it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{cargo, command, find_program, output_of, run_logged, say};
use crate::wasm::{FromSource, TARGET, holds_std};
use crate::{Outcome, apt, paths};

/// The distribution's compiler; rustup's, which may come first on the path, is another.
const RUSTC: &str = "/usr/bin/rustc";
/// `rust-version` of the workspace.
const MIN_VERSION: (u32, u32) = (1, 95);

/// The compiler and its library, when both are there already.
pub fn ready() -> Option<FromSource> {
    let (version, is_new_enough) = version()?;
    let sysroot = paths::wasm_sysroots().join(version);
    let linker = linker()?;
    let is_ready = is_new_enough && holds_std(&libdir(&sysroot));
    is_ready.then(|| FromSource { rustc: RUSTC.into(), sysroot, linker })
}

/// The compiler and its library, installed and built where they are missing.
pub fn ensure() -> Outcome<FromSource> {
    if let Some(ready) = ready() {
        return Ok(ready);
    }
    let has_compiler = version().is_some_and(|(_, is_new_enough)| is_new_enough);
    if !has_compiler || !has_source() || linker().is_none() {
        let mut packages = vec!["rustc-web", "rust-web-src"];
        if linker().is_none() {
            packages.push("lld");
        }
        apt::install(&packages, &format!("a compiler for {TARGET}"))
            .map_err(|error| format!("{error}, or run: rustup target add {TARGET}"))?;
    }
    let (version, is_new_enough) = version().ok_or("/usr/bin/rustc does not run")?;
    if !is_new_enough {
        let (major, minor) = MIN_VERSION;
        return Err(format!(
            "/usr/bin/rustc is version {version}, but {major}.{minor} is needed; run: rustup target add {TARGET}"
        )
        .into());
    }
    let sysroot = paths::wasm_sysroots().join(&version);
    build(&sysroot)?;
    ready()
        .ok_or_else(|| "the standard library was built but cannot be used; no linker for wasm (lld)?".into())
}

/// The compiler's version, and whether it is new enough.
fn version() -> Option<(String, bool)> {
    let printed = output_of(&mut command(RUSTC, &["--version"]))?;
    let version = printed.split(' ').nth(1)?.to_owned();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next()?, numbers.next()?);
    Some((version, found >= MIN_VERSION))
}

fn has_source() -> bool {
    let sysroot = output_of(&mut command(RUSTC, &["--print", "sysroot"])).unwrap_or_default();
    Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
}

fn libdir(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

/// rustup's own linker, else LLVM's.
fn linker() -> Option<PathBuf> {
    let of_rustup = output_of(&mut command("rustc", &["--print", "target-libdir"]))
        .map(|libdir| Path::new(&libdir).with_file_name("bin").join("rust-lld"))
        .filter(|linker| linker.is_file());
    of_rustup.or_else(|| find_program(&["wasm-ld"])).or_else(|| {
        let versions = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
        let mut linkers = versions
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"))
            .map(|entry| entry.path().join("bin/wasm-ld"))
            .filter(|linker| linker.is_file())
            .collect::<Vec<_>>();
        linkers.sort();
        linkers.pop()
    })
}

/// Builds the library with an empty crate and keeps what that made, but the crate itself.
fn build(sysroot: &Path) -> Outcome {
    say("building the standard library for wasm32, once (about a minute)");
    let crate_dir = paths::wasm_sysroots().join("build");
    fs::create_dir_all(crate_dir.join("src"))?;
    fs::write(crate_dir.join("Cargo.toml"), EMPTY_CRATE)?;
    fs::write(crate_dir.join("src/lib.rs"), "#![no_std]\n")?;
    let mut build = cargo(&["build", "--release", "--target", TARGET]);
    build
        .args(["-Zbuild-std=std,panic_abort,test", "--target-dir", "target"])
        .current_dir(&crate_dir)
        .env("RUSTC", RUSTC)
        // `-Z` is for nightly compilers; the library's own code needs that as well.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run_logged(&mut build, "setup-std.log")?;

    // Under another name until it is whole: a run that was stopped must not leave half of it.
    let partial = sysroot.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(libdir(&partial))?;
    for entry in fs::read_dir(crate_dir.join("target").join(TARGET).join("release/deps"))? {
        let library = entry?;
        let name = library.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            fs::copy(library.path(), libdir(&partial).join(name))?;
        }
    }
    let _ = fs::remove_dir_all(sysroot);
    fs::rename(&partial, sysroot)?;
    fs::remove_dir_all(&crate_dir)?;
    Ok(())
}

/// Its own workspace. Unwinding, so that the library has both ways to panic.
const EMPTY_CRATE: &str = r#"[package]
name = "empty"
version = "0.0.0"
edition = "2024"

[profile.release]
panic = "unwind"

[workspace]
"#;
