//! Linear layers with 8-bit and 4-bit weights. Activations are rounded to 16-bit groups and groups
//! are multiplied in whole numbers: weights have to be widened to 16 bits anyway (neither AVX2 nor
//! simd128 multiplies signed bytes), so this costs what 8-bit activations would cost, and the result
//! is that of f32 activations to about 1e-5.

use std::ops::Range;

use half::f16;

use super::math::activate;
use super::simd::{Kernel, LANES, Simd, dispatch};
use super::split::{Part, by_rows_or_columns};
use crate::Activation;
use crate::op::{GROUP, Rows};

/// Pairs of a group.
const PAIRS: usize = GROUP / 2;
/// Rows of activations that share unpacked weights.
const TILE: usize = 4;

/// A quantised matrix in panels of eight rows. Group `g` of panel `p` is at `p * n_groups + g`.
#[derive(Debug)]
pub(super) struct QuantPanels {
    pub(super) n_rows: usize,
    pub(super) width: usize,
    scales: Vec<[f32; LANES]>,
    quants: Quants,
}

#[derive(Debug)]
enum Quants {
    /// For each pair of columns the pairs of the eight rows.
    Q8(Vec<[[i8; 2 * LANES]; PAIRS]>),
    /// For each eight columns a word for each row and parity: nibble `j` of word `2 r + b` is column
    /// `2 j + b` of row `r`. With the minimum of each row.
    Q4(Vec<[[u8; 4 * LANES]; 4]>, Vec<[f32; LANES]>),
}

impl QuantPanels {
    pub(super) fn zeroed_q8(n_rows: usize, width: usize) -> Self {
        let n_groups = n_rows.div_ceil(LANES) * (width / GROUP);
        let quants = Quants::Q8(vec![[[0; 2 * LANES]; PAIRS]; n_groups]);
        Self { n_rows, width, scales: vec![[0.0; LANES]; n_groups], quants }
    }

    pub(super) fn zeroed_q4(n_rows: usize, width: usize) -> Self {
        let n_groups = n_rows.div_ceil(LANES) * (width / GROUP);
        let quants = Quants::Q4(vec![[[0; 4 * LANES]; 4]; n_groups], vec![[0.0; LANES]; n_groups]);
        Self { n_rows, width, scales: vec![[0.0; LANES]; n_groups], quants }
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
                    for k in 0..GROUP {
                        to[at][k / 2][2 * lane + k % 2] = q[k];
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
                        let (j, b) = (k % 8 / 2, k % 2);
                        to[at][k / 8][2 * (2 * lane + b) + j / 2] |= nibble << (4 * (j % 2));
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
                    Quants::Q8(q) => scale * f32::from(q[at][k / 2][2 * lane + k % 2]),
                    Quants::Q4(q, mins) => {
                        let (j, b) = (k % 8 / 2, k % 2);
                        let byte = q[at][k / 8][2 * (2 * lane + b) + j / 2];
                        scale * f32::from(byte >> (4 * (j % 2)) & 15) + mins[at][lane]
                    }
                };
            }
        }
    }
}

/// Activations in groups of 32: `x[i] = scale * q[i]` with whole `q` in `-32767..=32767`. A group's
/// sum of products with weights in `-128..=127` is at most 32 * 128 * 32767 < 2^27.
struct Activations {
    /// `[n_rows][width / 32][16]`: two columns in a word, the first in the low half.
    pairs: Vec<[i32; PAIRS]>,
    /// `[n_rows][width / 32]`: scale, and scale times the sum of the group's numbers.
    scales: Vec<(f32, f32)>,
}

/// The largest number of a group is scaled to this.
const MAX_QUANT: f32 = 32_767.0;

struct Quantize<'a>(&'a [f32]);

impl Kernel for Quantize<'_> {
    type Output = Activations;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Activations {
        let groups = self.0.as_chunks::<GROUP>().0;
        let mut pairs = Vec::with_capacity(groups.len());
        let mut scales = Vec::with_capacity(groups.len());
        for group in groups {
            let x = group.as_chunks::<LANES>().0;
            let x: [S::F; 4] = std::array::from_fn(|i| s.load(&x[i]));
            let max = s.max(s.max(s.abs(x[0]), s.abs(x[1])), s.max(s.abs(x[2]), s.abs(x[3])));
            let max = s.max_lane(max);
            let inverse = s.splat(if max < f32::MIN_POSITIVE * MAX_QUANT { 0.0 } else { MAX_QUANT / max });
            let mut q = [0.0; GROUP];
            for (x, q) in x.into_iter().zip(q.as_chunks_mut::<LANES>().0) {
                s.store(s.round(s.mul(x, inverse)), q);
            }
            let q = q.map(|q| q as i32);
            let scale = max / MAX_QUANT;
            scales.push((scale, scale * q.iter().sum::<i32>() as f32));
            pairs.push(std::array::from_fn(|i| (q[2 * i] & 0xffff) | q[2 * i + 1] << 16));
        }
        Activations { pairs, scales }
    }
}

