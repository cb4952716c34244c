//! Layer normalisation (Ba et al., 2016).

/// `out = (x - mean) / sqrt(var + eps) * gamma + beta` per row, with the biased variance;
/// `x, out: [n, width]`, `gamma, beta: [width]`.
pub(crate) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    let width = gamma.len();
    assert!(beta.len() == width && x.len() == out.len() && x.len().is_multiple_of(width));
    for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / width as f64;
        let var = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / width as f64;
        let factor = 1.0 / (var + f64::from(eps)).sqrt();
        for i in 0..width {
            out[i] = ((f64::from(x[i]) - mean) * factor * f64::from(gamma[i]) + f64::from(beta[i])) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::layer_norm;

    #[test]
    fn rows_are_centred_and_scaled() {
        let mut out = [0.0; 4];
        layer_norm(&[1.0, 3.0, -5.0, -5.0], &[2.0, 1.0], &[0.5, 0.0], 0.0, &mut out);
        assert_eq!(out[..2], [-1.5, 1.0]);
        assert!(out[2].is_nan(), "without eps a constant row is 0/0");
        layer_norm(&[-5.0, -5.0], &[2.0, 1.0], &[0.5, 0.0], 1e-12, &mut out[..2]);
        assert_eq!(out[..2], [0.5, 0.0]);
    }
}
