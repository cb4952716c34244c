//! f32 matrix products: `out = act(x * w^T + bias)`, in register tiles over weight panels.

use std::ops::Range;

use super::math::activate;
use super::output::Output;
use super::panels::Panels;
use super::simd::{Kernel, LANES, Simd, dispatch};
use super::split::by_product_rows;
use crate::Activation;

/// Columns that are summed before the next panel: 16 KiB of a panel stay in the first-level cache.
const BLOCK: usize = 256;

/// `x: [n, n_in]`, `w: [n_out, n_in]`, `bias: [n_out]`, `out: [n, n_out]`.
pub(super) fn linear(x: &[f32], w: &Panels, bias: Option<&[f32]>, act: Activation, out: &mut [f32]) {
    assert!(x.len().is_multiple_of(w.width) && out.len() == x.len() / w.width * w.n_rows);
    by_product_rows(out, w.n_rows, w.width, |first_row, out| {
        let n_rows = out.len() / w.n_rows;
        let x = &x[first_row * w.width..][..n_rows * w.width];
        panels(x, w, 0..w.n_panels(), &mut Output { n_rows, bias, act, out });
    });
}

/// The columns of some panels: `x: [out.n_rows, n_in]`.
pub(super) fn panels(x: &[f32], w: &Panels, panels: Range<usize>, out: &mut Output<'_, '_>) {
    let n_out = out.out.len() / out.n_rows;
    let product = Product {
        x,
        x_stride: w.width,
        n_rows: out.n_rows,
        w,
        depth: w.width,
        panels,
        bias: out.bias,
        act: out.act,
        out_stride: n_out,
        n_out,
    };
    dispatch(Gemm { product, out: out.out });
}

/// A product with strides, for heads within wider rows.
pub(super) struct Product<'a> {
    pub(super) x: &'a [f32],
    pub(super) x_stride: usize,
    pub(super) n_rows: usize,
    pub(super) w: &'a Panels,
    /// Columns that count, of `x` and of `w`.
    pub(super) depth: usize,
    pub(super) panels: Range<usize>,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) act: Activation,
    pub(super) out_stride: usize,
    /// Outputs per row: at most sixteen for each panel.
    pub(super) n_out: usize,
}

struct Gemm<'a, 'o> {
    product: Product<'a>,
    out: &'o mut [f32],
}

impl Kernel for Gemm<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        gemm(s, &self.product, self.out);
    }
}

/// The product, one block of columns after the other.
///
/// There are few kinds of tiles, because all of them are inlined into one function (for the sake of
/// the instruction set), and a browser's compiler gives up on very long ones.
#[inline(always)]
pub(super) fn gemm<S: Simd>(s: S, p: &Product<'_>, out: &mut [f32]) {
    for first in (0..p.depth).step_by(BLOCK) {
        let block = Block { first, len: BLOCK.min(p.depth - first) };
        // Sums fill most of the registers.
        if p.n_rows == 1 {
            block_panels::<S, 1, 2>(s, p, &block, out);
        } else if S::N_REGISTERS >= 32 {
            block_panels::<S, 8, 2>(s, p, &block, out);
        } else if S::N_REGISTERS >= 8 {
            block_panels::<S, 6, 1>(s, p, &block, out);
        } else {
            block_panels::<S, 3, 1>(s, p, &block, out);
        }
    }
    if p.act != Activation::None {
        for out in out.chunks_mut(p.out_stride).take(p.n_rows) {
            activate_all(s, &mut out[..p.n_out], p.act);
        }
    }
}

struct Block {
    first: usize,
    len: usize,
}

