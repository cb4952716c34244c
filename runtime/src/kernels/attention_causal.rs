//! Causal grouped-query attention over a cache.

use super::soft_cap;

/// Sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CausalParams {
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
}

impl CausalParams {
    /// Query heads that share a key head.
    pub(crate) fn group(&self) -> usize {
        self.n_heads / self.n_kv_heads
    }

    /// First position that a row at `pos` sees.
    pub(crate) fn first_seen(&self, pos: usize) -> usize {
        self.window.map_or(0, |window| (pos + 1).saturating_sub(window))
    }
}

/// `q, out: [n, n_heads * head_dim]`, `keys, values: [>= first_pos + n, n_kv_heads * head_dim]`:
/// `out[i] = softmax_j(cap(scale * q[i] . keys[j])) . values`, `j` in `0..=first_pos + i` or the last
/// `window` of these, per head.
pub(crate) fn attention_causal(q: &[f32], keys: &[f32], values: &[f32], p: &CausalParams, out: &mut [f32]) {
    let (q_width, kv_width) = (p.n_heads * p.head_dim, p.n_kv_heads * p.head_dim);
    let n_rows = q.len() / q_width;
    assert!(q.len() == out.len() && keys.len() >= (p.first_pos + n_rows) * kv_width);
    assert_eq!(keys.len(), values.len());
    for row in 0..n_rows {
        let seen = p.first_seen(p.first_pos + row)..p.first_pos + row + 1;
        for head in 0..p.n_heads {
            let at = row * q_width + head * p.head_dim;
            let kv_at = head / p.group() * p.head_dim;
            let kv = |cache: &[f32], pos: usize, i: usize| f64::from(cache[pos * kv_width + kv_at + i]);
            let scores = seen.clone().map(|pos| {
                let dot: f64 = (0..p.head_dim).map(|i| f64::from(q[at + i]) * kv(keys, pos, i)).sum();
                soft_cap(dot * f64::from(p.scale), p.soft_cap)
            });
            let weights = super::attention_full::softmax(scores.collect());
            for i in 0..p.head_dim {
                let terms = seen.clone().zip(&weights).map(|(pos, weight)| weight * kv(values, pos, i));
                out[at + i] = terms.sum::<f64>() as f32;
            }
        }
    }
}
