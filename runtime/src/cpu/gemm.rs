//! f32 matrix products: `out = act(x * w^T + bias)`, in register tiles over weight panels.

use super::math::activate;
use super::panels::Panels;
use super::simd::{Kernel, LANES, Simd, dispatch};
use super::split::{by_rows_or_columns, Part};
use crate::Activation;

/// Columns that are summed before the next panel: 16 KiB of a panel stay in the first-level cache.
const BLOCK: usize = 512;
/// Rows of a register tile.
const TILE: usize = 6;

/// `x: [n, n_in]`, `w: [n_out, n_in]`, `bias: [n_out]`, `out: [n, n_out]`.
pub(super) fn linear(x: &[f32], w: &Panels, bias: Option<&[f32]>, act: Activation, out: &mut [f32]) {
    let n_rows = x.len() / w.width;
    assert!(x.len() == n_rows * w.width && out.len() == n_rows * w.n_rows);
    by_rows_or_columns(out, n_rows, w.n_rows, w.width, |part: Part, out: &mut [f32]| {
        let x = &x[part.first_row * w.width..][..part.n_rows * w.width];
        let (first_panel, n_panels) = (part.first_column / LANES, part.n_columns.div_ceil(LANES));
        let bias = bias.map(|bias| &bias[part.first_column..][..part.n_columns]);
        let product = Product {
            x,
            x_stride: w.width,
            n_rows: part.n_rows,
            w,
            panels: first_panel..first_panel + n_panels,
            bias,
            act,
            out_stride: part.n_columns,
            n_out: part.n_columns,
        };
        dispatch(Gemm { product, out });
    });
}

/// A product with strides, for heads within wider rows.
pub(super) struct Product<'a> {
    pub(super) x: &'a [f32],
    pub(super) x_stride: usize,
    pub(super) n_rows: usize,
    pub(super) w: &'a Panels,
    pub(super) panels: std::ops::Range<usize>,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) act: Activation,
    pub(super) out_stride: usize,
    /// Outputs per row: at most eight for each panel.
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
#[inline(always)]
pub(super) fn gemm<S: Simd>(s: S, p: &Product<'_>, out: &mut [f32]) {
    let width = p.w.width;
    for first in (0..width).step_by(BLOCK) {
        let block = Block { first, len: BLOCK.min(width - first), is_last: first + BLOCK >= width };
        if p.n_rows == 1 {
            panels::<S, 1, 4>(s, p, &block, out);
        } else if S::WIDE {
            panels::<S, TILE, 2>(s, p, &block, out);
        } else {
            panels::<S, TILE, 1>(s, p, &block, out);
        }
    }
}

struct Block {
    first: usize,
    len: usize,
    is_last: bool,
}

/// All tiles of a block, `N` panels at a time.
#[inline(always)]
fn panels<S: Simd, const H: usize, const N: usize>(s: S, p: &Product<'_>, block: &Block, out: &mut [f32]) {
    let mut panel = p.panels.start;
    while panel + N <= p.panels.end {
        rows::<S, H, N>(s, p, block, panel, out);
        panel += N;
    }
    for panel in panel..p.panels.end {
        rows::<S, H, 1>(s, p, block, panel, out);
    }
}

#[inline(always)]
fn rows<S: Simd, const H: usize, const N: usize>(s: S, p: &Product<'_>, block: &Block, panel: usize, out: &mut [f32]) {
    let mut row = 0;
    while row + H <= p.n_rows {
        tile::<S, H, N>(s, p, block, (row, panel), out);
        row += H;
    }
    match p.n_rows - row {
        0 => {}
        1 => tile::<S, 1, N>(s, p, block, (row, panel), out),
        2 => tile::<S, 2, N>(s, p, block, (row, panel), out),
        3 => tile::<S, 3, N>(s, p, block, (row, panel), out),
        4 => tile::<S, 4, N>(s, p, block, (row, panel), out),
        _ => tile::<S, 5, N>(s, p, block, (row, panel), out),
    }
}

/// `H` rows by `8 N` outputs in registers.
#[inline(always)]
fn tile<S: Simd, const H: usize, const N: usize>(
    s: S,
    p: &Product<'_>,
    block: &Block,
    (row, panel): (usize, usize),
    out: &mut [f32],
) {
    let x: [&[f32]; H] = std::array::from_fn(|h| &p.x[(row + h) * p.x_stride + block.first..][..block.len]);
    let w: [&[[f32; LANES]]; N] = std::array::from_fn(|n| &p.w.panel(panel + n)[block.first..][..block.len]);
    let mut acc = [[s.splat(0.0); N]; H];
    for k in 0..block.len {
        let w: [S::F; N] = std::array::from_fn(|n| s.load(&w[n][k]));
        for h in 0..H {
            let x = s.splat(x[h][k]);
            for n in 0..N {
                acc[h][n] = s.mul_add(x, w[n], acc[h][n]);
            }
        }
    }
    for h in 0..H {
        for n in 0..N {
            let column = (panel + n - p.panels.start) * LANES;
            let len = LANES.min(p.n_out - column);
            let out = &mut out[(row + h) * p.out_stride + column..][..len];
            let before = if block.first > 0 { Some(&*out) } else { p.bias.map(|bias| &bias[column..][..len]) };
            let mut sum = acc[h][n];
            if let Some(before) = before {
                sum = s.add(sum, s.load(&padded(before)));
            }
            if block.is_last {
                sum = activate(s, sum, p.act);
            }
            let mut lanes = [0.0; LANES];
            s.store(sum, &mut lanes);
            out.copy_from_slice(&lanes[..len]);
        }
    }
}

/// Up to eight elements, then zeros.
#[inline(always)]
fn padded(x: &[f32]) -> [f32; LANES] {
    match x.try_into() {
        Ok(lanes) => lanes,
        Err(_) => std::array::from_fn(|i| x.get(i).copied().unwrap_or(0.0)),
    }
}
