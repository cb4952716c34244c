//! Whether all pages that the last commit leads to match their checksums. redb panics on some that do
//! not; where a panic ends the program, as in a browser, it must never see them.

use std::collections::BTreeSet;

use redb::StorageBackend;
use twox_hash::XxHash3_128;

use crate::failure::Failure;
use crate::pages::{PAGE_BYTES, Pages};
use crate::scan::{self, BRANCH, LEAF};

/// Refuses a file whose pages contradict their checksums. One that was left by a crash has one sound
/// commit of two, which redb finds out by itself.
pub(crate) fn check(pages: &Pages) -> Result<(), Failure> {
    let mut header = [0; scan::HEADER_BYTES];
    pages.read(0, &mut header).map_err(redb::StorageError::from)?;
    let is_sound = |slot: usize| is_sound(pages, &header[64 + 128 * slot..][..128]);
    let primary = usize::from(header[9] & 1);
    let needs_recovery = header[9] & 2 != 0;
    if is_sound(primary) || (needs_recovery && is_sound(1 - primary)) {
        Ok(())
    } else {
        Err(Failure::corrupt("a page does not match its checksum"))
    }
}

/// A commit: the trees of user tables and of redb's own, each a list of tables with trees.
fn is_sound(pages: &Pages, slot: &[u8]) -> bool {
    let (facts, checksum) = slot.split_at(112);
    if XxHash3_128::oneshot(facts).to_le_bytes() != checksum {
        return false;
    }
    [(1, 8), (2, 40)].into_iter().filter(|(flag, _)| slot[*flag] != 0).all(|(_, root)| {
        let list = Tree { root: &slot[root..root + 24], fixed_key: None, fixed_value: None };
        let mut tables = Vec::new();
        list.check(pages, &mut |value| tables.push(value.to_vec())).is_some()
            && tables.iter().all(|table| {
                Tree::of_table(table).is_none_or(|tree| tree.check(pages, &mut |_| {}).is_some())
            })
    })
}

/// A tree by its root: the number of a page and its checksum.
struct Tree<'a> {
    root: &'a [u8],
    /// Bytes of each key and value where all have as many.
    fixed_key: Option<usize>,
    fixed_value: Option<usize>,
}

impl<'a> Tree<'a> {
    /// A byte, u64 number of rows, a byte that is 1 where there is a root, root and length of the tree,
    /// and for keys and values a byte that is 1 where all have the length that follows.
    fn of_table(table: &'a [u8]) -> Option<Self> {
        let fixed = |at: usize| (table.get(at) == Some(&1)).then(|| scan::u32_at(table, at + 1)).flatten();
        let root = table.get(10..34).filter(|_| table[9] == 1)?;
        let [fixed_key, fixed_value] = [42, 47].map(|at| fixed(at).map(|n_bytes| n_bytes as usize));
        Some(Self { root, fixed_key, fixed_value })
    }

    /// Gives the value of each pair to `see`; `None` where a page does not match.
    fn check(&self, pages: &Pages, see: &mut dyn FnMut(&[u8])) -> Option<()> {
        let mut waiting = vec![self.root.to_vec()];
        let mut seen = BTreeSet::new();
        while let Some(reference) = waiting.pop() {
            let at = scan::address(&reference)?;
            if !seen.insert(at) {
                return None;
            }
            let page = self.page(pages, at)?;
            if XxHash3_128::oneshot(&page).to_le_bytes() != reference[8..24] {
                return None;
            }
            if page[0] == LEAF {
                self.values(&page)?.into_iter().for_each(&mut *see);
            } else {
                waiting.extend(children(&page)?);
            }
        }
        Some(())
    }

    /// As many bytes of a page as its checksum covers.
    fn page(&self, pages: &Pages, at: u64) -> Option<Vec<u8>> {
        let n_file_bytes = pages.len().ok()?;
        let mut page = vec![0; PAGE_BYTES];
        pages.read(at, &mut page).ok()?;
        let n_bytes = match page[0] {
            LEAF => self.value_ends(&page)?.last().copied()?,
            BRANCH => self.branch_end(&page)?,
            _ => return None,
        };
        if n_bytes > PAGE_BYTES && at + n_bytes as u64 <= n_file_bytes {
            page.resize(n_bytes, 0);
            pages.read(at + PAGE_BYTES as u64, &mut page[PAGE_BYTES..]).ok()?;
        }
        page.truncate(n_bytes);
        (page.len() == n_bytes && n_bytes > 4).then_some(page)
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

    fn values<'p>(&self, page: &'p [u8]) -> Option<Vec<&'p [u8]>> {
        self.value_ends(page)?.windows(2).map(|ends| page.get(ends[0]..ends[1])).collect()
    }

    fn branch_end(&self, page: &[u8]) -> Option<usize> {
        let n_keys = count(page)?;
        let keys_at = 8 + 24 * (n_keys + 1);
        match self.fixed_key {
            Some(n_bytes) => Some(keys_at + n_bytes * n_keys),
            None => scan::u32_at(page, keys_at + 4 * (n_keys - 1)).map(|end| end as usize),
        }
    }
}

/// Number of pairs or keys of a page; a page without any is none.
fn count(page: &[u8]) -> Option<usize> {
    let n = usize::from(u16::from_le_bytes(*page.get(2..)?.first_chunk()?));
    (n > 0).then_some(n)
}

/// Page numbers and checksums below a branch, each pair as in a root.
fn children(page: &[u8]) -> Option<Vec<Vec<u8>>> {
    let n_children = count(page)? + 1;
    let checksums = page.get(8..8 + 16 * n_children)?.chunks_exact(16);
    let numbers = page.get(8 + 16 * n_children..8 + 24 * n_children)?.chunks_exact(8);
    Some(numbers.zip(checksums).map(|(number, checksum)| [number, checksum].concat()).collect())
}
