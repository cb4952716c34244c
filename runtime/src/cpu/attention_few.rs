//! Causal attention of few rows over a long cache, as decoding has it.
//!
//! Threads take pieces of the positions of a key head (Dao et al., Flash-Decoding, 2023), which are then
//! put together. Keys and values of a piece are read once for all query heads that share them.

use super::attention::weigh;
use super::cache::CacheRows;
use super::simd::{Kernel, LANES, Simd, dispatch};
use crate::kernels::CausalParams;

/// Rows up to which this is faster than putting keys and values into panels.
pub(super) const MAX_FEW_ROWS: usize = 3;

/// Positions of a piece, at least: keys and values of a head of 64 elements are 128 KiB.
const MIN_PIECE: usize = 256;
/// Pieces of a head, at most.
const MAX_PIECES: usize = 16;
/// Multiply-adds from which threads share them; some 5 microseconds.
const MIN_SHARED_WORK: usize = 1 << 17;

/// See `kernels::attention_causal`; `keys` and `values` hold at least `first_pos + n` positions, divided
/// among the key heads.
///
/// What the pieces are depends on the number of positions alone, and so does the result.
pub(super) fn attention_few(
    q: &[f32],
    keys: &CacheRows,
    values: &CacheRows,
    p: &CausalParams<'_>,
    out: &mut [f32],
) {
    let n_rows = q.len() / (p.n_heads * p.head_dim);
    let n_keys = p.seen(n_rows - 1).end;
    let piece_len = n_keys.div_ceil(MAX_PIECES).max(MIN_PIECE);
    let n_pieces = n_keys.div_ceil(piece_len);
    let query_len = p.head_dim + 2;
    let part_len = n_rows * p.group() * query_len;
    let mut parts = vec![0.0; p.n_kv_heads * n_pieces * part_len];
    let run = |idx: usize, out: &mut [f32]| {
        let (kv_head, first_key) = (idx / n_pieces, idx % n_pieces * piece_len);
        let first = first_key * p.head_dim;
        let (keys, values) = (&keys.head(kv_head)[first..], &values.head(kv_head)[first..]);
        dispatch(Part { q, keys, values, p, kv_head, first_key, piece_len, out });
    };
    if q.len() * n_keys < MIN_SHARED_WORK {
        parts.chunks_mut(part_len).enumerate().for_each(|(idx, out)| run(idx, out));
    } else {
        platform::parallel_chunks_mut(&mut parts, part_len, run);
    }
    for (i, out) in out.chunks_exact_mut(p.head_dim).enumerate() {
        let (row, head) = (i / p.n_heads, i % p.n_heads);
        let (kv_head, member) = (head / p.group(), head % p.group());
        let first = kv_head * n_pieces * part_len + (row * p.group() + member) * query_len;
        let pieces = (0..n_pieces).map(|piece| &parts[first + piece * part_len..][..query_len]);
        put_together(pieces, out);
    }
}

/// `out = sum_p share_p values_p` of pieces `[max, sum, values..]`, with the shares
/// `exp(max_p - max) sum_p` as parts of their sum. A piece whose sum is 0 has seen nothing.
fn put_together<'a>(pieces: impl Iterator<Item = &'a [f32]> + Clone, out: &mut [f32]) {
    let pieces = pieces.filter(|piece| piece[1] != 0.0);
    let max = pieces.clone().fold(f32::NEG_INFINITY, |max, piece| max.max(piece[0]));
    let size = |piece: &[f32]| (piece[0] - max).exp() * piece[1];
    let sum: f32 = pieces.clone().map(size).sum();
    out.fill(0.0);
    for piece in pieces {
        let share = size(piece) / sum;
        out.iter_mut().zip(&piece[2..]).for_each(|(out, x)| *out += share * x);
    }
}

/// All queries of one key head over some positions.
struct Part<'a, 'o> {
    q: &'a [f32],
    /// The key head's rows from `first_key` on, `head_dim` elements each, like `values`.
    keys: &'a [f32],
    values: &'a [f32],
    p: &'a CausalParams<'a>,
    kv_head: usize,
    first_key: usize,
    piece_len: usize,
    /// For each row and each head of the group, zeroed: the largest score, the sum of the exponentials
    /// beside it, and `head_dim` means of values.
    out: &'o mut [f32],
}

impl Kernel for Part<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let n_queries = self.out.len() / (self.p.head_dim + 2);
        let mut scores = vec![0.0; 4 * self.piece_len];
        // Sums of a tile stay in registers.
        let large = if S::N_REGISTERS >= 32 { 4 } else { 3 };
        let mut first = 0;
        while first < n_queries {
            match (n_queries - first).min(large) {
                4 => {
                    self.tile::<S, 4>(s, first, &mut scores);
                    first += 4;
                }
                3 => {
                    self.tile::<S, 3>(s, first, &mut scores);
                    first += 3;
                }
                _ => {
                    self.tile::<S, 1>(s, first, &mut scores);
                    first += 1;
                }
            }
        }
    }
}

