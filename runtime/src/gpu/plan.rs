//! From recorded operations to dispatches: which kernel variant, which buffers, which grid.
//!
//! Buffers are recycled while planning: after an operation that reads a tensor last, its buffer may
//! hold the next result. What the host writes (`Input`, ids, ranges) gets its buffers before all
//! others, because such writes happen before the first dispatch.

use std::collections::HashMap;
use std::mem::offset_of;
use std::ops::Range;
use std::rc::Rc;

use bytemuck::{Pod, bytes_of};

use super::fuse::Node;
use super::kernel::{Kernel, Variant};
use super::pool::GpuBuffer;
use super::specs::{
    ArgmaxParams, AttentionParams, CopyRowsParams, ElementwiseParams, FLAT_WORKGROUP, GatherParams,
    L2NormalizeParams, MAX_PARAMS_BYTES, MapParams, MatmulParams, MatvecParams, MeanPoolParams, NormParams,
    RopeParams,
};
use super::weight::{GpuWeight, WeightPart};
use super::{Gpu, KernelSet};
use crate::op::{BufferId, Map, Op, Program, Shape};
use crate::tensor::Weight;
use crate::{Activation, Error, KernelVariant, Result, Rope, RopeStyle};

/// Workgroups of one grid dimension: WebGPU's floor.
pub(super) const MAX_GRID: u32 = 65_535;
/// Rows up to which a linear layer on a GPU runs as products with vectors.
const MAX_MATVEC_ROWS: usize = 4;
/// Invocations that share a weight row in `matvec` on a GPU.
const MATVEC_LANES: u32 = 16;
/// From so many pairs of row and head on, one invocation for each fills a GPU.
const MIN_ATTENTION_ROWS: usize = 4096;
/// Largest head: `attention_keys` gives each quarter-vector an invocation of its 64.
const MAX_HEAD_DIM: usize = 256;
/// Keys that a row sees on average, from which on `attention_tiles` pays: with fewer, most keys of a
/// tile belong to other rows' sequences.
const MIN_TILED_KEYS: u64 = 32;
/// Quarter-vectors of a head that one invocation of `attention_tiles` takes.
const TILES_PART4: usize = 16;
/// Invocations of `attention_tiles`.
const TILES_WORKGROUP: usize = 64;

/// A number of a recording that moves with the position at which it is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patch {
    /// Which word of the parameters, or of the plan's ids and ranges.
    pub(super) word: usize,
    pub(super) moves: Moves,
}

/// How it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moves {
    /// By so much per position.
    By(u32),
    /// It is the slot of the token at the position (and `next` more) in the ring of tokens.
    Ring { next: u32 },
    /// It is the number of splits of the keys.
    Splits,
    /// It is the first position that a window of so many shows to the last one.
    Window(u32),
}

/// One dispatch.
pub(super) struct Step {
    pub(super) variant: Variant,
    pub(super) storage: Vec<Rc<GpuBuffer>>,
    pub(super) params: [u8; MAX_PARAMS_BYTES],
    pub(super) grid: [u32; 3],
    /// Multiplications, roughly.
    pub(super) work: u64,
    /// What moves when the step is replayed at another position.
    pub(super) patches: Vec<Patch>,
    /// Whether the second dimension of the grid is the number of splits of the keys.
    pub(super) is_split: bool,
}

/// All of a program's dispatches.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Host data and the buffers it goes to, before the first step.
    pub(super) inputs: Vec<(Rc<GpuBuffer>, Vec<f32>)>,
    /// Ids and ranges of all operations, and the buffer they go to.
    pub(super) data: (Rc<GpuBuffer>, Vec<u32>),
    /// What moves among them when the plan is replayed at another position.
    pub(super) data_patches: Vec<Patch>,
    /// Buffers that are filled once, from parts of others: (from, to, place, bytes).
    pub(super) copies: Vec<Copy>,
    /// The buffer to read back and its number of elements.
    pub(super) read: Option<(Rc<GpuBuffer>, usize)>,
}

