//! The web app: three wasm programs, one of them in two builds, their JavaScript, the static files,
//! all of it compressed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use wasm_bindgen_cli_support::Bindgen;

use crate::run::{self, beside, cargo, run, say};
use crate::wasm::Build;
use crate::{Outcome, pack, paths, shell, wasm, workspace};

/// The programs of `ui`: the page, the engine worker, the ingest worker.
const PROGRAMS: [&str; 3] = ["page", "engine", "ingest"];
/// The one that computes enough to be worth a second build.
const THREADED: [&str; 1] = ["engine"];

/// What a browser loads at most, in kB with brotli.
const MAX_KB: [(&str, u64); 4] = [
    ("page_bg.wasm", 400),
    ("engine_bg.wasm", 3_500),
    ("engine-threads_bg.wasm", 3_500),
    ("ingest_bg.wasm", 1_200),
];

/// With less memory the builds are made one after the other.
const MIN_GB_BESIDE: f64 = 9.0;

/// Goes up when [`bind`] makes something else of the same program.
const BINDING: u32 = 2;

/// Builds the web app and returns its folder. What is up to date is left alone.
pub fn build() -> Outcome<PathBuf> {
    build_as(&[(Build::Plain, &PROGRAMS), (Build::Threads, &THREADED)])
}

/// As [`build`], in half the time: every browser then runs the engine on one thread.
pub fn build_plain() -> Outcome<PathBuf> {
    build_as(&[(Build::Plain, &PROGRAMS)])
}

fn build_as(builds: &[(Build, &[&str])]) -> Outcome<PathBuf> {
    say("building the web app");
    let dist = paths::web_dist();
    fs::create_dir_all(&dist)?;
    let mut wanted = BTreeSet::new();
    for &(how, _) in builds {
        // One may have to be installed: not beside another.
        wasm::toolchain(how)?;
    }
    let works: Vec<_> = builds.iter().map(|&(how, programs)| move || build_programs(how, programs)).collect();
    // Linking one takes 3.5 GB.
    if run::available_gb().is_some_and(|gb| gb < MIN_GB_BESIDE) {
        works.iter().try_for_each(|work| work())?;
    } else {
        beside(&works.iter().map(|work| work as _).collect::<Vec<_>>())?;
    }
    for &(how, programs) in builds {
        for name in programs.iter().map(|program| out_name(how, program)) {
            wanted.extend([format!("{name}.js"), format!("{name}_bg.wasm")].map(PathBuf::from));
        }
    }
    copy_changed(&workspace().join("ui/static"), &dist, Path::new(""), &mut wanted)?;
    // Helper scripts of libraries, where wasm-bindgen found some.
    keep_folder(&dist, Path::new("snippets"), &mut wanted)?;
    remove_others(&dist, Path::new(""), &wanted)?;
    shell::list_files(&dist, &wanted)?;
    let sizes = pack::compress_all(&dist, &wanted)?;
    print_sizes(&sizes);
    check_sizes(&sizes)?;
    Ok(dist)
}

/// Compiles programs of `ui` and binds them to JavaScript, into the folder of the app.
fn build_programs(how: Build, programs: &[&str]) -> Outcome {
    let mut selection = vec!["--package", "ui"];
    selection.extend(programs.iter().flat_map(|program| ["--bin", program]));
    let built = cargo_build(how, &selection)?;
    for program in programs {
        let file = built.join(format!("{program}.wasm"));
        bind(&file, &out_name(how, program), &paths::web_dist())?;
    }
    Ok(())
}

/// Builds the programs of tests in a browser: the shared body of `platform`'s tests, and the store
/// without models. `tests/tests/platform.rs` and `tests/tests/store.rs` run them.
pub fn build_tests() -> Outcome {
    say("building the programs of browser tests");
    let folder = paths::web_tests();
    fs::create_dir_all(&folder)?;
    for how in [Build::Plain, Build::Threads] {
        let built = cargo_build(how, &["--package", "platform", "--example", "browser_tests"])?;
        bind(&built.join("examples/browser_tests.wasm"), &out_name(how, "browser_tests"), &folder)?;
    }
    let built = cargo_build(Build::Plain, &STORE_TEST)?;
    bind(&built.join("examples/browser_store.wasm"), "browser_store", &folder)
}

/// Selected together with `ui`, so that what both need is compiled once, with the same features.
/// Nobody waits for this program: optimising it whole, as the app is, would take a minute more.
const STORE_TEST: [&str; 8] = [
    "--package",
    "ui",
    "--package",
    "vectordb",
    "--example",
    "browser_store",
    "--config",
    "profile.web.package.vectordb.opt-level=1",
];

/// Builds the program that measures in a browser's worker: with `engines` embedder and generator, for
/// threads, else the store alone, which has no use for them.
pub fn build_measure(engines: bool) -> Outcome {
    say("building the program that measures");
    let built = if engines {
        cargo_build(Build::Threads, &["--package", "measure"])?
    } else {
        cargo_build(Build::Plain, &["--package", "measure", "--no-default-features"])?
    };
    let folder = paths::web_measure();
    fs::create_dir_all(&folder)?;
    bind(&built.join("measure.wasm"), "measure", &folder)?;
    let thread = "compute-worker.js";
    fs::copy(workspace().join("ui/static").join(thread), folder.join(thread))?;
    Ok(())
}

