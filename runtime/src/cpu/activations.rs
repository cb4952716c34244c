//! Activations in whole numbers, made anew for each product.

use super::simd::{Kernel, LANES, Simd, dispatch};
use crate::op::GROUP;

/// Columns of a block of 16-bit numbers.
pub(super) const BLOCK: usize = 64;
/// Two blocks' lengths are at most this, so that their product fits: `|a * b| <= |a| |b|`, and
/// rounding adds half a unit in each of 64 places, 4 in all: `46_004^2 < 2^31`. Sums of some of the
/// products are smaller.
const MAX_LENGTH: f32 = 46_000.0;

/// The factor of a block of 16-bit numbers: largest element at most 32,767, length at most
/// [`MAX_LENGTH`]. 0 stands for a block of zeros.
pub(super) fn block_scale(max: f32, sum_of_squares: f32) -> f32 {
    let scale = (max / 32_767.0).max(sum_of_squares.sqrt() / MAX_LENGTH);
    if scale < f32::MIN_POSITIVE { 0.0 } else { scale }
}

/// What to multiply with, where `scale` is to be divided by.
pub(super) fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// Rows in blocks of [`BLOCK`] 16-bit numbers: `x[i] = scale * q[i]`. The last block of a row may
/// be shorter; an odd width is filled up with a zero.
pub(super) struct Blocks {
    /// `[n_rows][width / 2]`: pairs, the first element in the low half.
    pub(super) pairs: Vec<i32>,
    /// `[n_rows][width / BLOCK]`
    pub(super) scales: Vec<f32>,
}

impl Blocks {
    /// Rounds `x: [n_rows, width]`.
    pub(super) fn new(x: &[f32], width: usize) -> Self {
        dispatch(RoundBlocks { x, width })
    }
}

struct RoundBlocks<'a> {
    x: &'a [f32],
    width: usize,
}

impl Kernel for RoundBlocks<'_> {
    type Output = Blocks;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Blocks {
        let n_rows = self.x.len() / self.width;
        let mut pairs = vec![0i32; n_rows * self.width.div_ceil(2)];
        let mut scales = Vec::with_capacity(n_rows * self.width.div_ceil(BLOCK));
        let rows = pairs.chunks_exact_mut(self.width.div_ceil(2)).zip(self.x.chunks_exact(self.width));
        for (pairs, x) in rows {
            for (pairs, x) in pairs.chunks_mut(BLOCK / 2).zip(x.chunks(BLOCK)) {
                scales.push(round_block(s, x, bytemuck::cast_slice_mut(pairs)));
            }
        }
        Blocks { pairs, scales }
    }
}

/// Rounds a block and gives its scale; `q` is zeroed, and not shorter than `x`.
#[inline(always)]
fn round_block<S: Simd>(s: S, x: &[f32], q: &mut [i16]) -> f32 {
    let mut padded = [[0.0; LANES]; BLOCK / LANES];
    padded.as_flattened_mut()[..x.len()].copy_from_slice(x);
    let mut vectors = [s.splat(0.0); BLOCK / LANES];
    let (mut max, mut squares) = (s.splat(0.0), s.splat(0.0));
    for (vector, x) in vectors.iter_mut().zip(&padded) {
        *vector = s.load(x);
        max = s.max(max, s.abs(*vector));
        squares = s.mul_add(*vector, *vector, squares);
    }
    let scale = block_scale(s.max_lane(max), s.sum(squares));
    let factor = s.splat(inverse(scale));
    for (vector, q) in vectors.into_iter().zip(q.chunks_mut(LANES)) {
        q.copy_from_slice(&s.to_i16(s.mul(vector, factor))[..q.len()]);
    }
    scale
}

/// Words of a group of 16-bit numbers.
pub(super) const PAIRS: usize = GROUP / 2;
/// Words of a group of 8-bit numbers.
pub(super) const QUADS: usize = GROUP / 4;

