//! Handles: tensors of a recording, weights and caches of a runtime.

use std::cell::{Ref, RefCell};
use std::rc::{Rc, Weak};

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
    /// The device that had it is gone, and it was not brought back yet.
    Lost,
}

pub(crate) type WeightStorage = Storage<<Cpu as Executor>::Weight, <Gpu as Executor>::Weight>;
pub(crate) type CacheStorage = Storage<<Cpu as Executor>::Cache, <Gpu as Executor>::Cache>;

/// A loaded weight, `[n_rows, width]` (a matrix `[n_out, n_in]`, or a vector as one row). Clones
/// share it; the last one frees it. It outlives a lost device: see
/// [`Runtime::recover`](crate::Runtime::recover).
#[derive(Clone)]
pub struct Weight(Rc<WeightInner>);

struct WeightInner {
    name: String,
    shape: Shape,
    layout: Layout,
    storage: RefCell<WeightStorage>,
}

/// A weight that may have been dropped.
pub(crate) struct WeakWeight(Weak<WeightInner>);

impl WeakWeight {
    pub(crate) fn upgrade(&self) -> Option<Weight> {
        self.0.upgrade().map(Weight)
    }
}

impl Weight {
    pub(crate) fn new(name: &str, shape: Shape, layout: Layout, storage: WeightStorage) -> Self {
        Self(Rc::new(WeightInner { name: name.into(), shape, layout, storage: RefCell::new(storage) }))
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

    pub(crate) fn cpu(&self) -> Result<Ref<'_, <Cpu as Executor>::Weight>> {
        self.0.storage.cpu(self.name())
    }

    pub(crate) fn gpu(&self) -> Result<Ref<'_, <Gpu as Executor>::Weight>> {
        self.0.storage.gpu(self.name())
    }

    /// Gives the content another place; what it had before is freed.
    pub(crate) fn replace(&self, storage: WeightStorage) {
        self.0.storage.replace(storage);
    }

    /// Bytes of its content.
    pub(crate) fn n_bytes(&self) -> u64 {
        match &*self.0.storage.borrow() {
            Storage::Cpu(weight) => weight.n_bytes(),
            Storage::Gpu(weight) => weight.n_bytes(),
            Storage::Lost => 0,
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        matches!(*self.0.storage.borrow(), Storage::Lost)
    }

    pub(crate) fn downgrade(&self) -> WeakWeight {
        WeakWeight(Rc::downgrade(&self.0))
    }
}

impl std::fmt::Debug for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weight({} {} {:?})", self.0.name, self.0.shape, self.0.layout)
    }
}

/// Keys or values of past positions, f32 `[n_ctx, width]`. Clones share it; the last one frees it.
/// After [`Runtime::recover`](crate::Runtime::recover) it is there, but zeroed.
#[derive(Clone)]
pub struct KvCache(Rc<CacheInner>);

struct CacheInner {
    n_ctx: usize,
    width: usize,
    storage: RefCell<CacheStorage>,
}

/// A cache that may have been dropped.
pub(crate) struct WeakCache(Weak<CacheInner>);

impl WeakCache {
    pub(crate) fn upgrade(&self) -> Option<KvCache> {
        self.0.upgrade().map(KvCache)
    }
}

impl KvCache {
    pub(crate) fn new(n_ctx: usize, width: usize, storage: CacheStorage) -> Self {
        Self(Rc::new(CacheInner { n_ctx, width, storage: RefCell::new(storage) }))
    }

    /// Number of positions it can hold.
    pub fn n_ctx(&self) -> usize {
        self.0.n_ctx
    }

    /// Elements of a position: `n_kv_heads * head_dim`.
    pub fn width(&self) -> usize {
        self.0.width
    }

    /// Bytes of the tier's memory.
    pub fn n_bytes(&self) -> u64 {
        Self::bytes_for(self.0.n_ctx, self.0.width)
    }

    /// The same for clones of one cache, and for them alone.
    pub(crate) fn id(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    /// Bytes that `n_ctx` positions of `width` elements take.
    pub fn bytes_for(n_ctx: usize, width: usize) -> u64 {
        4 * n_ctx as u64 * width as u64
    }

    /// Whether both are handles of one cache.
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn cpu(&self) -> Result<Ref<'_, <Cpu as Executor>::Cache>> {
        self.0.storage.cpu("the cache")
    }

    pub(crate) fn gpu(&self) -> Result<Ref<'_, <Gpu as Executor>::Cache>> {
        self.0.storage.gpu("the cache")
    }

    /// Gives the content another place; what it had before is freed.
    pub(crate) fn replace(&self, storage: CacheStorage) {
        self.0.storage.replace(storage);
    }

    pub(crate) fn is_lost(&self) -> bool {
        matches!(*self.0.storage.borrow(), Storage::Lost)
    }

    pub(crate) fn downgrade(&self) -> WeakCache {
        WeakCache(Rc::downgrade(&self.0))
    }
}

impl std::fmt::Debug for KvCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KvCache([{}, {}])", self.0.n_ctx, self.0.width)
    }
}

/// The content of a handle, on the tier that asks for it.
trait Place<C, G> {
    fn cpu(&self, what: &str) -> Result<Ref<'_, C>>;
    fn gpu(&self, what: &str) -> Result<Ref<'_, G>>;
}

impl<C, G> Place<C, G> for RefCell<Storage<C, G>> {
    fn cpu(&self, what: &str) -> Result<Ref<'_, C>> {
        let content = Ref::filter_map(self.borrow(), |storage| match storage {
            Storage::Cpu(content) => Some(content),
            Storage::Gpu(_) | Storage::Lost => None,
        });
        content.map_err(|storage| misplaced(what, &storage))
    }

    fn gpu(&self, what: &str) -> Result<Ref<'_, G>> {
        let content = Ref::filter_map(self.borrow(), |storage| match storage {
            Storage::Gpu(content) => Some(content),
            Storage::Cpu(_) | Storage::Lost => None,
        });
        content.map_err(|storage| misplaced(what, &storage))
    }
}

fn misplaced<C, G>(what: &str, storage: &Storage<C, G>) -> Error {
    match storage {
        Storage::Lost => Error::DeviceLost { reason: format!("`{what}` went with it") },
        Storage::Cpu(_) | Storage::Gpu(_) => Error::WrongOwner { what: format!("`{what}`") },
    }
}
