//! Functions of vectors: exp, erf, and the activations made of them.

use super::simd::Simd;
use crate::Activation;

/// `e^x` to 2 units in the last place, for `x` in `-87..=88` (clamped to it): the range reduction
/// and polynomial of Cephes' `expf`.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.min(s.max(x, s.splat(-87.0)), s.splat(88.0));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, the first exact in few bits, so that n * part loses nothing
    let r = s.mul_add(n, s.splat(-0.693_359_4), x);
    let r = s.mul_add(n, s.splat(2.121_944_4e-4), r);
    let mut p = s.splat(1.987_569_1e-4);
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = s.mul_add(p, r, s.splat(c));
    }
    let p = s.add(s.mul_add(p, s.mul(r, r), r), s.splat(1.0));
    s.mul(p, s.exp2_int(n))
}

/// The error function to 3e-7: the rational approximation on `-4..=4` that Eigen and XLA use.
#[inline(always)]
pub(super) fn erf<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.min(s.max(x, s.splat(-4.0)), s.splat(4.0));
    let x2 = s.mul(x, x);
    let mut p = s.splat(-2.726_142_3e-10);
    for c in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_4e-2] {
        p = s.mul_add(p, x2, s.splat(c));
    }
    let mut q = s.splat(-1.456_607_2e-5);
    for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        q = s.mul_add(q, x2, s.splat(c));
    }
    s.div(s.mul(x, p), q)
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub(super) fn silu<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(x, s.add(exp(s, s.sub(s.splat(0.0), x)), s.splat(1.0)))
}

/// `1 - 2 / (e^2x + 1)`, to 2e-7.
#[inline(always)]
pub(super) fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.sub(one, s.div(s.splat(2.0), s.add(exp(s, s.add(x, x)), one)))
}

/// `cap tanh(x / cap)`.
#[inline(always)]
pub(super) fn soft_cap<S: Simd>(s: S, x: S::F, cap: f32) -> S::F {
    s.mul(s.splat(cap), tanh(s, s.mul(x, s.splat(1.0 / cap))))
}

/// The tanh form of GELU: `x` times the logistic function of twice `sqrt(2/pi) (x + .044715 x^3)`.
#[inline(always)]
fn gelu_tanh<S: Simd>(s: S, x: S::F) -> S::F {
    // 2 sqrt(2/pi), and that times .044715
    let inner = s.mul(x, s.mul_add(s.mul(x, x), s.splat(0.071_354_82), s.splat(1.595_769)));
    s.div(x, s.add(exp(s, s.sub(s.splat(0.0), inner)), s.splat(1.0)))
}

/// The activation function of a linear layer.
#[inline(always)]
pub(super) fn activate<S: Simd>(s: S, x: S::F, act: Activation) -> S::F {
    match act {
        Activation::None => x,
        Activation::Gelu => {
            let half = s.mul(x, s.splat(0.5));
            s.mul_add(half, erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2))), half)
        }
        Activation::GeluTanh => gelu_tanh(s, x),
        Activation::Silu => silu(s, x),
        Activation::Tanh => tanh(s, x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::{Kernel, LANES, with_every_set};
    use crate::kernels;

    struct Apply([f32; LANES], Option<Activation>);

    impl Kernel for Apply {
        type Output = [f32; LANES];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> [f32; LANES] {
            let x = s.load(&self.0);
            let mut out = [0.0; LANES];
            s.store(if let Some(act) = self.1 { activate(s, x, act) } else { exp(s, x) }, &mut out);
            out
        }
    }

    /// Every multiple of 1/256 in -100..100.
    fn inputs() -> impl Iterator<Item = [f32; LANES]> {
        (0..3200).map(|i| std::array::from_fn(|j| (i * 16 + j as i32 - 25_600) as f32 / 256.0))
    }

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        for x in inputs() {
            for (_, got) in with_every_set(|| Apply(x, None)) {
                for (x, got) in x.into_iter().zip(got) {
                    let expected = f64::from(x.clamp(-87.0, 88.0)).exp();
                    let error = (f64::from(got) - expected).abs() / expected;
                    assert!(error < 2.4e-7, "exp({x}) = {got}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn activations_are_exact_to_a_millionth() {
        for act in [Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Tanh] {
            for x in inputs() {
                for (set, got) in with_every_set(|| Apply(x, Some(act))) {
                    for (x, got) in x.into_iter().zip(got) {
                        let expected = kernels::activate(f64::from(x), act);
                        let error = (got - expected).abs() / x.abs().max(1.0);
                        assert!(error < 5e-7, "{act:?}({x}) = {got}, not {expected} with {set}");
                    }
                }
            }
        }
    }
}
