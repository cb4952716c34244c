//! A disk in memory for tests: it remembers what was synced, can fail, and can lose its power.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use crate::pages::Pages;
use crate::testing::{Rng, tag};
use crate::{Db, Result};

/// Copies are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) bytes: Vec<u8>,
    /// What a power cut leaves for sure.
    synced: Vec<u8>,
    /// Changes since the last sync, each of which a power cut may keep, lose or tear.
    unsynced: Vec<Change>,
    /// Writes, changes of length, and syncs so far.
    pub(crate) n_changes: usize,
    pub(crate) n_bytes_read: usize,
    /// These changes fail.
    pub(crate) fails: Option<(Range<usize>, io::ErrorKind)>,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
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
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { synced: bytes.clone(), bytes, ..State::default() })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn pages(&self) -> Pages {
        Pages::new(self.clone())
    }

    pub(crate) fn open(&self) -> Result<Db> {
        Db::over(self.pages(), &tag())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// All changes fail that come `n` changes from now, or later.
    pub(crate) fn fail_after(&self, n: usize, kind: io::ErrorKind) {
        let mut state = self.state();
        let from = state.n_changes + n;
        state.fails = Some((from..usize::MAX, kind));
    }

    /// What may be on the disk after a power cut: what was synced, and any selection of the changes
    /// since, so that a later one may be there without an earlier one. A kept write may be torn, at a
    /// sector or anywhere. The file has one of the lengths that it had, and nothing is behind its end.
    pub(crate) fn after_power_cut(&self, seed: u64) -> Vec<u8> {
        let state = self.state();
        let mut rng = Rng(seed);
        let mut lengths = vec![state.synced.len()];
        for change in &state.unsynced {
            match change {
                Change::Write(at, data) => {
                    lengths.push((at + data.len()).max(*lengths.last().unwrap()));
                }
                Change::Length(length) => lengths.push(*length),
            }
        }
        let mut bytes = state.synced.clone();
        bytes.resize(lengths[rng.below(lengths.len())], 0);
        for change in &state.unsynced {
            let Change::Write(at, data) = change else { continue };
            let n_kept = match rng.below(6) {
                0 | 1 => 0,
                2 => rng.below(data.len() + 1) / 512 * 512,
                3 => rng.below(data.len() + 1),
                _ => data.len(),
            };
            let to = (at + n_kept).min(bytes.len());
            if let Some(place) = bytes.get_mut(*at..to) {
                place.copy_from_slice(&data[..place.len()]);
            }
        }
        bytes
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.n_bytes_read += out.len();
        let from = offset as usize;
        let bytes = from.checked_add(out.len()).and_then(|to| state.bytes.get(from..to));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.bytes.resize(len as usize, 0);
        state.unsynced.push(Change::Length(len as usize));
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
        state.unsynced.push(Change::Write(at, data.to_vec()));
        Ok(())
    }
}