/// Bytes that a plan copies once.
pub(super) struct Copy {
    pub(super) from: Rc<GpuBuffer>,
    pub(super) to: Rc<GpuBuffer>,
    pub(super) to_byte: u64,
    pub(super) n_bytes: u64,
}

/// Plans `program`; all buffers but the steps' own handles are back in the pool afterwards.
pub(super) fn plan(gpu: &Gpu, program: &Program, read: Option<BufferId>) -> Result<Plan> {
    let nodes: Vec<_> = program.ops.iter().map(Node::Op).collect();
    plan_nodes(gpu, program, &nodes, read, None)
}

/// Plans `nodes` instead of the operations of `program`; `tokens` is the ring from which the only id to
/// gather comes, in a plan that is replayed for at most so many positions.
pub(super) fn plan_nodes(
    gpu: &Gpu,
    program: &Program,
    nodes: &[Node<'_>],
    read: Option<BufferId>,
    replay: Option<Replay>,
) -> Result<Plan> {
    let n_words: usize = program.ops.iter().map(|op| n_data_words(op, program)).sum();
    let data = match n_words {
        0 => gpu.nothing.clone(),
        n_words => gpu.pool.take(4 * n_words as u64)?,
    };
    let mut planner = Planner {
        gpu,
        program,
        buffers: vec![None; program.buffers.len()],
        quantized: HashMap::new(),
        replay,
        plan: Plan {
            steps: vec![],
            inputs: vec![],
            data: (data, Vec::with_capacity(n_words)),
            data_patches: vec![],
            copies: vec![],
            read: None,
        },
    };
    let outcome = planner.run(nodes, read);
    let Planner { buffers, quantized, plan, .. } = planner;
    buffers
        .into_iter()
        .flatten()
        .chain(quantized.into_values().flatten())
        .for_each(|buffer| gpu.pool.give(buffer));
    if n_words > 0 {
        gpu.pool.give(plan.data.0.clone());
    }
    outcome?;
    assert!(plan.data.1.len() <= n_words, "every id and range was counted beforehand");
    Ok(plan)
}

/// Ids and ranges that an operation needs on the device.
fn n_data_words(op: &Op, program: &Program) -> usize {
    match op {
        Op::Gather { ids, .. } => ids.len(),
        Op::MeanPool { ranges, .. } => 2 * ranges.len(),
        Op::AttentionFull { q, .. } | Op::AttentionCausal { q, .. } => 2 * program.shape(*q).n_rows,
        _ => 0,
    }
}

/// What a plan that is replayed at other positions needs to know.
pub(super) struct Replay {
    /// The ring of tokens, which the only id to gather comes from.
    pub(super) tokens: Rc<GpuBuffer>,
    /// Positions that it may be replayed for.
    pub(super) n_positions: usize,
}

pub(super) struct Planner<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) program: &'a Program,
    buffers: Vec<Option<Rc<GpuBuffer>>>,
    /// Values and scales of tensors in 8 bits, for as long as the tensors live.
    pub(super) quantized: HashMap<BufferId, [Rc<GpuBuffer>; 2]>,
    pub(super) replay: Option<Replay>,
    pub(super) plan: Plan,
}

