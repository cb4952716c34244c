//! Recording a forward pass: shapes are checked here, nothing runs before `run` or `read`.

use std::cell::Cell;
use std::ops::Range;

use crate::gpu::{GpuSteps, Recording};
use crate::op::{BufferId, Map, Op, Program, Shape};
use crate::tensor::{KvCache, Layout, Tensor, Weight};
use crate::{
    Activation, CausalAttention, Error, FullAttention, Result, Rope, RopeScaling, Runtime, TokenLoop,
};

/// Most elements of one tensor: 2^28 f32 are 1 GiB, a quarter of what wasm32 can address.
const MAX_ELEMENTS: usize = 1 << 28;
/// Widest row of `argmax`: up to here f32 holds every index exactly.
const MAX_ARGMAX_WIDTH: usize = 1 << 24;

/// Records operations on tensors; `run` or `read` executes them all.
///
/// Every tensor is f32 `[n_rows, width]`. A method checks its operands' shapes and fails with
/// [`Error::ShapeMismatch`] at once, before anything has run.
pub struct Recorder<'rt> {
    runtime: &'rt Runtime,
    program: Program,
    recording: u64,
}

impl<'rt> Recorder<'rt> {
    pub(crate) fn new(runtime: &'rt Runtime) -> Self {
        thread_local!(static NEXT: Cell<u64> = const { Cell::new(0) });
        let recording = NEXT.replace(NEXT.get() + 1);
        Self { runtime, program: Program::default(), recording }
    }

    /// A tensor from the host: `data` is row-major `[n_rows, width]`.
    pub fn input(&mut self, n_rows: usize, width: usize, data: Vec<f32>) -> Result<Tensor> {
        let out = self.buffer("input", n_rows, width)?;
        if data.len() != out.shape.len() {
            return Err(mismatch("input", out.shape, format!("{} elements", data.len())));
        }
        Ok(self.push(out, Op::Input { data, out: out.buffer }))
    }

    /// Rows `ids` of `table: [V, d]`, dequantised -> `[n_ids, d]`.
    pub fn gather(&mut self, table: &Weight, ids: &[u32]) -> Result<Tensor> {
        if let Some(id) = ids.iter().find(|id| **id as usize >= table.n_rows()) {
            let max = table.n_rows() as u64 - 1;
            return Err(Error::OutOfRange { what: "id to gather".into(), got: u64::from(*id), max });
        }
        let out = self.buffer("gather", ids.len(), table.width())?;
        Ok(self.push(out, Op::Gather { table: table.clone(), ids: ids.to_vec(), out: out.buffer }))
    }

    /// `act(x * weight^T + bias)`: `x: [n, n_in]`, `weight: [n_out, n_in]`, `bias: [n_out]` -> `[n, n_out]`.
    pub fn linear(
        &mut self,
        x: Tensor,
        weight: &Weight,
        bias: Option<&Weight>,
        act: Activation,
    ) -> Result<Tensor> {
        self.owns(x)?;
        if x.width() != weight.width() {
            return Err(mismatch(weight.name(), format!("[_, {}]", x.width()), weight.shape()));
        }
        if let Some(bias) = bias {
            vector(bias, weight.n_rows())?;
        }
        let out = self.buffer("linear", x.n_rows(), weight.n_rows())?;
        let (weight, bias) = (weight.clone(), bias.cloned());
        Ok(self.push(out, Op::Linear { x: x.buffer, weight, bias, act, out: out.buffer }))
    }

    /// `a + b`, of one shape.
    pub fn add(&mut self, a: Tensor, b: Tensor) -> Result<Tensor> {
        let out = self.like("add", &[a, b])?;
        Ok(self.push(out, Op::Add { a: a.buffer, b: b.buffer, out: out.buffer }))
    }

    /// `a * b`, element by element, of one shape.
    pub fn mul(&mut self, a: Tensor, b: Tensor) -> Result<Tensor> {
        let out = self.like("mul", &[a, b])?;
        Ok(self.push(out, Op::Mul { a: a.buffer, b: b.buffer, out: out.buffer }))
    }

