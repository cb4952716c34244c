//! Which recorded operations one kernel computes together when a step of decoding is replayed.
//!
//! A pass over the program of a single row: it looks for the shapes that decoders are made of and
//! leaves everything else as it is, so that a model with another block merely runs more dispatches.
//! On a GPU a layer of the Llama family becomes four: normalisation, projections, rotation, append and
//! attention; output projection and residual; normalisation, gate and up; down and residual. On a
//! software adapter, where barriers are dear and dispatches cheap, only what needs no barrier is joined.

use std::collections::HashMap;

use super::weight::n_bytes;
use crate::op::{BufferId, GROUP, Op, Program};
use crate::tensor::{KvCache, Weight};
use crate::{Activation, Rope};

/// Widest row that a fused linear layer keeps in workgroup memory: of the 16 KiB that WebGPU grants
/// everywhere, 128 invocations' sums take less than one.
const MAX_LINEAR_WIDTH: usize = (16_384 - 1024) / 4;
/// The same for attention, where 256 invocations have sums and scores (24 bytes each), and one head of at
/// most 128 a query, a key and a value.
const MAX_ATTENTION_WIDTH: usize = (16_384 - 256 * 24 - 3 * 128 * 4 - 512) / 4;
/// Largest head of a fused attention.
pub(super) const MAX_FUSED_HEAD_DIM: usize = 128;

/// What is planned as one.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// An operation by itself.
    Op(&'a Op),
    /// See [`QkvAttention`].
    QkvAttention(Box<QkvAttention<'a>>),
    /// See [`StepLinear`].
    Linear(StepLinear<'a>),
    /// See [`GateUp`].
    GateUp(GateUp<'a>),
}

/// RMS normalisation of `x`, query, key and value of it, rotation of the first two, append to the
/// caches, and attention over them; gives partial sums, to be joined by [`Input::Heads`].
#[derive(Debug)]
pub(super) struct QkvAttention<'a> {
    pub(super) x: BufferId,
    pub(super) gamma: &'a Weight,
    pub(super) eps: f32,
    /// Query, key, value: weight and bias; biases are all there or none is.
    pub(super) projections: [(&'a Weight, Option<&'a Weight>); 3],
    pub(super) rope: Rope,
    pub(super) keys: &'a KvCache,
    pub(super) values: &'a KvCache,
    pub(super) n_heads: usize,
    pub(super) n_kv_heads: usize,
    pub(super) scale: f32,
    pub(super) out: BufferId,
}

/// `out = act(input * weight^T + bias) + residual`.
#[derive(Debug)]
pub(super) struct StepLinear<'a> {
    pub(super) input: Input<'a>,
    pub(super) weight: &'a Weight,
    pub(super) bias: Option<&'a Weight>,
    pub(super) act: Activation,
    pub(super) residual: Option<BufferId>,
    pub(super) out: BufferId,
}

/// `out = silu(input * gate^T) * (input * up^T)`.
#[derive(Debug)]
pub(super) struct GateUp<'a> {
    pub(super) input: Input<'a>,
    pub(super) gate: &'a Weight,
    pub(super) up: &'a Weight,
    pub(super) out: BufferId,
}

/// What a fused kernel multiplies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// A row as it is.
    Plain(BufferId),
    /// Its RMS normalisation.
    Norm { x: BufferId, gamma: &'a Weight, eps: f32 },
    /// The partial sums of attention, joined.
    Heads { partials: BufferId, head_dim: usize, n_keys: usize },
}

impl Input<'_> {
    pub(super) fn buffer(&self) -> BufferId {
        match self {
            Self::Plain(x) | Self::Norm { x, .. } | Self::Heads { partials: x, .. } => *x,
        }
    }
}

impl Node<'_> {
    /// The buffer it writes.
    pub(super) fn output(&self) -> Option<BufferId> {
        match self {
            Self::Op(op) => op.output(),
            Self::QkvAttention(node) => Some(node.out),
            Self::Linear(node) => Some(node.out),
            Self::GateUp(node) => Some(node.out),
        }
    }

    /// The buffers it reads.
    pub(super) fn inputs(&self) -> Vec<BufferId> {
        match self {
            Self::Op(op) => op.inputs(),
            Self::QkvAttention(node) => vec![node.x],
            Self::Linear(node) => [node.input.buffer()].into_iter().chain(node.residual).collect(),
            Self::GateUp(node) => vec![node.input.buffer()],
        }
    }
}

/// What may be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fusion {
    /// All that shares a row in workgroup memory.
    Workgroup,
    /// What needs no barrier.
    Invocation,
    /// Nothing.
    None,
}

