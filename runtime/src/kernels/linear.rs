//! Linear layers.

use crate::Activation;

/// `out = act(x * weight^T + bias)`; `x: [n, n_in]`, `weight: [n_out, n_in]` in f32 (dequantised),
/// `bias: [n_out]`, `out: [n, n_out]`.
pub(crate) fn linear(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    act: Activation,
    n_in: usize,
    out: &mut [f32],
) {
    let n_out = weight.len() / n_in;
    assert!(x.len() / n_in * n_out == out.len() && bias.is_none_or(|bias| bias.len() == n_out));
    for (out, x) in out.chunks_exact_mut(n_out).zip(x.chunks_exact(n_in)) {
        for (i, (out, w)) in out.iter_mut().zip(weight.chunks_exact(n_in)).enumerate() {
            let dot: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            *out = activate(dot + bias.map_or(0.0, |bias| f64::from(bias[i])), act);
        }
    }
}

/// The activation function, computed in f64.
pub(crate) fn activate(x: f64, act: Activation) -> f32 {
    let y = match act {
        Activation::None => x,
        Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
    };
    y as f32
}

/// The error function, to about 1e-15: Maclaurin series up to 3, Lentz's continued fraction of erfc
/// beyond (Abramowitz and Stegun 7.1.5 and 7.1.14).
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..120 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return x.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = a;
    for n in (1..80).rev() {
        fraction = a + 0.5 * f64::from(n) / fraction;
    }
    x.signum() * (1.0 - (-a * a).exp() / fraction * 0.5 * std::f64::consts::FRAC_2_SQRT_PI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_matches_published_digits() {
        // Abramowitz and Stegun, table 7.1, and erfc(4).
        let digits = [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)];
        for (x, expected) in digits {
            assert!((erf(x) - expected).abs() < 1e-10 && (erf(-x) + expected).abs() < 1e-10, "{x}");
        }
        assert!((1.0 - erf(4.0) - 1.541_725_790_028e-8).abs() < 1e-15);
        assert!((erf(2.999_999_9) - erf(3.000_000_1)).abs() < 1e-9, "the two branches meet");
    }
}