    /// `factor * x`.
    pub fn scale(&mut self, x: Tensor, factor: f32) -> Result<Tensor> {
        let out = self.like("scale", &[x])?;
        Ok(self.push(out, Op::Map { x: x.buffer, map: Map::Scale(factor), out: out.buffer }))
    }

    /// `cap * tanh(x / cap)`, with `cap` above 0.
    pub fn soft_cap(&mut self, x: Tensor, cap: f32) -> Result<Tensor> {
        let out = self.like("soft_cap", &[x])?;
        Ok(self.push(out, Op::Map { x: x.buffer, map: Map::SoftCap(cap), out: out.buffer }))
    }

    /// Layer normalisation of each row (Ba et al., 2016): `gamma`, `beta`: `[width]`.
    pub fn layer_norm(&mut self, x: Tensor, gamma: &Weight, beta: &Weight, eps: f32) -> Result<Tensor> {
        vector(gamma, x.width())?;
        vector(beta, x.width())?;
        let out = self.like("layer_norm", &[x])?;
        let (gamma, beta) = (gamma.clone(), beta.clone());
        Ok(self.push(out, Op::LayerNorm { x: x.buffer, gamma, beta, eps, out: out.buffer }))
    }

    /// RMS normalisation of each row (Zhang and Sennrich, 2019): `gamma: [width]`. A gamma that is narrower
    /// and divides the width normalises each part of a row that is as wide: `[head_dim]` every head.
    pub fn rms_norm(&mut self, x: Tensor, gamma: &Weight, eps: f32) -> Result<Tensor> {
        let is_divisor = gamma.width() > 0 && x.width().is_multiple_of(gamma.width());
        vector(gamma, if is_divisor { gamma.width() } else { x.width() })?;
        let out = self.like("rms_norm", &[x])?;
        Ok(self.push(out, Op::RmsNorm { x: x.buffer, gamma: gamma.clone(), eps, out: out.buffer }))
    }

    /// Rotary position embedding of every head of `x: [n, n_heads * head_dim]`.
    pub fn rope(&mut self, x: Tensor, rope: Rope) -> Result<Tensor> {
        if rope.head_dim == 0 || !rope.head_dim.is_multiple_of(2) || !x.width().is_multiple_of(rope.head_dim)
        {
            return Err(mismatch("rope", format!("[_, heads of {} elements]", rope.head_dim), x.shape));
        }
        if let Some(n_pairs) = rope.scaling.as_ref().map(RopeScaling::n_pairs)
            && n_pairs != rope.head_dim / 2
        {
            return Err(mismatch("the scaling of rope", format!("{} pairs", rope.head_dim / 2), n_pairs));
        }
        let out = self.like("rope", &[x])?;
        Ok(self.push(out, Op::Rope { x: x.buffer, rope, out: out.buffer }))
    }

    /// `silu(gate) * up`, of one shape.
    pub fn silu_mul(&mut self, gate: Tensor, up: Tensor) -> Result<Tensor> {
        let out = self.like("silu_mul", &[gate, up])?;
        Ok(self.push(out, Op::SiluMul { gate: gate.buffer, up: up.buffer, out: out.buffer }))
    }

    /// Writes `x: [n, width]` to the cache's positions `at_pos .. at_pos + n`.
    pub fn kv_append(&mut self, cache: &KvCache, x: Tensor, at_pos: usize) -> Result<()> {
        self.owns(x)?;
        if x.width() != cache.width() {
            return Err(mismatch("kv_append", format!("[_, {}]", cache.width()), x.shape));
        }
        within_cache(cache, at_pos, x.n_rows())?;
        self.program.ops.push(Op::KvAppend { cache: cache.clone(), x: x.buffer, at_pos });
        Ok(())
    }