/// All tiles of a block, `N` panels at a time.
#[inline(always)]
fn block_panels<S: Simd, const H: usize, const N: usize>(
    s: S,
    p: &Product<'_>,
    block: &Block,
    out: &mut [f32],
) {
    let x = interleave::<H>(p, block);
    // Loops, not closures: the compiler inlines these into the function of the instruction set.
    let mut panel = p.panels.start;
    while panel + N <= p.panels.end {
        for (t, x) in x.chunks_exact(block.len).enumerate() {
            tile::<S, H, N>(s, p, (x, block.first), (t * H, panel), out);
        }
        panel += N;
    }
    if N > 1 {
        for panel in panel..p.panels.end {
            for (t, x) in x.chunks_exact(block.len).enumerate() {
                tile::<S, H, 1>(s, p, (x, block.first), (t * H, panel), out);
            }
        }
    }
}

/// The block's columns of all rows, `[n_rows / H][block.len][H]`: a tile then reads one stream, without
/// a bounds check for each of its rows. Rows beyond the last repeat it.
#[inline(always)]
fn interleave<const H: usize>(p: &Product<'_>, block: &Block) -> Vec<[f32; H]> {
    let mut tiles = vec![[0.0; H]; p.n_rows.div_ceil(H) * block.len];
    for (t, tile) in tiles.chunks_exact_mut(block.len).enumerate() {
        for h in 0..H {
            let row = (t * H + h).min(p.n_rows - 1);
            let x = &p.x[row * p.x_stride + block.first..][..block.len];
            tile.iter_mut().zip(x).for_each(|(tile, x)| tile[h] = *x);
        }
    }
    tiles
}

/// `H` rows by `16 N` outputs in registers: `x: [block][H]`, whose columns start at `first`.
#[inline(always)]
fn tile<S: Simd, const H: usize, const N: usize>(
    s: S,
    p: &Product<'_>,
    (x, first): (&[[f32; H]], usize),
    (row, panel): (usize, usize),
    out: &mut [f32],
) {
    let w: [&[[f32; LANES]]; N] = std::array::from_fn(|n| &p.w.panel(panel + n)[first..][..x.len()]);
    let mut acc = [[s.splat(0.0); N]; H];
    if N == 1 {
        for (x, w) in x.iter().zip(w[0]) {
            let w = s.load(w);
            for h in 0..H {
                acc[h][0] = s.mul_add(s.splat(x[h]), w, acc[h][0]);
            }
        }
    } else {
        for (k, x) in x.iter().enumerate() {
            let mut columns = [s.splat(0.0); N];
            for n in 0..N {
                columns[n] = s.load(&w[n][k]);
            }
            for h in 0..H {
                let x = s.splat(x[h]);
                for n in 0..N {
                    acc[h][n] = s.mul_add(x, columns[n], acc[h][n]);
                }
            }
        }
    }
    let mut sums = [[[0.0; LANES]; N]; H];
    for h in 0..H {
        for n in 0..N {
            s.store(acc[h][n], &mut sums[h][n]);
        }
    }
    for (h, sums) in sums.iter().enumerate().take(p.n_rows - row) {
        for (n, sums) in sums.iter().enumerate() {
            let column = (panel + n - p.panels.start) * LANES;
            let len = LANES.min(p.n_out - column);
            let out = &mut out[(row + h) * p.out_stride + column..][..len];
            // The first block starts from the bias, later ones from the sum so far.
            if first > 0 {
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
            } else if let Some(bias) = p.bias {
                let bias = &bias[column..][..len];
                out.iter_mut().zip(sums).zip(bias).for_each(|((out, sum), bias)| *out = sum + bias);
            } else {
                out.copy_from_slice(&sums[..len]);
            }
        }
    }
}

/// Applies the activation function to all elements.
#[inline(always)]
fn activate_all<S: Simd>(s: S, x: &mut [f32], act: Activation) {
    let (vectors, rest) = x.as_chunks_mut::<LANES>();
    for x in vectors {
        s.store(activate(s, s.load(x), act), x);
    }
    for x in rest {
        let mut lanes = [0.0; LANES];
        s.store(activate(s, s.splat(*x), act), &mut lanes);
        *x = lanes[0];
    }
}