/// A group: `x[i] = scale * q[i]`, in `N` words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<const N: usize> {
    pub(super) words: [i32; N],
    pub(super) scale: f32,
    /// Sum of the whole numbers.
    pub(super) sum: i32,
}

/// Rounds `x` to groups of 16-bit numbers in `-32767..=32767`. A group's sum of products with
/// weights in `-128..=127` is at most 32 * 128 * 32767 < 2^27.
///
/// The pairs of each eight columns are (0, 2), (1, 3), (4, 6) and (5, 7): weights unpack to these.
pub(super) fn pair_groups(x: &[f32]) -> Vec<Group<PAIRS>> {
    dispatch(RoundGroups { x, max: 32_767.0, to_words: pair_words })
}

/// Rounds `x` to groups of 8-bit numbers in `-127..=127`, in quads of columns.
pub(super) fn quad_groups(x: &[f32]) -> Vec<Group<QUADS>> {
    dispatch(RoundGroups { x, max: 127.0, to_words: quad_words })
}

#[inline(always)]
fn pair_words(q: &[i16; GROUP]) -> [i32; PAIRS] {
    let pair = |i: usize| {
        let first = i / 4 * 8 + [0, 1, 4, 5][i % 4];
        (i32::from(q[first]) & 0xffff) | i32::from(q[first + 2]) << 16
    };
    std::array::from_fn(pair)
}

#[inline(always)]
fn quad_words(q: &[i16; GROUP]) -> [i32; QUADS] {
    let bytes: [u8; GROUP] = q.map(|q| q as u8);
    bytemuck::cast(bytes)
}

struct RoundGroups<'a, W> {
    x: &'a [f32],
    /// The largest number of a group is scaled to this.
    max: f32,
    to_words: W,
}

impl<const N: usize, W: Fn(&[i16; GROUP]) -> [i32; N]> Kernel for RoundGroups<'_, W> {
    type Output = Vec<Group<N>>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<Group<N>> {
        let groups = self.x.as_chunks::<GROUP>().0;
        let mut rounded = Vec::with_capacity(groups.len());
        for x in groups {
            let x = x.as_chunks::<LANES>().0;
            let (a, b) = (s.load(&x[0]), s.load(&x[1]));
            let max = s.max_lane(s.max(s.abs(a), s.abs(b)));
            let inverse = s.splat(if max < f32::MIN_POSITIVE * self.max { 0.0 } else { self.max / max });
            let mut q = [0; GROUP];
            q[..LANES].copy_from_slice(&s.to_i16(s.mul(a, inverse)));
            q[LANES..].copy_from_slice(&s.to_i16(s.mul(b, inverse)));
            let sum = q.iter().map(|q| i32::from(*q)).sum();
            rounded.push(Group { words: (self.to_words)(&q), scale: max / self.max, sum });
        }
        rounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_near_and_never_too_long() {
        for x in [vec![1.0; 64], vec![0.0; 64], (0..64).map(|i| (i as f32 - 30.5).powi(3)).collect()] {
            let blocks = Blocks::new(&x, 64);
            let q: &[i16] = bytemuck::cast_slice(&blocks.pairs);
            let length: f64 = q.iter().map(|q| f64::from(*q).powi(2)).sum();
            assert!(length <= f64::from(i32::MAX));
            for (x, q) in x.iter().zip(q) {
                assert!((x - blocks.scales[0] * f32::from(*q)).abs() <= 0.501 * blocks.scales[0]);
            }
        }
    }

    #[test]
    fn an_odd_width_is_filled_up_and_blocks_are_apart() {
        let x: Vec<f32> = (0..2 * 67).map(|i| i as f32).collect();
        let blocks = Blocks::new(&x, 67);
        assert_eq!((blocks.pairs.len(), blocks.scales.len()), (2 * 34, 4));
        let q: &[i16] = bytemuck::cast_slice(&blocks.pairs[34..]);
        assert_eq!(q[67], 0);
        let last = blocks.scales[3] * f32::from(q[66]);
        assert!((last - 133.0).abs() < 0.01, "{last}");
    }
}
