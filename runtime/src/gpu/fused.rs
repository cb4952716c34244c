//! Dispatches of what `fuse` has joined.

use std::mem::offset_of;
use std::rc::{Rc, Weak};

use super::KernelSet;
use super::fuse::{GateUp, Input, Node, QkvAttention, StepLinear};
use super::kernel::{InputKind, Kernel, Variant};
use super::plan::{Copy, Moves, Planner, activation_code, quarter, spread, vector};
use super::pool::GpuBuffer;
use super::step_specs::{STEP_WORKGROUP, StepAttentionParams, StepGateUpParams, StepLinearParams};
use super::weight::{GpuWeight, WeightPart, scale_bytes, value_bytes};
use crate::memory::Owner;
use crate::op::BufferId;
use crate::{Result, RopeStyle};

/// Workgroups that share the keys of one head at most: with the least heads there are, enough to fill a
/// GPU; more would cost the kernel that joins them.
const MAX_SPLITS: usize = 16;
/// Keys that a workgroup should have before another one shares them.
const MIN_SPLIT_KEYS: usize = 128;
/// Invocations that share a weight row on a GPU.
const STEP_LANES: u32 = 16;
/// The same for rows of at least `MIN_LONG_WIDTH` elements.
const LONG_STEP_LANES: u32 = 32;
const MIN_LONG_WIDTH: usize = 4096;
/// Workgroups of a linear layer from which on each takes more rows: enough to fill a large GPU.
const MANY_GROUPS: usize = 1024;
/// So many times as many rows at most.
const MAX_REPEATS: usize = 16;

/// Workgroups among which the keys of a head are split.
pub(super) fn n_splits(n_keys: usize) -> usize {
    (n_keys / MIN_SPLIT_KEYS).clamp(1, MAX_SPLITS)
}

/// How the row of a kernel is bound and described.
struct Row {
    kind: InputKind,
    gamma: Rc<GpuBuffer>,
    eps: f32,
    n_splits: u32,
    stats_at: u32,
}

