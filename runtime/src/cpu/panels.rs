//! Matrices in panels of sixteen rows, f32: `[ceil(n_rows / 16)][width][16]`, the last panel padded
//! with zeros. Sixteen outputs of a linear layer are then one vector, and a panel is read front to
//! back.

use super::simd::LANES;

/// A matrix `[n_rows, width]` in panels.
#[derive(Debug, Default)]
pub(super) struct Panels {
    pub(super) n_rows: usize,
    pub(super) width: usize,
    data: Vec<[f32; LANES]>,
}

impl Panels {
    pub(super) fn zeroed(n_rows: usize, width: usize) -> Self {
        Self { n_rows, width, data: vec![[0.0; LANES]; n_rows.div_ceil(LANES) * width] }
    }

    /// Panel `p`: sixteen rows, one column after the other.
    #[inline(always)]
    pub(super) fn panel(&self, p: usize) -> &[[f32; LANES]] {
        &self.data[p * self.width..][..self.width]
    }

    pub(super) fn n_panels(&self) -> usize {
        self.n_rows.div_ceil(LANES)
    }

    pub(super) fn n_bytes(n_rows: usize, width: usize) -> u64 {
        (n_rows.next_multiple_of(LANES) * width * 4) as u64
    }

    /// Writes row-major rows; `rows.len()` is a multiple of the width.
    pub(super) fn write(&mut self, first_row: usize, rows: &[f32]) {
        for (i, row) in rows.chunks_exact(self.width).enumerate() {
            let (panel, lane) = ((first_row + i) / LANES, (first_row + i) % LANES);
            let columns = &mut self.data[panel * self.width..][..self.width];
            columns.iter_mut().zip(row).for_each(|(column, x)| column[lane] = *x);
        }
    }

    /// Takes the transpose of `n_rows x width` elements that stand at `at(row)` in `source`.
    pub(super) fn fill_transposed(
        &mut self,
        n_rows: usize,
        width: usize,
        row: impl Fn(usize) -> usize,
        source: &[f32],
    ) {
        // (n_rows, width) -> panels of (width, n_rows)
        self.reshape(width, n_rows);
        for r in 0..n_rows {
            let x = &source[row(r)..][..width];
            for (p, x) in x.chunks(LANES).enumerate() {
                self.data[p * n_rows + r][..x.len()].copy_from_slice(x);
            }
        }
    }

    /// Takes `n_rows x width` elements whose row `r` starts at `row(r)` in `source`.
    pub(super) fn fill(&mut self, n_rows: usize, width: usize, row: impl Fn(usize) -> usize, source: &[f32]) {
        self.reshape(n_rows, width);
        (0..n_rows).for_each(|r| self.write(r, &source[row(r)..][..width]));
    }

    fn reshape(&mut self, n_rows: usize, width: usize) {
        (self.n_rows, self.width) = (n_rows, width);
        self.data.clear();
        self.data.resize(n_rows.div_ceil(LANES) * width, [0.0; LANES]);
    }

    /// Copies row `row` to `out`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        let panel = self.panel(row / LANES);
        out.iter_mut().zip(panel).for_each(|(out, column)| *out = column[row % LANES]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_the_transpose_is_one() {
        let (n_rows, width) = (19, 3);
        let data: Vec<f32> = (0..n_rows * width).map(|i| i as f32).collect();
        let mut panels = Panels::zeroed(n_rows, width);
        panels.write(0, &data[..16 * width]);
        panels.write(16, &data[16 * width..]);
        let mut row = [0.0; 3];
        for r in 0..n_rows {
            panels.read_row(r, &mut row);
            assert_eq!(row, data[r * width..][..width]);
        }
        let mut transposed = Panels::default();
        transposed.fill_transposed(n_rows, width, |r| r * width, &data);
        let mut column = [0.0; 19];
        for c in 0..width {
            transposed.read_row(c, &mut column);
            assert_eq!(column.to_vec(), (0..n_rows).map(|r| data[r * width + c]).collect::<Vec<_>>());
        }
    }
}
