//! Rotary position embedding (Su et al., 2021).

use crate::{Rope, RopeStyle};

/// Turns pair `i` of every head of row `r` by the angle `(first_pos + r) * base^(-2i/head_dim) / divisor[i]`:
/// `(a, b) -> magnitude * (a cos - b sin, a sin + b cos)`; `x, out: [n, width]`.
pub(crate) fn rope(x: &[f32], p: &Rope, width: usize, out: &mut [f32]) {
    assert!(x.len() == out.len() && width.is_multiple_of(p.head_dim) && p.head_dim.is_multiple_of(2));
    let n_pairs = p.head_dim / 2;
    let (speeds, magnitude) = (p.speeds(), p.magnitude());
    for (row, (out, x)) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)).enumerate() {
        for (i, speed) in speeds.iter().enumerate() {
            let (sin, cos) = ((p.first_pos + row) as f64 * speed).sin_cos();
            let (sin, cos) = (magnitude * sin, magnitude * cos);
            let (first, second) = match p.style {
                RopeStyle::Interleaved => (2 * i, 2 * i + 1),
                RopeStyle::Half => (i, i + n_pairs),
            };
            for head in (0..width).step_by(p.head_dim) {
                let (a, b) = (f64::from(x[head + first]), f64::from(x[head + second]));
                out[head + first] = (a * cos - b * sin) as f32;
                out[head + second] = (a * sin + b * cos) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RopeScaling;

    #[test]
    fn position_zero_turns_nothing_and_styles_pair_differently() {
        let x = [1.0, 2.0, 3.0, 4.0, 1.0, 0.0, 0.0, 0.0];
        let (sin, cos) = 1f32.sin_cos();
        let cases = [(RopeStyle::Interleaved, [cos, sin, 0.0, 0.0]), (RopeStyle::Half, [cos, 0.0, sin, 0.0])];
        for (style, expected) in cases {
            let mut out = [0.0; 8];
            let p = Rope { first_pos: 0, head_dim: 4, base: 10_000.0, style, scaling: None };
            rope(&x, &p, 4, &mut out);
            assert_eq!(out[..4], x[..4]);
            assert_eq!(out[4..], expected, "{style:?}");
        }
    }

    #[test]
    fn later_pairs_turn_slower() {
        let mut out = [0.0; 4];
        let style = RopeStyle::Interleaved;
        let p = Rope { first_pos: 100, head_dim: 4, base: 10_000.0, style, scaling: None };
        rope(&[1.0, 0.0, 1.0, 0.0], &p, 4, &mut out);
        assert!((out[2] - 1f32.cos()).abs() < 1e-6 && (out[3] - 1f32.sin()).abs() < 1e-6);
        // Half as fast, and three times as long.
        let scaling = Some(RopeScaling::new(vec![1.0, 2.0], 3.0));
        rope(&[1.0, 0.0, 1.0, 0.0], &Rope { scaling, ..p }, 4, &mut out);
        assert!((out[2] - 3.0 * 0.5f32.cos()).abs() < 1e-6 && (out[3] - 3.0 * 0.5f32.sin()).abs() < 1e-6);
    }
}
