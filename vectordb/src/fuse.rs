//! One ranking out of several.

use std::collections::HashMap;

use crate::{ChunkId, Hit};

/// Ranks beyond the first few count less: the usual constant of reciprocal rank fusion
/// (Cormack, Clarke, Büttcher 2009).
const RANK_CONSTANT: f32 = 60.0;

/// Fuses rankings, each with a weight, by weighted reciprocal ranks: a hit at 0-based rank r of a
/// leg with weight w adds `w / (60 + r + 1)`. The result has at most `k` hits, best first.
pub fn fuse(legs: &[(&[Hit], f32)], k: usize) -> Vec<Hit> {
    let mut scores: HashMap<ChunkId, f32> = HashMap::new();
    for (hits, weight) in legs {
        for (rank, hit) in hits.iter().enumerate() {
            *scores.entry(hit.chunk).or_default() += weight / (RANK_CONSTANT + rank as f32 + 1.0);
        }
    }
    let mut fused: Vec<Hit> = scores.into_iter().map(|(chunk, score)| Hit { chunk, score }).collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
    fused.truncate(k);
    fused
}