impl Part<'_, '_> {
    /// `H` queries from `first` on. A query is a row's head; rows see different numbers of positions, of
    /// which the scores beyond are dropped.
    #[inline(always)]
    fn tile<S: Simd, const H: usize>(&mut self, s: S, first: usize, scores: &mut [f32]) {
        let p = self.p;
        let (group, head_dim) = (p.group(), p.head_dim);
        let query = |h: usize| ((first + h) / group, (first + h) % group);
        let n_seen: [usize; H] = std::array::from_fn(|h| {
            p.seen(query(h).0).end.saturating_sub(self.first_key).min(self.piece_len)
        });
        let n_passed: [usize; H] =
            std::array::from_fn(|h| p.seen(query(h).0).start.saturating_sub(self.first_key).min(n_seen[h]));
        let n_keys = n_seen[H - 1];
        if n_passed[0] >= n_keys {
            return;
        }
        let q: [&[f32]; H] = std::array::from_fn(|h| {
            let (row, member) = query(h);
            &self.q[(row * p.n_heads + self.kv_head * group + member) * head_dim..][..head_dim]
        });
        dots(s, q, &self.keys[..n_keys * head_dim], scores);
        let mut ends = [(0.0, 0.0); H];
        for h in 0..H {
            let (seen, hidden) = scores[h * n_keys..][..n_keys].split_at_mut(n_seen[h]);
            let (passed, seen) = seen.split_at_mut(n_passed[h]);
            let (row, member) = query(h);
            let head = self.kv_head * group + member;
            ends[h] = weigh(s, seen, p, (head, row, self.first_key + n_passed[h]));
            passed.fill(0.0);
            hidden.fill(0.0);
        }
        let weights: [&[f32]; H] = std::array::from_fn(|h| &scores[h * n_keys..][..n_keys]);
        let out = &mut self.out[first * (head_dim + 2)..][..H * (head_dim + 2)];
        weighted_sums(s, weights, &self.values[..n_keys * head_dim], head_dim, out);
        for (out, (max, sum)) in out.chunks_exact_mut(head_dim + 2).zip(ends) {
            // What is not a number stays so.
            if sum != 0.0 {
                (out[0], out[1]) = (max, sum);
            }
        }
    }
}

/// `scores[h * n_keys + j] = q[h] . keys[j]`
#[inline(always)]
fn dots<S: Simd, const H: usize>(s: S, q: [&[f32]; H], keys: &[f32], scores: &mut [f32]) {
    let head_dim = q[0].len();
    let n_keys = keys.len() / head_dim;
    let n_vectors = head_dim / LANES;
    let vectors: [&[[f32; LANES]]; H] = std::array::from_fn(|h| q[h].as_chunks().0);
    let vectors: [&[[f32; LANES]]; H] = std::array::from_fn(|h| &vectors[h][..n_vectors]);
    for (j, key) in keys.chunks_exact(head_dim).enumerate() {
        let (key, key_rest) = key.as_chunks::<LANES>();
        let mut sums = [s.splat(0.0); H];
        if S::N_REGISTERS >= 8 {
            // Two chains, because a sum waits for the one before.
            let mut odd = [s.splat(0.0); H];
            let (pairs, last) = key.as_chunks::<2>();
            for (i, [a, b]) in pairs.iter().enumerate() {
                let (a, b) = (s.load(a), s.load(b));
                for h in 0..H {
                    sums[h] = s.mul_add(s.load(&vectors[h][2 * i]), a, sums[h]);
                    odd[h] = s.mul_add(s.load(&vectors[h][2 * i + 1]), b, odd[h]);
                }
            }
            if let [last] = last {
                let last = s.load(last);
                for h in 0..H {
                    sums[h] = s.mul_add(s.load(&vectors[h][n_vectors - 1]), last, sums[h]);
                }
            }
            for h in 0..H {
                sums[h] = s.add(sums[h], odd[h]);
            }
        } else {
            for (i, key) in key.iter().enumerate().take(n_vectors) {
                let key = s.load(key);
                for h in 0..H {
                    sums[h] = s.mul_add(s.load(&vectors[h][i]), key, sums[h]);
                }
            }
        }
        for h in 0..H {
            let rest = q[h][n_vectors * LANES..].iter().zip(key_rest);
            let rest: f32 = rest.map(|(q, key)| q * key).sum();
            scores[h * n_keys + j] = s.sum(sums[h]) + rest;
        }
    }
}

/// `out[h][2..] = sum_j weights[h][j] * values[j]`
#[inline(always)]
fn weighted_sums<S: Simd, const H: usize>(
    s: S,
    weights: [&[f32]; H],
    values: &[f32],
    head_dim: usize,
    out: &mut [f32],
) {
    let mut column = 0;
    if S::N_REGISTERS >= 32 {
        while column + 4 * LANES <= head_dim {
            sum_columns::<S, H, 4>(s, weights, values, column, out);
            column += 4 * LANES;
        }
    }
    while column + LANES <= head_dim {
        sum_columns::<S, H, 1>(s, weights, values, column, out);
        column += LANES;
    }
    for (out, weights) in out.chunks_exact_mut(head_dim + 2).zip(weights) {
        for (column, out) in out[2..].iter_mut().enumerate().skip(column) {
            *out = weights.iter().zip(values.chunks_exact(head_dim)).map(|(w, row)| w * row[column]).sum();
        }
    }
}

/// `16 N` columns from `column` on.
#[inline(always)]
fn sum_columns<S: Simd, const H: usize, const N: usize>(
    s: S,
    weights: [&[f32]; H],
    values: &[f32],
    column: usize,
    out: &mut [f32],
) {
    let out_len = out.len() / H;
    let n_keys = weights[0].len();
    let weights: [&[f32]; H] = std::array::from_fn(|h| &weights[h][..n_keys]);
    let mut acc = [[s.splat(0.0); N]; H];
    for (j, row) in values.chunks_exact(values.len() / n_keys).enumerate() {
        let row = row[column..].as_chunks::<LANES>().0;
        let row: &[[f32; LANES]; N] = row.first_chunk().expect("a row has these columns");
        for h in 0..H {
            let w = s.splat(weights[h][j]);
            for n in 0..N {
                acc[h][n] = s.mul_add(w, s.load(&row[n]), acc[h][n]);
            }
        }
    }
    for h in 0..H {
        let out = out[h * out_len + 2 + column..].as_chunks_mut::<LANES>().0;
        for n in 0..N {
            s.store(acc[h][n], &mut out[n]);
        }
    }
}
