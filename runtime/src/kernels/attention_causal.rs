//! Causal grouped-query attention over a cache.

use super::soft_cap;
use std::ops::Range;

/// Sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CausalParams<'a> {
    /// Position of query row 0.
    pub(crate) first_pos: usize,
    /// Query heads.
    pub(crate) n_heads: usize,
    /// Key and value heads; query head `h` uses head `h / group()`.
    pub(crate) n_kv_heads: usize,
    /// Elements of a head.
    pub(crate) head_dim: usize,
    /// Factor on the scores.
    pub(crate) scale: f32,
    /// Positions that a row sees at most.
    pub(crate) window: Option<usize>,
    /// Cap of the scaled scores.
    pub(crate) soft_cap: Option<f32>,
    /// What every row sees, whatever its position is.
    pub(crate) n_seen: Option<usize>,
    /// `[n_heads, 2 * span - 1]`: added to the scaled scores by the distance from query to key.
    pub(crate) bias: Option<&'a [f32]>,
}

impl<'a> CausalParams<'a> {
    /// Query heads that share a key head.
    pub(crate) fn group(&self) -> usize {
        self.n_heads / self.n_kv_heads
    }

    /// The positions that row `row` sees.
    pub(crate) fn seen(&self, row: usize) -> Range<usize> {
        let end = self.n_seen.unwrap_or(self.first_pos + row + 1);
        self.window.map_or(0, |window| end.saturating_sub(window))..end
    }

    /// The biases of a head from row `row` to the positions `keys`.
    pub(crate) fn biases(&self, head: usize, row: usize, keys: Range<usize>) -> Option<&'a [f32]> {
        let bias = self.bias?;
        let n_distances = bias.len() / self.n_heads;
        let first = head * n_distances + n_distances / 2 + keys.start - (self.first_pos + row);
        Some(&bias[first..][..keys.len()])
    }
}

/// `q, out: [n, n_heads * head_dim]`, `keys, values: [>= first_pos + n, n_kv_heads * head_dim]`:
/// `out[i] = softmax_j(cap(scale * q[i] . keys[j])) . values`, `j` in `0..=first_pos + i` or the last
/// `window` of these, per head; or in `0..n_seen` for every row. Biases are added to capped scores.
pub(crate) fn attention_causal(
    q: &[f32],
    keys: &[f32],
    values: &[f32],
    p: &CausalParams<'_>,
    out: &mut [f32],
) {
    let (q_width, kv_width) = (p.n_heads * p.head_dim, p.n_kv_heads * p.head_dim);
    let n_rows = q.len() / q_width;
    assert!(q.len() == out.len() && keys.len() >= p.seen(n_rows - 1).end * kv_width);
    assert_eq!(keys.len(), values.len());
    for row in 0..n_rows {
        let seen = p.seen(row);
        for head in 0..p.n_heads {
            let at = row * q_width + head * p.head_dim;
            let kv_at = head / p.group() * p.head_dim;
            let kv = |cache: &[f32], pos: usize, i: usize| f64::from(cache[pos * kv_width + kv_at + i]);
            let scores = seen.clone().map(|pos| {
                let dot: f64 = (0..p.head_dim).map(|i| f64::from(q[at + i]) * kv(keys, pos, i)).sum();
                let bias = p.biases(head, row, pos..pos + 1).map_or(0.0, |bias| f64::from(bias[0]));
                soft_cap(dot * f64::from(p.scale), p.soft_cap) + bias
            });
            let weights = super::attention_full::softmax(scores.collect());
            for i in 0..p.head_dim {
                let terms = seen.clone().zip(&weights).map(|(pos, weight)| weight * kv(values, pos, i));
                out[at + i] = terms.sum::<f64>() as f32;
            }
        }
    }
}
