//! Finding the rows of a damaged file, page by page. A row carries its own checksum, so that it is
//! known to be whole wherever it is found, also where nothing that leads to it can be read any more.
//!
//! The layout of redb's pages is that of its `docs/design.md` (file format 3). A leaf: a byte 1, a
//! byte, `u16` number of pairs, `u32` ends of all keys, `u32` ends of all values, keys, values. A
//! branch: a byte 2, a byte, `u16` number of keys, 4 bytes, 16-byte checksums of the children, their
//! 8-byte page numbers, one more than there are keys. Little-endian; ends count from the page's start.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use redb::StorageBackend;

use crate::pages::{PAGE_BYTES, Pages};
use crate::storage::unseal;

/// What the two kinds of pages begin with.
pub(crate) const LEAF: u8 = 1;
pub(crate) const BRANCH: u8 = 2;
/// redb's header.
pub(crate) const HEADER_BYTES: usize = 320;
/// A leaf: one document's text is the largest row, and texts are bounded far below.
const MAX_LEAF_BYTES: usize = 256 << 20;
/// Pairs of a leaf of one page are some hundred at most; a larger leaf holds one pair.
const MAX_PAIRS: usize = PAGE_BYTES / 8;
/// The table of rows in redb's list of tables.
const TABLE: &[u8] = b"rows";

/// All rows that could be found.
#[derive(Debug)]
pub(crate) struct Scan {
    pages: Pages,
    rows: BTreeMap<Vec<u8>, Place>,
    /// Rows of the last commit that were found.
    n_live: u64,
    /// Rows of the last commit by redb's count, if that can be read.
    n_rows: Option<u64>,
}

/// Where a row's value is in the file.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    n_bytes: usize,
    /// The last commit has it; else it may be of a document that was removed since.
    is_live: bool,
}

impl Scan {
    /// Reads all of the file once.
    pub(crate) fn of(pages: &Pages) -> io::Result<Self> {
        let n_bytes = pages.len()?;
        let walk = Walk::of(pages, n_bytes);
        let mut scan = Self { pages: pages.clone(), rows: BTreeMap::new(), n_live: 0, n_rows: walk.n_rows };
        let mut at = PAGE_BYTES as u64;
        while at < n_bytes {
            let mut n_pages = 1;
            if let Some(leaf) = Leaf::read(pages, at, n_bytes) {
                let is_live = walk.leaves.contains(&at);
                let n_found = scan.take(&leaf, at, is_live);
                scan.n_live += if is_live { n_found as u64 } else { 0 };
                // What is inside a row is data, whatever it looks like.
                n_pages = if n_found > 0 { leaf.bytes.len().div_ceil(PAGE_BYTES) } else { 1 };
            }
            at += (n_pages * PAGE_BYTES) as u64;
        }
        Ok(scan)
    }

    /// Keys that begin with the number of a relation, ascending, and whether the last commit has them.
    pub(crate) fn keys(&self, relation: u64) -> impl Iterator<Item = (&[u8], bool)> {
        let (from, to) = (relation.to_be_bytes().to_vec(), (relation + 1).to_be_bytes().to_vec());
        self.rows.range(from..to).map(|(key, place)| (key.as_slice(), place.is_live))
    }

    /// Whether the last commit has this row, and it could be read.
    pub(crate) fn is_live(&self, key: &[u8]) -> bool {
        self.rows.get(key).is_some_and(|place| place.is_live)
    }

    /// Whether the last commit had only the rows that were found in it and `n_missing` others.
    pub(crate) fn has_only(&self, n_missing: u64) -> bool {
        self.n_rows == Some(self.n_live + n_missing)
    }

    /// The value of a row.
    pub(crate) fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let place = self.rows.get(key)?;
        let mut sealed = vec![0; place.n_bytes];
        self.pages.read(place.at, &mut sealed).ok()?;
        Some(unseal(key, &sealed).ok()?.to_vec())
    }

    /// Keeps the rows of a leaf that are whole; gives their number.
    fn take(&mut self, leaf: &Leaf, at: u64, is_live: bool) -> usize {
        let mut n_found = 0;
        for (key, value) in leaf.pairs() {
            let sealed = &leaf.bytes[value.clone()];
            if unseal(key, sealed).is_err() {
                continue;
            }
            n_found += 1;
            let place = Place { at: at + value.start as u64, n_bytes: sealed.len(), is_live };
            match self.rows.get_mut(key) {
                Some(known) if known.is_live || !is_live => {}
                Some(known) => *known = place,
                None => drop(self.rows.insert(key.to_vec(), place)),
            }
        }
        n_found
    }
}

/// The bytes of a leaf, as many as its pairs take.
struct Leaf {
    bytes: Vec<u8>,
    n_pairs: usize,
}