    /// Grouped-query attention of `q: [n, n_heads * head_dim]` over a cache -> `[n, n_heads * head_dim]`.
    pub fn attention_causal(&mut self, q: Tensor, a: CausalAttention<'_>) -> Result<Tensor> {
        let (width, n_kv_heads) = (a.keys.width(), a.n_kv_heads);
        let head_dim = width.checked_div(n_kv_heads).unwrap_or(0);
        let grouped = head_dim > 0 && width % n_kv_heads == 0 && q.width().is_multiple_of(width);
        if !grouped || a.values.width() != width {
            let expected = format!("[_, a multiple of {width} in {n_kv_heads} heads]");
            return Err(mismatch("attention_causal", expected, q.shape));
        }
        if let Some(bias) = a.bias {
            vector(bias, bias.width())?;
            let n_distances = bias.width() / (q.width() / head_dim).max(1);
            let reach = a.n_seen.unwrap_or(0).max(a.first_pos + q.n_rows());
            if bias.width() != n_distances * (q.width() / head_dim)
                || n_distances.is_multiple_of(2)
                || reach > n_distances.div_ceil(2)
            {
                let expected = format!("a bias for each head and distance below {reach}");
                return Err(mismatch(bias.name(), expected, bias.shape()));
            }
        }
        if let Some(n_seen) = a.n_seen {
            within_cache(a.keys, 0, n_seen)?;
            within_cache(a.values, 0, n_seen)?;
        }
        let is_bad_cap = a.soft_cap.is_some_and(|cap| cap.is_nan() || cap <= 0.0);
        if a.n_seen == Some(0) || a.window == Some(0) || is_bad_cap {
            return Err(mismatch("attention_causal", "a window and a cap above 0", format!("{a:?}")));
        }
        if a.n_seen.is_none() {
            within_cache(a.keys, a.first_pos, q.n_rows())?;
            within_cache(a.values, a.first_pos, q.n_rows())?;
        }
        let out = self.like("attention_causal", &[q])?;
        let op = Op::AttentionCausal {
            q: q.buffer,
            keys: a.keys.clone(),
            values: a.values.clone(),
            first_pos: a.first_pos,
            n_heads: q.width() / head_dim,
            n_kv_heads,
            scale: a.scale,
            // A window that no position leaves is none.
            window: a.window.filter(|window| *window < a.keys.n_ctx()),
            soft_cap: a.soft_cap,
            n_seen: a.n_seen,
            bias: a.bias.cloned(),
            out: out.buffer,
        };
        Ok(self.push(out, op))
    }

    /// Bidirectional attention within each sequence; `q, k, v: [n, n_heads * head_dim]`.
    pub fn attention_full(
        &mut self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        a: FullAttention<'_>,
    ) -> Result<Tensor> {
        if a.n_heads == 0 || !q.width().is_multiple_of(a.n_heads) {
            return Err(mismatch("attention_full", format!("[_, {} heads]", a.n_heads), q.shape));
        }
        sequences(q, a.lengths)?;
        let out = self.like("attention_full", &[q, k, v])?;
        let op = Op::AttentionFull {
            q: q.buffer,
            k: k.buffer,
            v: v.buffer,
            lengths: a.lengths.to_vec(),
            n_heads: a.n_heads,
            scale: a.scale,
            out: out.buffer,
        };
        Ok(self.push(out, op))
    }

    /// Mean of the rows of each range -> `[n_ranges, width]`. Ranges are not empty, and may overlap; a
    /// range of one row copies it.
    pub fn mean_pool(&mut self, x: Tensor, ranges: &[Range<u32>]) -> Result<Tensor> {
        self.owns(x)?;
        if let Some(range) = ranges.iter().find(|r| r.is_empty() || r.end as usize > x.n_rows()) {
            return Err(mismatch(
                "mean_pool",
                format!("ranges within {} rows", x.n_rows()),
                format!("{range:?}"),
            ));
        }
        let out = self.buffer("mean_pool", ranges.len(), x.width())?;
        Ok(self.push(out, Op::MeanPool { x: x.buffer, ranges: ranges.to_vec(), out: out.buffer }))
    }

    /// Each row divided by its Euclidean length (at least 1e-12).
    pub fn l2_normalize(&mut self, x: Tensor) -> Result<Tensor> {
        let out = self.like("l2_normalize", &[x])?;
        Ok(self.push(out, Op::L2Normalize { x: x.buffer, out: out.buffer }))
    }