/// What a program is called in the finished app.
fn out_name(how: Build, program: &str) -> String {
    match how {
        Build::Plain => program.to_owned(),
        Build::Threads => format!("{program}-threads"),
    }
}

/// Builds for the browser; returns the folder of the programs.
fn cargo_build(how: Build, selection: &[&str]) -> Outcome<PathBuf> {
    let target = paths::web_target(how);
    let mut build = cargo(&["build", "--profile", "web", "--target", wasm::TARGET]);
    build.args(selection).arg("--target-dir").arg(&target).envs(wasm::toolchain(how)?.env());
    run(&mut build)?;
    Ok(target.join(wasm::TARGET).join("web"))
}

/// Runs wasm-bindgen over a program, unless it did so over this very file. What it writes begins
/// with `name`.
fn bind(wasm_file: &Path, name: &str, dist: &Path) -> Outcome {
    let metadata = fs::metadata(wasm_file)?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    let stamp = format!("{BINDING} {} {changed}", metadata.len());
    let stamp_file = paths::web_target(Build::Plain).join(format!("{name}.bound"));
    let is_there = ["js", "wasm"].iter().all(|extension| {
        let end = if *extension == "js" { "" } else { "_bg" };
        dist.join(format!("{name}{end}.{extension}")).is_file()
    });
    if is_there && fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        return Ok(());
    }
    Bindgen::new()
        .input_path(wasm_file)
        .out_name(name)
        .web(true)?
        .typescript(false)
        // `init()` of the script finds its module by itself.
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(dist)
        .map_err(|error| format!("wasm-bindgen over {}: {error:#}", wasm_file.display()))?;
    fs::write(stamp_file, stamp)?;
    Ok(())
}

/// Copies the files of `from` that differ, and notes their names.
fn copy_changed(from: &Path, dist: &Path, below: &Path, wanted: &mut BTreeSet<PathBuf>) -> Outcome {
    for entry in fs::read_dir(from.join(below))? {
        let name = below.join(entry?.file_name());
        let (source, copy) = (from.join(&name), dist.join(&name));
        if source.is_dir() {
            fs::create_dir_all(&copy)?;
            copy_changed(from, dist, &name, wanted)?;
            continue;
        }
        let bytes = fs::read(&source)?;
        if fs::read(&copy).ok().as_ref() != Some(&bytes) {
            fs::write(&copy, bytes)?;
        }
        wanted.insert(name);
    }
    Ok(())
}

fn keep_folder(dist: &Path, below: &Path, wanted: &mut BTreeSet<PathBuf>) -> Outcome {
    let Ok(entries) = fs::read_dir(dist.join(below)) else { return Ok(()) };
    for entry in entries {
        let name = below.join(entry?.file_name());
        if dist.join(&name).is_dir() {
            keep_folder(dist, &name, wanted)?;
        } else if !pack::is_compressed(&name) {
            wanted.insert(name);
        }
    }
    Ok(())
}

/// Deletes what earlier builds left and this one does not have.
fn remove_others(dist: &Path, below: &Path, wanted: &BTreeSet<PathBuf>) -> Outcome {
    for entry in fs::read_dir(dist.join(below))? {
        let name = below.join(entry?.file_name());
        let path = dist.join(&name);
        if path.is_dir() {
            remove_others(dist, &name, wanted)?;
            if fs::read_dir(&path)?.next().is_none() {
                fs::remove_dir(&path)?;
            }
        } else if !wanted.contains(&pack::original_name(&name)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// A program that grew has usually got something that it does not use; an unoptimised one has its own measure.
fn check_sizes(sizes: &[pack::Sizes]) -> Outcome {
    if std::env::var_os("CARGO_PROFILE_WEB_LTO").is_some() {
        return Ok(());
    }
    for (name, max_kb) in MAX_KB {
        let grown = sizes.iter().find(|size| size.name == Path::new(name) && size.brotli > max_kb * 1000);
        if let Some(size) = grown {
            let kb = size.brotli / 1000;
            return Err(
                format!("{name} has {kb} kB with brotli, more than {max_kb}: look at what it got").into()
            );
        }
    }
    Ok(())
}

fn print_sizes(sizes: &[pack::Sizes]) {
    eprintln!("{:<24} {:>10} {:>10} {:>10}", "kB", "raw", "gzip", "brotli");
    let kilobytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e3);
    for size in sizes {
        let [raw, gzip, brotli] = [size.raw, size.gzip, size.brotli].map(kilobytes);
        eprintln!("{:<24} {raw:>10} {gzip:>10} {brotli:>10}", size.name.display());
    }
    let sum = |of: fn(&pack::Sizes) -> u64| kilobytes(sizes.iter().map(of).sum());
    let (raw, gzip, brotli) = (sum(|s| s.raw), sum(|s| s.gzip), sum(|s| s.brotli));
    eprintln!("{:<24} {raw:>10} {gzip:>10} {brotli:>10}", "together");
}