impl Planner<'_> {
    /// Elements that a node's output takes on the device.
    pub(super) fn n_elements(&self, node: &Node<'_>, out: BufferId) -> usize {
        match node {
            // Sums of every split, and a vector of statistics for each.
            Node::QkvAttention(node) => MAX_SPLITS * (self.shape(out).len() + 4 * node.n_heads),
            _ => self.shape(out).len(),
        }
    }

    /// Plans a joined node.
    pub(super) fn fused(&mut self, node: &Node<'_>) -> Result<()> {
        match node {
            Node::Op(_) => unreachable!("operations are planned by `op`"),
            Node::QkvAttention(node) => self.qkv_attention(node),
            Node::Linear(node) => self.step_linear(node),
            Node::GateUp(node) => self.gate_up(node),
        }
    }

    fn row(&self, input: &Input<'_>, width: usize) -> Result<Row> {
        let n_in4 = quarter(Kernel::StepLinear, width)?;
        let gamma = self.gpu.nothing.clone();
        let plain = Row { kind: InputKind::Plain, gamma, eps: 0.0, n_splits: 0, stats_at: 0 };
        Ok(match input {
            Input::Plain(_) => plain,
            Input::Norm { gamma, eps, .. } => {
                Row { kind: InputKind::Norm { n_in4 }, gamma: vector(gamma)?, eps: *eps, ..plain }
            }
            Input::Heads { head_dim, n_keys, .. } => {
                let kind = InputKind::Heads { n_in4, head_dim4: (head_dim / 4) as u32 };
                let n_splits = n_splits(*n_keys) as u32;
                Row { kind, n_splits, stats_at: MAX_SPLITS as u32 * n_in4, ..plain }
            }
        })
    }

    fn lanes(&self, width: usize) -> u32 {
        match self.gpu.kernels {
            KernelSet::Software => 1,
            KernelSet::Hardware if width >= MIN_LONG_WIDTH => LONG_STEP_LANES,
            KernelSet::Hardware => STEP_LANES,
        }
    }

    /// Times that a workgroup takes as many of so many weight rows as it has places for.
    fn n_repeats(&self, n_weight_rows: usize, lanes: u32) -> usize {
        match self.gpu.kernels {
            KernelSet::Software => 1,
            KernelSet::Hardware => {
                let n_places = (STEP_WORKGROUP / lanes) as usize;
                (n_weight_rows / (n_places * MANY_GROUPS)).clamp(1, MAX_REPEATS)
            }
        }
    }

    fn step_linear(&mut self, node: &StepLinear<'_>) -> Result<()> {
        let width = node.weight.width();
        let row = self.row(&node.input, width)?;
        let bias = node.bias.map(vector).transpose()?;
        let residual = node.residual.map(|residual| self.buffer(residual));
        let weight = node.weight.gpu()?;
        let lanes = self.lanes(width);
        for part in &weight.parts {
            let n_repeats = self.n_repeats(part.n_rows, lanes);
            let params = StepLinearParams {
                n_in4: (width / 4) as u32,
                n_weight_rows: part.n_rows as u32,
                out_col: part.first_row as u32,
                activation: activation_code(node.act),
                has_bias: u32::from(bias.is_some()),
                has_residual: u32::from(residual.is_some()),
                eps: row.eps,
                n_splits: row.n_splits,
                stats_at: row.stats_at,
                n_repeats: n_repeats as u32,
            };
            let [values, scales] = self.weight_bindings(part);
            let nothing = &self.gpu.nothing;
            let storage = vec![
                self.buffer(node.input.buffer()),
                values,
                scales,
                row.gamma.clone(),
                bias.as_ref().unwrap_or(nothing).clone(),
                residual.as_ref().unwrap_or(nothing).clone(),
                self.buffer(node.out),
            ];
            let variant = Variant {
                lanes: Some(lanes),
                input: Some(row.kind),
                ..Variant::of_layout(Kernel::StepLinear, weight.layout)
            };
            let work = (part.n_rows * width) as u64;
            let grid = row_groups(part.n_rows.div_ceil(n_repeats), lanes);
            self.push(variant, storage, params, grid, work);
            if matches!(node.input, Input::Heads { .. }) {
                self.patch(offset_of!(StepLinearParams, n_splits) / 4, Moves::Splits);
            }
        }
        Ok(())
    }

    fn gate_up(&mut self, node: &GateUp<'_>) -> Result<()> {
        let width = node.gate.width();
        let row = self.row(&node.input, width)?;
        let (gate, up) = (node.gate.gpu()?, node.up.gpu()?);
        let (gate_part, up_part) = (only_part(&gate), only_part(&up));
        let params = StepGateUpParams {
            n_in4: (width / 4) as u32,
            n_weight_rows: gate_part.n_rows as u32,
            eps: row.eps,
            n_splits: row.n_splits,
            stats_at: row.stats_at,
        };
        let [gate_values, gate_scales] = self.weight_bindings(gate_part);
        let [up_values, up_scales] = self.weight_bindings(up_part);
        let input = self.buffer(node.input.buffer());
        let out = self.buffer(node.out);
        let storage = vec![input, gate_values, gate_scales, row.gamma, up_values, up_scales, out];
        let lanes = self.lanes(width);
        let variant = Variant {
            lanes: Some(lanes),
            input: Some(row.kind),
            ..Variant::of_layout(Kernel::StepGateUp, gate.layout)
        };
        let work = 2 * (gate_part.n_rows * width) as u64;
        self.push(variant, storage, params, row_groups(gate_part.n_rows, lanes), work);
        Ok(())
    }

    fn qkv_attention(&mut self, node: &QkvAttention<'_>) -> Result<()> {
        let width = self.shape(node.x).width;
        let n_in4 = quarter(Kernel::StepAttention, width)?;
        let head_dim4 = (node.rope.head_dim / 4) as u32;
        let layout = node.projections[0].0.layout();
        let [values, scales] = self.packed_projections(node)?;
        let params = StepAttentionParams {
            n_heads: node.n_heads as u32,
            heads_per_kv: (node.n_heads / node.n_kv_heads) as u32,
            kv_stride4: (node.keys.width() / 4) as u32,
            pos: node.rope.first_pos as u32,
            interleaved: u32::from(node.rope.style == RopeStyle::Interleaved),
            has_bias: u32::from(node.projections[0].1.is_some()),
            eps: node.eps,
            scale: node.scale,
            stats_at: (MAX_SPLITS * self.shape(node.out).len() / 4) as u32,
        };
        let storage = vec![
            self.buffer(node.x),
            values,
            scales,
            self.packed_vectors(node)?,
            self.angles(&node.rope, 1)?,
            node.keys.gpu()?.buffer.clone(),
            node.values.gpu()?.buffer.clone(),
            self.buffer(node.out),
        ];
        let variant = Variant {
            head_dim4: Some(head_dim4),
            input: Some(InputKind::Norm { n_in4 }),
            ..Variant::of_layout(Kernel::StepAttention, layout)
        };
        let n_rows: usize = node.projections.iter().map(|(weight, _)| weight.n_rows()).sum();
        let grid = [node.n_heads as u32, n_splits(node.rope.first_pos + 1) as u32, 1];
        self.push(variant, storage, params, grid, (n_rows * width) as u64);
        self.patch(offset_of!(StepAttentionParams, pos) / 4, Moves::By(1));
        self.plan.steps.last_mut().expect("it was just planned").is_split = true;
        Ok(())
    }

    /// Query, key and value weights in one buffer, because a kernel may bind eight.
    fn packed_projections(&mut self, node: &QkvAttention<'_>) -> Result<[Rc<GpuBuffer>; 2]> {
        let (mut values, mut scales) = (vec![], vec![]);
        for (weight, _) in &node.projections {
            let (layout, n_elements) = (weight.layout(), weight.shape().len());
            let weight = weight.gpu()?;
            let part = only_part(&weight);
            values.push((part.values.clone(), value_bytes(layout, n_elements)));
            scales.extend(part.scales.clone().map(|scales| (scales, scale_bytes(layout, n_elements))));
        }
        let values = self.packed(values)?;
        let scales = if scales.is_empty() { self.gpu.nothing.clone() } else { self.packed(scales)? };
        Ok([values, scales])
    }

    /// Gamma, and the biases behind it.
    fn packed_vectors(&mut self, node: &QkvAttention<'_>) -> Result<Rc<GpuBuffer>> {
        let biases = node.projections.iter().filter_map(|(_, bias)| *bias);
        let vectors: Result<Vec<_>> =
            [node.gamma].into_iter().chain(biases).map(|v| Ok((vector(v)?, 4 * v.width() as u64))).collect();
        let vectors = vectors?;
        match vectors.as_slice() {
            [(gamma, _)] => Ok(gamma.clone()),
            _ => self.packed(vectors),
        }
    }

    /// One buffer that is filled from the beginnings of several, and shared by all plans.
    fn packed(&mut self, pieces: Vec<(Rc<GpuBuffer>, u64)>) -> Result<Rc<GpuBuffer>> {
        let key: Vec<u64> = pieces.iter().map(|(from, _)| from.id).collect();
        if let Some(packed) = self.gpu.packed.borrow().get(&key).and_then(Weak::upgrade) {
            return Ok(packed);
        }
        let n_bytes = pieces.iter().map(|(_, n_bytes)| n_bytes).sum();
        let to = self.gpu.pool.create("weights of a step", n_bytes, Owner::Weights)?;
        let mut to_byte = 0;
        for (from, n_bytes) in pieces {
            self.plan.copies.push(Copy { from, to: to.clone(), to_byte, n_bytes });
            to_byte += n_bytes;
        }
        let mut packed = self.gpu.packed.borrow_mut();
        packed.retain(|_, buffer| buffer.strong_count() > 0);
        packed.insert(key, Rc::downgrade(&to));
        Ok(to)
    }
}

/// Workgroups for so many weight rows.
fn row_groups(n_weight_rows: usize, lanes: u32) -> [u32; 3] {
    spread((n_weight_rows as u64).div_ceil(u64::from(STEP_WORKGROUP / lanes)))
}

/// `fuse` joins only what one binding shows.
fn only_part(weight: &GpuWeight) -> &WeightPart {
    assert!(weight.parts.len() == 1, "a joined weight is whole");
    &weight.parts[0]
}