/// The nodes of `program`, whose tensors all have one row; `kept` is read by others, too.
/// No binding shows more than `max_binding_bytes`.
pub(super) fn fuse(
    program: &Program,
    fusion: Fusion,
    kept: BufferId,
    max_binding_bytes: u64,
) -> Vec<Node<'_>> {
    if fusion == Fusion::None {
        return program.ops.iter().map(Node::Op).collect();
    }
    let mut fuser = Fuser::new(program, fusion, kept, max_binding_bytes);
    for (op_idx, op) in program.ops.iter().enumerate() {
        let fused = match op {
            Op::AttentionCausal { .. } => fuser.attention(op),
            Op::Linear { .. } => fuser.linear(op),
            Op::Add { a, b, out } => fuser.residual(*a, *b, *out).or_else(|| fuser.residual(*b, *a, *out)),
            Op::SiluMul { gate, up, out } => fuser.gate_up(*gate, *up, *out),
            _ => None,
        };
        if let Some((node, joined)) = fused {
            fuser.nodes[op_idx] = Some(node);
            joined.into_iter().for_each(|joined| fuser.nodes[joined] = None);
        }
    }
    fuser.nodes.into_iter().flatten().collect()
}

/// A node, and the operations before it that it computes.
type Fused<'a> = Option<(Node<'a>, Vec<usize>)>;

struct Fuser<'a> {
    program: &'a Program,
    fusion: Fusion,
    max_binding_bytes: u64,
    /// The operation that writes a buffer, by buffer.
    writers: Vec<Option<usize>>,
    /// How many read a buffer.
    n_readers: Vec<usize>,
    /// Operations that touch a cache, by the cache.
    cache_ops: HashMap<usize, Vec<usize>>,
    /// What stands in an operation's place; nothing where a later node computes it.
    nodes: Vec<Option<Node<'a>>>,
}

impl<'a> Fuser<'a> {
    fn new(program: &'a Program, fusion: Fusion, kept: BufferId, max_binding_bytes: u64) -> Self {
        let mut writers = vec![None; program.buffers.len()];
        let mut n_readers = vec![0; program.buffers.len()];
        let mut cache_ops: HashMap<usize, Vec<usize>> = HashMap::new();
        n_readers[kept.idx()] += 1;
        for (op_idx, op) in program.ops.iter().enumerate() {
            op.output().into_iter().for_each(|out| writers[out.idx()] = Some(op_idx));
            op.inputs().into_iter().for_each(|input| n_readers[input.idx()] += 1);
            let caches = match op {
                Op::KvAppend { cache, .. } => vec![cache],
                Op::AttentionCausal { keys, values, .. } => vec![keys, values],
                _ => vec![],
            };
            caches.into_iter().for_each(|cache| cache_ops.entry(cache.id()).or_default().push(op_idx));
        }
        let nodes = program.ops.iter().map(|op| Some(Node::Op(op))).collect();
        Self { program, fusion, max_binding_bytes, writers, n_readers, cache_ops, nodes }
    }

    /// The operation that writes `buffer` and stands unfused, where `n_readers` operations read it.
    fn writer(&self, buffer: BufferId, n_readers: usize) -> Option<(usize, &'a Op)> {
        let op_idx = self.writers[buffer.idx()].filter(|_| self.n_readers[buffer.idx()] == n_readers)?;
        match self.nodes[op_idx] {
            Some(Node::Op(op)) => Some((op_idx, op)),
            _ => None,
        }
    }

    /// As [`Self::writer`], of a linear layer without activation: its index, input, weight and bias.
    fn projection(&self, buffer: BufferId) -> Option<(usize, BufferId, &'a Weight, Option<&'a Weight>)> {
        match self.writer(buffer, 1)? {
            (op_idx, Op::Linear { x, weight, bias, act: Activation::None, .. }) => {
                Some((op_idx, *x, weight, bias.as_ref()))
            }
            _ => None,
        }
    }

    /// What a kernel that alone reads `x`, `n_readers` times, multiplies, and what it joins for that, if
    /// the row is no wider than `max_width`.
    fn input(&self, x: BufferId, n_readers: usize, max_width: usize) -> (Input<'a>, Vec<usize>) {
        let fits = self.fusion == Fusion::Workgroup && self.program.shape(x).width <= max_width;
        match self.writer(x, n_readers).filter(|_| fits) {
            // Not one of every head by itself.
            Some((op_idx, Op::RmsNorm { x, gamma, eps, .. }))
                if gamma.width() == self.program.shape(*x).width =>
            {
                (Input::Norm { x: *x, gamma, eps: *eps }, vec![op_idx])
            }
            _ => (Input::Plain(x), vec![]),
        }
    }

    /// A linear layer after a normalisation.
    fn linear(&self, op: &'a Op) -> Fused<'a> {
        let Op::Linear { x, weight, bias, act, out } = op else { return None };
        let (input, joined) = self.input(*x, 1, MAX_LINEAR_WIDTH);
        let node = StepLinear { input, weight, bias: bias.as_ref(), act: *act, residual: None, out: *out };
        matches!(node.input, Input::Norm { .. }).then(|| (Node::Linear(node), joined))
    }

    /// A linear layer, whose only reader is a sum.
    fn residual(&mut self, layer: BufferId, residual: BufferId, out: BufferId) -> Fused<'a> {
        if layer == residual || self.n_readers[layer.idx()] != 1 {
            return None;
        }
        let op_idx = self.writers[layer.idx()]?;
        let node = match &self.nodes[op_idx] {
            Some(Node::Op(Op::Linear { x, weight, bias, act, .. })) => {
                let input = Input::Plain(*x);
                StepLinear { input, weight, bias: bias.as_ref(), act: *act, residual: Some(residual), out }
            }
            Some(Node::Linear(node)) if node.residual.is_none() => {
                StepLinear { residual: Some(residual), out, ..*node }
            }
            _ => return None,
        };
        Some((Node::Linear(node), vec![op_idx]))
    }

