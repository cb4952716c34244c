//! Power cuts and failures at each single write and sync of a workload.

use std::io;

use crate::disk::Disk;
use crate::testing::{Rng, document};
use crate::{ChunkId, Db, DocumentId, DocumentText, Error, NewDocument, Result};

/// Different outcomes of a power cut that are looked at, for each place where it may come.
const N_OUTCOMES: u64 = 6;

/// Everything that a user would miss, after checking that every index agrees with the rows.
#[derive(Debug, PartialEq)]
struct Contents {
    documents: Vec<(DocumentText, Vec<(ChunkId, String)>)>,
    setting: Option<serde_json::Value>,
}

fn contents(db: &mut Db) -> Contents {
    assert_eq!(db.verify().unwrap(), [] as [String; 0]);
    let mut first_chunk = 0;
    let mut chunks_of = |db: &Db, n_chunks: u32| {
        // Ids ascend from document to document, with gaps where some were removed.
        let mut chunks = Vec::new();
        while chunks.len() < n_chunks as usize {
            first_chunk += 1;
            chunks.extend(
                db.chunks(&[ChunkId(first_chunk)]).unwrap().into_iter().map(|row| (row.id, row.text)),
            );
        }
        chunks
    };
    let documents = db.documents().unwrap().into_iter().map(|info| {
        let n_chunks = info.n_chunks;
        (db.document(info.id).unwrap().unwrap(), chunks_of(db, n_chunks))
    });
    Contents { documents: documents.collect(), setting: db.setting("theme").unwrap() }
}

type Change = Box<dyn Fn(&mut Db) -> Result<()>>;

/// Changes that are cut, each on its own, of a store with three documents.
fn changes() -> Vec<(&'static str, Change)> {
    let with = |seed, name: &str, n_chunks| document(&mut Rng(seed), name, n_chunks);
    let put = |new: NewDocument| move |db: &mut Db| db.put_document(&new).map(drop);
    vec![
        ("put", Box::new(put(with(1, "d.md", 20)))),
        ("put a document without passages", Box::new(put(with(2, "e.md", 0)))),
        ("replace by a longer one", Box::new(put(with(3, "a.md", 40)))),
        ("replace by a shorter one", Box::new(put(with(4, "b.md", 2)))),
        ("remove", Box::new(|db| db.remove_document(DocumentId(2)).map(drop))),
        ("set", Box::new(|db| db.set_setting("theme", &serde_json::json!({"dark": true})))),
    ]
}

/// A store with three documents and a setting.
fn before() -> Vec<u8> {
    let mut rng = Rng(99);
    let disk = Disk::default();
    let mut db = disk.open().unwrap();
    for (name, n_chunks) in [("a.md", 12), ("b.md", 9), ("c.md", 3)] {
        db.put_document(&document(&mut rng, name, n_chunks)).unwrap();
    }
    db.set_setting("theme", &serde_json::json!("light")).unwrap();
    drop(db);
    disk.bytes()
}

/// What the store holds before and after a change that nothing disturbs.
fn before_and_after(bytes: &[u8], change: &dyn Fn(&mut Db) -> Result<()>) -> (Contents, Contents) {
    let mut db = Disk::holding(bytes.to_vec()).open().unwrap();
    let old = contents(&mut db);
    change(&mut db).unwrap();
    let new = contents(&mut db);
    assert!(old != new);
    (old, new)
}

#[test]
fn a_power_cut_at_each_write_and_sync_leaves_the_state_before_or_after() {
    let bytes = before();
    for (what, change) in changes() {
        let (old, new) = before_and_after(&bytes, &*change);
        let (mut n_old, mut n_new) = (0, 0);
        for n in 0.. {
            let disk = Disk::holding(bytes.clone());
            let mut db = disk.open().unwrap();
            disk.fail_after(n, io::ErrorKind::Other);
            let is_done = change(&mut db).is_ok();
            drop(db);
            for seed in 0..N_OUTCOMES {
                let left = Disk::holding(disk.after_power_cut(seed + 100 * n as u64));
                let mut db = left.open().unwrap_or_else(|error| panic!("{what}, cut {n}, {seed}: {error}"));
                let found = contents(&mut db);
                if found == new {
                    n_new += 1;
                } else {
                    assert_eq!(found, old, "{what}, cut {n}, outcome {seed}");
                    assert!(!is_done, "{what}: what was acknowledged is lost (cut {n}, outcome {seed})");
                    n_old += 1;
                }
            }
            if is_done {
                break;
            }
        }
        assert!(n_old > 20 && n_new > 0, "{what}: {n_old} before, {n_new} after");
    }
}

