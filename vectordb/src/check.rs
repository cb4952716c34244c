//! Pages that are compared with their checksums before redb sees them: it panics on some that do not
//! match, and where a panic ends the program, as in a browser, it must never see those.
//!
//! The checksum of a page stands in the page above it, and redb comes to a page from above. So each is
//! checked when it is read first, and nothing is read for the check alone, whatever the size of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use twox_hash::XxHash3_128;

use crate::failure::Failure;
use crate::pages::Pages;
use crate::scan::{self, BRANCH, LEAF};

/// A place for pages that refuses to give one that is not what the last commit wrote.
#[derive(Debug)]
pub(crate) struct Checked {
    pages: Pages,
    /// Pages by their address that were not read yet, and are below one that was.
    expected: Mutex<BTreeMap<u64, Expected>>,
}

impl Checked {
    /// # Errors
    /// When no commit is whole, as far as that can be told without reading what it wrote. Commits that
    /// are not written in two phases, as those of older versions, are read whole after a crash: which
    /// of the last two counts is told by all their pages.
    pub(crate) fn over(pages: &Pages) -> Result<Self, Failure> {
        let mut header = [0; scan::HEADER_BYTES];
        pages.read(0, &mut header).map_err(redb::StorageError::from)?;
        let flags = header[FLAGS_AT];
        let slots = [0, 1].map(|slot| Slot(&header[64 + 128 * slot..][..128]));
        let primary = usize::from(flags & IS_SECOND);
        let is_in_two_phases = flags & IS_IN_TWO_PHASES != 0;
        let newest = if !is_in_two_phases && slots[1 - primary].is_newer_than(&slots[primary]) {
            1 - primary
        } else {
            primary
        };
        let damaged = || Failure::corrupt("a page does not match its checksum");
        let expected = if flags & NEEDS_RECOVERY != 0 && !is_in_two_phases {
            if !slots.iter().any(|slot| slot.is_whole(pages)) {
                return Err(damaged());
            }
            BTreeMap::new()
        } else {
            slots[newest].roots().ok_or_else(damaged)?.into_iter().collect()
        };
        Ok(Self { pages: pages.clone(), expected: Mutex::new(expected) })
    }

    fn expected(&self) -> MutexGuard<'_, BTreeMap<u64, Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Checked {
    fn len(&self) -> io::Result<u64> {
        self.pages.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.pages.read(offset, out)?;
        let mut expected = self.expected();
        let Some(page) = expected.get(&offset) else { return Ok(()) };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a page does not match its checksum");
        let below = page.check(out).ok_or_else(damaged)?;
        expected.remove(&offset);
        expected.extend(below);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.pages.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.pages.sync_data()
    }

    /// What is written has nothing to do with what was there.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut expected = self.expected();
        let end = offset.saturating_add(data.len() as u64);
        let gone: Vec<u64> = expected.range(offset..end).map(|(at, _)| *at).collect();
        for at in gone {
            expected.remove(&at);
        }
        drop(expected);
        self.pages.write(offset, data)
    }
}

/// The byte of redb's header that tells how the file was left.
const FLAGS_AT: usize = 9;
/// The last commit is that of the second slot.
const IS_SECOND: u8 = 1;
const NEEDS_RECOVERY: u8 = 2;
/// The last commit named its pages only when they were on the disk.
const IS_IN_TWO_PHASES: u8 = 4;

/// What the header tells of a commit: the trees of user tables and of redb's own, each a list of tables
/// with trees.
struct Slot<'a>(&'a [u8]);

impl Slot<'_> {
    fn is_sound(&self) -> bool {
        let (facts, checksum) = self.0.split_at(112);
        XxHash3_128::oneshot(facts).to_le_bytes() == checksum
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        let number = |slot: &Self| slot.0[104..].first_chunk().map(|number| u64::from_le_bytes(*number));
        self.is_sound() && (!other.is_sound() || number(self) > number(other))
    }

    fn roots(&self) -> Option<Vec<(u64, Expected)>> {
        let trees = [(1, 8), (2, 40)].into_iter().filter(|(flag, _)| self.0[*flag] != 0);
        self.is_sound().then(|| trees.map(|(_, root)| Expected::of(&self.0[root..], LIST)).collect())?
    }

    /// Reads all that a commit wrote.
    fn is_whole(&self, pages: &Pages) -> bool {
        let Some((mut waiting, n_file_bytes)) = self.roots().zip(pages.len().ok()) else { return false };
        let mut seen = BTreeSet::new();
        while let Some((at, expected)) = waiting.pop() {
            let is_inside = at.checked_add(expected.n_bytes).is_some_and(|end| end <= n_file_bytes);
            if !is_inside || !seen.insert(at) {
                return false;
            }
            let mut page = vec![0; expected.n_bytes as usize];
            let below = pages.read(at, &mut page).ok().and_then(|()| expected.check(&page));
            match below {
                Some(below) => waiting.extend(below),
                None => return false,
            }
        }
        true
    }
}

