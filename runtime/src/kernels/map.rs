//! Functions of single elements.

use crate::op::Map;

/// `out[i] = factor * x[i]`, or `cap * tanh(x[i] / cap)`; both of one length.
pub(crate) fn map(x: &[f32], map: Map, out: &mut [f32]) {
    assert_eq!(x.len(), out.len());
    for (out, x) in out.iter_mut().zip(x) {
        *out = match map {
            Map::Scale(factor) => factor * x,
            Map::SoftCap(cap) => soft_cap(f64::from(*x), Some(cap)) as f32,
        };
    }
}

/// `cap * tanh(x / cap)`; `x` where there is no cap.
pub(crate) fn soft_cap(x: f64, cap: Option<f32>) -> f64 {
    cap.map_or(x, |cap| f64::from(cap) * (x / f64::from(cap)).tanh())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_pass_a_cap_and_large_ones_do_not() {
        let mut out = [0.0; 3];
        map(&[0.01, -1e6, 50.0], Map::SoftCap(50.0), &mut out);
        assert!((out[0] - 0.01).abs() < 1e-8);
        assert_eq!(out[1], -50.0);
        assert!((f64::from(out[2]) - 50.0 * 1f64.tanh()).abs() < 1e-5);
        map(&[1.5, -2.0, 0.0], Map::Scale(2.0), &mut out);
        assert_eq!(out, [3.0, -4.0, 0.0]);
    }
}