#[test]
fn a_second_power_cut_while_the_first_is_mended_costs_nothing_more() {
    let bytes = before();
    let (_, change) = changes().swap_remove(2);
    let (old, new) = before_and_after(&bytes, &*change);
    for n in [1, 3, 6] {
        let disk = Disk::holding(bytes.clone());
        let mut db = disk.open().unwrap();
        disk.fail_after(n, io::ErrorKind::Other);
        assert!(change(&mut db).is_err(), "the change takes more than {n} writes");
        drop(db);
        for m in 0.. {
            let torn = Disk::holding(disk.after_power_cut(n as u64));
            torn.fail_after(m, io::ErrorKind::Other);
            let is_open = torn.open().is_ok();
            for seed in 0..N_OUTCOMES {
                let left = Disk::holding(torn.after_power_cut(seed + 100 * m as u64));
                let found =
                    contents(&mut left.open().unwrap_or_else(|error| panic!("cut {n}, {m}: {error}")));
                assert!(found == old || found == new, "cut {n}, then {m}");
            }
            if is_open {
                break;
            }
        }
    }
}

#[test]
fn a_power_cut_while_a_store_is_made_leaves_a_file_that_opens() {
    for n in 0.. {
        let disk = Disk::default();
        disk.fail_after(n, io::ErrorKind::Other);
        let is_open = disk.open().is_ok();
        for seed in 0..2 * N_OUTCOMES {
            let left = Disk::holding(disk.after_power_cut(seed));
            let mut db = left.open().unwrap_or_else(|error| panic!("cut {n}, outcome {seed}: {error}"));
            assert!(contents(&mut db).documents.is_empty());
        }
        if is_open {
            break;
        }
    }
}

/// The disk is full, or a single write fails.
#[test]
fn a_failed_write_or_sync_leaves_the_state_before_or_after_and_the_store_goes_on() {
    let bytes = before();
    let mut n_failed = 0;
    for (what, change) in changes() {
        let (old, new) = before_and_after(&bytes, &*change);
        for (kind, is_lasting) in [(io::ErrorKind::StorageFull, true), (io::ErrorKind::Other, false)] {
            for n in 0.. {
                let disk = Disk::holding(bytes.clone());
                let mut db = disk.open().unwrap();
                let from = disk.state().n_changes + n;
                disk.state().fails = Some((from..if is_lasting { usize::MAX } else { from + 1 }, kind));
                let Err(error) = change(&mut db) else { break };
                n_failed += 1;
                match kind {
                    io::ErrorKind::StorageFull => {
                        assert!(matches!(error, Error::Full { .. }), "{what}: {error:?}");
                        assert!(error.to_string().contains("free some space"), "{error}");
                    }
                    _ => assert!(matches!(error, Error::Io { .. }), "{what}: {error:?}"),
                }
                // While there is no room, everything can still be read and searched.
                let n = db.documents().unwrap().len();
                assert!(n == old.documents.len() || n == new.documents.len(), "{what}: {n} documents");
                assert!(!db.search_text("amber birch", 3, &crate::Filter::default()).unwrap().is_empty());
                disk.state().fails = None;
                let found = contents(&mut db);
                assert!(found == old || found == new, "{what}: failure {n} left something between");
                // The same store takes the change now that there is room.
                change(&mut db).unwrap_or_else(|error| panic!("{what}, after failure {n}: {error}"));
                let found = contents(&mut db);
                drop(db);
                assert_eq!(contents(&mut disk.open().unwrap()), found);
                if old.documents.len() == new.documents.len() {
                    assert_eq!(found.documents.len(), new.documents.len(), "{what}");
                }
            }
        }
    }
    assert!(n_failed > 60, "the workload has too few changes ({n_failed}) to test anything");
}

/// A tab always ends with a crash: opening must not read the texts of all documents each time.
#[test]
fn a_file_that_was_not_closed_opens_without_being_read_whole() {
    let disk = Disk::holding(before());
    let mut db = disk.open().unwrap();
    for n in 0..40 {
        db.put_document(&document(&mut Rng(n), &format!("{n}.md"), 60)).unwrap();
    }
    let left = Disk::holding(disk.bytes());
    drop(db);
    let n_read = |disk: &Disk| {
        disk.state().n_bytes_read = 0;
        let db = disk.open().unwrap();
        let n_bytes = disk.state().n_bytes_read;
        drop(db);
        n_bytes
    };
    let [after_a_crash, after_closing] = [n_read(&left), n_read(&disk)];
    assert!(after_a_crash <= after_closing + (64 << 10), "{after_a_crash} and {after_closing} bytes");
    let mut all = Disk::holding(left.bytes()).open().unwrap();
    assert_eq!(contents(&mut all).documents.len(), 43);
}