/// `out = act(x * w^T + bias)`; `x: [n, n_in]`, `w: [n_out, n_in]`, `out: [n, n_out]`.
pub(super) fn linear(x: &[f32], w: &QuantPanels, bias: Option<&[f32]>, act: Activation, out: &mut [f32]) {
    let n_rows = x.len() / w.width;
    assert!(x.len() == n_rows * w.width && out.len() == n_rows * w.n_rows);
    let x = dispatch(Quantize(x));
    by_rows_or_columns(out, n_rows, w.n_rows, w.width, |part: Part, out: &mut [f32]| {
        let first = part.first_column / LANES;
        let panels = first..first + part.n_columns.div_ceil(LANES);
        let bias = bias.map(|bias| &bias[part.first_column..][..part.n_columns]);
        dispatch(Product {
            x: &x,
            rows: part.first_row..part.first_row + part.n_rows,
            w,
            panels,
            bias,
            act,
            out,
        });
    });
}

struct Product<'a, 'o> {
    x: &'a Activations,
    rows: Range<usize>,
    w: &'a QuantPanels,
    panels: Range<usize>,
    bias: Option<&'a [f32]>,
    act: Activation,
    out: &'o mut [f32],
}

impl Kernel for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for panel in self.panels.clone() {
            let mut row = self.rows.start;
            while row + TILE <= self.rows.end {
                self.tile::<S, TILE>(s, row, panel);
                row += TILE;
            }
            for row in row..self.rows.end {
                self.tile::<S, 1>(s, row, panel);
            }
        }
    }
}

impl Product<'_, '_> {
    /// `H` rows by eight outputs.
    #[inline(always)]
    fn tile<S: Simd, const H: usize>(&mut self, s: S, row: usize, panel: usize) {
        let n_groups = self.w.n_groups();
        let pairs: [&[[i32; PAIRS]]; H] =
            std::array::from_fn(|h| &self.x.pairs[(row + h) * n_groups..][..n_groups]);
        let x_scales: [&[(f32, f32)]; H] =
            std::array::from_fn(|h| &self.x.scales[(row + h) * n_groups..][..n_groups]);
        let scales = &self.w.scales[panel * n_groups..][..n_groups];
        let mut acc = [s.splat(0.0); H];
        match &self.w.quants {
            Quants::Q8(quants) => {
                let quants = &quants[panel * n_groups..][..n_groups];
                for g in 0..n_groups {
                    let mut dots = [s.zero_i(); H];
                    for (i, q) in quants[g].iter().enumerate() {
                        let w = s.load_i8(q);
                        for h in 0..H {
                            dots[h] = s.dot_pairs(dots[h], w, s.splat_pair(pairs[h][g][i]));
                        }
                    }
                    let scale = s.load(&scales[g]);
                    for h in 0..H {
                        let scale = s.mul(scale, s.splat(x_scales[h][g].0));
                        acc[h] = s.mul_add(s.to_f32(dots[h]), scale, acc[h]);
                    }
                }
            }
            Quants::Q4(quants, mins) => {
                let quants = &quants[panel * n_groups..][..n_groups];
                let mins = &mins[panel * n_groups..][..n_groups];
                for g in 0..n_groups {
                    let mut dots = [s.zero_i(); H];
                    for (i, q) in quants[g].iter().enumerate() {
                        let words = s.load_words(q);
                        let x: [&[i32; PAIRS]; H] = std::array::from_fn(|h| &pairs[h][g]);
                        dot::<S, H, 0>(s, words, x, 4 * i, &mut dots);
                        dot::<S, H, 1>(s, words, x, 4 * i, &mut dots);
                        dot::<S, H, 2>(s, words, x, 4 * i, &mut dots);
                        dot::<S, H, 3>(s, words, x, 4 * i, &mut dots);
                    }
                    let (scale, min) = (s.load(&scales[g]), s.load(&mins[g]));
                    for h in 0..H {
                        let (x_scale, x_sum) = x_scales[h][g];
                        acc[h] = s.mul_add(s.to_f32(dots[h]), s.mul(scale, s.splat(x_scale)), acc[h]);
                        acc[h] = s.mul_add(min, s.splat(x_sum), acc[h]);
                    }
                }
            }
        }
        self.finish(s, (row, panel), acc);
    }

    /// Bias, activation, and storing.
    #[inline(always)]
    fn finish<S: Simd, const H: usize>(&mut self, s: S, (row, panel): (usize, usize), acc: [S::F; H]) {
        let n_columns = self.out.len() / self.rows.len();
        let column = (panel - self.panels.start) * LANES;
        let len = LANES.min(n_columns - column);
        for (h, sum) in acc.into_iter().enumerate() {
            let mut lanes = [0.0; LANES];
            s.store(sum, &mut lanes);
            if let Some(bias) = self.bias {
                lanes.iter_mut().zip(&bias[column..]).for_each(|(lane, bias)| *lane += bias);
            }
            s.store(activate(s, s.load(&lanes), self.act), &mut lanes);
            let out = &mut self.out[(row + h - self.rows.start) * n_columns + column..][..len];
            out.copy_from_slice(&lanes[..len]);
        }
    }
}

/// Adds the products of nibble `J` of eight rows with pair `first + J` of each activation row.
#[inline(always)]
fn dot<S: Simd, const H: usize, const J: u32>(
    s: S,
    words: S::H,
    x: [&[i32; PAIRS]; H],
    first: usize,
    dots: &mut [S::I; H],
) {
    let w = s.nibble::<J>(words);
    for h in 0..H {
        dots[h] = s.dot_pairs(dots[h], w, s.splat_pair(x[h][first + J as usize]));
    }
}
