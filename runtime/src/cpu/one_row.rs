//! Linear layers of one row, as decoding has them. Layers of the same input follow each other: the row
//! is rounded once for them, and their outputs are shared out among threads in one go.

use super::activations::{Blocks, Group, PAIRS, QUADS, pair_groups, quad_groups};
use super::output::Output;
use super::panels::Panels;
use super::simd::LANES;
use super::weight::Values;
use super::{gemm, quantised, shorts};
use crate::Activation;

/// Multiply-adds of a piece, at least: some 3 microseconds, a helper that looks for work takes one.
const MIN_WORK: usize = 1 << 15;
/// Pieces for each thread: threads of a busy machine are not equally fast.
const PIECES_PER_THREAD: usize = 4;

/// `out = act(x * weight^T + bias)`
pub(super) struct Layer<'a> {
    pub(super) weight: &'a Values,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) act: Activation,
    pub(super) out: &'a mut [f32],
}

/// Computes all `layers` of the row `x`.
pub(super) fn one_row(x: &[f32], layers: Vec<Layer<'_>>) {
    let row = Row::new(x, &layers);
    let n_columns: usize = layers.iter().map(|layer| layer.out.len()).sum();
    let n_threads = platform::n_threads();
    let n_pieces = (PIECES_PER_THREAD * n_threads).min(n_columns * x.len() / MIN_WORK);
    // As many for each thread, so that none waits for the last piece of another.
    let n_pieces = n_pieces - n_pieces % n_threads;
    let piece_columns = match n_pieces {
        0 | 1 => n_columns,
        n => n_columns.div_ceil(n),
    };
    let piece_columns = piece_columns.next_multiple_of(LANES);
    let mut pieces = Vec::new();
    for Layer { weight, bias, act, out } in layers {
        for (idx, out) in out.chunks_mut(piece_columns).enumerate() {
            let first_column = idx * piece_columns;
            let bias = bias.map(|bias| &bias[first_column..][..out.len()]);
            pieces.push((weight, first_column, Output { n_rows: 1, bias, act, out }));
        }
    }
    platform::parallel_chunks_mut(&mut pieces, 1, |_, pieces| {
        for (weight, first_column, out) in pieces {
            row.times(weight, *first_column, out);
        }
    });
}

/// A row in each of the forms that some weights are multiplied with.
struct Row<'a> {
    x: &'a [f32],
    quads: Vec<Group<QUADS>>,
    pairs: Vec<Group<PAIRS>>,
    blocks: Option<Blocks>,
}

impl<'a> Row<'a> {
    fn new(x: &'a [f32], layers: &[Layer<'_>]) -> Self {
        let (mut quads, mut pairs, mut blocks) = (vec![], vec![], None);
        for layer in layers {
            match layer.weight {
                Values::Quantised(w) if w.takes_bytes() && quads.is_empty() => quads = quad_groups(x),
                Values::Quantised(w) if !w.takes_bytes() && pairs.is_empty() => pairs = pair_groups(x),
                Values::Shorts(_) if blocks.is_none() => blocks = Some(Blocks::new(x, x.len())),
                _ => {}
            }
        }
        Self { x, quads, pairs, blocks }
    }

    /// Columns of the product from `first_column` on, as many as `out` has; it is a multiple of sixteen.
    fn times(&self, weight: &Values, first_column: usize, out: &mut Output<'_, '_>) {
        let panels = first_column / LANES..(first_column + out.out.len()).div_ceil(LANES);
        match (weight, &self.blocks) {
            (Values::Quantised(w), _) if w.takes_bytes() => quantised::panels(&self.quads, w, panels, out),
            (Values::Quantised(w), _) => quantised::panels(&self.pairs, w, panels, out),
            (Values::Shorts(w), Some(blocks)) => shorts::panels(blocks, w, panels, out),
            (Values::Shorts(_), None) => unreachable!("the row was rounded for all of its weights"),
            (Values::Matrix(w), _) => gemm::panels(self.x, w, panels, out),
            (Values::Vector(row), _) => {
                // One output: a panel of its own, made on the way.
                let mut panel = Panels::zeroed(1, row.len());
                panel.write(0, row);
                gemm::panels(self.x, &panel, 0..1, out);
            }
        }
    }
}