/// What a page must be.
#[derive(Debug, Clone, Copy)]
struct Expected {
    checksum: [u8; 16],
    n_bytes: u64,
    tree: Tree,
}

/// How the pairs of a tree are laid out.
#[derive(Debug, Clone, Copy)]
struct Tree {
    /// Bytes of each key and value where all have as many.
    fixed_key: Option<usize>,
    fixed_value: Option<usize>,
    /// Its values are tables.
    is_list: bool,
}

const LIST: Tree = Tree { fixed_key: None, fixed_value: None, is_list: true };

impl Expected {
    /// A page, by what refers to it: its number and its checksum.
    fn of(reference: &[u8], tree: Tree) -> Option<(u64, Self)> {
        let checksum = *reference.get(8..)?.first_chunk()?;
        let n_bytes = scan::n_page_bytes(reference)?;
        Some((scan::address(reference)?, Self { checksum, n_bytes, tree }))
    }

    /// What is below the page; `None` where it does not match.
    fn check(&self, page: &[u8]) -> Option<Vec<(u64, Self)>> {
        if page.len() as u64 != self.n_bytes {
            return None;
        }
        let n_covered = match page[0] {
            LEAF => self.tree.value_ends(page)?.last().copied()?,
            BRANCH => self.tree.branch_end(page)?,
            _ => return None,
        };
        let covered = page.get(..n_covered).filter(|covered| covered.len() > 4)?;
        if XxHash3_128::oneshot(covered).to_le_bytes() != self.checksum {
            return None;
        }
        match page[0] {
            BRANCH => self.tree.children(covered),
            _ if self.tree.is_list => self.tree.tables(covered),
            _ => Some(Vec::new()),
        }
    }
}

impl Tree {
    /// The roots of the tables in a leaf of a list.
    fn tables(&self, page: &[u8]) -> Option<Vec<(u64, Expected)>> {
        let mut roots = Vec::new();
        for ends in self.value_ends(page)?.windows(2) {
            if let Some(root) = Self::of_table(page.get(ends[0]..ends[1])?) {
                roots.push(root?);
            }
        }
        Some(roots)
    }

    /// The root of a table: a byte, u64 number of rows, a byte that is 1 where there is a root, root and
    /// length of the tree, and for keys and values a byte that is 1 where all have the length that
    /// follows. `None` for a table without rows.
    fn of_table(table: &[u8]) -> Option<Option<(u64, Expected)>> {
        let fixed = |at: usize| (table.get(at) == Some(&1)).then(|| scan::u32_at(table, at + 1)).flatten();
        let root = table.get(10..34).filter(|_| table[9] == 1)?;
        let [fixed_key, fixed_value] = [42, 47].map(|at| fixed(at).map(|n_bytes| n_bytes as usize));
        Some(Expected::of(root, Self { fixed_key, fixed_value, is_list: false }))
    }

    /// Where the values of a leaf end; where the last key ends comes first.
    fn value_ends(&self, page: &[u8]) -> Option<Vec<usize>> {
        let n = count(page)?;
        let n_offsets = usize::from(self.fixed_key.is_none()) + usize::from(self.fixed_value.is_none());
        let keys_at = 4 + 4 * n * n_offsets;
        let keys_end = match self.fixed_key {
            Some(n_bytes) => keys_at + n_bytes * n,
            None => scan::u32_at(page, 4 * n)? as usize,
        };
        let offsets_at = if self.fixed_key.is_none() { 4 + 4 * n } else { 4 };
        let end = |idx: usize| match self.fixed_value {
            Some(n_bytes) => Some(keys_end + n_bytes * (idx + 1)),
            None => scan::u32_at(page, offsets_at + 4 * idx).map(|end| end as usize),
        };
        [Some(keys_end)].into_iter().chain((0..n).map(end)).collect()
    }

    fn branch_end(&self, page: &[u8]) -> Option<usize> {
        let n_keys = count(page)?;
        let keys_at = 8 + 24 * (n_keys + 1);
        match self.fixed_key {
            Some(n_bytes) => Some(keys_at + n_bytes * n_keys),
            None => scan::u32_at(page, keys_at + 4 * (n_keys - 1)).map(|end| end as usize),
        }
    }

    /// Checksums of the pages below a branch, and then their numbers.
    fn children(&self, page: &[u8]) -> Option<Vec<(u64, Expected)>> {
        let n_children = count(page)? + 1;
        let checksums = page.get(8..8 + 16 * n_children)?.chunks_exact(16);
        let numbers = page.get(8 + 16 * n_children..8 + 24 * n_children)?.chunks_exact(8);
        numbers.zip(checksums).map(|(number, sum)| Expected::of(&[number, sum].concat(), *self)).collect()
    }
}

/// Number of pairs or keys of a page; a page without any is none.
fn count(page: &[u8]) -> Option<usize> {
    let n = usize::from(u16::from_le_bytes(*page.get(2..)?.first_chunk()?));
    (n > 0).then_some(n)
}
