//! Files made to crash, hang or fill a reader: each costs itself, with its reason, and the others are read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../ingest/tests/common/bombs.rs"]
mod bombs;

use std::fs;
use std::path::Path;
use std::process::Command;

use bombs::{SOUND, bombs, slow};
use serde_json::Value;

/// Indexes files with an embedder of random weights, which is quick; other bounds of their readers in `bounds`.
fn index(files: &[(&str, &[u8])], bounds: &[(&str, &str)]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    fs::create_dir(&docs).unwrap();
    for (name, bytes) in files {
        fs::write(docs.join(name), bytes).unwrap();
    }
    let embedder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tiny/bert");
    let mut command = Command::new(env!("CARGO_BIN_EXE_footnote"));
    command.args(["--quiet", "--tier", "cpu", "--embedder"]).arg(embedder).arg("index");
    command.arg("--kb").arg(folder.path().join("kb.footnote")).arg(docs);
    let output = command.envs(bounds.iter().copied()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"))
}

fn list<'a>(report: &'a Value, name: &str, field: &str) -> Vec<&'a str> {
    report[name].as_array().unwrap().iter().map(|one| one[field].as_str().unwrap()).collect()
}

#[test]
fn bombs_of_every_kind_cost_themselves_alone() {
    let bombs = bombs();
    let mut files: Vec<(&str, &[u8])> = bombs.iter().map(|bomb| (bomb.name, bomb.bytes.as_slice())).collect();
    files.push(SOUND);
    // A browser's reader has as much memory: the bounds on what is read are met before it is spent.
    let report = index(&files, &[("FOOTNOTE_READ_MB", "1024"), ("FOOTNOTE_READ_SECONDS", "100")]);
    let (added, reasons) = (list(&report, "added", "name"), list(&report, "failed", "reason"));
    let is_added = |name: &str| added.iter().any(|added| added.ends_with(name));
    assert!(is_added(SOUND.0), "{report}");
    for bomb in &bombs {
        assert!(bomb.gives.is_none_or(is_added), "{}: {report}", bomb.name);
        let reason = reasons.iter().find(|reason| reason.contains(bomb.name));
        match bomb.says {
            Some(says) => {
                assert!(reason.is_some_and(|reason| reason.contains(says)), "{}: {report}", bomb.name)
            }
            None => assert!(reason.is_none(), "{}: {report}", bomb.name),
        }
    }
}

#[test]
fn a_file_that_takes_too_long_or_too_much_memory_is_given_up() {
    let large = "Black tea wants four minutes. ".repeat(7 << 20);
    let slow = slow(1, &[]);
    for (file, bound, says) in [
        (("slow.zip", slow.as_slice()), ("FOOTNOTE_READ_SECONDS", "1"), "it took longer than 1 s"),
        (("large.txt", large.as_bytes()), ("FOOTNOTE_READ_MB", "400"), "takes more memory than 400 MB"),
    ] {
        let has_bound = bound.0 != "FOOTNOTE_READ_MB" || cfg!(target_os = "linux");
        let report = index(&[file, SOUND], &[bound]);
        assert!(list(&report, "added", "name").iter().any(|name| name.ends_with(SOUND.0)), "{report}");
        let reasons = list(&report, "failed", "reason");
        let is_told = |reason: &&str| reason.contains(file.0) && reason.contains(says);
        assert!(!has_bound || reasons.iter().any(is_told), "{reasons:?}");
    }
}

#[test]
fn members_of_an_archive_that_stop_their_readers_cost_themselves() {
    let report = index(&[("slow.zip", &slow(2, &[SOUND]))], &[("FOOTNOTE_READ_SECONDS", "1")]);
    let added = list(&report, "added", "name");
    assert!(added.iter().any(|name| name.ends_with(&format!("slow.zip/{}", SOUND.0))), "{report}");
    let reasons = list(&report, "failed", "reason");
    for name in ["slow.zip/0.pdf", "slow.zip/1.pdf"] {
        let says = "was given up: reading it took longer than 1 s";
        assert!(reasons.iter().any(|r| r.contains(&format!("{name} {says}"))), "{name}: {reasons:?}");
    }
}
