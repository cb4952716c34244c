//! Weights and caches on the device.
//!
//! A weight keeps its file's row order. F32, F16, Q8 and Q4 lie as `wgsl/weights_<layout>.wgsl` says;
//! where a weight is larger than one binding may be, it is split over rows into several buffers, and a
//! kernel runs once for each.

use std::rc::Rc;

use super::device::Device;
use super::pool::{GpuBuffer, Pool};
use crate::memory::Owner;
use crate::op::{GROUP, Rows, Shape, UPLOAD_ROWS};
use crate::{Error, Layout, Result};

/// A weight, `[shape.n_rows, shape.width]`.
#[derive(Debug)]
pub(crate) struct GpuWeight {
    pub(super) layout: Layout,
    pub(super) parts: Vec<WeightPart>,
    width: usize,
}

/// Some whole rows of a weight.
#[derive(Debug)]
pub(super) struct WeightPart {
    pub(super) first_row: usize,
    pub(super) n_rows: usize,
    pub(super) values: Rc<GpuBuffer>,
    /// Scales of Q8, scales and minima of Q4.
    pub(super) scales: Option<Rc<GpuBuffer>>,
}

/// A cache, `[n_ctx, width]` of f32.
#[derive(Debug)]
pub(crate) struct GpuCache {
    pub(super) buffer: Rc<GpuBuffer>,
}

impl GpuCache {
    pub(super) fn create(pool: &Pool, n_ctx: usize, width: usize) -> Result<Self> {
        let n_bytes = 4 * n_ctx as u64 * width as u64;
        Ok(Self { buffer: pool.create("a key-value cache", n_bytes, Owner::KvCache)? })
    }
}

impl GpuWeight {
    /// Allocates the parts, none larger than `max_bytes`.
    pub(super) fn create(
        pool: &Pool,
        max_bytes: u64,
        name: &str,
        shape: Shape,
        layout: Layout,
    ) -> Result<Self> {
        let needed = match layout {
            Layout::F32 => 1,
            Layout::F16 => 4,
            Layout::Q8 | Layout::Q4 => GROUP,
        };
        if !shape.width.is_multiple_of(needed) {
            let expected = format!("[_, a multiple of {needed}]");
            return Err(Error::ShapeMismatch { what: name.into(), expected, got: shape.to_string() });
        }
        let row_bytes = value_bytes(layout, shape.width).max(scale_bytes(layout, shape.width));
        let mut part_rows = usize::try_from(max_bytes / row_bytes).unwrap_or(usize::MAX).min(shape.n_rows);
        if part_rows < shape.n_rows {
            // Scales of whole pieces of upload fill whole words.
            part_rows -= part_rows % UPLOAD_ROWS;
        }
        if part_rows == 0 {
            return Err(Error::OutOfMemory {
                what: format!("{UPLOAD_ROWS} rows of `{name}`"),
                n_bytes: row_bytes,
            });
        }
        let mut parts = vec![];
        for first_row in (0..shape.n_rows).step_by(part_rows) {
            let n_rows = part_rows.min(shape.n_rows - first_row);
            let n_elements = n_rows * shape.width;
            let values = pool.create(name, value_bytes(layout, n_elements), Owner::Weights)?;
            let scales = match scale_bytes(layout, n_elements) {
                0 => None,
                n_bytes => Some(pool.create(name, n_bytes, Owner::Weights)?),
            };
            parts.push(WeightPart { first_row, n_rows, values, scales });
        }
        Ok(Self { layout, parts, width: shape.width })
    }

    pub(crate) fn n_bytes(&self) -> u64 {
        let buffers = self.parts.iter().flat_map(|part| std::iter::once(&part.values).chain(&part.scales));
        buffers.map(|buffer| buffer.buffer.size()).sum()
    }

