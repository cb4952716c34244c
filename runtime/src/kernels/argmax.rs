//! Index of each row's largest element.

/// `x: [n, width]` -> `out: [n]`, the first index of each row's largest element, as a number.
/// NaN is never the largest; a row of NaN gives 0.
pub(crate) fn argmax(x: &[f32], width: usize, out: &mut [f32]) {
    assert_eq!(x.len(), width * out.len());
    for (out, row) in out.iter_mut().zip(x.chunks_exact(width)) {
        let (mut best_idx, mut best) = (0, f32::NEG_INFINITY);
        for (idx, value) in row.iter().enumerate() {
            if *value > best {
                (best_idx, best) = (idx, *value);
            }
        }
        *out = best_idx as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::argmax;

    #[test]
    fn the_first_of_equal_elements_wins_and_nan_never_does() {
        let nan = f32::NAN;
        let cases: [(&[f32], f32); 5] = [
            (&[1.0, 3.0, 3.0], 1.0),
            (&[-2.0, -1.0, -3.0], 1.0),
            (&[nan, 1.0, nan], 1.0),
            (&[nan, nan, nan], 0.0),
            (&[f32::NEG_INFINITY, f32::INFINITY, 0.0], 1.0),
        ];
        for (row, expected) in cases {
            let mut out = [9.0];
            argmax(row, 3, &mut out);
            assert_eq!(out[0], expected, "{row:?}");
        }
    }
}