impl Planner<'_> {
    fn run(&mut self, nodes: &[Node<'_>], read: Option<BufferId>) -> Result<()> {
        for op in &self.program.ops {
            if let Op::Input { data, out } = op {
                let buffer = self.allocate(*out)?;
                self.plan.inputs.push((buffer, data.clone()));
            }
        }
        let mut last_uses = vec![None; self.program.buffers.len()];
        for (node_idx, node) in nodes.iter().enumerate() {
            node.inputs().into_iter().for_each(|buffer| last_uses[buffer.idx()] = Some(node_idx));
        }
        for (node_idx, node) in nodes.iter().enumerate() {
            if let (Some(out), false) = (node.output(), matches!(node, Node::Op(Op::Input { .. }))) {
                let n_elements = self.n_elements(node, out);
                self.allocate_elements(out, n_elements)?;
            }
            match node {
                Node::Op(op) => self.op(op)?,
                fused => self.fused(fused)?,
            }
            let done = node.inputs().into_iter().filter(|buffer| last_uses[buffer.idx()] == Some(node_idx));
            let unread = node.output().filter(|out| last_uses[out.idx()].is_none());
            for buffer in done.chain(unread).filter(|buffer| Some(*buffer) != read) {
                let quantized = self.quantized.remove(&buffer).into_iter().flatten();
                self.buffers[buffer.idx()]
                    .take()
                    .into_iter()
                    .chain(quantized)
                    .for_each(|b| self.gpu.pool.give(b));
            }
        }
        if let Some(read) = read {
            self.plan.read = Some((self.buffer(read), self.program.shape(read).len()));
        }
        Ok(())
    }

    fn allocate(&mut self, id: BufferId) -> Result<Rc<GpuBuffer>> {
        self.allocate_elements(id, self.program.shape(id).len())
    }

    fn allocate_elements(&mut self, id: BufferId, n_elements: usize) -> Result<Rc<GpuBuffer>> {
        let buffer = self.gpu.pool.take(4 * n_elements as u64)?;
        self.buffers[id.idx()] = Some(buffer.clone());
        Ok(buffer)
    }

    pub(super) fn buffer(&self, id: BufferId) -> Rc<GpuBuffer> {
        self.buffers[id.idx()]
            .clone()
            .expect("a buffer is written before it is read, and lives until its last use")
    }

    pub(super) fn shape(&self, id: BufferId) -> Shape {
        self.program.shape(id)
    }

    /// Appends ids or ranges and gives their place.
    fn data(&mut self, words: impl IntoIterator<Item = u32>) -> u32 {
        let at = self.plan.data.1.len() as u32;
        self.plan.data.1.extend(words);
        at
    }

    pub(super) fn push<P: Pod>(
        &mut self,
        variant: Variant,
        storage: Vec<Rc<GpuBuffer>>,
        params: P,
        grid: [u32; 3],
        work: u64,
    ) {
        let variant = variant.specialised(self.gpu.variants.get());
        let spec = variant.kernel.spec();
        let given = bytes_of(&params);
        assert!(
            storage.len() == spec.storage.len() && given.len() == spec.params.n_bytes,
            "`{}` gets its own bindings and parameters",
            spec.stem
        );
        let mut params = [0; MAX_PARAMS_BYTES];
        params[..given.len()].copy_from_slice(given);
        self.plan.steps.push(Step { variant, storage, params, grid, work, patches: vec![], is_split: false });
    }

    /// Says how word `word` of the last dispatch's parameters moves.
    pub(super) fn patch(&mut self, word: usize, moves: Moves) {
        let step = self.plan.steps.last_mut().expect("a dispatch was planned");
        step.patches.push(Patch { word, moves });
    }

    fn op(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Input { .. } => Ok(()),
            Op::Gather { table, ids, out } => self.gather(table, ids, *out),
            Op::Linear { x, weight, bias, act, out } => self.linear(*x, weight, bias.as_ref(), *act, *out),
            Op::Add { a, b, out } => {
                self.elementwise(Kernel::Add, [*a, *b, *out]);
                Ok(())
            }
            Op::Mul { a, b, out } => {
                self.elementwise(Kernel::Mul, [*a, *b, *out]);
                Ok(())
            }
            Op::Map { x, map, out } => {
                self.map(*x, *map, *out);
                Ok(())
            }
            Op::SiluMul { gate, up, out } => {
                self.elementwise(Kernel::SiluMul, [*gate, *up, *out]);
                Ok(())
            }
            Op::LayerNorm { x, gamma, beta, eps, out } => {
                let storage = vec![self.buffer(*x), vector(gamma)?, vector(beta)?, self.buffer(*out)];
                self.norm(Kernel::LayerNorm, storage, self.shape(*x), *eps)
            }
            Op::RmsNorm { x, gamma, eps, out } => {
                let storage = vec![self.buffer(*x), vector(gamma)?, self.buffer(*out)];
                let n_rows = self.shape(*x).len() / gamma.width();
                self.norm(Kernel::RmsNorm, storage, Shape { n_rows, width: gamma.width() }, *eps)
            }
            Op::L2Normalize { x, out } => self.l2_normalize(*x, *out),
            Op::Rope { x, rope, out } => {
                let shape = self.shape(*x);
                let half_dim = rope.head_dim / 2;
                let angles = self.angles(rope, shape.n_rows)?;
                let params = RopeParams {
                    n_rows: shape.n_rows as u32,
                    n_heads: (shape.width / rope.head_dim) as u32,
                    half_dim: half_dim as u32,
                    first_pos: rope.first_pos as u32,
                    interleaved: u32::from(rope.style == RopeStyle::Interleaved),
                };
                let storage = vec![self.buffer(*x), angles, self.buffer(*out)];
                self.push(Variant::plain(Kernel::Rope), storage, params, flat(shape.len() / 2), 0);
                self.patch(offset_of!(RopeParams, first_pos) / 4, Moves::By(1));
                Ok(())
            }
            Op::KvAppend { cache, x, at_pos } => {
                let out = cache.gpu()?.buffer.clone();
                self.copy(*x, 0, out, at_pos * cache.width(), self.shape(*x).len());
                self.patch(offset_of!(CopyRowsParams, out_at) / 4, Moves::By(cache.width() as u32));
                Ok(())
            }
            Op::Rows { x, first_row, out } => {
                let shape = self.shape(*out);
                self.copy(*x, first_row * shape.width, self.buffer(*out), 0, shape.len());
                Ok(())
            }
            Op::MeanPool { x, ranges, out } => self.mean_pool(*x, ranges, *out),
            Op::AttentionFull { q, k, v, lengths, n_heads, scale, out } => {
                let ranges = lengths.iter().scan(0, |start, len| {
                    *start += len;
                    Some(std::iter::repeat_n([*start - len, *start], *len as usize))
                });
                let ranges_at = self.data(ranges.flatten().flatten());
                let work: u64 = lengths.iter().map(|len| u64::from(*len).pow(2)).sum();
                let width = self.shape(*q).width;
                let call = AttentionCall {
                    n_heads: *n_heads,
                    n_kv_heads: *n_heads,
                    kv_width: width,
                    scale: *scale,
                    soft_cap: None,
                    first_pos: 0,
                    n_distances: 0,
                    ranges_at,
                    n_pairs: work,
                };
                let storage = vec![
                    self.buffer(*q),
                    self.buffer(*k),
                    self.buffer(*v),
                    self.plan.data.0.clone(),
                    self.buffer(*out),
                    self.gpu.nothing.clone(),
                ];
                self.attention(*q, storage, call)
            }
            Op::AttentionCausal {
                q,
                keys,
                values,
                first_pos,
                n_heads,
                n_kv_heads,
                scale,
                window,
                soft_cap,
                n_seen,
                bias,
                out,
            } => {
                let n_rows = self.shape(*q).n_rows;
                let first = |end: usize| window.map_or(0, |window| end.saturating_sub(window));
                let ends = (0..n_rows).map(|row| n_seen.unwrap_or(first_pos + row + 1));
                let ranges_at = self.data(ends.flat_map(|end| [first(end) as u32, end as u32]));
                if let Some(window) = window {
                    // Only a single row is replayed.
                    let moves = Moves::Window(*window as u32);
                    self.plan.data_patches.push(Patch { word: ranges_at as usize, moves });
                }
                let ends = (0..n_rows).map(|row| ranges_at as usize + 2 * row + 1);
                if n_seen.is_none() {
                    self.plan.data_patches.extend(ends.map(|word| Patch { word, moves: Moves::By(1) }));
                }
                let n_pairs = (n_rows * n_seen.unwrap_or(first_pos + n_rows)) as u64;
                let (n_heads, n_kv_heads, scale) = (*n_heads, *n_kv_heads, *scale);
                let call = AttentionCall {
                    n_heads,
                    n_kv_heads,
                    kv_width: keys.width(),
                    scale,
                    soft_cap: *soft_cap,
                    first_pos: *first_pos,
                    n_distances: bias.as_ref().map_or(0, |bias| bias.width() / n_heads),
                    ranges_at,
                    n_pairs,
                };
                let (keys, values) = (keys.gpu()?.buffer.clone(), values.gpu()?.buffer.clone());
                let bias = bias.as_ref().map_or_else(|| Ok(self.gpu.nothing.clone()), vector)?;
                let ranges = self.plan.data.0.clone();
                let storage = vec![self.buffer(*q), keys, values, ranges, self.buffer(*out), bias];
                self.attention(*q, storage, call)
            }
            Op::Argmax { x, out } => {
                let shape = self.shape(*x);
                let params = ArgmaxParams { n_rows: shape.n_rows as u32, n_cols: shape.width as u32 };
                let storage = vec![self.buffer(*x), self.buffer(*out)];
                self.push(Variant::plain(Kernel::Argmax), storage, params, spread(shape.n_rows as u64), 0);
                Ok(())
            }
        }
    }

    /// The table of rotations, as long as this plan needs it.
    pub(super) fn angles(&self, rope: &Rope, n_rows: usize) -> Result<Rc<GpuBuffer>> {
        let n_positions = self.replay.as_ref().map_or(0, |replay| replay.n_positions);
        self.gpu.rope_angles(rope, n_positions.max(rope.first_pos + n_rows))
    }

    fn elementwise(&mut self, kernel: Kernel, operands: [BufferId; 3]) {
        // Buffers are multiples of 16 bytes, so the last vector may reach beyond the tensor.
        let n4 = self.shape(operands[0]).len().div_ceil(4);
        let storage = operands.iter().map(|id| self.buffer(*id)).collect();
        self.push(Variant::plain(kernel), storage, ElementwiseParams { n4: n4 as u32 }, flat(n4), 0);
    }

    fn map(&mut self, x: BufferId, map: Map, out: BufferId) {
        let n4 = self.shape(x).len().div_ceil(4);
        let (is_cap, number) = match map {
            Map::Scale(factor) => (0, factor),
            Map::SoftCap(cap) => (1, cap),
        };
        let params = MapParams { n4: n4 as u32, is_cap, number };
        let storage = vec![self.buffer(x), self.buffer(out)];
        self.push(Variant::plain(Kernel::Map), storage, params, flat(n4), 0);
    }

    fn copy(&mut self, x: BufferId, x_at: usize, out: Rc<GpuBuffer>, out_at: usize, n: usize) {
        let params = CopyRowsParams { n: n as u32, x_at: x_at as u32, out_at: out_at as u32 };
        let storage = vec![self.buffer(x), out];
        self.push(Variant::plain(Kernel::CopyRows), storage, params, flat(n), 0);
    }

    fn norm(&mut self, kernel: Kernel, storage: Vec<Rc<GpuBuffer>>, shape: Shape, eps: f32) -> Result<()> {
        let n_cols4 = quarter(kernel, shape.width)?;
        let params = NormParams { n_rows: shape.n_rows as u32, n_cols4, eps };
        self.push(Variant::plain(kernel), storage, params, spread(shape.n_rows as u64), 0);
        Ok(())
    }

    fn l2_normalize(&mut self, x: BufferId, out: BufferId) -> Result<()> {
        let shape = self.shape(x);
        let n_cols4 = quarter(Kernel::L2Normalize, shape.width)?;
        let params = L2NormalizeParams { n_rows: shape.n_rows as u32, n_cols4 };
        let storage = vec![self.buffer(x), self.buffer(out)];
        self.push(Variant::plain(Kernel::L2Normalize), storage, params, spread(shape.n_rows as u64), 0);
        Ok(())
    }

    fn mean_pool(&mut self, x: BufferId, ranges: &[Range<u32>], out: BufferId) -> Result<()> {
        let shape = self.shape(out);
        let n_cols4 = quarter(Kernel::MeanPool, shape.width)?;
        let ranges_at = self.data(ranges.iter().flat_map(|range| [range.start, range.end]));
        let params = MeanPoolParams { n_ranges: shape.n_rows as u32, n_cols4, ranges_at };
        let storage = vec![self.buffer(x), self.plan.data.0.clone(), self.buffer(out)];
        self.push(Variant::plain(Kernel::MeanPool), storage, params, flat(shape.len() / 4), 0);
        Ok(())
    }

    fn gather(&mut self, table: &Weight, ids: &[u32], out: BufferId) -> Result<()> {
        let n_in4 = quarter(Kernel::Gather, table.width())?;
        let (id_buffer, ids_at) = match &self.replay {
            Some(replay) => (replay.tokens.clone(), 0),
            None => {
                let ids_at = self.data(ids.iter().copied());
                (self.plan.data.0.clone(), ids_at)
            }
        };
        let weight = table.gpu()?;
        for part in &weight.parts {
            let params = GatherParams {
                n_rows: ids.len() as u32,
                n_in4,
                first_id: part.first_row as u32,
                n_table_rows: part.n_rows as u32,
                ids_at,
            };
            let [values, scales] = self.weight_bindings(part);
            let storage = vec![id_buffer.clone(), values, scales, self.buffer(out)];
            let variant = Variant::of_layout(Kernel::Gather, weight.layout);
            self.push(variant, storage, params, flat(ids.len() * n_in4 as usize), 0);
            if self.replay.is_some() {
                self.patch(offset_of!(GatherParams, ids_at) / 4, Moves::Ring { next: 0 });
            }
        }
        Ok(())
    }

    fn linear(
        &mut self,
        x: BufferId,
        weight: &Weight,
        bias: Option<&Weight>,
        act: Activation,
        out: BufferId,
    ) -> Result<()> {
        let n_in4 = quarter(Kernel::Matmul, weight.width())?;
        let (n_rows, out_stride) = (self.shape(x).n_rows, self.shape(out).width as u32);
        let has_bias = u32::from(bias.is_some());
        let bias = match bias {
            Some(bias) => vector(bias)?,
            None => self.gpu.nothing.clone(),
        };
        let activation = activation_code(act);
        let weight = weight.gpu()?;
        let GpuWeight { layout, parts, .. } = &*weight;
        for part in parts {
            let [values, scales] = self.weight_bindings(part);
            let storage = vec![self.buffer(x), values, scales, bias.clone(), self.buffer(out)];
            let (n_weight_rows, out_col) = (part.n_rows as u32, part.first_row as u32);
            let work = n_rows as u64 * part.n_rows as u64 * u64::from(n_in4) * 4;
            let kernels = self.gpu.kernels;
            if n_rows == 1 || (kernels == KernelSet::Hardware && n_rows <= MAX_MATVEC_ROWS) {
                let lanes = if kernels == KernelSet::Hardware { MATVEC_LANES } else { 1 };
                let params = MatvecParams { n_in4, n_weight_rows, out_col, out_stride, activation, has_bias };
                let variant = Variant { lanes: Some(lanes), ..Variant::of_layout(Kernel::Matvec, *layout) };
                let [x, z, _] = spread(u64::from(n_weight_rows).div_ceil(u64::from(64 / lanes)));
                self.push(variant, storage, params, [x, n_rows as u32, z], work);
            } else {
                let n_rows = n_rows as u32;
                let params =
                    MatmulParams { n_rows, n_in4, n_weight_rows, out_col, out_stride, activation, has_bias };
                self.matmul(x, *layout, storage, params)?;
            }
        }
        Ok(())
    }

    fn attention(&mut self, q: BufferId, storage: Vec<Rc<GpuBuffer>>, call: AttentionCall) -> Result<()> {
        let shape = self.shape(q);
        let head_dim = shape.width / call.n_heads;
        if !head_dim.is_multiple_of(4) || head_dim > MAX_HEAD_DIM {
            let expected = format!("heads of a multiple of 4, at most {MAX_HEAD_DIM} elements");
            return Err(Error::ShapeMismatch {
                what: "attention".into(),
                expected,
                got: head_dim.to_string(),
            });
        }
        let n_rows = shape.n_rows as u32;
        let params = AttentionParams {
            n_rows,
            n_heads: call.n_heads as u32,
            heads_per_kv: (call.n_heads / call.n_kv_heads) as u32,
            kv_stride4: (call.kv_width / 4) as u32,
            ranges_at: call.ranges_at,
            scale: call.scale,
            soft_cap: call.soft_cap.unwrap_or(0.0),
            first_pos: call.first_pos as u32,
            n_distances: call.n_distances as u32,
        };
        let many = shape.n_rows * call.n_heads >= MIN_ATTENTION_ROWS;
        let has_tiles =
            self.gpu.variants.get().has(KernelVariant::AttentionTiles) && shape.n_rows > MAX_MATVEC_ROWS;
        let (kernel, n_groups) = if has_tiles && call.n_pairs >= MIN_TILED_KEYS * shape.n_rows as u64 {
            let rows_per_group = TILES_WORKGROUP / (head_dim / 4).div_ceil(TILES_PART4);
            (Kernel::AttentionTiles, n_rows.div_ceil(rows_per_group as u32))
        } else if many || self.gpu.kernels == KernelSet::Software {
            (Kernel::AttentionRows, n_rows.div_ceil(FLAT_WORKGROUP))
        } else {
            (Kernel::AttentionKeys, n_rows)
        };
        let variant = Variant { head_dim4: Some((head_dim / 4) as u32), ..Variant::plain(kernel) };
        let work = 2 * call.n_pairs * shape.width as u64;
        self.push(variant, storage, params, [n_groups, call.n_heads as u32, 1], work);
        Ok(())
    }

    pub(super) fn weight_bindings(&self, part: &WeightPart) -> [Rc<GpuBuffer>; 2] {
        let scales = part.scales.as_ref().unwrap_or(&self.gpu.nothing);
        [part.values.clone(), scales.clone()]
    }
}

