//! Failures at each single write and sync of a workload, and damage to each part of a file.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use crate::pages::Pages;
use crate::testing::{N_DIMS, Rng, document, tag};
use crate::{Db, Error, Filter, NewDocument};

/// A disk in memory that remembers what was synced, and can fail.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// What a power cut leaves for sure.
    synced: Vec<u8>,
    /// Writes since the last sync, each of which a power cut may keep or lose.
    unsynced: Vec<(usize, Vec<u8>)>,
    n_changes: usize,
    /// From this change on all changes fail, for as long as the fault lasts.
    fails: Option<(Range<usize>, io::ErrorKind)>,
}

impl State {
    fn change(&mut self) -> io::Result<()> {
        let n = self.n_changes;
        self.n_changes += 1;
        match &self.fails {
            Some((when, kind)) if when.contains(&n) => Err(io::Error::new(*kind, "injected")),
            _ => Ok(()),
        }
    }
}

impl Disk {
    fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { synced: bytes.clone(), bytes, ..State::default() })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn open(&self) -> crate::Result<Db> {
        Db::over(Pages::new(self.clone()), &tag())
    }

    /// What may be on the disk after a power cut: the synced bytes, and a choice of later writes,
    /// the last of them torn.
    fn after_power_cut(&self, choice: u64) -> Vec<u8> {
        let state = self.state();
        let mut rng = Rng(choice);
        let mut bytes = state.synced.clone();
        for (at, data) in &state.unsynced {
            let n_kept = match rng.below(4) {
                0 => 0,
                1 => data.len() / 512 * 512 * rng.below(2) / 2,
                _ => data.len(),
            };
            if bytes.len() < at + n_kept {
                bytes.resize(at + n_kept, 0);
            }
            bytes[*at..at + n_kept].copy_from_slice(&data[..n_kept]);
        }
        // A file never shrinks before the sync that says so, and may be longer than what was written.
        bytes.resize(bytes.len().max(state.bytes.len()), 0);
        bytes
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = offset as usize;
        let bytes = from.checked_add(out.len()).and_then(|to| state.bytes.get(from..to));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.bytes.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.synced = state.bytes.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let at = offset as usize;
        if state.bytes.len() < at + data.len() {
            state.bytes.resize(at + data.len(), 0);
        }
        state.bytes[at..at + data.len()].copy_from_slice(data);
        state.unsynced.push((at, data.to_vec()));
        Ok(())
    }
}

/// Names and hashes of all documents, after checking that every index agrees with the rows.
fn contents(db: &Db) -> Vec<(String, [u8; 32])> {
    let documents = db.documents().unwrap();
    let n_chunks: u64 = documents.iter().map(|info| u64::from(info.n_chunks)).sum();
    assert_eq!(db.stats().unwrap().n_chunks, n_chunks);
    let hits = db.search_vector(&[0.5; N_DIMS], 10_000, &Filter::default()).unwrap();
    assert_eq!(hits.len() as u64, n_chunks);
    let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    assert_eq!(db.chunks(&ids).unwrap().len() as u64, n_chunks);
    for hit in db.search_text("amber birch crane dune running 語言", 10_000, &Filter::default()).unwrap() {
        assert!(ids.contains(&hit.chunk));
    }
    documents
        .into_iter()
        .map(|info| {
            db.document(info.id).unwrap().unwrap();
            (info.name, info.sha256)
        })
        .collect()
}

/// Two stored documents, and the change that is to be cut: one replaced, with more passages.
fn before() -> (Vec<u8>, NewDocument) {
    let mut rng = Rng(99);
    let disk = Disk::default();
    let mut db = disk.open().unwrap();
    db.put_document(&document(&mut rng, "a.md", 40)).unwrap();
    db.put_document(&document(&mut rng, "b.md", 30)).unwrap();
    drop(db);
    let bytes = disk.state().bytes.clone();
    (bytes, document(&mut rng, "a.md", 60))
}

#[test]
fn a_failed_change_leaves_the_state_before_or_after_and_the_store_goes_on() {
    let (bytes, new) = before();
    let old = contents(&Disk::holding(bytes.clone()).open().unwrap());
    let mut n_failed = 0;
    for (kind, lasting) in [(io::ErrorKind::StorageFull, true), (io::ErrorKind::Other, false)] {
        for n in 0.. {
            let disk = Disk::holding(bytes.clone());
            let mut db = disk.open().unwrap();
            let from = disk.state().n_changes + n;
            disk.state().fails = Some((from..if lasting { usize::MAX } else { from + 1 }, kind));
            let done = db.put_document(&new);
            disk.state().fails = None;
            let Err(error) = done else { break };
            n_failed += 1;
            match kind {
                io::ErrorKind::StorageFull => assert!(matches!(error, Error::Full { .. }), "{error:?}"),
                _ => assert!(matches!(error, Error::Io { .. }), "{error:?}"),
            }
            // The same store takes the document now that the fault is over.
            let id = db.put_document(&new).unwrap_or_else(|error| panic!("after failure {n}: {error}"));
            assert_eq!(contents(&db).len(), 2);
            assert_eq!(db.document(id).unwrap().unwrap().info.sha256, new.sha256);
            drop(db);
            let reopened = contents(&disk.open().unwrap());
            assert!(reopened != old && reopened.iter().any(|(_, sha256)| *sha256 == new.sha256));
        }
    }
    assert!(n_failed > 20, "the workload has too few changes ({n_failed}) to test anything");
}

