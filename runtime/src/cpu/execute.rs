//! Walking a program.

use super::buffers::{Buffers, Pool};
use super::one_row::{Layer, one_row};
use super::rows::RopeTable;
use super::weight::{CpuWeight, Values};
use super::{attention, gemm, quantised, rows, shorts};
use crate::kernels::{self, CausalParams, FullParams};
use crate::op::{BufferId, Op, Program};
use crate::{Activation, Result};

/// Other tasks get their turn after so long a time, and one operation, in which a program of many
/// rows computes: a fraction of what a token takes on a slow machine.
const MAX_BUSY_MS: f64 = 50.0;
/// A program of fewer rows is a token's; it ends soon by itself, and is not slowed by a clock.
const MIN_LONG_ROWS: usize = 8;

/// Runs all operations and takes out `read`'s content. Dropping the future between two operations
/// ends the work there: the buffers go back to the pool, and caches hold what was written so far.
pub(super) async fn execute(program: &Program, pool: &Pool, read: Option<BufferId>) -> Result<Vec<f32>> {
    divide_caches(program)?;
    let last_uses = program.last_uses();
    let mut buffers = Buffers::new(program, pool);
    let mut table = RopeTable::default();
    let is_long = program.buffers.iter().any(|shape| shape.n_rows >= MIN_LONG_ROWS);
    if is_long {
        // Within the task in which a worker got a message, Chromium takes 40 ms longer for the same.
        platform::yield_now().await;
    }
    let mut busy_since = platform::now_ms();
    let mut op_idx = 0;
    while op_idx < program.ops.len() {
        let layers = layers_of_one_row(program, op_idx);
        if is_long && platform::now_ms() - busy_since > MAX_BUSY_MS {
            platform::yield_now().await;
            busy_since = platform::now_ms();
        }
        let ops = if layers.is_empty() { &program.ops[op_idx..=op_idx] } else { layers };
        if layers.is_empty() {
            let op = &ops[0];
            match op.output() {
                Some(out) => buffers.write(out, |buffers, to| run(program, op, buffers, &mut table, to))?,
                None => run(program, op, &buffers, &mut table, &mut [])?,
            }
        } else {
            let outputs: Vec<BufferId> = layers.iter().filter_map(Op::output).collect();
            buffers.write_all(&outputs, |buffers, to| run_layers(layers, buffers, to))?;
        }
        let last_idx = op_idx + ops.len() - 1;
        for buffer in ops.iter().flat_map(|op| op.inputs().into_iter().chain(op.output())) {
            if Some(buffer) != read && last_uses[buffer.idx()].is_none_or(|last| last <= last_idx) {
                buffers.free(buffer);
            }
        }
        op_idx = last_idx + 1;
    }
    Ok(read.map_or_else(Vec::new, |buffer| buffers.into_content(buffer)))
}

/// Has caches lie as attention is going to read them.
fn divide_caches(program: &Program) -> Result<()> {
    for op in &program.ops {
        if let Op::AttentionCausal { keys, values, n_kv_heads, .. } = op {
            for cache in [keys, values] {
                cache.cpu()?.rows.borrow_mut().divide(*n_kv_heads);
            }
        }
    }
    Ok(())
}

/// The linear layers of one and the same row from `op_idx` on; often none.
fn layers_of_one_row(program: &Program, op_idx: usize) -> &[Op] {
    let ops = &program.ops[op_idx..];
    let row = |op: &Op| match op {
        Op::Linear { x, .. } if program.shape(*x).n_rows == 1 => Some(*x),
        _ => None,
    };
    let first = row(&ops[0]);
    let n_layers = ops.iter().take_while(|op| first.is_some() && row(op) == first).count();
    &ops[..n_layers]
}

/// Runs linear layers of one row; `to` are their output buffers.
fn run_layers(layers: &[Op], buffers: &Buffers<'_>, to: Vec<&mut [f32]>) -> Result<()> {
    let mut row = None;
    let mut weights = Vec::with_capacity(layers.len());
    for layer in layers {
        if let Op::Linear { x, weight, bias, act, .. } = layer {
            row = Some(*x);
            weights.push((weight.cpu()?, bias.as_ref().map(|bias| bias.cpu()).transpose()?, *act));
        }
    }
    let layers = weights.iter().zip(to).map(|((weight, bias, act), out)| Layer {
        weight: &weight.values,
        bias: bias.as_deref().map(CpuWeight::vector),
        act: *act,
        out,
    });
    if let Some(row) = row {
        one_row(buffers.get(row), layers.collect());
    }
    Ok(())
}