    /// Writes rows from `first_row` on, and gives the number of bytes.
    pub(super) fn write(&self, device: &Device, first_row: usize, rows: Rows<'_>) -> usize {
        let n_rows = rows.n_elements() / self.width;
        let mut n_bytes = 0;
        for part in &self.parts {
            let start = first_row.max(part.first_row);
            let end = (first_row + n_rows).min(part.first_row + part.n_rows);
            if start < end {
                let from = (start - first_row) * self.width;
                let piece = slice(rows, from, (end - start) * self.width);
                n_bytes += write_part(device, part, (start - part.first_row) * self.width, piece);
            }
        }
        n_bytes
    }
}

/// Bytes of a whole weight.
pub(super) fn n_bytes(shape: Shape, layout: Layout) -> u64 {
    value_bytes(layout, shape.len()) + scale_bytes(layout, shape.len())
}

/// Bytes of the values of so many elements.
pub(super) fn value_bytes(layout: Layout, n_elements: usize) -> u64 {
    let n_elements = n_elements as u64;
    match layout {
        Layout::F32 => 4 * n_elements,
        Layout::F16 => 2 * n_elements,
        Layout::Q8 => n_elements,
        Layout::Q4 => n_elements / 2,
    }
}

/// Bytes of the scales of so many elements, padded to words.
pub(super) fn scale_bytes(layout: Layout, n_elements: usize) -> u64 {
    let n_groups = (n_elements / GROUP) as u64;
    match layout {
        Layout::F32 | Layout::F16 => 0,
        Layout::Q8 => 2 * n_groups.next_multiple_of(2),
        Layout::Q4 => 4 * n_groups,
    }
}

/// Elements `from .. from + n` of `rows`; for groups both are multiples of 32.
fn slice(rows: Rows<'_>, from: usize, n: usize) -> Rows<'_> {
    let group = |scales: &'_ [u16]| -> std::ops::Range<usize> {
        debug_assert!(scales.len() * GROUP >= from + n);
        from / GROUP..(from + n) / GROUP
    };
    match rows {
        Rows::F32(values) => Rows::F32(&values[from..from + n]),
        Rows::F16(bits) => Rows::F16(&bits[from..from + n]),
        Rows::Q8 { scales, quants } => {
            Rows::Q8 { scales: &scales[group(scales)], quants: &quants[from..from + n] }
        }
        Rows::Q4 { scales, mins, quants } => Rows::Q4 {
            scales: &scales[group(scales)],
            mins: &mins[group(mins)],
            quants: &quants[from / 2..(from + n) / 2],
        },
    }
}

/// Writes `rows` at element `at` of a part; gives the number of bytes.
fn write_part(device: &Device, part: &WeightPart, at: usize, rows: Rows<'_>) -> usize {
    let layout = rows.layout();
    let values: &[u8] = match rows {
        Rows::F32(values) => bytemuck::cast_slice(values),
        Rows::F16(bits) => bytemuck::cast_slice(bits),
        Rows::Q8 { quants, .. } => bytemuck::cast_slice(quants),
        Rows::Q4 { quants, .. } => quants,
    };
    device.queue.write_buffer(&part.values.buffer, value_bytes(layout, at), values);
    let scales: Vec<u32> = match rows {
        Rows::F32(_) | Rows::F16(_) => return values.len(),
        Rows::Q8 { scales, .. } => {
            scales.chunks(2).map(|pair| word(pair[0], pair.get(1).copied().unwrap_or(0))).collect()
        }
        Rows::Q4 { scales, mins, .. } => {
            scales.iter().zip(mins).map(|(scale, min)| word(*scale, *min)).collect()
        }
    };
    let buffer = part.scales.as_ref().expect("quantised weights have scales");
    device.queue.write_buffer(&buffer.buffer, scale_bytes(layout, at), bytemuck::cast_slice(&scales));
    values.len() + 4 * scales.len()
}

/// Two halves in the order of WGSL's `unpack2x16float`.
fn word(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}