    /// Rows `first_row .. first_row + n_rows` -> `[n_rows, width]`.
    pub fn rows(&mut self, x: Tensor, first_row: usize, n_rows: usize) -> Result<Tensor> {
        self.owns(x)?;
        if first_row.checked_add(n_rows).is_none_or(|end| end > x.n_rows()) {
            return Err(mismatch("rows", format!("rows {first_row} + {n_rows}"), x.shape));
        }
        let out = self.buffer("rows", n_rows, x.width())?;
        Ok(self.push(out, Op::Rows { x: x.buffer, first_row, out: out.buffer }))
    }

    /// The last row -> `[1, width]`.
    pub fn last_row(&mut self, x: Tensor) -> Result<Tensor> {
        self.rows(x, x.n_rows() - 1, 1)
    }

    /// Keeps the recording, a pass over one token that gives `logits: [1, n_vocab]`, to be replayed token
    /// after token; `None` on a tier that has no use for that. Positions move along: every rotation,
    /// append and attention was recorded at the position of the token.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where the recording is not such a pass, [`Error::OutOfMemory`].
    pub async fn token_loop(self, logits: Tensor) -> Result<Option<TokenLoop>> {
        self.owns(logits)?;
        let executor = self.runtime.executor();
        let Ok(gpu) = executor.gpu() else { return Ok(None) };
        let recording = replayable(&self.program, logits.buffer)?;
        let steps = GpuSteps::new(gpu, &recording).await?;
        Ok(Some(TokenLoop::new(self.runtime.clone(), steps)))
    }

    /// Index of the largest element of each row, as a number -> `[n_rows, 1]`.
    pub fn argmax(&mut self, x: Tensor) -> Result<Tensor> {
        self.owns(x)?;
        if x.width() > MAX_ARGMAX_WIDTH {
            let (got, max) = (x.width() as u64, MAX_ARGMAX_WIDTH as u64);
            return Err(Error::OutOfRange { what: "width of argmax".into(), got, max });
        }
        let out = self.buffer("argmax", x.n_rows(), 1)?;
        Ok(self.push(out, Op::Argmax { x: x.buffer, out: out.buffer }))
    }

    /// Runs everything and reads the index of the largest element of each row of `x`.
    pub async fn read_argmax(mut self, x: Tensor) -> Result<Vec<u32>> {
        let out = self.argmax(x)?;
        Ok(self.read(&out).await?.into_iter().map(|idx| idx as u32).collect())
    }

    /// Runs everything and reads `t`, row-major `[n_rows * width]`.
    pub async fn read(self, t: &Tensor) -> Result<Vec<f32>> {
        self.owns(*t)?;
        self.runtime.execute(&self.program, Some(t.buffer)).await
    }

    /// Compiles the kernels of this recording without running it, so that the first run does not wait
    /// for them; a browser compiles while other work goes on. Nothing happens on the CPU tier, and on
    /// software adapters, which take up to a second for a kernel.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where the recording could not run either. A kernel that does not compile is
    /// an error of the run.
    pub fn warm_up(self) -> Result<()> {
        self.runtime.warm_up(&self.program)
    }

    /// As [`Self::warm_up`], for the kernels of [`Self::token_loop`].
    ///
    /// # Errors
    /// As [`Self::token_loop`].
    pub fn warm_up_token_loop(self, logits: Tensor) -> Result<()> {
        self.owns(logits)?;
        match self.runtime.executor().gpu() {
            Ok(gpu) => GpuSteps::warm_up(gpu, &replayable(&self.program, logits.buffer)?),
            Err(_) => Ok(()),
        }
    }

    /// Runs everything; what remains is in the caches.
    pub async fn run(self) -> Result<()> {
        self.runtime.execute(&self.program, None).await.map(drop)
    }

    fn push(&mut self, out: Tensor, op: Op) -> Tensor {
        self.program.ops.push(op);
        out
    }

