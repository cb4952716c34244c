//! Changes in memory over bytes that never change: what opening for reading only stands on. Opening
//! writes a little, such as that the file is in use, and mends what a crash left; nothing of it
//! reaches the file.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::pages::Pages;

/// Bytes that are kept together: a page of redb.
const BLOCK_BYTES: u64 = 4096;

/// A place for pages over another one.
#[derive(Debug)]
pub(crate) struct Overlay {
    below: Pages,
    above: Mutex<Above>,
}

#[derive(Debug, Default)]
struct Above {
    /// `None` as long as the length is that of what is below.
    n_bytes: Option<u64>,
    /// How many bytes of what is below still count: those behind a cut are zeros for good.
    n_bytes_below: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(crate) fn new(below: Pages) -> Self {
        Self { below, above: Mutex::default() }
    }

    fn above(&self) -> io::Result<(MutexGuard<'_, Above>, u64)> {
        let mut above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        let n_bytes = match above.n_bytes {
            Some(n_bytes) => n_bytes,
            None => {
                let n_bytes = self.below.len()?;
                (above.n_bytes, above.n_bytes_below) = (Some(n_bytes), n_bytes);
                n_bytes
            }
        };
        Ok((above, n_bytes))
    }

    /// A block as it is now.
    fn block(&self, above: &Above, idx: u64) -> io::Result<Box<[u8]>> {
        if let Some(block) = above.blocks.get(&idx) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK_BYTES as usize].into_boxed_slice();
        let start = idx * BLOCK_BYTES;
        let n_there = above.n_bytes_below.saturating_sub(start).min(BLOCK_BYTES) as usize;
        if n_there > 0 {
            self.below.read(start, &mut block[..n_there])?;
        }
        Ok(block)
    }
}

/// The parts of `offset..offset + len` by block: (block, where in it, where in the whole, length).
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % BLOCK_BYTES) as usize;
        let n_bytes = (BLOCK_BYTES as usize - within).min(len - done);
        let part = (at / BLOCK_BYTES, within, done, n_bytes);
        done += n_bytes;
        (n_bytes > 0).then_some(part)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above()?.1)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (above, n_bytes) = self.above()?;
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > n_bytes) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Most reads meet no change; they go below in one piece.
        let blocks = offset / BLOCK_BYTES..(offset + out.len() as u64).div_ceil(BLOCK_BYTES);
        let is_below = offset + out.len() as u64 <= above.n_bytes_below;
        if is_below && above.blocks.range(blocks).next().is_none() {
            return self.below.read(offset, out);
        }
        for (idx, within, at, n_bytes) in parts(offset, out.len()) {
            let block = self.block(&above, idx)?;
            out[at..at + n_bytes].copy_from_slice(&block[within..within + n_bytes]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut above, _) = self.above()?;
        above.n_bytes = Some(len);
        above.n_bytes_below = above.n_bytes_below.min(len);
        above.blocks.split_off(&len.div_ceil(BLOCK_BYTES));
        if let Some(last) = above.blocks.get_mut(&(len / BLOCK_BYTES)) {
            last[(len % BLOCK_BYTES) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut above, n_bytes) = self.above()?;
        for (idx, within, at, n_bytes) in parts(offset, data.len()) {
            let mut block = self.block(&above, idx)?;
            block[within..within + n_bytes].copy_from_slice(&data[at..at + n_bytes]);
            above.blocks.insert(idx, block);
        }
        above.n_bytes = Some(n_bytes.max(offset + data.len() as u64));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn it_behaves_like_memory_and_leaves_what_is_below() {
        let below = Pages::in_memory();
        below.set_len(20_000).unwrap();
        let first: Vec<u8> = (0..20_000).map(|i| i as u8).collect();
        below.write(0, &first).unwrap();
        let overlay = Overlay::new(below.clone());
        let mut model = first.clone();
        let mut rng = Rng(4);
        for step in 0..400 {
            if step % 9 == 0 {
                let len = rng.below(30_000);
                overlay.set_len(len as u64).unwrap();
                model.resize(len, 0);
            }
            let n_bytes = rng.below(9_000);
            let offset = rng.below(model.len().saturating_sub(n_bytes) + 1);
            let data: Vec<u8> = (0..n_bytes.min(model.len() - offset)).map(|_| rng.next() as u8).collect();
            overlay.write(offset as u64, &data).unwrap();
            model[offset..offset + data.len()].copy_from_slice(&data);
            let from = rng.below(model.len() + 1);
            let mut out = vec![0; rng.below(model.len() - from + 1)];
            overlay.read(from as u64, &mut out).unwrap();
            assert_eq!(out, model[from..from + out.len()], "step {step}");
            assert_eq!(overlay.len().unwrap(), model.len() as u64);
        }
        assert!(overlay.read(model.len() as u64, &mut [0]).is_err());
        let mut now = vec![0; 20_000];
        below.read(0, &mut now).unwrap();
        assert!(now == first && below.len().unwrap() == 20_000);
    }
}