#[test]
fn a_power_cut_at_each_change_leaves_the_state_before_or_after() {
    let (bytes, new) = before();
    let old = contents(&Disk::holding(bytes.clone()).open().unwrap());
    let (mut n_old, mut n_new) = (0, 0);
    for n in 0.. {
        let disk = Disk::holding(bytes.clone());
        let mut db = disk.open().unwrap();
        let from = disk.state().n_changes + n;
        disk.state().fails = Some((from..usize::MAX, io::ErrorKind::Other));
        let done = db.put_document(&new).is_ok();
        drop(db);
        for choice in 0..6 {
            let left = Disk::holding(disk.after_power_cut(choice));
            let found =
                contents(&left.open().unwrap_or_else(|error| panic!("cut {n}, choice {choice}: {error}")));
            if found == old {
                assert!(!done, "a document that was acknowledged is lost (cut {n}, choice {choice})");
                n_old += 1;
            } else {
                assert!(found.iter().any(|(_, sha256)| *sha256 == new.sha256) && found.len() == 2);
                n_new += 1;
            }
        }
        if done {
            break;
        }
    }
    assert!(n_old > 20 && n_new > 0, "{n_old} before, {n_new} after");
}

#[test]
fn a_power_cut_while_a_store_is_made_leaves_a_file_that_opens() {
    for n in 0.. {
        let disk = Disk::default();
        disk.state().fails = Some((n..usize::MAX, io::ErrorKind::Other));
        let opened = disk.open().is_ok();
        for choice in 0..4 {
            let left = Disk::holding(disk.after_power_cut(choice));
            let db = left.open().unwrap_or_else(|error| panic!("cut {n}, choice {choice}: {error}"));
            assert!(contents(&db).is_empty());
        }
        if opened {
            break;
        }
    }
}

/// Right data or an error; a panic fails the test.
fn survives(bytes: Vec<u8>, what: &str) -> bool {
    let opened = std::panic::catch_unwind(|| {
        let db = match Disk::holding(bytes).open() {
            Ok(db) => db,
            Err(Error::Corrupt { .. } | Error::Io { .. }) => return false,
            Err(error) => panic!("{error:?}"),
        };
        for info in db.documents().unwrap() {
            match db.document(info.id) {
                Ok(stored) => {
                    assert!(stored.is_some_and(|stored| stored.text.chars().count() as u64 == info.n_chars))
                }
                Err(error) => assert!(matches!(error, Error::Corrupt { .. } | Error::Io { .. }), "{error:?}"),
            }
        }
        true
    });
    opened.unwrap_or_else(|_| panic!("{what}"))
}

#[test]
fn a_cut_file_is_an_error_and_no_panic() {
    let (bytes, _) = before();
    for n_bytes in (1..bytes.len()).step_by(bytes.len() / 150).chain([1, 9, 64, 320, 4095, 4096, 8192]) {
        survives(bytes[..n_bytes].to_vec(), &format!("cut to {n_bytes} bytes"));
    }
    assert!(matches!(
        Disk::holding(b"# A Markdown file, not a knowledge base".to_vec()).open(),
        Err(Error::Corrupt { .. })
    ));
    let mut zeroed = bytes;
    zeroed[..4096].fill(0);
    assert!(matches!(Disk::holding(zeroed).open(), Err(Error::Corrupt { .. })));
}

#[test]
fn a_flipped_byte_is_an_error_or_harmless_and_no_panic() {
    let (bytes, _) = before();
    let mut rng = Rng(5);
    let (mut n_right, mut n_refused) = (0, 0);
    for round in 0..600 {
        let mut damaged = bytes.clone();
        let at = if round < 330 { round } else { rng.below(bytes.len()) };
        damaged[at] ^= 1 << rng.below(8);
        match survives(damaged, &format!("byte {at} of {}", bytes.len())) {
            true => n_right += 1,
            false => n_refused += 1,
        }
    }
    assert!(n_right > 0 && n_refused > 0, "{n_right} right, {n_refused} refused");
}
