//! Walking a program.

use super::buffers::{Buffers, Pool};
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
    let last_uses = program.last_uses();
    let mut buffers = Buffers::new(program, pool);
    let mut table = RopeTable::default();
    let is_long = program.buffers.iter().any(|shape| shape.n_rows >= MIN_LONG_ROWS);
    let mut busy_since = platform::now_ms();
    for (op_idx, op) in program.ops.iter().enumerate() {
        if is_long && platform::now_ms() - busy_since > MAX_BUSY_MS {
            platform::yield_now().await;
            busy_since = platform::now_ms();
        }
        match op.output() {
            Some(out) => buffers.write(out, |buffers, to| run(program, op, buffers, &mut table, to))?,
            None => run(program, op, &buffers, &mut table, &mut [])?,
        }
        let dead = op.inputs().into_iter().chain(op.output());
        for buffer in
            dead.filter(|b| Some(*b) != read && last_uses[b.idx()].is_none_or(|last| last <= op_idx))
        {
            buffers.free(buffer);
        }
    }
    Ok(read.map_or_else(Vec::new, |buffer| buffers.into_content(buffer)))
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
        Op::LayerNorm { x, gamma, beta, eps, .. } => {
            rows::layer_norm(get(x), gamma.cpu()?.vector(), beta.cpu()?.vector(), *eps, to);
        }
        Op::RmsNorm { x, gamma, eps, .. } => rows::rms_norm(get(x), gamma.cpu()?.vector(), *eps, to),
        Op::Rope { x, rope, .. } => rows::rope(get(x), rope, width(x), table, to),
        Op::SiluMul { gate, up, .. } => rows::silu_mul(get(gate), get(up), to),
        Op::KvAppend { cache, x, at_pos } => {
            kernels::kv_append(get(x), *at_pos, cache.width(), &mut cache.cpu()?.values.borrow_mut());
        }
        Op::AttentionCausal { q, keys, values, first_pos, n_heads, n_kv_heads, scale, .. } => {
            let head_dim = width(q) / n_heads;
            let (n_heads, n_kv_heads) = (*n_heads, *n_kv_heads);
            let p = CausalParams { first_pos: *first_pos, n_heads, n_kv_heads, head_dim, scale: *scale };
            let (keys, values) = (keys.cpu()?, values.cpu()?);
            let (keys, values) = (keys.values.borrow(), values.values.borrow());
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
