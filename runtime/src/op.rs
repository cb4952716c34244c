//! The operations that both tiers execute, and the interface a tier implements.
//!
//! # What a tier implements
//!
//! [`Executor`], with its own types for a weight and a cache (`cpu::Cpu` and `gpu::Gpu`):
//!
//! 1. `create_weight(name, shape, layout)` allocates a weight of `shape.n_rows x shape.width`
//!    elements; vectors (bias, gamma, beta) are one row.
//! 2. `write_rows(&mut weight, first_row, Rows)` fills it, in order, in several calls; every call but
//!    the last brings a multiple of [`UPLOAD_ROWS`] rows. The tier repacks into its own layout here.
//! 3. `create_cache(n_ctx, width)` allocates one zeroed f32 key or value cache.
//! 4. `execute(&Program, read)` runs all operations in order and, where `read` names a buffer, gives
//!    its content `[n_rows * width]`, row-major.
//!
//! A [`Program`] is in single-assignment form: `ops[i]` writes exactly the buffer `ops[i].output()`
//! (or a cache, for `KvAppend`), which no other operation writes and only later ones read.
//! `program.last_uses()[b]` is the index of the last operation that reads buffer `b`, so that a
//! tier can recycle storage. Shapes, ranges and layouts were checked while recording: a tier may
//! rely on every invariant that is written at an [`Op`] and asserts it at the kernel launch.
//!
//! An op's handles lead to the tier's own storage: `weight.gpu()?` / `cache.gpu()?` (and `.cpu()?`)
//! give `&Gpu::Weight` / `&Gpu::Cache`, or [`Error::WrongOwner`](crate::Error::WrongOwner).
//! Memory is counted with `Ledger::lease(Owner, bytes)` (memory.rs), handed over at `open`.

use std::ops::Range;

use crate::rope::Rope;
use crate::tensor::{KvCache, Layout, Weight};
use crate::{Error, Result};

/// Every call of `write_rows` but a weight's last brings a multiple of so many rows, so that layouts
/// in panels of up to this many rows can be written without looking back.
pub(crate) const UPLOAD_ROWS: usize = 32;

/// Elements in a quantisation group of `Layout::Q8` and `Layout::Q4`.
pub(crate) const GROUP: usize = 32;

/// Rows and width of a logical f32 buffer or of a weight, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) n_rows: usize,
    pub(crate) width: usize,
}

impl Shape {
    /// Number of elements.
    pub(crate) fn len(self) -> usize {
        self.n_rows * self.width
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {}]", self.n_rows, self.width)
    }
}

/// A logical f32 buffer of a program: an index into `Program::buffers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BufferId(pub(crate) u32);

impl BufferId {
    /// Index into `Program::buffers`.
    pub(crate) fn idx(self) -> usize {
        self.0 as usize
    }
}

/// Function applied to a linear layer's output, after the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// The identity.
    #[default]
    None,
    /// `x/2 * (1 + erf(x/sqrt(2)))`: the exact GELU (Hendrycks and Gimpel, 2016), not its tanh form.
    Gelu,
    /// `x/2 * (1 + tanh(sqrt(2/pi) * (x + .044715 x^3)))`: its tanh form, "gelu_new" and
    /// "gelu_pytorch_tanh" in model files.
    GeluTanh,
    /// `x / (1 + exp(-x))` (Elfwing et al., 2017).
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

/// A function of single elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Map {
    /// `factor * x`
    Scale(f32),
    /// `cap * tanh(x / cap)`: Gemma 2's soft cap.
    SoftCap(f32),
}

/// Parameters of attention over a cache.
#[derive(Debug, Clone, Copy)]
pub struct CausalAttention<'a> {
    /// Keys `[n_ctx, n_kv_heads * head_dim]`, already holding this pass's rows.
    pub keys: &'a KvCache,
    /// Values, of the same shape.
    pub values: &'a KvCache,
    /// Position of row 0: row `i` sees the cache's positions `0..=first_pos + i`.
    pub first_pos: usize,
    /// Heads in the caches; a divisor of the number of query heads.
    pub n_kv_heads: usize,
    /// Factor on the scores, usually `1/sqrt(head_dim)`.
    pub scale: f32,
    /// With a window of `w` a row sees only the last `w` of these positions, itself among them.
    pub window: Option<usize>,
    /// With a cap of `c` a scaled score `s` becomes `c * tanh(s / c)`.
    pub soft_cap: Option<f32>,
    /// Every row sees the cache's first so many positions instead: attention to what is before and behind,
    /// or to another text.
    pub n_seen: Option<usize>,
    /// Added to the scaled scores by how far a key is from its query: `[n_heads, 2 * span - 1]` in f32, with
    /// the bias for no distance in the middle; nothing is farther than `span - 1`.
    pub bias: Option<&'a Weight>,
}

/// Parameters of bidirectional attention over a ragged batch.
#[derive(Debug, Clone)]
pub struct FullAttention<'a> {
    /// Number of rows of each sequence, each at least 1; they add up to the tensors' rows.
    pub lengths: &'a [u32],
    /// Heads; a divisor of the tensors' width.
    pub n_heads: usize,
    /// Factor on the scores, usually `1/sqrt(head_dim)`.
    pub scale: f32,
}