/// Runs one operation; `to` is its output buffer.
fn run(
    program: &Program,
    op: &Op,
    buffers: &Buffers<'_>,
    table: &mut RopeTable,
    to: &mut [f32],
) -> Result<()> {
    let get = |buffer: &BufferId| buffers.get(*buffer);
    let width = |buffer: &BufferId| program.shape(*buffer).width;
    match op {
        Op::Input { data, .. } => to.copy_from_slice(data),
        Op::Gather { table, ids, .. } => {
            let weight = table.cpu()?;
            let rows = to.chunks_exact_mut(table.width()).zip(ids);
            rows.for_each(|(to, id)| weight.read_row(*id as usize, to));
        }
        Op::Linear { x, weight, bias, act, .. } => {
            let bias = bias.as_ref().map(|bias| bias.cpu()).transpose()?;
            linear(get(x), &*weight.cpu()?, bias.as_deref().map(CpuWeight::vector), *act, to);
        }
        Op::Add { a, b, .. } => rows::add(get(a), get(b), to),
        Op::Mul { a, b, .. } => rows::mul(get(a), get(b), to),
        Op::Map { x, map, .. } => rows::map(get(x), *map, to),
        Op::LayerNorm { x, gamma, beta, eps, .. } => {
            rows::layer_norm(get(x), gamma.cpu()?.vector(), beta.cpu()?.vector(), *eps, to);
        }
        Op::RmsNorm { x, gamma, eps, .. } => rows::rms_norm(get(x), gamma.cpu()?.vector(), *eps, to),
        Op::Rope { x, rope, .. } => rows::rope(get(x), rope, width(x), table, to),
        Op::SiluMul { gate, up, .. } => rows::silu_mul(get(gate), get(up), to),
        Op::KvAppend { cache, x, at_pos } => {
            cache.cpu()?.rows.borrow_mut().append(*at_pos, get(x));
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
            ..
        } => {
            let head_dim = width(q) / n_heads;
            let (n_heads, n_kv_heads) = (*n_heads, *n_kv_heads);
            let bias = bias.as_ref().map(|bias| bias.cpu()).transpose()?;
            let p = CausalParams {
                first_pos: *first_pos,
                n_heads,
                n_kv_heads,
                head_dim,
                scale: *scale,
                window: *window,
                soft_cap: *soft_cap,
                n_seen: *n_seen,
                bias: bias.as_deref().map(CpuWeight::vector),
            };
            let (keys, values) = (keys.cpu()?, values.cpu()?);
            let (keys, values) = (keys.rows.borrow(), values.rows.borrow());
            attention::attention_causal(get(q), &keys, &values, &p, to);
        }
        Op::AttentionFull { q, k, v, lengths, n_heads, scale, .. } => {
            let p = FullParams { n_heads: *n_heads, head_dim: width(q) / n_heads, scale: *scale };
            attention::attention_full(get(q), get(k), get(v), lengths, &p, to);
        }
        Op::MeanPool { x, ranges, .. } => kernels::mean_pool(get(x), ranges, width(x), to),
        Op::L2Normalize { x, .. } => kernels::l2_normalize(get(x), width(x), to),
        Op::Rows { x, first_row, .. } => to.copy_from_slice(&get(x)[first_row * width(x)..][..to.len()]),
        Op::Argmax { x, .. } => kernels::argmax(get(x), width(x), to),
    }
    Ok(())
}

fn linear(x: &[f32], weight: &CpuWeight, bias: Option<&[f32]>, act: Activation, out: &mut [f32]) {
    match &weight.values {
        Values::Vector(row) => {
            // One output: a panel of its own, made on the way.
            let mut panel = super::panels::Panels::zeroed(1, row.len());
            panel.write(0, row);
            gemm::linear(x, &panel, bias, act, out);
        }
        Values::Shorts(panels) => shorts::linear(x, panels, bias, act, out),
        Values::Matrix(panels) => gemm::linear(x, panels, bias, act, out),
        Values::Quantised(panels) => quantised::linear(x, panels, bias, act, out),
    }
}
