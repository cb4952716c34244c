//! Linear layers: with exact activations, and with activations in 8 bits as llama.cpp has them.

use half::f16;

use crate::Activation;
use crate::op::{GROUP, Rows};

/// `out = act(x * weight^T + bias)`; `x: [n, n_in]`, `weight: [n_out, n_in]` in f32 (dequantised),
/// `bias: [n_out]`, `out: [n, n_out]`.
pub(crate) fn linear(x: &[f32], weight: &[f32], bias: Option<&[f32]>, act: Activation, n_in: usize, out: &mut [f32]) {
    let n_out = weight.len() / n_in;
    assert!(x.len() / n_in * n_out == out.len() && bias.is_none_or(|bias| bias.len() == n_out));
    for (out, x) in out.chunks_exact_mut(n_out).zip(x.chunks_exact(n_in)) {
        for (i, (out, w)) in out.iter_mut().zip(weight.chunks_exact(n_in)).enumerate() {
            let dot: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            *out = activate(dot + bias.map_or(0.0, |bias| f64::from(bias[i])), act);
        }
    }
}

/// As [`linear`], with quantised `weight` and with `x` rounded to 8-bit groups first
/// ([`quantize_activations`]); dots within a group are exact integers.
pub(crate) fn linear_int8(x: &[f32], weight: Rows<'_>, bias: Option<&[f32]>, act: Activation, n_in: usize, out: &mut [f32]) {
    let n_out = weight.n_elements() / n_in;
    assert!(n_in % GROUP == 0 && x.len() / n_in * n_out == out.len());
    for (out, x) in out.chunks_exact_mut(n_out).zip(x.chunks_exact(n_in)) {
        let x: Vec<_> = x.as_chunks::<GROUP>().0.iter().map(quantize_activations).collect();
        for (i, out) in out.iter_mut().enumerate() {
            let first = i * x.len();
            let dot: f64 = x.iter().enumerate().map(|(g, x)| group_dot(x, weight, first + g)).sum();
            *out = activate(dot + bias.map_or(0.0, |bias| f64::from(bias[i])), act);
        }
    }
}

/// 32 activations in 8 bits, as llama.cpp's `Q8_0` and `Q8_1` blocks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActivationGroup {
    /// `round(x / d)`, ties to even, in `-127..=127`.
    pub(crate) quants: [i8; GROUP],
    /// `d = max|x| / 127`, rounded to f16.
    pub(crate) scale: f32,
    /// `d * sum(quants)`, rounded to f16 (with `d` before its own rounding).
    pub(crate) sum: f32,
}

/// Rounds 32 activations to 8 bits. The quotient is taken as `x * (127 / max|x|)` with ties to even,
/// as llama.cpp's AVX2 and NEON code does (its scalar reference rounds ties away from zero).
pub(crate) fn quantize_activations(x: &[f32; GROUP]) -> ActivationGroup {
    let max = x.iter().fold(0f32, |max, x| max.max(x.abs()));
    let scale = max / 127.0;
    let inverse = if max == 0.0 { 0.0 } else { 127.0 / max };
    let quants = x.map(|x| (x * inverse).round_ties_even() as i8);
    let sum: i32 = quants.iter().map(|q| i32::from(*q)).sum();
    let half = |x: f32| f16::from_f32(x).to_f32();
    ActivationGroup { quants, scale: half(scale), sum: half(scale * sum as f32) }
}

fn group_dot(x: &ActivationGroup, weight: Rows<'_>, g: usize) -> f64 {
    let half = |bits: u16| f64::from(f16::from_bits(bits).to_f32());
    let int_dot = |w: &mut dyn Iterator<Item = i32>| -> f64 {
        f64::from(x.quants.iter().zip(w).map(|(x, w)| i32::from(*x) * w).sum::<i32>())
    };
    match weight {
        Rows::Q8 { scales, quants } => {
            let dot = int_dot(&mut quants[g * GROUP..][..GROUP].iter().map(|q| i32::from(*q)));
            dot * f64::from(x.scale) * half(scales[g])
        }
        Rows::Q4 { scales, mins, quants } => {
            let quants = &quants[g * GROUP / 2..][..GROUP / 2];
            let (low, high) = (quants.iter().map(|q| q & 15), quants.iter().map(|q| q >> 4));
            let dot = int_dot(&mut low.chain(high).map(i32::from));
            dot * f64::from(x.scale) * half(scales[g]) + f64::from(x.sum) * half(mins[g])
        }
        Rows::F32(_) | Rows::F16(_) => unreachable!("only quantised weights have groups"),
    }
}

/// The activation function, computed in f64.
pub(crate) fn activate(x: f64, act: Activation) -> f32 {
    let y = match act {
        Activation::None => x,
        Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::Silu => x / (1.0 + (-x).exp()),
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

    #[test]
    fn activations_round_to_even_and_keep_their_sum() {
        let mut x = [0.0; GROUP];
        (x[0], x[1], x[2], x[3]) = (127.0, 0.5, 1.5, -2.5);
        let group = quantize_activations(&x);
        assert_eq!(group.quants[..4], [127, 0, 2, -2]);
        assert_eq!((group.scale, group.sum), (1.0, 127.0));
        let zero = ActivationGroup { quants: [0; GROUP], scale: 0.0, sum: 0.0 };
        assert_eq!(quantize_activations(&[0.0; GROUP]), zero);
    }

    #[test]
    fn int8_is_exact_where_activations_are_whole_numbers() {
        let x: Vec<f32> = (0..32).map(|i| if i == 0 { 127.0 } else { i as f32 }).collect();
        let quants: Vec<u8> = (0..16).map(|i| i | i << 4).collect();
        let one = f16::ONE.to_bits();
        let weight = Rows::Q4 { scales: &[one], mins: &[f16::from_f32(-8.0).to_bits()], quants: &quants };
        let mut exact = [0.0];
        linear(&x, &crate::kernels::dequantize(weight), None, Activation::None, 32, &mut exact);
        let mut int8 = [0.0];
        linear_int8(&x, weight, None, Activation::None, 32, &mut int8);
        // The sum 623 is rounded to f16 (spacing 0.5 there, so exactly held): nothing is lost.
        assert_eq!(exact, int8);
    }
}
