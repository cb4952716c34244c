//! The mean of each sequence's rows.

/// `x: [sum(lengths), width]` -> `out: [n_sequences, width]`; no length is 0.
pub(crate) fn mean_pool(x: &[f32], lengths: &[u32], width: usize, out: &mut [f32]) {
    assert_eq!(out.len(), lengths.len() * width);
    let mut rows = x.chunks_exact(width);
    for (out, len) in out.chunks_exact_mut(width).zip(lengths) {
        let mut sums = vec![0f64; width];
        for row in rows.by_ref().take(*len as usize) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum / f64::from(*len)) as f32);
    }
    assert_eq!(rows.len(), 0);
}

#[cfg(test)]
mod tests {
    use crate::kernels::{cls_pool, l2_normalize, mean_pool};

    #[test]
    fn sequences_are_pooled_apart() {
        let x = [1.0, 2.0, 3.0, 4.0, 3.0, -4.0];
        let mut out = [0.0; 4];
        mean_pool(&x, &[2, 1], 2, &mut out);
        assert_eq!(out, [2.0, 3.0, 3.0, -4.0]);
        cls_pool(&x, &[2, 1], 2, &mut out);
        assert_eq!(out, [1.0, 2.0, 3.0, -4.0]);
    }

    #[test]
    fn normalised_rows_have_length_one_and_zero_stays_zero() {
        let mut out = [9.0; 4];
        l2_normalize(&[3.0, -4.0, 0.0, 0.0], 2, &mut out);
        assert_eq!(out, [0.6, -0.8, 0.0, 0.0]);
    }
}
