//! From a weight file to a tier: read by range, converted, handed over in pieces of whole rows.

use half::f16;
use std::ops::Range;

use crate::memory::{Ledger, Owner};
use crate::op::{GROUP, Rows, Shape, UPLOAD_ROWS};
use crate::runtime::PendingWeight;
use crate::tensor::Layout;
use crate::weights::{DType, Weights, blocks, k_blocks};
use crate::{Error, Result};

/// A piece is read and converted at a time: 1 MiB keeps wasm's heap small and calls few.
const PIECE_BYTES: usize = 1 << 20;

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

/// What of a file's tensor becomes a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorView {
    name: String,
    shape: Vec<usize>,
    rows: Option<Range<usize>>,
    is_transposed: bool,
    plus: f32,
}

impl TensorView {
    /// All of the tensor `name`, which must have this shape: `[n]`, or `[n_out, n_in]`.
    pub fn whole(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.into(), rows: None, is_transposed: false, plus: 0.0 }
    }

    /// Only these rows of a matrix, or these elements of a vector: one of several layers that the file
    /// keeps as one.
    #[must_use]
    pub fn rows(self, rows: Range<usize>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// The file has the matrix the other way round, as `[n_in, n_out]`.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { is_transposed: true, ..self }
    }

    /// `number` is added to every element.
    #[must_use]
    pub fn plus(self, number: f32) -> Self {
        Self { plus: number, ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a vector.
    pub fn is_vector(&self) -> bool {
        self.shape.len() == 1
    }

    /// Whether its elements must be floats that are all read at once.
    fn needs_floats(&self) -> bool {
        self.is_transposed || self.plus != 0.0 || (self.is_vector() && self.rows.is_some())
    }
}

/// Where a weight's numbers come from: once at loading, and again whenever a device was lost.
pub(crate) enum Source {
    /// A tensor of a file, which stays open.
    File { weights: Weights, view: TensorView },
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

/// The shape and the layout that what is viewed gets.
pub(crate) fn plan(weights: &Weights, view: &TensorView, format: WeightFormat) -> Result<(Shape, Layout)> {
    let info = weights.require(&view.name)?;
    let mut stored = view.shape.clone();
    if view.is_transposed {
        stored.reverse();
    }
    if info.shape != stored {
        let (expected, got) = (format!("{stored:?}"), format!("{:?}", info.shape));
        return Err(Error::ShapeMismatch { what: view.name.clone(), expected, got });
    }
    let layout = layout(format, info.dtype);
    if view.needs_floats() && !matches!(info.dtype, DType::F32 | DType::F16 | DType::BF16) {
        return Err(Error::UnsupportedWeights { what: format!("{:?} for `{}`", info.dtype, view.name) });
    }
    let whole = vector_or_matrix(&view.name, &view.shape)?;
    let n_whole = if view.is_vector() { whole.width } else { whole.n_rows };
    let rows = view.rows.clone().unwrap_or(0..n_whole);
    if rows.is_empty() || rows.end > n_whole {
        let (expected, got) = (format!("rows within {n_whole}"), format!("{rows:?}"));
        return Err(Error::ShapeMismatch { what: view.name.clone(), expected, got });
    }
    let shape = if view.is_vector() {
        Shape { n_rows: 1, width: rows.len() }
    } else {
        Shape { n_rows: rows.len(), width: whole.width }
    };
    Ok((shape, layout))
}

fn layout(format: WeightFormat, dtype: DType) -> Layout {
    match (format, dtype) {
        (WeightFormat::F32, _) | (WeightFormat::Native, DType::F32 | DType::BF16) => Layout::F32,
        (WeightFormat::F16, _) | (WeightFormat::Native, DType::F16) => Layout::F16,
        (WeightFormat::Native, DType::Q4_0 | DType::Q4_1 | DType::Q4_K) => Layout::Q4,
        (
            WeightFormat::Native,
            DType::Q8_0
            | DType::Q5_0
            | DType::Q5_1
            | DType::Q2_K
            | DType::Q3_K
            | DType::Q5_K
            | DType::Q6_K
            | DType::IQ4_NL,
        ) => Layout::Q8,
    }
}

/// Writes all rows of `source` to a weight.
pub(crate) fn fill(pending: &mut PendingWeight, source: &Source, ledger: &Ledger) -> Result<()> {
    match source {
        Source::File { weights, view } if view.needs_floats() => {
            fill_from_floats(pending, weights, view, ledger)
        }
        Source::File { weights, view } => fill_from_file(pending, weights, view, ledger),
        Source::Numbers(values) => pending.write(0, Rows::F32(values)),
    }
}

/// What is turned over, moved or cut within its rows is in memory as a whole meanwhile.
fn fill_from_floats(
    pending: &mut PendingWeight,
    weights: &Weights,
    view: &TensorView,
    ledger: &Ledger,
) -> Result<()> {
    let info = weights.require(&view.name)?;
    let (shape, layout) = (pending.shape(), pending.layout());
    let n_elements: usize = info.shape.iter().product();
    let _lease = ledger.lease(Owner::Staging, info.n_bytes + 8 * n_elements as u64);
    let values = weights.read_f32(&view.name)?;
    let first = view.rows.as_ref().map_or(0, |rows| rows.start);
    // Of a matrix the file's columns are the rows that are wanted, or its rows are.
    let (along, across) = match (view.is_vector(), view.is_transposed) {
        (true, _) => (1, 0),
        (false, true) => (n_elements / shape.width, 1),
        (false, false) => (1, shape.width),
    };
    let element = |row: usize, i: usize| {
        let start = if view.is_vector() { first } else { (first + row) * across };
        values[start + i * along] + view.plus
    };
    for first_row in (0..shape.n_rows).step_by(UPLOAD_ROWS) {
        let rows = first_row..(first_row + UPLOAD_ROWS).min(shape.n_rows);
        let piece: Vec<f32> = rows
            .flat_map(|row| (0..shape.width).map(move |i| (row, i)))
            .map(|(row, i)| element(row, i))
            .collect();
        write_floats(pending, first_row, &piece, layout)?;
    }
    Ok(())
}

fn fill_from_file(
    pending: &mut PendingWeight,
    weights: &Weights,
    view: &TensorView,
    ledger: &Ledger,
) -> Result<()> {
    let info = weights.require(&view.name)?;
    let (shape, layout) = (pending.shape(), pending.layout());
    let row_bytes = info.dtype.row_bytes(shape.width)? as usize;
    let piece_rows = (PIECE_BYTES / row_bytes).max(1).next_multiple_of(UPLOAD_ROWS).min(shape.n_rows);
    // The piece, and what it is converted to.
    let _lease = ledger.lease(Owner::Staging, (piece_rows * (row_bytes + 4 * shape.width)) as u64);
    let mut bytes = vec![0; piece_rows * row_bytes];
    let first_of_file = view.rows.as_ref().map_or(0, |rows| rows.start);
    let mut first_row = 0;
    while first_row < shape.n_rows {
        let n_rows = piece_rows.min(shape.n_rows - first_row);
        let piece = &mut bytes[..n_rows * row_bytes];
        weights.read_piece(info, (first_of_file + first_row) as u64 * row_bytes as u64, piece)?;
        write_piece(pending, first_row, piece, info.dtype, layout)?;
        first_row += n_rows;
    }
    Ok(())
}

/// Writes floats to a weight that is held as floats.
fn write_floats(pending: &mut PendingWeight, first_row: usize, values: &[f32], layout: Layout) -> Result<()> {
    if layout != Layout::F16 {
        return pending.write(first_row, Rows::F32(values));
    }
    let bits: Vec<u16> = values.iter().map(|x| f16::from_f32(*x).to_bits()).collect();
    pending.write(first_row, Rows::F16(&bits))
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
        Layout::F32 => write_floats(pending, first_row, &blocks::to_f32(dtype, piece), layout),
        Layout::F16 if dtype == DType::F16 => pending.write(first_row, Rows::F16(&blocks::u16s(piece))),
        Layout::F16 => write_floats(pending, first_row, &blocks::to_f32(dtype, piece), layout),
        Layout::Q8 => {
            let (scales, quants) = match dtype {
                DType::Q8_0 => blocks::split_q8_0(piece),
                DType::Q5_0 => blocks::split_q5_0(piece),
                DType::IQ4_NL => blocks::split_iq4_nl(piece),
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
