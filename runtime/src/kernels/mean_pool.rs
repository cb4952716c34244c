//! The mean of each range of rows.

use std::ops::Range;

/// `x: [n, width]` -> `out: [n_ranges, width]`; no range is empty.
pub(crate) fn mean_pool(x: &[f32], ranges: &[Range<u32>], width: usize, out: &mut [f32]) {
    assert_eq!(out.len(), ranges.len() * width);
    let mut sums = vec![0f64; width];
    for (out, range) in out.chunks_exact_mut(width).zip(ranges) {
        let rows = &x[range.start as usize * width..range.end as usize * width];
        sums.fill(0.0);
        for row in rows.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = (sum / range.len() as f64) as f32);
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::{l2_normalize, mean_pool};

    #[test]
    fn ranges_are_pooled_apart_and_may_overlap() {
        let x = [1.0, 2.0, 3.0, 4.0, 3.0, -4.0];
        let mut out = [0.0; 6];
        mean_pool(&x, &[0..2, 2..3, 1..3], 2, &mut out);
        assert_eq!(out, [2.0, 3.0, 3.0, -4.0, 3.0, 0.0]);
    }

    #[test]
    fn normalised_rows_have_length_one_and_zero_stays_zero() {
        let mut out = [9.0; 4];
        l2_normalize(&[3.0, -4.0, 0.0, 0.0], 2, &mut out);
        assert_eq!(out, [0.6, -0.8, 0.0, 0.0]);
    }
}
