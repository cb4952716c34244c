//! Weights as the CPU tier keeps them.

use super::panels::Panels;
use super::quantised::QuantPanels;
use super::shorts::ShortPanels;
use super::simd::LANES;
use crate::Precision;
use crate::kernels::dequantize;
use crate::memory::{Lease, Ledger, Owner};
use crate::op::{Rows, Shape};
use crate::tensor::Layout;

/// A weight in the CPU tier's layout.
pub(crate) struct CpuWeight {
    pub(super) values: Values,
    lease: Lease,
}

/// Layouts that have kernels. F16 is widened: neither wasm nor AVX2 computes with halves.
pub(super) enum Values {
    /// One row.
    Vector(Vec<f32>),
    Matrix(Panels),
    /// A matrix of floats, in 16-bit whole numbers.
    Shorts(ShortPanels),
    Quantised(QuantPanels),
}

impl CpuWeight {
    /// What [`Self::n_bytes`] will be, at most: rows come in panels of [`LANES`], and a group of 32
    /// has its scale, and in `Q4` its minimum, in f32.
    pub(super) fn max_bytes(shape: Shape, layout: Layout, precision: Precision) -> u64 {
        let n_rows = if shape.n_rows == 1 { 1 } else { shape.n_rows.next_multiple_of(LANES) };
        let n_elements = (n_rows * shape.width) as u64;
        match layout {
            Layout::F32 | Layout::F16 if n_rows > 1 && precision == Precision::Fast => {
                2 * (n_elements + n_rows as u64) + 4 * (n_rows * shape.width.div_ceil(64)) as u64
            }
            Layout::F32 | Layout::F16 => 4 * n_elements,
            Layout::Q8 => n_elements + n_elements / 8,
            Layout::Q4 => n_elements / 2 + n_elements / 4,
        }
    }

    pub(crate) fn n_bytes(&self) -> u64 {
        self.lease.n_bytes()
    }

    pub(super) fn zeroed(ledger: &Ledger, precision: Precision, shape: Shape, layout: Layout) -> Self {
        let Shape { n_rows, width } = shape;
        let (values, n_bytes) = match layout {
            Layout::F32 | Layout::F16 if n_rows == 1 => (Values::Vector(vec![0.0; width]), 4 * width as u64),
            Layout::F32 | Layout::F16 if precision == Precision::Fast => {
                let panels = ShortPanels::zeroed(n_rows, width);
                let n_bytes = panels.n_bytes();
                (Values::Shorts(panels), n_bytes)
            }
            Layout::F32 | Layout::F16 => {
                (Values::Matrix(Panels::zeroed(n_rows, width)), Panels::n_bytes(n_rows, width))
            }
            Layout::Q8 | Layout::Q4 => {
                let panels = match layout {
                    Layout::Q8 => QuantPanels::zeroed_q8(n_rows, width, precision),
                    _ => QuantPanels::zeroed_q4(n_rows, width, precision),
                };
                let n_bytes = panels.n_bytes();
                (Values::Quantised(panels), n_bytes)
            }
        };
        Self { values, lease: ledger.lease(Owner::Weights, n_bytes) }
    }

    pub(super) fn write_rows(&mut self, first_row: usize, rows: Rows<'_>) {
        let widened;
        let floats = match rows {
            Rows::F32(values) => values,
            Rows::F16(_) => {
                widened = dequantize(rows);
                &widened
            }
            Rows::Q8 { .. } | Rows::Q4 { .. } => &[],
        };
        match &mut self.values {
            Values::Vector(to) => to.copy_from_slice(floats),
            Values::Matrix(to) => to.write(first_row, floats),
            Values::Shorts(to) => to.write(first_row, floats),
            Values::Quantised(to) => to.write(first_row, rows),
        }
    }

    /// Copies row `row` to `out`, in f32.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        match &self.values {
            Values::Vector(values) => out.copy_from_slice(values),
            Values::Matrix(panels) => panels.read_row(row, out),
            Values::Shorts(panels) => panels.read_row(row, out),
            Values::Quantised(panels) => panels.read_row(row, out),
        }
    }

    /// A vector's elements.
    pub(super) fn vector(&self) -> &[f32] {
        match &self.values {
            Values::Vector(values) => values,
            _ => unreachable!("recording checked that this weight is an f32 vector"),
        }
    }
}
