//! A file on its way: the bytes that came, in their places, and behind them a record of which those are.
//!
//! ```text
//! 0          the file's bytes, with gaps
//! n_bytes    magic, 8 bytes
//!   + 8      SHA-256 of the whole file, 32 bytes
//!   + 40     length of a segment, u64, little-endian as all that follows
//!   + 48     for each segment how many bytes of it are here, u64
//! ```
//!
//! The record never says more than what has reached the disk, so that a crash costs the bytes since the
//! last checkpoint and nothing else. A writer has the file alone: another tab or program waits.

use crate::catalog::FileEntry;
use crate::download::{Given, Target};
use crate::error::{AtPath, Result};
use crate::hash::hex;
use platform::{File, OpenMode};
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::ops::Range;

const MAGIC: [u8; 8] = *b"FNPART01";
const HEAD_BYTES: usize = 48;
/// Lengths of segments that a record may have.
const SEGMENTS: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 30;
/// The longest file there can be: segments of a terabyte still make a record of a megabyte.
const MAX_SEGMENTS: u64 = 1 << 17;
/// Bytes that a crash may cost.
const CHECKPOINT_BYTES: u64 = 4 << 20;
/// How often a whole file is given its name while another tab looks into it, and the pause between: long
/// enough to hash a gigabyte.
const MAX_PLACINGS: u32 = 200;
const PLACING_PAUSE_MS: u32 = 100;
/// Bytes hashed between two chances for others to run: about 5 ms of work in wasm.
const PIECE_BYTES: u64 = 1 << 20;

/// An open `.part` file.
pub(crate) struct Part {
    file: File,
    n_bytes: u64,
    sha256: String,
    segment_bytes: u64,
    /// Bytes of each segment that are here.
    done: RefCell<Vec<u64>>,
    n_unsynced: Cell<u64>,
    /// The bytes before the first gap as far as they are hashed; `None` while somebody hashes on.
    hashed: Cell<Option<Hashed>>,
    /// Whether bytes of an earlier fetch are among them, which may be another file's.
    pub has_earlier: Cell<bool>,
}

#[derive(Default)]
struct Hashed {
    hasher: Sha256,
    n_bytes: u64,
}

impl Part {
    /// Opens the file and takes what an earlier fetch left, if that was on its way to the same file.
    pub(crate) async fn open(target: &Target<'_>, segment_bytes: u64) -> Result<Self> {
        let file = target.open_part().await?;
        let entry = target.file;
        let smallest = entry.n_bytes.div_ceil(MAX_SEGMENTS).max(*SEGMENTS.start());
        let earlier = record(&file, entry, segment_bytes.max(smallest))?;
        let is_new = earlier.is_none();
        let (segment_bytes, done) =
            earlier.map_or((segment_bytes.max(smallest), Vec::new()), |r| (r.segment_bytes, r.done));
        let part = Self {
            n_bytes: entry.n_bytes,
            sha256: entry.sha256.clone(),
            segment_bytes,
            has_earlier: Cell::new(done.iter().any(|n| *n > 0)),
            done: RefCell::new(done),
            n_unsynced: Cell::new(0),
            hashed: Cell::new(Some(Hashed::default())),
            file,
        };
        if is_new {
            part.start_over()?;
        }
        Ok(part)
    }

    /// Forgets everything that came.
    pub(crate) fn start_over(&self) -> Result<()> {
        let n_segments = self.n_bytes.div_ceil(self.segment_bytes) as usize;
        self.done.replace(vec![0; n_segments]);
        self.hashed.set(Some(Hashed::default()));
        self.has_earlier.set(false);
        let path = self.file.path();
        self.file.set_len(0).at(path)?;
        let mut head = MAGIC.to_vec();
        head.extend(bytes_of(&self.sha256));
        head.resize(HEAD_BYTES - 8, 0);
        head.extend(self.segment_bytes.to_le_bytes());
        head.resize(HEAD_BYTES + 8 * n_segments, 0);
        self.file.write_at(&head, self.n_bytes).at(path)?;
        self.file.sync().at(path)
    }

