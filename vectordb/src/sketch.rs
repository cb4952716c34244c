//! Sketches of sets that tell how much two sets overlap: MinHash by the smallest hashes (Broder 1997,
//! "On the resemblance and containment of documents").

/// Hashes of a sketch: an overlap is told with a standard deviation of at most .044, and of .027 at
/// .9; exactly for sets that have no more members.
const MAX_HASHES: usize = 128;

/// The smallest hashes of the members of a set, ascending, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sketch(Vec<u64>);

impl Sketch {
    /// Of members given by their hashes, in any order, repeated ones too.
    pub(crate) fn of(hashes: impl Iterator<Item = u64>) -> Self {
        let mut kept: Vec<u64> = Vec::with_capacity(4 * MAX_HASHES);
        let mut limit = u64::MAX;
        for hash in hashes.filter(|&hash| hash != u64::MAX) {
            if hash < limit {
                kept.push(hash);
                if kept.len() == 4 * MAX_HASHES {
                    limit = shorten(&mut kept).unwrap_or(limit);
                }
            }
        }
        shorten(&mut kept);
        kept.shrink_to_fit();
        Self(kept)
    }

    /// Members that both sets have, as a share of those that either has (Jaccard): 0 to 1.
    pub(crate) fn overlap(&self, other: &Self) -> f32 {
        let (mut a, mut b) = (self.0.as_slice(), other.0.as_slice());
        let (mut n_either, mut n_both) = (0, 0);
        while n_either < MAX_HASHES && !(a.is_empty() && b.is_empty()) {
            let first = |hashes: &[u64]| hashes.first().copied().unwrap_or(u64::MAX);
            let (head_a, head_b) = (first(a), first(b));
            n_either += 1;
            n_both += usize::from(head_a == head_b);
            a = &a[usize::from(head_a <= head_b)..];
            b = &b[usize::from(head_b <= head_a)..];
        }
        if n_either == 0 { 0.0 } else { n_both as f32 / n_either as f32 }
    }
}

/// Keeps the smallest hashes; gives the largest of them if there are as many as a sketch has.
fn shorten(hashes: &mut Vec<u64>) -> Option<u64> {
    hashes.sort_unstable();
    hashes.dedup();
    hashes.truncate(MAX_HASHES);
    hashes.get(MAX_HASHES - 1).copied()
}

/// A hash of which any bits are as good as others (the finaliser of SplitMix64).
pub(crate) fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn exact(a: &[u64], b: &[u64]) -> f32 {
        let [a, b] = [a, b].map(|set| set.iter().copied().collect::<BTreeSet<u64>>());
        a.intersection(&b).count() as f32 / a.union(&b).count() as f32
    }

    #[test]
    fn overlaps_are_those_of_the_sets() {
        for n in [1u64, 5, 64, 100, 1_000, 20_000] {
            for shift in [0, n / 20, n / 4, n / 2, n] {
                let a: Vec<u64> = (0..n).map(mixed).collect();
                let b: Vec<u64> = (shift..n + shift).rev().chain(shift..n + shift).map(mixed).collect();
                let told = Sketch::of(a.iter().copied()).overlap(&Sketch::of(b.iter().copied()));
                // Exact up to 128 members of both, else within four standard deviations.
                let tolerance = if n + shift <= 128 { 1e-6 } else { 4.0 * 0.044 };
                assert!((told - exact(&a, &b)).abs() <= tolerance, "{n} {shift}: {told}");
            }
        }
        assert_eq!(Sketch::of([].into_iter()).overlap(&Sketch::of([1].into_iter())), 0.0);
        assert_eq!(Sketch::default().overlap(&Sketch::default()), 0.0);
    }
}
