//! Linear layers with 8-bit and 4-bit weights: activations are rounded to groups of whole numbers,
//! and groups are multiplied in whole numbers.
//!
//! With 8-bit activations this is what llama.cpp computes (its Q8_1 by Q4_1); they are taken where
//! the instruction set multiplies bytes and the caller did not ask for exactness. Else activations
//! have 16 bits, and the result is that of f32 activations to about 1e-5.

use std::ops::Range;

use half::f16;

use super::activations::{Group, PAIRS, QUADS, pair_groups, quad_groups};
use super::output::Output;
use super::simd::{Kernel, LANES, Simd, dispatch};
use super::split::by_product_rows;
use crate::op::{GROUP, Rows};
use crate::{Activation, Precision};

/// Rows of activations that share unpacked weights, with many registers and with few.
const LARGE_TILE: usize = 8;
const SMALL_TILE: usize = 3;

/// Four bytes for each row of a panel.
type Chunk = [u8; 4 * LANES];

/// A quantised matrix in panels of sixteen rows. Group `g` of panel `p` is at `p * n_groups + g`.
#[derive(Debug)]
pub(super) struct QuantPanels {
    pub(super) n_rows: usize,
    pub(super) width: usize,
    precision: Precision,
    scales: Vec<[f32; LANES]>,
    quants: Quants,
}

#[derive(Debug)]
enum Quants {
    /// Chunk `c` of a group has columns `4 c ..` of the sixteen rows, as i8.
    Q8(Vec<[Chunk; QUADS]>),
    /// Chunk `c` of a group has columns `8 c ..` in the low nibbles and `8 c + 4 ..` in the high ones.
    /// With the minimum of each row.
    Q4(Vec<[Chunk; QUADS / 2]>, Vec<[f32; LANES]>),
}

impl QuantPanels {
    pub(super) fn zeroed_q8(n_rows: usize, width: usize, precision: Precision) -> Self {
        let n_groups = n_rows.div_ceil(LANES) * (width / GROUP);
        let quants = Quants::Q8(vec![[[0; 4 * LANES]; QUADS]; n_groups]);
        Self { n_rows, width, precision, scales: vec![[0.0; LANES]; n_groups], quants }
    }

    pub(super) fn zeroed_q4(n_rows: usize, width: usize, precision: Precision) -> Self {
        let n_groups = n_rows.div_ceil(LANES) * (width / GROUP);
        let chunks = vec![[[0; 4 * LANES]; QUADS / 2]; n_groups];
        let quants = Quants::Q4(chunks, vec![[0.0; LANES]; n_groups]);
        Self { n_rows, width, precision, scales: vec![[0.0; LANES]; n_groups], quants }
    }

    pub(super) fn n_bytes(&self) -> u64 {
        let group_bytes = match self.quants {
            Quants::Q8(_) => GROUP * LANES + 4 * LANES,
            Quants::Q4(..) => GROUP * LANES / 2 + 8 * LANES,
        };
        (self.scales.len() * group_bytes) as u64
    }

    fn n_groups(&self) -> usize {
        self.width / GROUP
    }

    /// Repacks whole rows from `first_row` on.
    pub(super) fn write(&mut self, first_row: usize, rows: Rows<'_>) {
        let n_groups = self.n_groups();
        let half = |bits: u16| f16::from_bits(bits).to_f32();
        // Group `i` of the piece: its place among the panels, and its row's lane.
        let place = |i: usize| {
            let row = first_row + i / n_groups;
            (row / LANES * n_groups + i % n_groups, row % LANES)
        };
        match (&mut self.quants, rows) {
            (Quants::Q8(to), Rows::Q8 { scales, quants }) => {
                for (i, (scale, q)) in scales.iter().zip(quants.as_chunks::<GROUP>().0).enumerate() {
                    let (at, lane) = place(i);
                    self.scales[at][lane] = half(*scale);
                    for (k, q) in q.iter().enumerate() {
                        to[at][k / 4][4 * lane + k % 4] = *q as u8;
                    }
                }
            }
            (Quants::Q4(to, to_mins), Rows::Q4 { scales, mins, quants }) => {
                let groups = scales.iter().zip(mins).zip(quants.as_chunks::<{ GROUP / 2 }>().0);
                for (i, ((scale, min), q)) in groups.enumerate() {
                    let (at, lane) = place(i);
                    self.scales[at][lane] = half(*scale);
                    to_mins[at][lane] = half(*min);
                    for k in 0..GROUP {
                        let nibble = if k < GROUP / 2 { q[k] & 15 } else { q[k - GROUP / 2] >> 4 };
                        to[at][k / 8][4 * lane + k % 4] |= nibble << (k % 8 / 4 * 4);
                    }
                }
            }
            _ => unreachable!("rows were checked against the weight's layout"),
        }
    }