/// What differs between the two kinds of attention.
struct AttentionCall {
    n_heads: usize,
    n_kv_heads: usize,
    kv_width: usize,
    scale: f32,
    soft_cap: Option<f32>,
    first_pos: usize,
    /// Biases of a head; 0 where there are none.
    n_distances: usize,
    ranges_at: u32,
    /// Pairs of query row and key.
    n_pairs: u64,
}

/// The number that `activation.wgsl` gives an activation.
pub(super) fn activation_code(act: Activation) -> u32 {
    match act {
        Activation::None => 0,
        Activation::Gelu => 1,
        Activation::Silu => 2,
        Activation::Tanh => 3,
        Activation::GeluTanh => 4,
    }
}

/// A bias, gamma or beta.
pub(super) fn vector(weight: &Weight) -> Result<Rc<GpuBuffer>> {
    let weight = weight.gpu()?;
    let parts = &weight.parts;
    assert!(parts.len() == 1, "a vector is one row");
    Ok(parts[0].values.clone())
}

/// Vectors of four in a row.
pub(super) fn quarter(kernel: Kernel, width: usize) -> Result<u32> {
    if width.is_multiple_of(4) {
        return Ok((width / 4) as u32);
    }
    let what = format!("{} on the GPU", kernel.spec().stem);
    Err(Error::ShapeMismatch { what, expected: "[_, a multiple of 4]".into(), got: format!("[_, {width}]") })
}

/// Workgroups for a flat list of `n` items.
pub(super) fn flat(n: usize) -> [u32; 3] {
    spread((n as u64).div_ceil(u64::from(FLAT_WORKGROUP)))
}

/// `n` workgroups over x, and over y where x is full; kernels skip those beyond the end.
pub(super) fn spread(n: u64) -> [u32; 3] {
    let n = n.max(1);
    let y = n.div_ceil(u64::from(MAX_GRID));
    [n.div_ceil(y) as u32, y as u32, 1]
}
