//! Where a linear layer's sums go.

use super::math::activate;
use super::simd::{LANES, Simd};
use crate::Activation;

/// `[n_rows, n_columns]` outputs, with what comes after the sums.
pub(super) struct Output<'a, 'o> {
    pub(super) n_rows: usize,
    /// `[n_columns]`
    pub(super) bias: Option<&'a [f32]>,
    pub(super) act: Activation,
    pub(super) out: &'o mut [f32],
}

impl Output<'_, '_> {
    /// Writes the sums of rows `row ..` and of panel `panel`, with bias and activation; sums of rows
    /// beyond the last are dropped.
    #[inline(always)]
    pub(super) fn put<S: Simd, const H: usize>(&mut self, s: S, row: usize, panel: usize, sums: [S::F; H]) {
        let n_columns = self.out.len() / self.n_rows;
        let column = panel * LANES;
        let len = LANES.min(n_columns - column);
        let mut bias = [0.0; LANES];
        if let Some(all) = self.bias {
            bias[..len].copy_from_slice(&all[column..][..len]);
        }
        let bias = s.load(&bias);
        for (h, sum) in sums.into_iter().enumerate().take(self.n_rows - row) {
            let mut sum = s.add(sum, bias);
            if self.act != Activation::None {
                sum = activate(s, sum, self.act);
            }
            let out = &mut self.out[(row + h) * n_columns + column..][..len];
            if let Some(out) = out.first_chunk_mut() {
                s.store(sum, out);
            } else {
                let mut lanes = [0.0; LANES];
                s.store(sum, &mut lanes);
                out.copy_from_slice(&lanes[..len]);
            }
        }
    }
}
