//! Attention: full over a ragged batch, causal over a cache for the rows of a prompt.

use super::attention_few::{MAX_FEW_ROWS, attention_few};
use super::cache::CacheRows;
use super::gemm::{Product, gemm};
use super::math::{exp, soft_cap};
use super::panels::Panels;
use super::simd::{Kernel, LANES, Simd, dispatch};
use crate::Activation;
use crate::kernels::{CausalParams, FullParams};

/// Query rows of a full attention that are computed at a time: their scores over 512 keys are 96 KiB.
const QUERY_BLOCK: usize = 48;

/// See `kernels::attention_full`.
pub(super) fn attention_full(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    lengths: &[u32],
    p: &FullParams,
    out: &mut [f32],
) {
    let width = p.n_heads * p.head_dim;
    let n_rows = q.len() / width;
    // Threads take whole heads: [head][row][head_dim], put back in rows at the end.
    let mut heads = vec![0.0; out.len()];
    platform::parallel_chunks_mut(&mut heads, n_rows * p.head_dim, |head, out| {
        dispatch(FullHead { q, k, v, lengths, p, width, at: head * p.head_dim, out });
    });
    for (head, rows) in heads.chunks_exact(n_rows * p.head_dim).enumerate() {
        // (H, L, D) -> (L, H, D)
        for (row, x) in rows.chunks_exact(p.head_dim).enumerate() {
            out[row * width + head * p.head_dim..][..p.head_dim].copy_from_slice(x);
        }
    }
}

struct FullHead<'a, 'o> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    lengths: &'a [u32],
    p: &'a FullParams,
    width: usize,
    /// First element of this head within a row.
    at: usize,
    /// `[n_rows, head_dim]`
    out: &'o mut [f32],
}

impl Kernel for FullHead<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (width, head_dim) = (self.width, self.p.head_dim);
        let (mut keys, mut values, mut scores) = (Panels::default(), Panels::default(), vec![]);
        let mut first = 0;
        for len in self.lengths {
            let len = *len as usize;
            let at = |row: usize| (first + row) * width + self.at;
            keys.fill(len, head_dim, at, self.k);
            values.fill_transposed(len, head_dim, at, self.v);
            scores.resize(QUERY_BLOCK * len, 0.0);
            for row in (0..len).step_by(QUERY_BLOCK) {
                let n_rows = QUERY_BLOCK.min(len - row);
                let product = |x, x_stride, w, n_out, out_stride| Product {
                    x,
                    x_stride,
                    n_rows,
                    w,
                    depth: w.width,
                    panels: 0..Panels::n_panels(w),
                    bias: None,
                    act: Activation::None,
                    out_stride,
                    n_out,
                };
                // (L_q, D) x (L, D)^T -> (L_q, L), then x (L, D) -> (L_q, D)
                gemm(s, &product(&self.q[at(row)..], width, &keys, len, len), &mut scores);
                for scores in scores[..n_rows * len].chunks_exact_mut(len) {
                    softmax(s, scores, self.p.scale);
                }
                let out = &mut self.out[(first + row) * head_dim..];
                gemm(s, &product(&scores, len, &values, head_dim, head_dim), out);
            }
            first += len;
        }
    }
}

/// `x[i] = exp(scale * x[i] - max) / sum`; gives `max`, the largest scaled element, and `sum`.
#[inline(always)]
pub(super) fn softmax<S: Simd>(s: S, x: &mut [f32], scale: f32) -> (f32, f32) {
    let (vectors, rest) = x.as_chunks_mut::<LANES>();
    let mut max = s.splat(f32::NEG_INFINITY);
    for x in vectors.iter_mut() {
        let scaled = s.mul(s.load(x), s.splat(scale));
        s.store(scaled, x);
        max = s.max(max, scaled);
    }
    let max = rest.iter_mut().fold(s.max_lane(max), |max, x| {
        *x *= scale;
        max.max(*x)
    });
    let mut sum = s.splat(0.0);
    for x in vectors.iter_mut() {
        let e = exp(s, s.sub(s.load(x), s.splat(max)));
        s.store(e, x);
        sum = s.add(sum, e);
    }
    let mut sum = s.sum(sum);
    for x in rest.iter_mut() {
        let mut lanes = [0.0; LANES];
        s.store(exp(s, s.splat(*x - max)), &mut lanes);
        *x = lanes[0];
        sum += lanes[0];
    }
    let factor = 1.0 / sum;
    for x in vectors {
        s.store(s.mul(s.load(x), s.splat(factor)), x);
    }
    rest.iter_mut().for_each(|x| *x *= factor);
    (max, sum)
}