/// One operation. Buffers are f32, row-major `[n_rows, width]`; `out` is always a fresh buffer.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// `out = data`; `data.len() = n_rows * width`.
    Input { data: Vec<f32>, out: BufferId },
    /// `out[i] = table[ids[i]]`, dequantised; every id is below the table's rows. `out: [n_ids, d]`.
    Gather { table: Weight, ids: Vec<u32>, out: BufferId },
    /// `out = act(x * weight^T + bias)`; `x: [n, n_in]`, `weight: [n_out, n_in]`, `bias: [1, n_out]`
    /// in f32, `out: [n, n_out]`. For Q8 and Q4 `n_in` is a multiple of 32.
    Linear { x: BufferId, weight: Weight, bias: Option<Weight>, act: Activation, out: BufferId },
    /// `out = a + b`, all of one shape.
    Add { a: BufferId, b: BufferId, out: BufferId },
    /// `out = a * b`, element by element, all of one shape.
    Mul { a: BufferId, b: BufferId, out: BufferId },
    /// `out = map(x)`, element by element.
    Map { x: BufferId, map: Map, out: BufferId },
    /// `out = (x - mean) / sqrt(var + eps) * gamma + beta` per row; gamma and beta are f32 `[1, d]`.
    LayerNorm { x: BufferId, gamma: Weight, beta: Weight, eps: f32, out: BufferId },
    /// `out = x / sqrt(mean(x^2) + eps) * gamma` per row, or per part of a row that is as wide as gamma;
    /// gamma is f32 `[1, d]`, and `d` divides the width.
    RmsNorm { x: BufferId, gamma: Weight, eps: f32, out: BufferId },
    /// Rotary position embedding of every head of `x: [n, n_heads * head_dim]`.
    Rope { x: BufferId, rope: Rope, out: BufferId },
    /// `out = gate / (1 + exp(-gate)) * up`.
    SiluMul { gate: BufferId, up: BufferId, out: BufferId },
    /// `cache[at_pos + i] = x[i]`; `x: [n, width]`, `at_pos + n <= n_ctx`.
    KvAppend { cache: KvCache, x: BufferId, at_pos: usize },
    /// `q, out: [n, n_heads * head_dim]`; see [`CausalAttention`]. `first_pos + n <= n_ctx`.
    AttentionCausal {
        q: BufferId,
        keys: KvCache,
        values: KvCache,
        first_pos: usize,
        n_heads: usize,
        n_kv_heads: usize,
        scale: f32,
        window: Option<usize>,
        soft_cap: Option<f32>,
        n_seen: Option<usize>,
        bias: Option<Weight>,
        out: BufferId,
    },
    /// `q, k, v, out: [n, n_heads * head_dim]`; see [`FullAttention`].
    AttentionFull {
        q: BufferId,
        k: BufferId,
        v: BufferId,
        lengths: Vec<u32>,
        n_heads: usize,
        scale: f32,
        out: BufferId,
    },
    /// Mean of the rows of each range; ranges are not empty and within `x: [n, d]`; `out: [n_ranges, d]`.
    MeanPool { x: BufferId, ranges: Vec<Range<u32>>, out: BufferId },
    /// `out = x / max(|x|, 1e-12)` per row.
    L2Normalize { x: BufferId, out: BufferId },
    /// `out = x[first_row .. first_row + n_rows]`, with `n_rows` the rows of `out`.
    Rows { x: BufferId, first_row: usize, out: BufferId },
    /// Index of each row's largest element (the first of equal ones) as an f32 number, exact
    /// because widths are at most 2^24. `out: [n, 1]`.
    Argmax { x: BufferId, out: BufferId },
}

impl Op {
    /// The buffer this operation writes; `None` for `KvAppend`, which writes its cache.
    pub(crate) fn output(&self) -> Option<BufferId> {
        match self {
            Self::KvAppend { .. } => None,
            Self::Input { out, .. }
            | Self::Gather { out, .. }
            | Self::Linear { out, .. }
            | Self::Add { out, .. }
            | Self::Mul { out, .. }
            | Self::Map { out, .. }
            | Self::LayerNorm { out, .. }
            | Self::RmsNorm { out, .. }
            | Self::Rope { out, .. }
            | Self::SiluMul { out, .. }
            | Self::AttentionCausal { out, .. }
            | Self::AttentionFull { out, .. }
            | Self::MeanPool { out, .. }
            | Self::L2Normalize { out, .. }
            | Self::Rows { out, .. }
            | Self::Argmax { out, .. } => Some(*out),
        }
    }

