//! Operations on single rows or elements: norms, gate, rotation, sums.

use super::math::{silu, soft_cap};
use super::simd::{Kernel, LANES, Simd, dispatch};
use super::split::by_rows;
use crate::op::Map;
use crate::rope::RopeKey;
use crate::{Rope, RopeStyle};

/// A function of two numbers, on vectors. Traits, not closures: closures are compiled on their own,
/// without the instruction set, unless they are very short.
trait Binary<S: Simd> {
    fn apply(&self, s: S, a: S::F, b: S::F) -> S::F;
}

/// Applies `f` to whole vectors of `a` and `b`, and to the rest in padded ones.
#[inline(always)]
fn zip<S: Simd>(s: S, f: &impl Binary<S>, a: &[f32], b: &[f32], out: &mut [f32]) {
    assert!(a.len() == out.len() && b.len() == out.len());
    let (out, out_rest) = out.as_chunks_mut::<LANES>();
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        s.store(f.apply(s, s.load(a), s.load(b)), out);
    }
    if !out_rest.is_empty() {
        let mut lanes = [0.0; LANES];
        s.store(f.apply(s, s.load(&padded(a_rest)), s.load(&padded(b_rest))), &mut lanes);
        out_rest.copy_from_slice(&lanes[..out_rest.len()]);
    }
}

/// `x`, filled up with zeros.
#[inline(always)]
fn padded(x: &[f32]) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes[..x.len()].copy_from_slice(x);
    lanes
}

/// Sum of `f(x, x)` over all elements, in four chains.
#[inline(always)]
fn sum<S: Simd>(s: S, f: &impl Binary<S>, x: &[f32]) -> f32 {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let mut acc = [s.splat(0.0); 4];
    let (fours, ones) = vectors.as_chunks::<4>();
    for four in fours {
        for (acc, x) in acc.iter_mut().zip(four) {
            let x = s.load(x);
            *acc = s.add(*acc, f.apply(s, x, x));
        }
    }
    for x in ones {
        let x = s.load(x);
        acc[0] = s.add(acc[0], f.apply(s, x, x));
    }
    let mut total = s.sum(s.add(s.add(acc[0], acc[1]), s.add(acc[2], acc[3])));
    if !rest.is_empty() {
        let x = s.load(&padded(rest));
        let mut lanes = [0.0; LANES];
        s.store(f.apply(s, x, x), &mut lanes);
        total += lanes[..rest.len()].iter().sum::<f32>();
    }
    total
}

/// `a`
struct First;

impl<S: Simd> Binary<S> for First {
    #[inline(always)]
    fn apply(&self, _: S, a: S::F, _: S::F) -> S::F {
        a
    }
}

/// `(a - mean) (b - mean)`
struct Deviations<S: Simd> {
    mean: S::F,
}

impl<S: Simd> Binary<S> for Deviations<S> {
    #[inline(always)]
    fn apply(&self, s: S, a: S::F, b: S::F) -> S::F {
        s.mul(s.sub(a, self.mean), s.sub(b, self.mean))
    }
}

/// `a + b`
struct Plus;

impl<S: Simd> Binary<S> for Plus {
    #[inline(always)]
    fn apply(&self, s: S, a: S::F, b: S::F) -> S::F {
        s.add(a, b)
    }
}

/// `a b`
struct Times;

impl<S: Simd> Binary<S> for Times {
    #[inline(always)]
    fn apply(&self, s: S, a: S::F, b: S::F) -> S::F {
        s.mul(a, b)
    }
}

/// `cap tanh(a / cap)`
struct Cap(f32);

impl<S: Simd> Binary<S> for Cap {
    #[inline(always)]
    fn apply(&self, s: S, a: S::F, _: S::F) -> S::F {
        soft_cap(s, a, self.0)
    }
}

/// `factor a`
struct Factor(f32);

impl<S: Simd> Binary<S> for Factor {
    #[inline(always)]
    fn apply(&self, s: S, a: S::F, _: S::F) -> S::F {
        s.mul(a, s.splat(self.0))
    }
}

/// `silu(a) b`
struct Gate;

impl<S: Simd> Binary<S> for Gate {
    #[inline(always)]
    fn apply(&self, s: S, a: S::F, b: S::F) -> S::F {
        s.mul(silu(s, a), b)
    }
}

/// `(a - mean) factor b`
struct Scaled<S: Simd> {
    mean: S::F,
    factor: S::F,
}

impl<S: Simd> Binary<S> for Scaled<S> {
    #[inline(always)]
    fn apply(&self, s: S, a: S::F, b: S::F) -> S::F {
        s.mul(s.mul(s.sub(a, self.mean), self.factor), b)
    }
}

/// What [`Elementwise`] computes.
#[derive(Debug, Clone, Copy)]
enum Function {
    Add,
    Mul,
    SiluMul,
    Map(Map),
}

