//! Positions as T5 knows them: a bias on scores by the distance from query to key (Raffel et al., 2020, 2.1).

use crate::config::RelativeConfig;

impl RelativeConfig {
    /// The bias of every head and distance, `[n_heads, 2 * span - 1]` from `-(span - 1)` (a key before its
    /// query) on, of the learned biases `buckets: [n_buckets, n_heads]`. In an encoder keys behind a query
    /// have buckets of their own; in a decoder there are none.
    pub(crate) fn biases(self, buckets: &[f32], n_heads: usize, span: usize, is_encoder: bool) -> Vec<f32> {
        let distances = || (0..2 * span - 1).map(|i| i as i64 - (span as i64 - 1));
        let of_head = |head| distances().map(move |d| buckets[self.bucket(d, is_encoder) * n_heads + head]);
        (0..n_heads).flat_map(of_head).collect()
    }

    /// Half of the buckets are for one distance each, the others for ranges that widen as logarithms do.
    fn bucket(self, distance: i64, is_encoder: bool) -> usize {
        let (n, first, distance) = match is_encoder {
            true => {
                let n = self.n_buckets / 2;
                (n, if distance > 0 { n } else { 0 }, distance.unsigned_abs() as usize)
            }
            false => (self.n_buckets, 0, (-distance).max(0) as usize),
        };
        let n_exact = (n / 2).max(1);
        if distance < n_exact {
            return first + distance;
        }
        let share =
            (distance as f32 / n_exact as f32).ln() / (self.max_distance as f32 / n_exact as f32).ln();
        first + (n_exact + (share * (n - n_exact) as f32) as usize).min(n - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `T5Attention._relative_position_bucket(torch.arange(-140, 140, 20), .., 32, 128)` of transformers.
    #[test]
    fn buckets_are_those_of_transformers() {
        let c = RelativeConfig { n_buckets: 32, max_distance: 128 };
        let buckets = |is_encoder| (-7..7).map(|i| c.bucket(i * 20, is_encoder)).collect::<Vec<_>>();
        assert_eq!(buckets(true), [15, 15, 15, 14, 13, 12, 10, 0, 26, 28, 29, 30, 31, 31]);
        assert_eq!(buckets(false), [31, 31, 30, 28, 26, 23, 17, 0, 0, 0, 0, 0, 0, 0]);
        let biases = c.biases(&(0..64).map(|x| x as f32).collect::<Vec<_>>(), 2, 3, true);
        assert_eq!(biases, [4.0, 2.0, 0.0, 34.0, 36.0, 5.0, 3.0, 1.0, 35.0, 37.0]);
    }
}