    /// Dequantises row `row` to `out`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        let (first, lane) = (row / LANES * self.n_groups(), row % LANES);
        for (g, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let at = first + g;
            let scale = self.scales[at][lane];
            for (k, out) in out.iter_mut().enumerate() {
                *out = match &self.quants {
                    Quants::Q8(q) => scale * f32::from(q[at][k / 4][4 * lane + k % 4] as i8),
                    Quants::Q4(q, mins) => {
                        let byte = q[at][k / 8][4 * lane + k % 4];
                        scale * f32::from(byte >> (k % 8 / 4 * 4) & 15) + mins[at][lane]
                    }
                };
            }
        }
    }

    /// Whether products take 8-bit activations.
    pub(super) fn takes_bytes(&self) -> bool {
        struct Ask(bool);
        impl Kernel for Ask {
            type Output = bool;
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> bool {
                if self.0 { S::HAS_NIBBLE_DOT } else { S::HAS_BYTE_DOT }
            }
        }
        self.precision == Precision::Fast && dispatch(Ask(matches!(self.quants, Quants::Q4(..))))
    }
}

/// `out = act(x * w^T + bias)`; `x: [n, n_in]`, `w: [n_out, n_in]`, `out: [n, n_out]`.
pub(super) fn linear(x: &[f32], w: &QuantPanels, bias: Option<&[f32]>, act: Activation, out: &mut [f32]) {
    let n_rows = x.len() / w.width;
    assert!(x.len() == n_rows * w.width && out.len() == n_rows * w.n_rows);
    let out = Output { n_rows, bias, act, out };
    if w.takes_bytes() {
        grouped(x, w, out, quad_groups);
    } else {
        grouped(x, w, out, pair_groups);
    }
}

fn grouped<const N: usize>(
    x: &[f32],
    w: &QuantPanels,
    output: Output<'_, '_>,
    groups: impl Fn(&[f32]) -> Vec<Group<N>> + Sync,
) where
    Tiles: Dots<N>,
{
    let Output { bias, act, out, .. } = output;
    by_product_rows(out, w.n_rows, w.width, |first_row, out| {
        let n_rows = out.len() / w.n_rows;
        // A thread rounds the rows that it multiplies.
        let x = groups(&x[first_row * w.width..][..n_rows * w.width]);
        panels(&x, w, 0..w.n_rows.div_ceil(LANES), &mut Output { n_rows, bias, act, out });
    });
}

/// The columns of some panels: `x: [out.n_rows][n_groups]`.
pub(super) fn panels<const N: usize>(
    x: &[Group<N>],
    w: &QuantPanels,
    panels: Range<usize>,
    out: &mut Output<'_, '_>,
) where
    Tiles: Dots<N>,
{
    let out = Output { n_rows: out.n_rows, bias: out.bias, act: out.act, out: out.out };
    dispatch(Product { x, w, panels, out });
}

struct Product<'a, 'o, const N: usize> {
    /// `[n_rows][n_groups]`
    x: &'a [Group<N>],
    w: &'a QuantPanels,
    panels: Range<usize>,
    out: Output<'a, 'o>,
}

impl<const N: usize> Kernel for Product<'_, '_, N>
where
    Tiles: Dots<N>,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        if self.out.n_rows == 1 {
            self.all_tiles::<S, 1>(s);
        } else if S::N_REGISTERS >= 32 {
            self.all_tiles::<S, LARGE_TILE>(s);
        } else {
            self.all_tiles::<S, SMALL_TILE>(s);
        }
    }
}

impl<const N: usize> Product<'_, '_, N>
where
    Tiles: Dots<N>,
{
    #[inline(always)]
    fn all_tiles<S: Simd, const H: usize>(&mut self, s: S) {
        for panel in self.panels.clone() {
            for row in (0..self.out.n_rows).step_by(H) {
                self.tile::<S, H>(s, row, panel);
            }
        }
    }

    /// `H` rows by sixteen outputs. Rows beyond the last repeat it.
    #[inline(always)]
    fn tile<S: Simd, const H: usize>(&mut self, s: S, row: usize, panel: usize) {
        let n_groups = self.w.n_groups();
        let x: [&[Group<N>]; H] =
            std::array::from_fn(|h| &self.x[(row + h).min(self.out.n_rows - 1) * n_groups..][..n_groups]);
        let scales = &self.w.scales[panel * n_groups..][..n_groups];
        let mut acc = [s.splat(0.0); H];
        match &self.w.quants {
            Quants::Q8(quants) => {
                let quants = &quants[panel * n_groups..][..n_groups];
                for g in 0..n_groups {
                    let x: [&Group<N>; H] = std::array::from_fn(|h| &x[h][g]);
                    let dots = Tiles::dot_bytes(s, &quants[g], x);
                    let scale = s.load(&scales[g]);
                    for h in 0..H {
                        let scale = s.mul(scale, s.splat(x[h].scale));
                        acc[h] = s.mul_add(s.to_f32(dots[h]), scale, acc[h]);
                    }
                }
            }
            Quants::Q4(quants, mins) => {
                let quants = &quants[panel * n_groups..][..n_groups];
                let mins = &mins[panel * n_groups..][..n_groups];
                for g in 0..n_groups {
                    let x: [&Group<N>; H] = std::array::from_fn(|h| &x[h][g]);
                    let dots = Tiles::dot_nibbles(s, &quants[g], x);
                    let (scale, min) = (s.load(&scales[g]), s.load(&mins[g]));
                    for h in 0..H {
                        let (x_scale, x_sum) = (x[h].scale, x[h].scale * x[h].sum as f32);
                        acc[h] = s.mul_add(s.to_f32(dots[h]), s.mul(scale, s.splat(x_scale)), acc[h]);
                        acc[h] = s.mul_add(min, s.splat(x_sum), acc[h]);
                    }
                }
            }
        }
        self.out.put(s, row, panel - self.panels.start, acc);
    }
}