struct Elementwise<'a, 'o>(Function, &'a [f32], &'a [f32], &'o mut [f32]);

impl Kernel for Elementwise<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(function, a, b, out) = self;
        match function {
            Function::Add => zip(s, &Plus, a, b, out),
            Function::Mul => zip(s, &Times, a, b, out),
            Function::SiluMul => zip(s, &Gate, a, b, out),
            Function::Map(Map::Scale(factor)) => zip(s, &Factor(factor), a, b, out),
            Function::Map(Map::SoftCap(cap)) => zip(s, &Cap(cap), a, b, out),
        }
    }
}

/// `out = a + b`.
pub(super) fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    elementwise(Function::Add, a, b, out);
}

/// `out = a * b`.
pub(super) fn mul(a: &[f32], b: &[f32], out: &mut [f32]) {
    elementwise(Function::Mul, a, b, out);
}

/// See `kernels::map`.
pub(super) fn map(x: &[f32], map: Map, out: &mut [f32]) {
    elementwise(Function::Map(map), x, x, out);
}

/// `out = silu(gate) * up`.
pub(super) fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    elementwise(Function::SiluMul, gate, up, out);
}

fn elementwise(function: Function, a: &[f32], b: &[f32], out: &mut [f32]) {
    by_rows(out, 1, |at, out| {
        dispatch(Elementwise(function, &a[at..][..out.len()], &b[at..][..out.len()], out));
    });
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
            let mean = match self.beta {
                Some(_) => sum(s, &First, x) / width as f32,
                None => 0.0,
            };
            let mean = s.splat(mean);
            let square = sum(s, &Deviations { mean }, x) / width as f32;
            let factor = s.splat(1.0 / (square + self.eps).sqrt());
            zip(s, &Scaled { mean, factor }, x, self.gamma, out);
            if let Some(beta) = self.beta {
                for (out, beta) in out.iter_mut().zip(beta) {
                    *out += beta;
                }
            }
        }
    }
}

/// See `kernels::layer_norm`.
pub(super) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    by_rows(out, gamma.len(), |at, out| {
        dispatch(Norm { x: &x[at..][..out.len()], gamma, beta: Some(beta), eps, out });
    });
}

/// See `kernels::rms_norm`.
pub(super) fn rms_norm(x: &[f32], gamma: &[f32], eps: f32, out: &mut [f32]) {
    by_rows(out, gamma.len(), |at, out| {
        dispatch(Norm { x: &x[at..][..out.len()], gamma, beta: None, eps, out });
    });
}

/// Sines and cosines of some positions: made once for all layers of a pass.
#[derive(Debug, Default)]
pub(super) struct RopeTable {
    key: Option<(usize, usize, RopeKey)>,
    /// `[n_rows][head_dim / 2]`: sine, cosine.
    turns: Vec<(f32, f32)>,
}

impl RopeTable {
    fn prepare(&mut self, p: &Rope, n_rows: usize) {
        let key = Some((p.first_pos, n_rows, p.key()));
        if self.key == key {
            return;
        }
        self.key = key;
        let (speeds, magnitude) = (p.speeds(), p.magnitude());
        self.turns.clear();
        for pos in p.first_pos..p.first_pos + n_rows {
            self.turns.extend(speeds.iter().map(|speed| {
                let (sin, cos) = (pos as f64 * speed).sin_cos();
                ((magnitude * sin) as f32, (magnitude * cos) as f32)
            }));
        }
    }
}

/// See `kernels::rope`.
pub(super) fn rope(x: &[f32], p: &Rope, width: usize, table: &mut RopeTable, out: &mut [f32]) {
    let (head_dim, style) = (p.head_dim, p.style);
    let n_pairs = head_dim / 2;
    table.prepare(p, x.len() / width);
    let turns = &table.turns;
    by_rows(out, width, |at, out| {
        let turns = turns[at / width * n_pairs..].chunks_exact(n_pairs);
        let rows = x[at..].chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(turns);
        for ((x, out), turns) in rows {
            for (x, out) in x.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim)) {
                rotate(x, turns, style, out);
            }
        }
    });
}

/// Turns the pairs of one head.
fn rotate(x: &[f32], turns: &[(f32, f32)], style: RopeStyle, out: &mut [f32]) {
    let turn = |x: f32, y: f32, (sin, cos): (f32, f32)| (x * cos - y * sin, x * sin + y * cos);
    match style {
        RopeStyle::Interleaved => {
            let pairs = x.as_chunks::<2>().0.iter().zip(out.as_chunks_mut::<2>().0);
            for (([x, y], out), by) in pairs.zip(turns) {
                *out = turn(*x, *y, *by).into();
            }
        }
        RopeStyle::Half => {
            let ((x, y), (out_x, out_y)) = (x.split_at(turns.len()), out.split_at_mut(turns.len()));
            for (i, by) in turns.iter().enumerate() {
                (out_x[i], out_y[i]) = turn(x[i], y[i], *by);
            }
        }
    }
}
