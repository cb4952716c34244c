//! A key or value cache: head after head, so that attention reads a head's past front to back.

use crate::kernels::kv_append;

/// `[n_heads][n_ctx][width / n_heads]`.
pub(super) struct CacheRows {
    n_ctx: usize,
    width: usize,
    /// What attention asks for; before the first one, all is one head.
    n_heads: usize,
    /// Positions that were written, or lie before one that was.
    n_used: usize,
    values: Vec<f32>,
}

impl CacheRows {
    pub(super) fn zeroed(n_ctx: usize, width: usize) -> Self {
        Self { n_ctx, width, n_heads: 1, n_used: 0, values: vec![0.0; n_ctx * width] }
    }

    /// Divides the rows among so many heads from now on; `n_heads` divides the width.
    pub(super) fn divide(&mut self, n_heads: usize) {
        if self.n_heads == n_heads {
            return;
        }
        let rows: Vec<f32> = (0..self.n_used).flat_map(|pos| self.row(pos)).collect();
        self.n_heads = n_heads;
        self.append(0, &rows);
    }

    /// Writes rows from position `at_pos` on.
    pub(super) fn append(&mut self, at_pos: usize, rows: &[f32]) {
        let head_dim = self.width / self.n_heads;
        let n_rows = rows.len() / self.width;
        for (head, to) in self.values.chunks_exact_mut(self.n_ctx * head_dim).enumerate() {
            for (row, x) in rows.chunks_exact(self.width).enumerate() {
                kv_append(&x[head * head_dim..][..head_dim], at_pos + row, head_dim, to);
            }
        }
        self.n_used = self.n_used.max(at_pos + n_rows);
    }

    /// Takes the first `n_positions` of another cache of the same width.
    pub(super) fn copy_first(&mut self, from: &Self, n_positions: usize) {
        self.divide(from.n_heads);
        let head_dim = self.width / self.n_heads;
        let to = self.values.chunks_exact_mut(self.n_ctx * head_dim);
        for (to, from) in to.zip(from.values.chunks_exact(from.n_ctx * head_dim)) {
            to[..n_positions * head_dim].copy_from_slice(&from[..n_positions * head_dim]);
        }
        self.n_used = self.n_used.max(n_positions);
    }

    /// A head's rows, `[n_ctx][head_dim]`.
    pub(super) fn head(&self, head: usize) -> &[f32] {
        let len = self.n_ctx * (self.width / self.n_heads);
        &self.values[head * len..][..len]
    }

    /// The elements of a position.
    pub(super) fn row(&self, pos: usize) -> impl Iterator<Item = f32> {
        let head_dim = self.width / self.n_heads;
        (0..self.n_heads).flat_map(move |head| self.head(head)[pos * head_dim..][..head_dim].iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_whatever_the_heads_are() {
        let rows: Vec<f32> = (0..5 * 12).map(|x| x as f32).collect();
        let mut cache = CacheRows::zeroed(7, 12);
        cache.divide(2);
        cache.append(0, &rows[..24]);
        cache.divide(3);
        cache.append(2, &rows[24..]);
        let mut copy = CacheRows::zeroed(6, 12);
        copy.append(0, &[9.0; 72]);
        copy.copy_first(&cache, 4);
        for (pos, row) in rows.chunks_exact(12).enumerate() {
            assert_eq!(cache.row(pos).collect::<Vec<_>>(), row, "{pos}");
            let copied = if pos < 4 { row } else { &[9.0; 12] };
            assert_eq!(copy.row(pos).collect::<Vec<_>>(), copied, "{pos}");
        }
        assert_eq!(cache.head(1)[4..8], [16.0, 17.0, 18.0, 19.0]);
    }
}