    /// Bytes that are here.
    pub(crate) fn done_bytes(&self) -> u64 {
        self.done.borrow().iter().sum()
    }

    /// Segments with a gap, in order.
    pub(crate) fn open_segments(&self) -> Vec<usize> {
        (0..self.done.borrow().len()).filter(|idx| !self.gap(*idx).is_empty()).collect()
    }

    /// The bytes of a segment that are not here.
    pub(crate) fn gap(&self, segment_idx: usize) -> Range<u64> {
        let start = segment_idx as u64 * self.segment_bytes;
        let end = (start + self.segment_bytes).min(self.n_bytes);
        start + self.done.borrow()[segment_idx]..end
    }

    /// Puts bytes of the file at `offset` in their place; those that are here already are left alone.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let path = self.file.path();
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        while at < end {
            let segment_idx = (at / self.segment_bytes) as usize;
            let gap = self.gap(segment_idx);
            let until = end.min((segment_idx as u64 + 1) * self.segment_bytes);
            if gap.start >= at && gap.start < until {
                let new = &bytes[(gap.start - offset) as usize..(until - offset) as usize];
                self.file.write_at(new, gap.start).at(path)?;
                self.hash_new(new, gap.start);
                self.done.borrow_mut()[segment_idx] += new.len() as u64;
                self.n_unsynced.set(self.n_unsynced.get() + new.len() as u64);
            }
            at = until;
        }
        if self.n_unsynced.get() >= CHECKPOINT_BYTES { self.checkpoint() } else { Ok(()) }
    }

    /// Writes down what is here, once it is safe.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        if self.n_unsynced.replace(0) == 0 {
            return Ok(());
        }
        let path = self.file.path();
        self.file.sync().at(path)?;
        let done: Vec<u8> = self.done.borrow().iter().flat_map(|n| n.to_le_bytes()).collect();
        self.file.write_at(&done, self.n_bytes + HEAD_BYTES as u64).at(path)
    }

    /// Hashes what comes right behind what is hashed, while it is still in memory.
    fn hash_new(&self, bytes: &[u8], offset: u64) {
        if let Some(mut hashed) = self.hashed.take() {
            if hashed.n_bytes == offset {
                hashed.hasher.update(bytes);
                hashed.n_bytes += bytes.len() as u64;
            }
            self.hashed.set(Some(hashed));
        }
    }

    /// Hashes on, up to the first gap.
    pub(crate) async fn hash_on(&self) -> Result<()> {
        // Somebody else does: he sees what has come meanwhile.
        let Some(mut hashed) = self.hashed.take() else { return Ok(()) };
        let outcome = self.hash_to_gap(&mut hashed).await;
        self.hashed.set(Some(hashed));
        outcome
    }

    async fn hash_to_gap(&self, hashed: &mut Hashed) -> Result<()> {
        let mut piece = Vec::new();
        loop {
            let n_piece = (self.n_before_gap() - hashed.n_bytes).min(PIECE_BYTES);
            if n_piece == 0 {
                return Ok(());
            }
            piece.resize(n_piece as usize, 0);
            self.file.read_at(&mut piece, hashed.n_bytes).at(self.file.path())?;
            hashed.hasher.update(&piece);
            hashed.n_bytes += n_piece;
            platform::yield_now().await;
        }
    }

    /// Bytes before the first gap.
    fn n_before_gap(&self) -> u64 {
        let first = self.open_segments().first().copied();
        first.map_or(self.n_bytes, |segment_idx| self.gap(segment_idx).start)
    }

    /// Whether the whole file is here and is the right one; else everything is forgotten.
    pub(crate) async fn check(&self) -> Result<Given> {
        self.hash_on().await?;
        let hashed = self.hashed.take().unwrap_or_default();
        if hashed.n_bytes != self.n_bytes {
            let reason = format!("{} of {} bytes are here", hashed.n_bytes, self.n_bytes);
            self.hashed.set(Some(hashed));
            return Ok(Err(reason));
        }
        let sha256 = hex(&hashed.hasher.finalize());
        if sha256 == self.sha256 {
            return Ok(Ok(()));
        }
        self.start_over()?;
        Ok(Err(format!("its SHA-256 is {sha256}, expected {}", self.sha256)))
    }

    /// Gives a file that was checked its name, in the place of what may have it.
    pub(crate) async fn put_in_place(self, path: &str) -> Result<()> {
        let part_path = self.file.path().to_owned();
        let cut = self.file.set_len(self.n_bytes).and_then(|()| self.file.sync());
        self.n_unsynced.set(0);
        drop(self);
        cut.at(&part_path)?;
        for _ in 1..MAX_PLACINGS {
            match platform::rename(&part_path, path).await {
                // Somebody has opened it just now, and finds it whole as this one did.
                Err(platform::Error::Locked { .. }) => platform::sleep_ms(PLACING_PAUSE_MS).await,
                Err(platform::Error::NotFound { .. }) if platform::exists(path).await.at(path)? => {
                    return Ok(());
                }
                outcome => return outcome.at(path),
            }
        }
        platform::rename(&part_path, path).await.at(path)
    }

    /// Closes the file, and removes it where nothing has come.
    pub(crate) async fn close(self) -> Result<()> {
        let (is_empty, path) = (self.done_bytes() == 0, self.file.path().to_owned());
        self.checkpoint()?;
        drop(self);
        if is_empty { platform::remove(&path).await.at(&path) } else { Ok(()) }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // A fetch that is given up in the middle. What cannot be written down now is fetched again.
        let _ = self.checkpoint();
    }
}