    /// A fresh buffer.
    fn buffer(&mut self, what: &str, n_rows: usize, width: usize) -> Result<Tensor> {
        if n_rows == 0 || width == 0 {
            return Err(mismatch(what, "at least one row and column", Shape { n_rows, width }));
        }
        let n_elements = n_rows.saturating_mul(width);
        if n_elements > MAX_ELEMENTS {
            let (got, max) = (n_elements as u64, MAX_ELEMENTS as u64);
            return Err(Error::OutOfRange { what: format!("elements of the result of {what}"), got, max });
        }
        let shape = Shape { n_rows, width };
        let buffer = BufferId(self.program.buffers.len() as u32);
        self.program.buffers.push(shape);
        Ok(Tensor { buffer, shape, recording: self.recording })
    }

    /// A fresh buffer of the shape that all operands share.
    fn like(&mut self, what: &str, operands: &[Tensor]) -> Result<Tensor> {
        let first = operands[0];
        for operand in operands {
            self.owns(*operand)?;
            if operand.shape != first.shape {
                return Err(mismatch(what, first.shape, operand.shape));
            }
        }
        self.buffer(what, first.n_rows(), first.width())
    }

    fn owns(&self, t: Tensor) -> Result<()> {
        if t.recording == self.recording {
            Ok(())
        } else {
            Err(Error::WrongOwner { what: "a tensor".into() })
        }
    }
}

/// A weight that must be an f32 vector of `width` elements.
fn vector(weight: &Weight, width: usize) -> Result<()> {
    if weight.shape() == (Shape { n_rows: 1, width }) && weight.layout() == Layout::F32 {
        return Ok(());
    }
    let got = format!("{} {:?}", weight.shape(), weight.layout());
    Err(mismatch(weight.name(), format!("[1, {width}] F32"), got))
}

fn sequences(x: Tensor, lengths: &[u32]) -> Result<()> {
    let n_rows: usize = lengths.iter().map(|len| *len as usize).sum();
    if n_rows == x.n_rows() && !lengths.contains(&0) {
        return Ok(());
    }
    Err(mismatch(
        "sequence lengths",
        format!("non-empty, {} rows in all", x.n_rows()),
        format!("{lengths:?}"),
    ))
}

fn within_cache(cache: &KvCache, first_pos: usize, n_rows: usize) -> Result<()> {
    match first_pos.checked_add(n_rows) {
        Some(end) if end <= cache.n_ctx() => Ok(()),
        end => Err(Error::OutOfRange {
            what: "position in the cache".into(),
            got: end.unwrap_or(usize::MAX) as u64,
            max: cache.n_ctx() as u64,
        }),
    }
}

/// The recording of one step, if it is one.
fn replayable(program: &Program, logits: BufferId) -> Result<Recording<'_>> {
    let wrong = |got: &str| mismatch("a step of a token loop", "one row, one token, one position", got);
    if program.buffers.iter().any(|shape| shape.n_rows != 1) {
        return Err(wrong("several rows"));
    }
    let (mut tokens, mut positions, mut n_positions) = (vec![], vec![], usize::MAX);
    for op in &program.ops {
        match op {
            Op::Input { .. } => return Err(wrong("numbers of the host")),
            Op::Gather { ids, .. } => tokens.extend(ids),
            Op::Rope { rope, .. } => positions.push(rope.first_pos),
            Op::KvAppend { cache, at_pos, .. } => {
                positions.push(*at_pos);
                n_positions = n_positions.min(cache.n_ctx());
            }
            Op::AttentionCausal { first_pos, .. } => positions.push(*first_pos),
            _ => {}
        }
    }
    match (positions.first(), &tokens[..]) {
        (Some(&pos), &[token]) if n_positions < usize::MAX && positions.iter().all(|p| *p == pos) => {
            Ok(Recording { program, logits, token, pos, n_positions })
        }
        _ => Err(wrong("several tokens or positions, or none")),
    }
}

fn mismatch(what: &str, expected: impl ToString, got: impl ToString) -> Error {
    Error::ShapeMismatch { what: what.into(), expected: expected.to_string(), got: got.to_string() }
}
