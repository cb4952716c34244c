//! Bidirectional multi-head attention (Vaswani et al., 2017) over a ragged batch.

/// Sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FullParams {
    /// Heads.
    pub(crate) n_heads: usize,
    /// Elements of a head.
    pub(crate) head_dim: usize,
    /// Factor on the scores.
    pub(crate) scale: f32,
}

/// `q, k, v, out: [sum(lengths), n_heads * head_dim]`:
/// `out[i] = softmax_j(scale * q[i] . k[j]) . v`, `j` over the rows of `i`'s sequence, per head.
pub(crate) fn attention_full(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    lengths: &[u32],
    p: &FullParams,
    out: &mut [f32],
) {
    let width = p.n_heads * p.head_dim;
    let n_rows: usize = lengths.iter().map(|len| *len as usize).sum();
    assert!(q.len() == n_rows * width && k.len() == q.len() && v.len() == q.len() && out.len() == q.len());
    let mut first = 0;
    for len in lengths {
        let rows = first..first + *len as usize;
        for row in rows.clone() {
            for head in 0..p.n_heads {
                let at = |row: usize| row * width + head * p.head_dim;
                let scores = rows.clone().map(|other| {
                    let (q, k) = (&q[at(row)..][..p.head_dim], &k[at(other)..][..p.head_dim]);
                    q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>()
                        * f64::from(p.scale)
                });
                let weights = softmax(scores.collect());
                for i in 0..p.head_dim {
                    let terms = rows.clone().zip(&weights).map(|(other, w)| w * f64::from(v[at(other) + i]));
                    out[at(row) + i] = terms.sum::<f64>() as f32;
                }
            }
        }
        first = rows.end;
    }
}

/// `exp(x[i] - max) / sum_j exp(x[j] - max)`.
pub(super) fn softmax(mut scores: Vec<f64>) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|s| *s = (*s - max).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{CausalParams, attention_causal};

    #[test]
    fn equal_scores_average_the_values_of_the_own_sequence_only() {
        let (q, k) = ([0.0; 6], [1.0; 6]);
        let v = [1.0, 10.0, 3.0, 30.0, 7.0, 70.0];
        let mut out = [0.0; 6];
        let p = FullParams { n_heads: 2, head_dim: 1, scale: 1.0 };
        attention_full(&q, &k, &v, &[2, 1], &p, &mut out);
        assert_eq!(out, [2.0, 20.0, 2.0, 20.0, 7.0, 70.0]);
    }

    #[test]
    fn a_causal_row_sees_the_past_and_itself_and_heads_share_keys_in_groups() {
        let (q, keys) = ([0.0; 4], [1.0; 3]);
        let values = [1.0, 3.0, 8.0];
        let mut out = [0.0; 4];
        let p = CausalParams {
            first_pos: 1,
            n_heads: 2,
            n_kv_heads: 1,
            head_dim: 1,
            scale: 1.0,
            window: None,
            soft_cap: None,
            n_seen: None,
            bias: None,
        };
        attention_causal(&q, &keys, &values, &p, &mut out);
        assert_eq!(out, [2.0, 2.0, 4.0, 4.0]);
        attention_causal(&q, &keys, &values, &CausalParams { window: Some(2), ..p }, &mut out);
        assert_eq!(out, [2.0, 2.0, 5.5, 5.5]);
    }

    #[test]
    fn the_scale_weighs_the_scores() {
        let mut out = [0.0];
        let p = CausalParams {
            first_pos: 1,
            n_heads: 1,
            n_kv_heads: 1,
            head_dim: 1,
            scale: 0.5,
            window: None,
            soft_cap: None,
            n_seen: None,
            bias: None,
        };
        // scores 0 and 0.5 * 2 ln 3 = ln 3: weights 1/4 and 3/4
        attention_causal(&[1.0], &[0.0, 2.0 * 3f32.ln()], &[0.0, 4.0], &p, &mut out);
        assert!((out[0] - 3.0).abs() < 1e-6);
    }
}