impl Leaf {
    fn read(pages: &Pages, at: u64, n_file_bytes: u64) -> Option<Self> {
        let n_first = (n_file_bytes - at).min(PAGE_BYTES as u64) as usize;
        let mut bytes = vec![0; n_first];
        pages.read(at, &mut bytes).ok()?;
        let n_pairs = usize::from(u16::from_le_bytes(*bytes.get(2..)?.first_chunk()?));
        if bytes[0] != LEAF || n_pairs == 0 || n_pairs > MAX_PAIRS {
            return None;
        }
        // Ends that are damaged point anywhere; the largest that can be true is where the leaf ends.
        // Only a pair that is alone may be longer than a page.
        let max_bytes = if n_pairs == 1 { MAX_LEAF_BYTES } else { PAGE_BYTES };
        let left = (n_file_bytes - at).min(max_bytes as u64) as usize;
        let ends = (0..2 * n_pairs).filter_map(|idx| u32_at(&bytes, 4 + 4 * idx));
        let n_bytes = ends.map(|end| end as usize).filter(|&end| end <= left).max()?;
        if n_bytes > n_first {
            bytes.resize(n_bytes, 0);
            pages.read(at + n_first as u64, &mut bytes[n_first..]).ok()?;
        } else {
            bytes.truncate(n_bytes.max(4 + 8 * n_pairs));
        }
        Some(Self { bytes, n_pairs })
    }

    /// Keys, and where their values are. A pair whose ends make no sense is left out.
    fn pairs(&self) -> impl Iterator<Item = (&[u8], std::ops::Range<usize>)> {
        let (bytes, n) = (&self.bytes, self.n_pairs);
        let end = move |idx: usize| u32_at(bytes, 4 + 4 * idx).map(|end| end as usize);
        let range = move |idx: usize, first: Option<usize>| {
            let start = if idx == 0 || idx == n { first? } else { end(idx - 1)? };
            let end = end(idx)?;
            (start <= end && end <= bytes.len()).then_some(start..end)
        };
        (0..n).filter_map(move |idx| {
            let key = range(idx, Some(4 + 8 * n))?;
            let value = range(n + idx, end(n - 1))?;
            Some((&bytes[key], value))
        })
    }
}

/// Four bytes of a page as a number.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes))
}

/// The way from the header to the rows of the last commit, as far as it can be gone.
#[derive(Default)]
struct Walk {
    /// Where its leaves begin.
    leaves: BTreeSet<u64>,
    /// How many rows redb counts, if it can be read.
    n_rows: Option<u64>,
}

impl Walk {
    fn of(pages: &Pages, n_file_bytes: u64) -> Self {
        let mut header = [0; HEADER_BYTES];
        if pages.read(0, &mut header).is_err() {
            return Self::default();
        }
        let primary = usize::from(header[9] & 1);
        let walks = [primary, 1 - primary].map(|slot| {
            let slot = &header[64 + 128 * slot..][..128];
            Self::from_root(pages, n_file_bytes, address(&slot[8..16]))
        });
        let [newest, older] = walks;
        // A commit that was being made when the power went has nothing behind its root.
        if newest.leaves.is_empty() { older } else { newest }
    }

    /// From the root of the list of tables.
    fn from_root(pages: &Pages, n_file_bytes: u64, root: Option<u64>) -> Self {
        let mut walk = Self::default();
        let Some(root) = root else { return walk };
        for at in leaves_below(pages, n_file_bytes, root) {
            let Some(leaf) = Leaf::read(pages, at, n_file_bytes) else { continue };
            let table = leaf.pairs().find(|(name, _)| *name == TABLE);
            let Some((_, range)) = table else { continue };
            // A byte, u64 number of rows, a byte that is 1 where there is a root, its page.
            let table = &leaf.bytes[range];
            let Some(root) = table.get(10..18).and_then(address) else { continue };
            walk.n_rows = table.get(1..).and_then(<[u8]>::first_chunk).map(|n| u64::from_le_bytes(*n));
            walk.leaves = leaves_below(pages, n_file_bytes, root);
        }
        walk
    }
}

/// Where the leaves below a page begin, as far as the way to them can be read.
fn leaves_below(pages: &Pages, n_file_bytes: u64, root: u64) -> BTreeSet<u64> {
    let mut leaves = BTreeSet::new();
    let mut seen = BTreeSet::from([root]);
    let mut waiting = vec![root];
    while let Some(at) = waiting.pop() {
        let mut page = [0; PAGE_BYTES];
        if at + PAGE_BYTES as u64 > n_file_bytes || pages.read(at, &mut page).is_err() {
            continue;
        }
        match page[0] {
            LEAF => drop(leaves.insert(at)),
            BRANCH => {
                let n_children = usize::from(u16::from_le_bytes([page[2], page[3]])) + 1;
                let numbers = page.get(8 + 16 * n_children..8 + 24 * n_children).unwrap_or_default();
                // Damage may lead in a circle.
                waiting
                    .extend(numbers.chunks_exact(8).filter_map(address).filter(|&child| seen.insert(child)));
            }
            _ => {}
        }
    }
    leaves
}

/// Where a page begins in the file, from its number: 20 bits of index, 20 of region, at the top 5
/// that tell how many pages it takes. A region has 4 GiB.
pub(crate) fn address(number: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*number.first_chunk()?);
    let (index, region, order) = (number & 0xF_FFFF, number >> 20 & 0xF_FFFF, number >> 59);
    (order <= 20).then(|| PAGE_BYTES as u64 * (1 + (region << 20) + (index << order)))
}

/// How many bytes a page has, from its number.
pub(crate) fn n_page_bytes(number: &[u8]) -> Option<u64> {
    let order = u64::from_le_bytes(*number.first_chunk()?) >> 59;
    (order <= 20).then(|| (PAGE_BYTES as u64) << order)
}
