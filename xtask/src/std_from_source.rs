//! The standard library for wasm32, built once from source: of the distribution's compiler where
//! rustup cannot bring the target (Debian packages `rustc-web` and `rust-web-src`), and of any
//! compiler for threads, because no library that is shipped was compiled for shared memory.
//!
//! The library goes to a folder below `target/`, which the compiler is told with `--sysroot`, so
//! nothing of the system changes. Building the app itself with `-Zbuild-std` is no way: build
//! scripts that probe for std would not find it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{cargo, command, find_program, output_of, run_logged, say};
use crate::wasm::{Build, FromSource, TARGET, holds_std};
use crate::{Outcome, apt, paths};

/// The distribution's compiler; rustup's, which may come first on the path, is another.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
/// The compiler that cargo takes when it is told nothing.
const CARGO_RUSTC: &str = "rustc";
/// `rust-version` of the workspace.
const MIN_VERSION: (u32, u32) = (1, 95);

/// Goes up when [`Recipe::build`] makes something else of the same source: what was compiled against
/// the library of before cannot be used with the new one, and cargo sees that by the folder's name.
const RECIPE: u32 = 2;

/// A library to build: of which compiler, and for what.
pub struct Recipe {
    rustc: &'static str,
    build: Build,
}

impl Recipe {
    /// The library of the distribution's compiler.
    pub fn of_distribution(build: Build) -> Self {
        Self { rustc: DISTRIBUTION_RUSTC, build }
    }

    /// The library of the compiler that cargo takes anyway.
    pub fn of_cargo(build: Build) -> Self {
        Self { rustc: CARGO_RUSTC, build }
    }

    /// The compiler and its library, when both are there already.
    pub fn ready(&self) -> Option<FromSource> {
        let version = self.version().filter(Version::is_new_enough)?;
        let sysroot = self.sysroot(&version);
        let linker = linker()?;
        holds_std(&libdir(&sysroot)).then(|| FromSource { rustc: self.rustc.into(), sysroot, linker })
    }

    /// The compiler and its library, installed and built where they are missing.
    pub fn ensure(&self) -> Outcome<FromSource> {
        if let Some(ready) = self.ready() {
            return Ok(ready);
        }
        if self.rustc == DISTRIBUTION_RUSTC {
            self.install()?;
        }
        let version = self.version().ok_or_else(|| format!("{} does not run", self.rustc))?;
        if !version.is_new_enough() {
            let (rustc, (major, minor)) = (self.rustc, MIN_VERSION);
            return Err(format!(
                "{rustc} is version {}, but {major}.{minor} is needed; run: rustup target add {TARGET}",
                version.number
            )
            .into());
        }
        self.build(&self.sysroot(&version))?;
        self.ready().ok_or_else(|| {
            "the standard library was built but cannot be used; no linker for wasm (lld)?".into()
        })
    }

    /// Whether the library's source lies beside the compiler.
    pub fn has_source(&self) -> bool {
        let sysroot = output_of(&mut command(self.rustc, &["--print", "sysroot"])).unwrap_or_default();
        Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
    }

    fn install(&self) -> Outcome {
        let has_compiler = self.version().is_some_and(|version| version.is_new_enough());
        if has_compiler && self.has_source() && linker().is_some() {
            return Ok(());
        }
        let mut packages = vec!["rustc-web", "rust-web-src"];
        if linker().is_none() {
            packages.push("lld");
        }
        let installed = apt::install(&packages, &format!("a compiler for {TARGET}"));
        let by_hand = format!("rustup target add {TARGET} && rustup component add rust-src");
        installed.map_err(|error| format!("{error}, or run: {by_hand}").into())
    }

    fn version(&self) -> Option<Version> {
        Version::parse(&output_of(&mut command(self.rustc, &["--version"]))?)
    }

    fn sysroot(&self, version: &Version) -> PathBuf {
        let end = match self.build {
            Build::Plain => "plain",
            Build::Threads => "threads",
        };
        paths::wasm_sysroots().join(format!("{}-{}-{end}-{RECIPE}", version.number, version.commit))
    }

    /// Builds the library with an empty crate and keeps what that made, but the crate itself.
    fn build(&self, sysroot: &Path) -> Outcome {
        say("building the standard library for wasm32, once (about a minute)");
        let crate_dir = beside(sysroot, "build");
        fs::create_dir_all(crate_dir.join("src"))?;
        fs::write(crate_dir.join("Cargo.toml"), EMPTY_CRATE)?;
        fs::write(crate_dir.join("src/lib.rs"), "#![no_std]\n")?;
        let mut build = cargo(&["build", "--release", "--target", TARGET]);
        build
            .args(["-Zbuild-std=std,panic_abort,test", "--target-dir", "target"])
            .current_dir(&crate_dir)
            .env("RUSTC", self.rustc)
            // `-Z` is for nightly compilers; the library's own code needs that as well.
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTFLAGS")
            // Without bitcode nothing could be optimised across the border to the library.
            .env("CARGO_ENCODED_RUSTFLAGS", [self.build.features(), "-Cembed-bitcode=yes"].join("\x1f"));
        run_logged(&mut build, "setup-std.log")?;

        // Under another name until it is whole: a run that was stopped must not leave half of it.
        let partial = beside(sysroot, "partial");
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
}

/// What `rustc --version` says. A library works with the very compiler that built it, so the
/// commit counts as well.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    number: String,
    commit: String,
}

impl Version {
    /// Reads `rustc 1.95.0 (59807616e 2026-04-14)`.
    fn parse(printed: &str) -> Option<Self> {
        let mut words = printed.split(' ').skip(1);
        let number = words.next()?.to_owned();
        let commit = words.next().unwrap_or("(unknown").trim_start_matches('(').to_owned();
        Some(Self { number, commit })
    }

    fn is_new_enough(&self) -> bool {
        let mut numbers = self.number.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= MIN_VERSION
    }
}

fn libdir(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

fn beside(sysroot: &Path, end: &str) -> PathBuf {
    let mut name = sysroot.as_os_str().to_owned();
    name.push(format!(".{end}"));
    name.into()
}

/// rustup's own linker, else LLVM's.
fn linker() -> Option<PathBuf> {
    let of_rustup = output_of(&mut command(CARGO_RUSTC, &["--print", "target-libdir"]))
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

/// Its own workspace. Unwinding, so that the library has both ways to panic.
const EMPTY_CRATE: &str = r#"[package]
name = "empty"
version = "0.0.0"
edition = "2024"

[profile.release]
panic = "unwind"

[workspace]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let of_rustup = Version::parse("rustc 1.95.0 (59807616e 2026-04-14)").unwrap();
        assert_eq!((of_rustup.number.as_str(), of_rustup.commit.as_str()), ("1.95.0", "59807616e"));
        assert!(of_rustup.is_new_enough());
        assert!(!Version::parse("rustc 1.94.9").unwrap().is_new_enough());
        assert!(Version::parse("rustc 2.0.0-nightly (0123abcde 2027-01-01)").unwrap().is_new_enough());
        assert_eq!(Version::parse(""), None);
    }
}