/// What a `.part` file says of itself.
struct Record {
    segment_bytes: u64,
    done: Vec<u64>,
}

/// The record of a `.part` file that is on its way to `entry`; `None` where it is on another way, or
/// makes no sense. A file that is just as long as it should be is about to get its name: everything is
/// there, though in segments of nobody's choice.
fn record(file: &File, entry: &FileEntry, segment_bytes: u64) -> Result<Option<Record>> {
    let len = file.len().at(file.path())?;
    if len == entry.n_bytes {
        let starts = (0..entry.n_bytes).step_by(segment_bytes as usize);
        let done = starts.map(|start| segment_bytes.min(entry.n_bytes - start)).collect();
        return Ok(Some(Record { segment_bytes, done }));
    }
    let n_record = len.saturating_sub(entry.n_bytes);
    let n_most = HEAD_BYTES as u64 + 8 * MAX_SEGMENTS;
    if len < entry.n_bytes || n_record < HEAD_BYTES as u64 || n_record > n_most {
        return Ok(None);
    }
    let mut bytes = vec![0; n_record as usize];
    file.read_at(&mut bytes, entry.n_bytes).at(file.path())?;
    let number = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    let is_same = bytes[..8] == MAGIC && bytes[8..40] == bytes_of(&entry.sha256);
    let segment_bytes = number(40);
    if !is_same || !SEGMENTS.contains(&segment_bytes) {
        return Ok(None);
    }
    let n_segments = entry.n_bytes.div_ceil(segment_bytes) as usize;
    if bytes.len() != HEAD_BYTES + 8 * n_segments {
        return Ok(None);
    }
    let done: Vec<u64> = (0..n_segments).map(|idx| number(HEAD_BYTES + 8 * idx)).collect();
    let longest = |idx: usize| segment_bytes.min(entry.n_bytes - idx as u64 * segment_bytes);
    let is_sound = done.iter().enumerate().all(|(idx, n)| *n <= longest(idx));
    Ok(is_sound.then_some(Record { segment_bytes, done }))
}

/// Bytes of the file that are in the `.part` file at `path`.
pub(crate) async fn done_bytes(path: &str, entry: &FileEntry) -> u64 {
    let Ok(file) = File::open(path, OpenMode::Read).await else { return 0 };
    let record = record(&file, entry, *SEGMENTS.end());
    file.close();
    record.ok().flatten().map_or(0, |record| record.done.iter().sum())
}

