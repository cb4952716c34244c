//! RMS normalisation (Zhang and Sennrich, 2019).

/// `out = x / sqrt(mean(x^2) + eps) * gamma` per row; `x, out: [n, width]`, `gamma: [width]`.
pub(crate) fn rms_norm(x: &[f32], gamma: &[f32], eps: f32, out: &mut [f32]) {
    let width = gamma.len();
    assert!(x.len() == out.len() && x.len().is_multiple_of(width));
    for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let mean = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / width as f64;
        let factor = 1.0 / (mean + f64::from(eps)).sqrt();
        for i in 0..width {
            out[i] = (f64::from(x[i]) * factor * f64::from(gamma[i])) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rms_norm;

    #[test]
    fn rows_are_scaled_by_their_root_mean_square() {
        let mut out = [0.0; 4];
        rms_norm(&[7.0, 1.0], &[1.0, 10.0], 0.0, &mut out[..2]);
        assert_eq!(out[..2], [1.4, 2.0]);
        rms_norm(&[0.0, 0.0, 2.0, 2.0], &[1.0, 1.0], 12.0, &mut out);
        assert_eq!(out, [0.0, 0.0, 0.5, 0.5]);
    }
}
