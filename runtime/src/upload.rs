//! From a weight file to a tier: read by range, converted, handed over in pieces of whole rows.

use half::f16;

use crate::memory::{Ledger, Owner};
use crate::op::{GROUP, Rows, Shape, UPLOAD_ROWS};
use crate::runtime::PendingWeight;
use crate::tensor::Layout;
use crate::weights::{DType, Weights, blocks, k_blocks};
use crate::{Error, Result};

/// A piece is read and converted at a time: 4 MiB keep wasm's heap small and calls few.
const PIECE_BYTES: usize = 4 << 20;

/// In which form a weight is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightFormat {
    /// 32-bit floats, whatever the file has.
    F32,
    /// 16-bit floats, rounded where the file has more. (The CPU tier computes with f32.)
    F16,
    /// As in the file: F32 and F16 as they are, BF16 as F32, quantised types with 4 bits in groups of 32
    /// as 4-bit groups, the others as 8-bit groups.
    Native,
}

/// `[n]` is one row, `[n_out, n_in]` a matrix.
pub(crate) fn vector_or_matrix(name: &str, shape: &[usize]) -> Result<Shape> {
    match *shape {
        [width] if width > 0 => Ok(Shape { n_rows: 1, width }),
        [n_rows, width] if n_rows > 0 && width > 0 => Ok(Shape { n_rows, width }),
        _ => Err(Error::ShapeMismatch {
            what: name.into(),
            expected: "one or two dimensions".into(),
            got: format!("{shape:?}"),
        }),
    }
}

/// Where a weight's numbers come from: once at loading, and again whenever a device was lost.
pub(crate) enum Source {
    /// The tensor `name` of a file, which stays open.
    File { weights: Weights, name: String },
    /// All rows in f32, for what comes from no file.
    Numbers(Box<[f32]>),
}

impl Source {
    /// Name of the model; empty where it has none.
    pub(crate) fn model(&self) -> &str {
        match self {
            Self::File { weights, .. } => weights.model(),
            Self::Numbers(_) => "",
        }
    }
}

/// Shapes and layouts of all tensors that can be loaded; vectors are always kept in f32.
pub(crate) fn plan_all(weights: &Weights, format: WeightFormat) -> impl Iterator<Item = (Shape, Layout)> {
    let infos = weights.names().filter_map(|name| weights.tensor_info(name));
    infos.filter_map(move |info| {
        let shape = vector_or_matrix("", &info.shape).ok()?;
        let is_vector = info.shape.len() == 1;
        Some((shape, if is_vector { Layout::F32 } else { layout(format, info.dtype) }))
    })
}

/// The shape and the layout that the tensor `name` gets.
pub(crate) fn plan(
    weights: &Weights,
    name: &str,
    expected_shape: &[usize],
    format: WeightFormat,
) -> Result<(Shape, Layout)> {
    let info = weights.require(name)?;
    if info.shape != expected_shape {
        let (expected, got) = (format!("{expected_shape:?}"), format!("{:?}", info.shape));
        return Err(Error::ShapeMismatch { what: name.into(), expected, got });
    }
    Ok((vector_or_matrix(name, &info.shape)?, layout(format, info.dtype)))
}

fn layout(format: WeightFormat, dtype: DType) -> Layout {
    match (format, dtype) {
        (WeightFormat::F32, _) | (WeightFormat::Native, DType::F32 | DType::BF16) => Layout::F32,
        (WeightFormat::F16, _) | (WeightFormat::Native, DType::F16) => Layout::F16,
        (WeightFormat::Native, DType::Q4_0 | DType::Q4_1 | DType::Q4_K) => Layout::Q4,
        (
            WeightFormat::Native,
            DType::Q8_0 | DType::Q5_0 | DType::Q5_1 | DType::Q2_K | DType::Q3_K | DType::Q5_K | DType::Q6_K,
        ) => Layout::Q8,
    }
}

/// Writes all rows of `source` to a weight.
pub(crate) fn fill(pending: &mut PendingWeight, source: &Source, ledger: &Ledger) -> Result<()> {
    match source {
        Source::File { weights, name } => fill_from_file(pending, weights, name, ledger),
        Source::Numbers(values) => pending.write(0, Rows::F32(values)),
    }
}

fn fill_from_file(pending: &mut PendingWeight, weights: &Weights, name: &str, ledger: &Ledger) -> Result<()> {
    let info = weights.require(name)?;
    let (shape, layout) = (pending.shape(), pending.layout());
    let row_bytes = info.dtype.row_bytes(shape.width)? as usize;
    let piece_rows = (PIECE_BYTES / row_bytes).max(1).next_multiple_of(UPLOAD_ROWS).min(shape.n_rows);
    // The piece, and what it is converted to.
    let _lease = ledger.lease(Owner::Staging, (piece_rows * (row_bytes + 4 * shape.width)) as u64);
    let mut bytes = vec![0; piece_rows * row_bytes];
    let mut first_row = 0;
    while first_row < shape.n_rows {
        let n_rows = piece_rows.min(shape.n_rows - first_row);
        let piece = &mut bytes[..n_rows * row_bytes];
        weights.read_piece(info, first_row as u64 * row_bytes as u64, piece)?;
        write_piece(pending, first_row, piece, info.dtype, layout)?;
        first_row += n_rows;
    }
    Ok(())
}

/// Converts a piece from the file's type to the layout and writes it.
fn write_piece(
    pending: &mut PendingWeight,
    first_row: usize,
    piece: &[u8],
    dtype: DType,
    layout: Layout,
) -> Result<()> {
    match layout {
        Layout::F32 => pending.write(first_row, Rows::F32(&blocks::to_f32(dtype, piece))),
        Layout::F16 => {
            let bits: Vec<u16> = match dtype {
                DType::F16 => blocks::u16s(piece),
                _ => blocks::to_f32(dtype, piece).into_iter().map(|x| f16::from_f32(x).to_bits()).collect(),
            };
            pending.write(first_row, Rows::F16(&bits))
        }
        Layout::Q8 => {
            let (scales, quants) = match dtype {
                DType::Q8_0 => blocks::split_q8_0(piece),
                DType::Q5_0 => blocks::split_q5_0(piece),
                _ => blocks::round_to_q8_0(&blocks::to_f32(dtype, piece))?,
            };
            pending.write(first_row, Rows::Q8 { scales: &scales, quants: &quants })
        }
        Layout::Q4 => {
            let (scales, mins, quants) = match dtype {
                DType::Q4_0 => blocks::split_q4_0(piece)?,
                DType::Q4_K => k_blocks::split_q4_k(piece),
                _ => blocks::split_q4_1(piece),
            };
            debug_assert_eq!(quants.len(), scales.len() * GROUP / 2);
            pending.write(first_row, Rows::Q4 { scales: &scales, mins: &mins, quants: &quants })
        }
    }
}