/// Products of a group of weights of sixteen rows with the groups of `H` rows of activations.
pub(super) trait Dots<const N: usize> {
    fn dot_bytes<S: Simd, const H: usize>(s: S, w: &[Chunk; QUADS], x: [&Group<N>; H]) -> [S::I; H];
    fn dot_nibbles<S: Simd, const H: usize>(s: S, w: &[Chunk; QUADS / 2], x: [&Group<N>; H]) -> [S::I; H];
}

pub(super) struct Tiles;

impl Dots<QUADS> for Tiles {
    #[inline(always)]
    fn dot_bytes<S: Simd, const H: usize>(s: S, w: &[Chunk; QUADS], x: [&Group<QUADS>; H]) -> [S::I; H] {
        let mut dots = [s.zero_i(); H];
        for h in 0..H {
            dots[h] = s.start_bytes(x[h].sum);
        }
        for (i, w) in w.iter().enumerate() {
            let w = s.load_bytes(w);
            for h in 0..H {
                dots[h] = s.dot_bytes(dots[h], w, x[h].words[i]);
            }
        }
        dots
    }

    #[inline(always)]
    fn dot_nibbles<S: Simd, const H: usize>(
        s: S,
        w: &[Chunk; QUADS / 2],
        x: [&Group<QUADS>; H],
    ) -> [S::I; H] {
        let mut dots = [s.zero_a(); H];
        for (i, w) in w.iter().enumerate() {
            let w = s.load_bytes(w);
            let (low, high) = (s.low_nibbles(w), s.high_nibbles(w));
            for h in 0..H {
                dots[h] = s.dot_nibbles(dots[h], low, x[h].words[2 * i]);
                dots[h] = s.dot_nibbles(dots[h], high, x[h].words[2 * i + 1]);
            }
        }
        let mut sums = [s.zero_i(); H];
        for h in 0..H {
            sums[h] = s.nibble_sums(dots[h]);
        }
        sums
    }
}

impl Dots<PAIRS> for Tiles {
    #[inline(always)]
    fn dot_bytes<S: Simd, const H: usize>(s: S, w: &[Chunk; QUADS], x: [&Group<PAIRS>; H]) -> [S::I; H] {
        let mut dots = [s.zero_i(); H];
        for (i, w) in w.iter().enumerate() {
            add_pairs(s, &mut dots, s.byte_pairs(s.load_bytes(w)), x, 2 * i);
        }
        dots
    }

    #[inline(always)]
    fn dot_nibbles<S: Simd, const H: usize>(
        s: S,
        w: &[Chunk; QUADS / 2],
        x: [&Group<PAIRS>; H],
    ) -> [S::I; H] {
        let mut dots = [s.zero_i(); H];
        for (i, w) in w.iter().enumerate() {
            let w = s.load_bytes(w);
            add_pairs(s, &mut dots, s.low_nibble_pairs(w), x, 4 * i);
            add_pairs(s, &mut dots, s.high_nibble_pairs(w), x, 4 * i + 2);
        }
        dots
    }
}

/// Adds the products of two pairs of columns, which are words `first` and `first + 1` of `x`.
#[inline(always)]
fn add_pairs<S: Simd, const H: usize>(
    s: S,
    dots: &mut [S::I; H],
    w: [S::H; 2],
    x: [&Group<PAIRS>; H],
    first: usize,
) {
    for h in 0..H {
        dots[h] = s.dot_pairs(dots[h], w[0], s.splat_pair(x[h].words[first]));
        dots[h] = s.dot_pairs(dots[h], w[1], s.splat_pair(x[h].words[first + 1]));
    }
}
