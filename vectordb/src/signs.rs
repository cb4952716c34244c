//! The signs of vectors, one bit for each number: a first look at many rows that reads a thirty-second
//! of their bytes.
//!
//! Vectors that are near each other agree in most signs (Charikar 2002, "Similarity estimation
//! techniques from rounding algorithms"), so the rows that disagree least with a query nearly always
//! hold its nearest ones. They are only candidates: their exact scores decide.

use std::ops::Range;

/// 128 signs. Counting bits in bytes and adding them up in 16 lanes is what compilers make vector
/// instructions of: `i8x16.popcnt` on wasm, SSE2 on x86.
type Block = [u8; BLOCK_BYTES];
const BLOCK_BYTES: usize = 16;

/// Blocks whose counts, of at most 8 in each lane, fit into the lanes' bytes.
const MAX_BLOCKS_PER_SUM: usize = 31;

/// The signs of rows, in the order of the rows.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    n_dims: usize,
    /// [n_rows, blocks per row]
    blocks: Vec<Block>,
}

impl Signs {
    pub(crate) fn new(n_dims: usize) -> Self {
        Self { n_dims, blocks: Vec::new() }
    }

    fn blocks_per_row(&self) -> usize {
        self.n_dims.div_ceil(8 * BLOCK_BYTES).max(1)
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.blocks.capacity() * BLOCK_BYTES
    }

    pub(crate) fn reserve(&mut self, n_rows: usize) {
        self.blocks.reserve_exact(n_rows * self.blocks_per_row());
    }

    pub(crate) fn shrink_to(&mut self, n_rows: usize) {
        self.blocks.shrink_to(n_rows * self.blocks_per_row());
    }

    pub(crate) fn push(&mut self, vector: &[f32]) {
        let n_blocks = self.blocks.len() + self.blocks_per_row();
        self.blocks.extend(blocks_of(vector));
        self.blocks.resize(n_blocks, [0; BLOCK_BYTES]);
    }

    /// Moves `rows` down to begin at row `to`.
    pub(crate) fn move_down(&mut self, rows: &Range<usize>, to: usize) {
        let n = self.blocks_per_row();
        self.blocks.copy_within(rows.start * n..rows.end * n, to * n);
    }

    pub(crate) fn truncate(&mut self, n_rows: usize) {
        self.blocks.truncate(n_rows * self.blocks_per_row());
    }

    /// The `n` rows within `ranges` that disagree least with the signs of `query: [n_dims]`, in the
    /// order of the ranges, and all that disagree as little as the last of them.
    pub(crate) fn candidates(&self, query: &[f32], ranges: &[Range<usize>], n: usize) -> Vec<usize> {
        let mut query: Vec<Block> = blocks_of(query).collect();
        query.resize(self.blocks_per_row(), [0; BLOCK_BYTES]);
        let n_rows = ranges.iter().map(ExactSizeIterator::len).sum();
        let mut distances: Vec<u16> = Vec::with_capacity(n_rows);
        for rows in ranges {
            let blocks = &self.blocks[rows.start * query.len()..rows.end * query.len()];
            distances.extend(blocks.chunks_exact(query.len()).map(|row| distance(&query, row)));
        }
        // How many rows have each distance tells from which one on there are enough.
        let mut n_with = vec![0usize; query.len() * 8 * BLOCK_BYTES + 1];
        distances.iter().for_each(|&distance| n_with[usize::from(distance)] += 1);
        let mut n_nearer = 0;
        let last = n_with.iter().position(|n_rows| {
            n_nearer += n_rows;
            n_nearer >= n
        });
        let last = last.unwrap_or(n_with.len()) as u16;
        let rows = ranges.iter().cloned().flatten().zip(&distances);
        rows.filter(|(_, distance)| **distance <= last).map(|(row, _)| row).collect()
    }
}

fn blocks_of(vector: &[f32]) -> impl Iterator<Item = Block> {
    vector.chunks(8 * BLOCK_BYTES).map(|numbers| {
        let mut block = [0; BLOCK_BYTES];
        for (byte, numbers) in block.iter_mut().zip(numbers.chunks(8)) {
            *byte = numbers.iter().rev().fold(0, |byte, number| byte << 1 | u8::from(*number > 0.0));
        }
        block
    })
}

/// In how many signs two rows differ.
#[inline]
fn distance(a: &[Block], b: &[Block]) -> u16 {
    let mut total = 0;
    for (a, b) in a.chunks(MAX_BLOCKS_PER_SUM).zip(b.chunks(MAX_BLOCKS_PER_SUM)) {
        let mut lanes = [0u8; BLOCK_BYTES];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..BLOCK_BYTES {
                lanes[lane] += (a[lane] ^ b[lane]).count_ones() as u8;
            }
        }
        total += lanes.iter().map(|&count| u16::from(count)).sum::<u16>();
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    fn naive(a: &[f32], b: &[f32]) -> usize {
        a.iter().zip(b).filter(|(a, b)| (**a > 0.0) != (**b > 0.0)).count()
    }

    #[test]
    fn candidates_are_the_rows_that_disagree_least() {
        // From less than a block to more than fit into one sum of bytes.
        for n_dims in [1, 12, 128, 129, 384, 4_096, 9_000] {
            let mut rng = Rng(n_dims as u64);
            let rows: Vec<Vec<f32>> = (0..60).map(|_| rng.unit_vector(n_dims)).collect();
            let mut signs = Signs::new(n_dims);
            rows.iter().for_each(|row| signs.push(row));
            let query = rng.unit_vector(n_dims);
            let ranges = [3..20, 25..60];
            let mut distances: Vec<usize> =
                ranges.iter().cloned().flatten().map(|row| naive(&query, &rows[row])).collect();
            distances.sort_unstable();
            for n in [1, 7, 51, 52, 500] {
                let last = distances[n.min(52) - 1];
                let expected: Vec<usize> = (ranges.iter().cloned().flatten())
                    .filter(|&row| naive(&query, &rows[row]) <= last)
                    .collect();
                assert_eq!(signs.candidates(&query, &ranges, n), expected, "{n_dims} {n}");
            }
        }
    }

    #[test]
    fn rows_move_with_their_signs() {
        let mut rng = Rng(5);
        let rows: Vec<Vec<f32>> = (0..9).map(|_| rng.unit_vector(200)).collect();
        let mut signs = Signs::new(200);
        rows.iter().for_each(|row| signs.push(row));
        signs.move_down(&(4..9), 1);
        signs.truncate(6);
        let nearest = |row: usize| signs.candidates(&rows[row], std::slice::from_ref(&(0..6)), 1);
        assert_eq!((nearest(0), nearest(4), nearest(8)), (vec![0], vec![1], vec![5]));
    }
}
