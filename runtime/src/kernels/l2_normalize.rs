//! Unit vectors.

/// Lengths below this count as this, as in PyTorch's `normalize`.
pub(crate) const MIN_LENGTH: f64 = 1e-12;

/// `out[i] = x[i] / max(|x[i]|, 1e-12)` per row; `x, out: [n, width]`.
pub(crate) fn l2_normalize(x: &[f32], width: usize, out: &mut [f32]) {
    assert_eq!(x.len(), out.len());
    for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let length = x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt().max(MIN_LENGTH);
        for (out, x) in out.iter_mut().zip(x) {
            *out = (f64::from(*x) / length) as f32;
        }
    }
}
