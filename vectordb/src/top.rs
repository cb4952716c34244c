//! The best k of a stream of hits.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::{ChunkId, Hit};

/// Keeps the `k` hits of largest score; equal scores go to the smaller id, so that results do not
/// depend on the order of scanning.
pub(crate) struct Top {
    k: usize,
    /// The worst kept hit on top.
    heap: BinaryHeap<Worst>,
}

/// More rows than this are never asked for by a person or a prompt: bounds what a search allocates.
const MAX_K: usize = 10_000;

#[derive(PartialEq)]
struct Worst {
    score: f32,
    id: u64,
}

impl Eq for Worst {}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.id.cmp(&other.id))
    }
}

impl Top {
    pub(crate) fn new(k: usize) -> Self {
        Self { k: k.min(MAX_K), heap: BinaryHeap::new() }
    }

    /// Offers a hit whose id is found only if it is good enough.
    #[inline]
    pub(crate) fn offer(&mut self, score: f32, id: impl FnOnce() -> u64) {
        if self.heap.len() < self.k {
            self.heap.push(Worst { score, id: id() });
        } else if let Some(mut worst) = self.heap.peek_mut()
            && score >= worst.score
        {
            let offered = Worst { score, id: id() };
            if offered < *worst {
                *worst = offered;
            }
        }
    }

    /// The kept hits, best first.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        let best_first = self.heap.into_sorted_vec();
        best_first.into_iter().map(|Worst { score, id }| Hit { chunk: ChunkId(id), score }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_a_full_sort_keeps() {
        let scores: Vec<f32> = (0..200u64).map(|i| ((i * 7919) % 40) as f32).collect();
        for k in [0, 1, 3, 39, 200, 500] {
            let mut top = Top::new(k);
            for (id, &score) in (0..).zip(&scores) {
                top.offer(score, || id);
            }
            let mut expected: Vec<(f32, u64)> = scores.iter().copied().zip(0..).collect();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            expected.truncate(k);
            let got: Vec<(f32, u64)> = top.into_hits().iter().map(|h| (h.score, h.chunk.0)).collect();
            assert_eq!(got, expected);
        }
    }
}
