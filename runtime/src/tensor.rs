//! Handles: tensors of a recording, weights and caches of a runtime.

use std::rc::Rc;

use crate::cpu::Cpu;
use crate::gpu::Gpu;
use crate::op::{BufferId, Executor, Shape};
use crate::{Error, Result};

/// A logical f32 tensor `[n_rows, width]` of one recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tensor {
    pub(crate) buffer: BufferId,
    pub(crate) shape: Shape,
    pub(crate) recording: u64,
}

impl Tensor {
    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.shape.n_rows
    }

    /// Elements in a row.
    pub fn width(&self) -> usize {
        self.shape.width
    }
}

/// How the runtime holds a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 8-bit integers in groups of 32 along a row, with a scale.
    Q8,
    /// 4-bit integers in groups of 32 along a row, with a scale and a minimum.
    Q4,
}

/// Where a tier keeps a handle's content.
pub(crate) enum Storage<C, G> {
    Cpu(C),
    Gpu(G),
}

type WeightStorage = Storage<<Cpu as Executor>::Weight, <Gpu as Executor>::Weight>;
type CacheStorage = Storage<<Cpu as Executor>::Cache, <Gpu as Executor>::Cache>;

/// A loaded weight, `[n_rows, width]` (a matrix `[n_out, n_in]`, or a vector as one row). Clones
/// share it; the last one frees it.
#[derive(Clone)]
pub struct Weight(Rc<WeightInner>);

struct WeightInner {
    name: String,
    shape: Shape,
    layout: Layout,
    storage: WeightStorage,
}

impl Weight {
    pub(crate) fn new(name: &str, shape: Shape, layout: Layout, storage: WeightStorage) -> Self {
        Self(Rc::new(WeightInner { name: name.into(), shape, layout, storage }))
    }

    /// Its name in the weight file.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Number of rows: outputs of a matrix, 1 for a vector.
    pub fn n_rows(&self) -> usize {
        self.0.shape.n_rows
    }

    /// Elements in a row: inputs of a matrix, the length of a vector.
    pub fn width(&self) -> usize {
        self.0.shape.width
    }

    /// How it is held.
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    pub(crate) fn shape(&self) -> Shape {
        self.0.shape
    }

    pub(crate) fn cpu(&self) -> Result<&<Cpu as Executor>::Weight> {
        match &self.0.storage {
            Storage::Cpu(weight) => Ok(weight),
            Storage::Gpu(_) => Err(wrong_owner(self.name())),
        }
    }

    pub(crate) fn gpu(&self) -> Result<&<Gpu as Executor>::Weight> {
        match &self.0.storage {
            Storage::Gpu(weight) => Ok(weight),
            Storage::Cpu(_) => Err(wrong_owner(self.name())),
        }
    }
}

impl std::fmt::Debug for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weight({} {} {:?})", self.0.name, self.0.shape, self.0.layout)
    }
}

/// Keys or values of past positions, f32 `[n_ctx, width]`. Clones share it; the last one frees it.
#[derive(Clone)]
pub struct KvCache(Rc<CacheInner>);

struct CacheInner {
    n_ctx: usize,
    width: usize,
    storage: CacheStorage,
}

impl KvCache {
    pub(crate) fn new(n_ctx: usize, width: usize, storage: CacheStorage) -> Self {
        Self(Rc::new(CacheInner { n_ctx, width, storage }))
    }

    /// Number of positions it can hold.
    pub fn n_ctx(&self) -> usize {
        self.0.n_ctx
    }

    /// Elements of a position: `n_kv_heads * head_dim`.
    pub fn width(&self) -> usize {
        self.0.width
    }

    pub(crate) fn cpu(&self) -> Result<&<Cpu as Executor>::Cache> {
        match &self.0.storage {
            Storage::Cpu(cache) => Ok(cache),
            Storage::Gpu(_) => Err(wrong_owner("the cache")),
        }
    }

    pub(crate) fn gpu(&self) -> Result<&<Gpu as Executor>::Cache> {
        match &self.0.storage {
            Storage::Gpu(cache) => Ok(cache),
            Storage::Cpu(_) => Err(wrong_owner("the cache")),
        }
    }
}

impl std::fmt::Debug for KvCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KvCache([{}, {}])", self.0.n_ctx, self.0.width)
    }
}

fn wrong_owner(what: &str) -> Error {
    Error::WrongOwner { what: format!("`{what}`") }
}
