//! Linear layers whose f32 weights are held, and multiplied, as 16-bit whole numbers: half the
//! memory, and on every instruction set at least twice the products per instruction. Blocks are
//! scaled by their length, so that a result is off by some 5e-5 of its size.

use std::ops::Range;

use super::activations::{BLOCK, Blocks, block_scale, inverse};
use super::output::Output;
use super::simd::{Kernel, LANES, Simd, dispatch};
use super::split::by_product_rows;
use crate::Activation;

/// Pairs of columns of a whole block.
const PAIRS: usize = BLOCK / 2;

/// A matrix `[n_rows, width]` in panels of sixteen rows: `[ceil(n_rows / 16)][ceil(width / 2)][16][2]`,
/// in blocks of 64 columns of which each has a scale for each row.
#[derive(Debug)]
pub(super) struct ShortPanels {
    pub(super) n_rows: usize,
    pub(super) width: usize,
    pairs: Vec<[i16; 2 * LANES]>,
    /// `[ceil(n_rows / 16)][ceil(width / 64)]`
    scales: Vec<[f32; LANES]>,
}

impl ShortPanels {
    pub(super) fn zeroed(n_rows: usize, width: usize) -> Self {
        let n_panels = n_rows.div_ceil(LANES);
        Self {
            n_rows,
            width,
            pairs: vec![[0; 2 * LANES]; n_panels * width.div_ceil(2)],
            scales: vec![[0.0; LANES]; n_panels * width.div_ceil(BLOCK)],
        }
    }

    pub(super) fn n_bytes(&self) -> u64 {
        (64 * (self.pairs.len() + self.scales.len())) as u64
    }

    fn panel(&self, p: usize) -> (&[[i16; 2 * LANES]], &[[f32; LANES]]) {
        let (n_pairs, n_blocks) = (self.width.div_ceil(2), self.width.div_ceil(BLOCK));
        (&self.pairs[p * n_pairs..][..n_pairs], &self.scales[p * n_blocks..][..n_blocks])
    }

    /// Rounds row-major rows; `rows.len()` is a multiple of the width.
    pub(super) fn write(&mut self, first_row: usize, rows: &[f32]) {
        let (n_pairs, n_blocks) = (self.width.div_ceil(2), self.width.div_ceil(BLOCK));
        for (i, row) in rows.chunks_exact(self.width).enumerate() {
            let (panel, lane) = ((first_row + i) / LANES, (first_row + i) % LANES);
            for (b, block) in row.chunks(BLOCK).enumerate() {
                let max = block.iter().fold(0f32, |max, x| max.max(x.abs()));
                let scale = block_scale(max, block.iter().map(|x| x * x).sum());
                self.scales[panel * n_blocks + b][lane] = scale;
                let pairs = &mut self.pairs[panel * n_pairs + b * PAIRS..];
                for (k, x) in block.iter().enumerate() {
                    pairs[k / 2][2 * lane + k % 2] = (x * inverse(scale)).round_ties_even() as i16;
                }
            }
        }
    }

    /// Writes row `row` to `out`, in f32.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        let (pairs, scales) = self.panel(row / LANES);
        let lane = row % LANES;
        for (k, out) in out.iter_mut().enumerate() {
            *out = scales[k / BLOCK][lane] * f32::from(pairs[k / 2][2 * lane + k % 2]);
        }
    }
}

/// `out = act(x * w^T + bias)`; `x: [n, n_in]`, `w: [n_out, n_in]`, `out: [n, n_out]`.
pub(super) fn linear(x: &[f32], w: &ShortPanels, bias: Option<&[f32]>, act: Activation, out: &mut [f32]) {
    assert!(x.len().is_multiple_of(w.width) && out.len() == x.len() / w.width * w.n_rows);
    by_product_rows(out, w.n_rows, w.width, |first_row, out| {
        let n_rows = out.len() / w.n_rows;
        // A thread rounds the rows that it multiplies.
        let x = Blocks::new(&x[first_row * w.width..][..n_rows * w.width], w.width);
        panels(&x, w, 0..w.n_rows.div_ceil(LANES), &mut Output { n_rows, bias, act, out });
    });
}

/// The columns of some panels: `x: [out.n_rows, n_in]`.
pub(super) fn panels(x: &Blocks, w: &ShortPanels, panels: Range<usize>, out: &mut Output<'_, '_>) {
    let out = Output { n_rows: out.n_rows, bias: out.bias, act: out.act, out: out.out };
    dispatch(Product { x, w, panels, out });
}

struct Product<'a, 'o> {
    x: &'a Blocks,
    w: &'a ShortPanels,
    panels: Range<usize>,
    out: Output<'a, 'o>,
}

impl Kernel for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        if self.out.n_rows == 1 {
            self.all_tiles::<S, 1>(s);
        } else if S::N_REGISTERS >= 32 {
            self.all_tiles::<S, 12>(s);
        } else if S::N_REGISTERS >= 8 {
            self.all_tiles::<S, 6>(s);
        } else {
            self.all_tiles::<S, 3>(s);
        }
    }
}

impl Product<'_, '_> {
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
        let (pairs, scales) = self.w.panel(panel);
        let rows: [usize; H] = std::array::from_fn(|h| (row + h).min(self.out.n_rows - 1));
        let mut acc = [s.splat(0.0); H];
        for (b, (w, scale)) in pairs.chunks(PAIRS).zip(scales).enumerate() {
            let mut x: [&[i32]; H] = [&[]; H];
            for h in 0..H {
                x[h] = &self.x.pairs[rows[h] * pairs.len() + b * PAIRS..][..w.len()];
            }
            let mut dots = [s.zero_i(); H];
            for (k, w) in w.iter().enumerate() {
                let w = s.load_pairs(w);
                for h in 0..H {
                    dots[h] = s.dot_pairs(dots[h], w, s.splat_pair(x[h][k]));
                }
            }
            let scale = s.load(scale);
            for h in 0..H {
                let scale = s.mul(scale, s.splat(self.x.scales[rows[h] * scales.len() + b]));
                acc[h] = s.mul_add(s.to_f32(dots[h]), scale, acc[h]);
            }
        }
        self.out.put(s, row, panel - self.panels.start, acc);
    }
}