/// 32 bytes of hexadecimal digits; zeros where they are none.
fn bytes_of(sha256: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(sha256.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Vec<u8> {
        (0..10_000_u32).map(|i| (i % 249) as u8).collect()
    }

    fn entry() -> FileEntry {
        let sha256 = hex(&Sha256::digest(content()));
        FileEntry { name: "f".into(), hub_path: "f".into(), n_bytes: 10_000, sha256 }
    }

    #[test]
    fn pieces_in_any_order_make_the_file_and_survive_a_crash() {
        platform::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f").to_str().unwrap().to_owned();
            let (entry, content) = (entry(), content());
            let target = Target { file: &entry, path: path.clone() };
            let part = Part::open(&target, 2048).await.unwrap();
            assert_eq!(part.open_segments(), [0, 1, 2, 3, 4]);
            part.write(&content[4096..5000], 4096).unwrap();
            part.write(&content[..100], 0).unwrap();
            assert_eq!((part.gap(0), part.gap(2), part.gap(4)), (100..2048, 5000..6144, 8192..10_000));
            drop(part);

            let part = Part::open(&target, 4096).await.unwrap();
            assert_eq!(part.done_bytes(), 1004, "segments stay as they were");
            // A stream from the start goes over what is here.
            part.write(&content[..7000], 0).unwrap();
            assert_eq!(part.open_segments(), [3, 4]);
            // A crash: what was not written down is not there.
            let written = std::fs::read(format!("{path}.part")).unwrap();
            part.n_unsynced.set(0);
            drop(part);
            std::fs::write(format!("{path}.part"), written).unwrap();
            assert_eq!(done_bytes(&format!("{path}.part"), &entry).await, 1004);

            let part = Part::open(&target, 4096).await.unwrap();
            assert_eq!(part.check().await.unwrap(), Err("100 of 10000 bytes are here".into()));
            for segment_idx in part.open_segments() {
                let gap = part.gap(segment_idx);
                part.write(&content[gap.start as usize..gap.end as usize], gap.start).unwrap();
            }
            part.check().await.unwrap().unwrap();
            part.put_in_place(&path).await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), content);
            assert!(!std::fs::exists(format!("{path}.part")).unwrap());
        });
    }

    #[test]
    fn what_was_on_its_way_to_another_file_is_forgotten() {
        platform::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f").to_str().unwrap().to_owned();
            let (entry, content) = (entry(), content());
            let part = Part::open(&Target { file: &entry, path: path.clone() }, 2048).await.unwrap();
            part.write(&content, 0).unwrap();
            drop(part);
            let other = FileEntry { sha256: "00".repeat(32), ..entry.clone() };
            let part = Part::open(&Target { file: &other, path: path.clone() }, 2048).await.unwrap();
            assert_eq!(part.done_bytes(), 0);
            drop(part);
            for damage in [&b"half a file"[..], &[0xff; 10_088], &[0; 20_000]] {
                std::fs::write(format!("{path}.part"), damage).unwrap();
                let part = Part::open(&Target { file: &entry, path: path.clone() }, 2048).await.unwrap();
                assert_eq!(part.done_bytes(), 0);
            }
        });
    }

    #[test]
    fn a_whole_file_that_waits_for_its_name_is_whole() {
        platform::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f").to_str().unwrap().to_owned();
            let entry = entry();
            std::fs::write(format!("{path}.part"), content()).unwrap();
            let part = Part::open(&Target { file: &entry, path: path.clone() }, 2048).await.unwrap();
            assert_eq!(part.open_segments(), [0; 0]);
            part.check().await.unwrap().unwrap();
            // Another one was faster.
            std::fs::rename(format!("{path}.part"), &path).unwrap();
            part.put_in_place(&path).await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), content());
        });
    }

    #[test]
    fn bytes_of_another_file_are_found_out() {
        platform::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f").to_str().unwrap().to_owned();
            let entry = entry();
            let part = Part::open(&Target { file: &entry, path }, 2048).await.unwrap();
            part.write(&[7; 10_000], 0).unwrap();
            let reason = part.check().await.unwrap().unwrap_err();
            assert!(reason.contains("SHA-256"), "{reason}");
            assert_eq!(part.done_bytes(), 0, "nothing of it is kept");
        });
    }
}
