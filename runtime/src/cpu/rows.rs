//! Operations on single rows or elements: norms, gate, rotation, sums.

use super::math::silu;
use super::simd::{Kernel, LANES, Simd, dispatch};
use crate::op::{Rope, RopeStyle};

/// Calls `f` on whole vectors of `out`, `a` and `b`, the rest in padded vectors.
#[inline(always)]
fn zip<S: Simd>(s: S, a: &[f32], b: &[f32], out: &mut [f32], f: impl Fn(S::F, S::F) -> S::F) {
    assert!(a.len() == out.len() && b.len() == out.len());
    let (out, out_rest) = out.as_chunks_mut::<LANES>();
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        s.store(f(s.load(a), s.load(b)), out);
    }
    let pad = |x: &[f32]| s.load(&std::array::from_fn(|i| x.get(i).copied().unwrap_or(1.0)));
    let mut lanes = [0.0; LANES];
    s.store(f(pad(a_rest), pad(b_rest)), &mut lanes);
    out_rest.copy_from_slice(&lanes[..out_rest.len()]);
}

/// Sum of `f(x)` over all elements, in four chains.
#[inline(always)]
fn sum<S: Simd>(s: S, x: &[f32], f: impl Fn(S::F) -> S::F) -> f32 {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut acc = [s.splat(0.0); 4];
    let (fours, ones) = vectors.as_chunks::<4>();
    for four in fours {
        for (acc, x) in acc.iter_mut().zip(four) {
            *acc = s.add(*acc, f(s.load(x)));
        }
    }
    for x in ones {
        acc[0] = s.add(acc[0], f(s.load(x)));
    }
    let mut total = s.sum(s.add(s.add(acc[0], acc[1]), s.add(acc[2], acc[3])));
    for x in rest {
        let mut lanes = [0.0; LANES];
        s.store(f(s.splat(*x)), &mut lanes);
        total += lanes[0];
    }
    total
}

/// What [`Elementwise`] computes.
#[derive(Debug, Clone, Copy)]
enum Function {
    Add,
    SiluMul,
}

struct Elementwise<'a, 'o>(Function, &'a [f32], &'a [f32], &'o mut [f32]);

impl Kernel for Elementwise<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(function, a, b, out) = self;
        match function {
            Function::Add => zip(s, a, b, out, |a, b| s.add(a, b)),
            Function::SiluMul => zip(s, a, b, out, |a, b| s.mul(silu(s, a), b)),
        }
    }
}

/// `out = a + b`.
pub(super) fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    dispatch(Elementwise(Function::Add, a, b, out));
}

/// `out = silu(gate) * up`.
pub(super) fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    dispatch(Elementwise(Function::SiluMul, gate, up, out));
}

struct Norm<'a, 'o> {
    x: &'a [f32],
    gamma: &'a [f32],
    /// With it a layer norm, without it an RMS norm.
    beta: Option<&'a [f32]>,
    eps: f32,
    out: &'o mut [f32],
}

impl Kernel for Norm<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.gamma.len();
        for (x, out) in self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)) {
            if let Some(beta) = self.beta {
                let mean = s.splat(sum(s, x, |x| x) / width as f32);
                let var = sum(s, x, |x| {
                    let d = s.sub(x, mean);
                    s.mul(d, d)
                }) / width as f32;
                let factor = s.splat(1.0 / (var + self.eps).sqrt());
                zip(s, x, self.gamma, out, |x, gamma| s.mul(s.mul(s.sub(x, mean), factor), gamma));
                for (out, beta) in out.iter_mut().zip(beta) {
                    *out += beta;
                }
            } else {
                let mean = sum(s, x, |x| s.mul(x, x)) / width as f32;
                let factor = s.splat(1.0 / (mean + self.eps).sqrt());
                zip(s, x, self.gamma, out, |x, gamma| s.mul(s.mul(x, factor), gamma));
            }
        }
    }
}

/// See `kernels::layer_norm`.
pub(super) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    dispatch(Norm { x, gamma, beta: Some(beta), eps, out });
}

/// See `kernels::rms_norm`.
pub(super) fn rms_norm(x: &[f32], gamma: &[f32], eps: f32, out: &mut [f32]) {
    dispatch(Norm { x, gamma, beta: None, eps, out });
}

/// Sines and cosines of some positions: made once for all layers of a pass.
#[derive(Debug, Default)]
pub(super) struct RopeTable {
    key: Option<(usize, usize, usize, u32)>,
    /// `[n_rows][head_dim / 2]`: sine, cosine.
    turns: Vec<(f32, f32)>,
}

impl RopeTable {
    fn prepare(&mut self, p: &Rope, n_rows: usize) {
        let key = Some((p.first_pos, n_rows, p.head_dim, p.base.to_bits()));
        if self.key == key {
            return;
        }
        self.key = key;
        let exponent = |i: usize| -2.0 * i as f64 / p.head_dim as f64;
        let speeds: Vec<f64> = (0..p.head_dim / 2).map(|i| f64::from(p.base).powf(exponent(i))).collect();
        self.turns.clear();
        for pos in p.first_pos..p.first_pos + n_rows {
            self.turns.extend(speeds.iter().map(|speed| {
                let (sin, cos) = (pos as f64 * speed).sin_cos();
                (sin as f32, cos as f32)
            }));
        }
    }
}

/// See `kernels::rope`.
pub(super) fn rope(x: &[f32], p: &Rope, width: usize, table: &mut RopeTable, out: &mut [f32]) {
    let n_pairs = p.head_dim / 2;
    table.prepare(p, x.len() / width);
    let rows = x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(table.turns.chunks_exact(n_pairs));
    for ((x, out), turns) in rows {
        for (x, out) in x.chunks_exact(p.head_dim).zip(out.chunks_exact_mut(p.head_dim)) {
            for (i, (sin, cos)) in turns.iter().enumerate() {
                let (first, second) = match p.style {
                    RopeStyle::Interleaved => (2 * i, 2 * i + 1),
                    RopeStyle::Half => (i, i + n_pairs),
                };
                out[first] = x[first] * cos - x[second] * sin;
                out[second] = x[first] * sin + x[second] * cos;
            }
        }
    }
}