    /// Two linear layers of one input, joined by SwiGLU.
    fn gate_up(&self, gate: BufferId, up: BufferId, out: BufferId) -> Fused<'a> {
        let (gate_idx, x, gate, None) = self.projection(gate)? else { return None };
        let (up_idx, up_x, up, None) = self.projection(up)? else { return None };
        if x != up_x || gate.layout() != up.layout() || !is_whole(gate) || !is_whole(up) {
            return None;
        }
        let (input, mut joined) = self.input(x, 2, MAX_LINEAR_WIDTH);
        joined.extend([gate_idx, up_idx]);
        Some((Node::GateUp(GateUp { input, gate, up, out }), joined))
    }

    /// Everything from the normalisation to the attention, where the output projection can join the
    /// partial sums.
    fn attention(&mut self, op: &'a Op) -> Fused<'a> {
        let Op::AttentionCausal {
            q,
            keys,
            values,
            first_pos,
            n_heads,
            n_kv_heads,
            scale,
            window: None,
            soft_cap: None,
            n_seen: None,
            bias: None,
            out,
        } = op
        else {
            return None;
        };
        let (q_rope_idx, q, rope) = self.rope(*q)?;
        let (key_append_idx, k) = self.append(keys, *first_pos)?;
        let (value_append_idx, v) = self.append(values, *first_pos)?;
        let (k_rope_idx, k, k_rope) = self.rope(k)?;
        let projections = [self.projection(q)?, self.projection(k)?, self.projection(v)?];
        let h = projections[0].1;
        let (Input::Norm { x, gamma, eps }, mut joined) = self.input(h, 3, MAX_ATTENTION_WIDTH) else {
            return None;
        };
        let layout = projections[0].2.layout();
        let is_one = projections.iter().all(|p| p.1 == h && p.2.layout() == layout)
            && projections.iter().all(|p| p.3.is_some() == projections[0].3.is_some())
            && rope == k_rope
            && rope.first_pos == *first_pos
            && rope.head_dim * n_kv_heads == keys.width()
            && rope.head_dim <= MAX_FUSED_HEAD_DIM
            && rope.head_dim.is_multiple_of(8);
        let reader = self.program.ops.iter().position(|op| op.inputs().contains(out))?;
        let Op::Linear { x: read, weight, bias, act, out: projected } = &self.program.ops[reader] else {
            return None;
        };
        let weights = projections.map(|p| p.2);
        let n_bytes = weights.iter().map(|weight| n_bytes(weight.shape(), layout)).sum::<u64>();
        let fits = self.program.shape(*out).width <= MAX_LINEAR_WIDTH
            && self.n_readers[out.idx()] == 1
            && weights.into_iter().all(is_whole)
            // Scales of 8-bit groups lie two to a word, and each weight's begin with one.
            && weights.iter().all(|weight| weight.shape().len().is_multiple_of(2 * GROUP))
            && n_bytes <= self.max_binding_bytes;
        if !is_one || !fits || keys.id() == values.id() {
            return None;
        }
        let input = Input::Heads { partials: *read, head_dim: rope.head_dim, n_keys: first_pos + 1 };
        let (bias, act, out_projected) = (bias.as_ref(), *act, *projected);
        self.nodes[reader] =
            Some(Node::Linear(StepLinear { input, weight, bias, act, residual: None, out: out_projected }));
        joined.extend([q_rope_idx, k_rope_idx, key_append_idx, value_append_idx]);
        joined.extend(projections.iter().map(|p| p.0));
        let projections = projections.map(|p| (p.2, p.3));
        let (n_heads, n_kv_heads, scale, out) = (*n_heads, *n_kv_heads, *scale, *out);
        let node =
            QkvAttention { x, gamma, eps, projections, rope, keys, values, n_heads, n_kv_heads, scale, out };
        Some((Node::QkvAttention(Box::new(node)), joined))
    }

    fn rope(&self, buffer: BufferId) -> Option<(usize, BufferId, Rope)> {
        match self.writer(buffer, 1)? {
            (op_idx, Op::Rope { x, rope, .. }) => Some((op_idx, *x, rope.clone())),
            _ => None,
        }
    }

    /// The only append to a cache that only one attention reads: its index and what it appends.
    fn append(&self, cache: &KvCache, pos: usize) -> Option<(usize, BufferId)> {
        let [append_idx, _] = self.cache_ops.get(&cache.id())?[..] else { return None };
        match &self.program.ops[append_idx] {
            Op::KvAppend { x, at_pos, .. } if *at_pos == pos => Some((append_idx, *x)),
            _ => None,
        }
    }
}

/// Whether one binding shows all of a weight.
fn is_whole(weight: &Weight) -> bool {
    weight.gpu().is_ok_and(|weight| weight.parts.len() == 1)
}