    /// The buffers this operation reads.
    pub(crate) fn inputs(&self) -> Vec<BufferId> {
        match self {
            Self::Input { .. } | Self::Gather { .. } => vec![],
            Self::Add { a, b, .. } | Self::Mul { a, b, .. } => vec![*a, *b],
            Self::SiluMul { gate, up, .. } => vec![*gate, *up],
            Self::AttentionFull { q, k, v, .. } => vec![*q, *k, *v],
            Self::AttentionCausal { q: x, .. }
            | Self::Linear { x, .. }
            | Self::LayerNorm { x, .. }
            | Self::RmsNorm { x, .. }
            | Self::Rope { x, .. }
            | Self::Map { x, .. }
            | Self::KvAppend { x, .. }
            | Self::MeanPool { x, .. }
            | Self::L2Normalize { x, .. }
            | Self::Rows { x, .. }
            | Self::Argmax { x, .. } => vec![*x],
        }
    }
}

/// A recorded forward pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    /// The operations, in order.
    pub(crate) ops: Vec<Op>,
    /// Shape of every logical buffer, by `BufferId`.
    pub(crate) buffers: Vec<Shape>,
}

impl Program {
    /// Shape of a buffer.
    pub(crate) fn shape(&self, buffer: BufferId) -> Shape {
        self.buffers[buffer.idx()]
    }

    /// For each buffer the index of the last operation that reads it; `None` where none does.
    pub(crate) fn last_uses(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.buffers.len()];
        for (op_idx, op) in self.ops.iter().enumerate() {
            for buffer in op.inputs() {
                last[buffer.idx()] = Some(op_idx);
            }
        }
        last
    }
}

/// Some whole rows of a weight, row-major, in the layout it was created with. `width` is the
/// weight's; groups of 32 follow each other along a row, rows follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// `n_rows * width` floats.
    F32(&'a [f32]),
    /// `n_rows * width` halves, as bits.
    F16(&'a [u16]),
    /// Element `i` of group `g` is `scales[g] * quants[32 * g + i]`; scales are f16 bits.
    Q8 { scales: &'a [u16], quants: &'a [i8] },
    /// Element `i < 16` of group `g` is `scales[g] * (quants[16 * g + i] & 15) + mins[g]`, element
    /// `16 + i` takes the high four bits instead; scales and mins are f16 bits. (GGUF's Q4_0
    /// arrives with `mins = -8 * scales`.)
    Q4 { scales: &'a [u16], mins: &'a [u16], quants: &'a [u8] },
}

impl Rows<'_> {
    /// The layout that these rows fit.
    pub(crate) fn layout(&self) -> Layout {
        match self {
            Self::F32(_) => Layout::F32,
            Self::F16(_) => Layout::F16,
            Self::Q8 { .. } => Layout::Q8,
            Self::Q4 { .. } => Layout::Q4,
        }
    }

    /// Number of elements.
    pub(crate) fn n_elements(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(bits) => bits.len(),
            Self::Q8 { quants, .. } => quants.len(),
            Self::Q4 { quants, .. } => 2 * quants.len(),
        }
    }

    /// Checks that these rows can stand at `first_row` of a weight, and gives their number.
    pub(crate) fn check(&self, shape: Shape, layout: Layout, first_row: usize) -> Result<usize> {
        let n_rows = self.n_elements() / shape.width;
        let n_groups = n_rows * shape.width / GROUP;
        let whole = match self {
            Self::F32(_) | Self::F16(_) => true,
            Self::Q8 { scales, .. } => scales.len() == n_groups,
            Self::Q4 { scales, mins, .. } => scales.len() == n_groups && mins.len() == n_groups,
        };
        let fits = whole
            && self.layout() == layout
            && n_rows * shape.width == self.n_elements()
            && first_row.is_multiple_of(UPLOAD_ROWS)
            && first_row + n_rows <= shape.n_rows
            && (n_rows.is_multiple_of(UPLOAD_ROWS) || first_row + n_rows == shape.n_rows);
        if fits {
            return Ok(n_rows);
        }
        Err(Error::ShapeMismatch {
            what: "rows of a weight".into(),
            expected: format!("{shape} {layout:?}"),
            got: format!("{} elements {:?} at row {first_row}", self.n_elements(), self.layout()),
        })
    }
}

/// A tier. See the module's documentation.
pub(crate) trait Executor {
    /// A weight in this tier's layout.
    type Weight;
    /// A key or value cache of this tier.
    type Cache;

    /// Allocates a weight; its content is given by `write_rows`.
    async fn create_weight(&self, name: &str, shape: Shape, layout: Layout) -> Result<Self::Weight>;
    /// Writes whole rows; `Rows::check` says what may come.
    fn write_rows(&self, weight: &mut Self::Weight, first_row: usize, rows: Rows<'_>) -> Result<()>;
    /// Allocates a zeroed cache `[n_ctx, width]` of f32.
    async fn create_cache(&self, n_ctx: usize, width: usize) -> Result<Self::Cache>;
    /// Copies the first `n_elements` from the first to the second of each pair, two distinct caches.
    async fn copy_caches(&self, pairs: &[(&KvCache, &KvCache)], n_elements: usize) -> Result<()>;
    /// Runs the program; gives `read`'s content, or nothing.
    async fn execute(&self, program: &Program, read: Option<BufferId>) -> Result<Vec<f32>>;
}