/// As [`softmax`], of the scores of row `row` of a head with all positions that it sees, of which
/// `x` are those from `first` on: below a cap and with a bias, where there are any.
#[inline(always)]
pub(super) fn weigh<S: Simd>(
    s: S,
    x: &mut [f32],
    p: &CausalParams<'_>,
    (head, row, first): (usize, usize, usize),
) -> (f32, f32) {
    if let Some(biases) = p.biases(head, row, first..first + x.len()) {
        for (x, bias) in x.iter_mut().zip(biases) {
            *x = *x * p.scale + bias;
        }
        return softmax(s, x, 1.0);
    }
    let scale = p.scale;
    let Some(cap) = p.soft_cap else { return softmax(s, x, scale) };
    let (vectors, rest) = x.as_chunks_mut::<LANES>();
    for x in vectors {
        s.store(soft_cap(s, s.mul(s.load(x), s.splat(scale)), cap), x);
    }
    for x in rest {
        let mut lanes = [0.0; LANES];
        s.store(soft_cap(s, s.splat(scale * *x), cap), &mut lanes);
        *x = lanes[0];
    }
    softmax(s, x, 1.0)
}

/// Query rows of a prompt that are computed at a time: their scores over 2,048 keys are 192 KiB.
const CAUSAL_BLOCK: usize = 24;

/// See `kernels::attention_causal`; `keys` and `values` hold at least `first_pos + n` positions, divided
/// among the key heads.
pub(super) fn attention_causal(
    q: &[f32],
    keys: &CacheRows,
    values: &CacheRows,
    p: &CausalParams<'_>,
    out: &mut [f32],
) {
    let width = p.n_heads * p.head_dim;
    let n_rows = q.len() / width;
    if n_rows > MAX_FEW_ROWS {
        let panels = head_panels(keys, values, p, p.seen(n_rows - 1).end);
        platform::parallel_chunks_mut(out, CAUSAL_BLOCK * width, |part, out| {
            let first_row = part * CAUSAL_BLOCK;
            let q = &q[first_row * width..][..out.len()];
            dispatch(CausalBlock { q, panels: &panels, p, first_row, out });
        });
        return;
    }
    attention_few(q, keys, values, p, out);
}

/// One head's keys, and its values transposed.
#[derive(Default)]
struct HeadPanels {
    keys: Panels,
    values: Panels,
}

/// The first `n_keys` positions of each key and value head.
fn head_panels(keys: &CacheRows, values: &CacheRows, p: &CausalParams<'_>, n_keys: usize) -> Vec<HeadPanels> {
    let mut panels = Vec::new();
    panels.resize_with(p.n_kv_heads, HeadPanels::default);
    platform::parallel_chunks_mut(&mut panels, 1, |head, panels| {
        let at = |pos: usize| pos * p.head_dim;
        panels[0].keys.fill(n_keys, p.head_dim, at, keys.head(head));
        panels[0].values.fill_transposed(n_keys, p.head_dim, at, values.head(head));
    });
    panels
}

/// All heads of some rows of a prompt.
struct CausalBlock<'a, 'o> {
    /// `[n, n_heads * head_dim]`, like `out`.
    q: &'a [f32],
    panels: &'a [HeadPanels],
    p: &'a CausalParams<'a>,
    first_row: usize,
    out: &'o mut [f32],
}

impl Kernel for CausalBlock<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let p = self.p;
        let width = p.n_heads * p.head_dim;
        let n_rows = self.out.len() / width;
        // The last row sees no more than these.
        let n_keys = p.seen(self.first_row + n_rows - 1).end;
        let mut scores = vec![0.0; n_rows * n_keys];
        for head in 0..p.n_heads {
            let panels = &self.panels[head / p.group()];
            let at = head * p.head_dim;
            // (L_q, D) x (L, D)^T -> (L_q, L), then x (L, D) -> (L_q, D)
            let mut product = Product {
                x: &self.q[at..],
                x_stride: width,
                n_rows,
                w: &panels.keys,
                depth: p.head_dim,
                panels: 0..n_keys.div_ceil(LANES),
                bias: None,
                act: Activation::None,
                out_stride: n_keys,
                n_out: n_keys,
            };
            gemm(s, &product, &mut scores);
            for (row, scores) in scores.chunks_exact_mut(n_keys).enumerate() {
                let row = self.first_row + row;
                let positions = p.seen(row);
                let (seen, hidden) = scores.split_at_mut(positions.end);
                let (passed, seen) = seen.split_at_mut(positions.start);
                weigh(s, seen, p, (head, row, positions.start));
                passed.fill(0.0);
                hidden.fill(0.0);
            }
            product = Product {
                x: &scores,
                x_stride: n_keys,
                w: &panels.values,
                depth: n_keys,
                panels: 0..panels.values.n_panels(),
                out_stride: width,
                n_out: p.head_dim,
                ..product
            };
            gemm(s, &product, &mut self.out[at..]);
        }
    }
}
