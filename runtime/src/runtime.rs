//! The runtime: which tier, and the objects that live on it.

use std::cell::RefCell;
use std::rc::Rc;

use crate::cpu::Cpu;
use crate::gpu::{AdapterPolicy, Gpu};
use crate::kernel_choice::choose_kernels;
use crate::memory::{Ledger, MemoryReport, check_heap};
use crate::op::{BufferId, Executor, Program, Rows, Shape};
use crate::recovery::Recovery;
use crate::self_test::self_test;
use crate::tensor::{CacheStorage, KvCache, Layout, Storage, Weight, WeightStorage};
use crate::tier::{KernelPolicy, Options, Precision, Tier, TierChoice, TierReport};
use crate::upload::{Source, TensorView, WeightFormat, vector_or_matrix};
use crate::weights::Weights;
use crate::{Error, GpuCounters, Recorder, Result, upload};

/// Longest cache: 2^20 positions, more than any model of a size that runs here was trained for.
const MAX_CTX: usize = 1 << 20;
/// Largest cache: 2^28 f32 are 1 GiB, a quarter of what wasm32 can address.
const MAX_CACHE_ELEMENTS: usize = 1 << 28;

/// What the heap must have left beside an allocation: the pieces in which a weight is read and
/// converted (`upload.rs`: 1 MiB and up to eight times as much in f32), and small things. In wasm, whose memory
/// never shrinks, this much is taken for good.
const HEAP_MARGIN_BYTES: u64 = 12 << 20;

/// Executes forward passes on one tier. One per worker or thread serves all its models; clones
/// share it.
#[derive(Clone)]
pub struct Runtime(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    /// What executes now; another one after a lost device. Whoever works with it holds on to it.
    executor: RefCell<Rc<AnyExecutor>>,
    report: RefCell<TierReport>,
    pub(crate) options: Options,
    pub(crate) ledger: Ledger,
    pub(crate) recovery: Recovery,
}

/// The tier that was chosen.
pub(crate) enum AnyExecutor {
    Cpu(Cpu),
    Gpu(Box<Gpu>),
}

impl AnyExecutor {
    /// The GPU tier; after a loss that ended on the CPU there is none.
    pub(crate) fn gpu(&self) -> Result<&Gpu> {
        match self {
            Self::Gpu(gpu) => Ok(gpu),
            Self::Cpu(_) => Err(Error::WrongOwner { what: "a step of the GPU".into() }),
        }
    }
}

impl Runtime {
    /// Chooses a tier (see [`TierChoice`]) and tests it against the scalar reference.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when the GPU is forced and there is none, or it fails the self-test.
    pub async fn open(options: &Options) -> Result<Self> {
        let ledger = Ledger::default();
        let (executor, report) = open_tier(&ledger, options).await?;
        Ok(Self::on(executor, report, options.clone(), ledger))
    }

    fn on(executor: AnyExecutor, report: TierReport, options: Options, ledger: Ledger) -> Self {
        Self(Rc::new(Inner {
            executor: RefCell::new(Rc::new(executor)),
            report: RefCell::new(report),
            options,
            ledger,
            recovery: Recovery::default(),
        }))
    }

    /// The tier that executes.
    pub fn tier(&self) -> Tier {
        self.0.report.borrow().tier
    }

    /// What was chosen, and why.
    pub fn describe(&self) -> TierReport {
        self.0.report.borrow().clone()
    }

    /// Bytes held by this runtime's weights, caches and activations.
    pub fn memory(&self) -> MemoryReport {
        MemoryReport { models: self.0.recovery.models(), ..self.0.ledger.report() }
    }

    /// Bounds what this runtime may hold, with [`Self::set_other_bytes`]; `None` is as much as there
    /// is. What is held already stays; what would go beyond fails with [`Error::OverBudget`].
    pub fn set_budget(&self, budget_bytes: Option<u64>) {
        self.0.ledger.set_budget(budget_bytes);
    }

    /// Counts what the caller holds besides (an index, say) towards the budget.
    pub fn set_other_bytes(&self, n_bytes: u64) {
        self.0.ledger.set_other_bytes(n_bytes);
    }

    /// Bytes that all matrices of a weight file will take on this tier in `format`, and its vectors
    /// in f32; from the header alone.
    pub fn forecast_weights(&self, weights: &Weights, format: WeightFormat) -> u64 {
        upload::plan_all(weights, format).map(|(shape, layout)| self.weight_bytes(shape, layout)).sum()
    }

    /// Fails when `n_bytes` more for `what` are beyond the budget, so that nothing is begun in vain.
    ///
    /// # Errors
    /// [`Error::OverBudget`].
    pub fn check_room(&self, what: &str, n_bytes: u64) -> Result<()> {
        self.0.ledger.check_room(what, n_bytes).or_else(|_| {
            self.trim();
            self.0.ledger.check_room(what, n_bytes)
        })
    }

    /// Frees what is only kept for later: idle buffers, and the files of models that are gone.
    pub fn trim(&self) {
        self.0.recovery.forget_dead();
        match &*self.executor() {
            AnyExecutor::Cpu(cpu) => cpu.trim(),
            AnyExecutor::Gpu(gpu) => gpu.trim(),
        }
    }

    /// What the GPU tier has done so far; `None` on the CPU tier.
    pub fn gpu_counters(&self) -> Option<GpuCounters> {
        self.executor().gpu().ok().map(Gpu::counters)
    }

    /// An empty recording.
    pub fn recorder(&self) -> Recorder<'_> {
        Recorder::new(self)
    }

    /// Loads the tensor `name` of a weight file as it is. `expected_shape` is `[n]` for a vector and
    /// `[n_out, n_in]` for a matrix.
    ///
    /// # Errors
    /// As [`Self::load_view`].
    pub async fn load_weight(
        &self,
        weights: &Weights,
        name: &str,
        expected_shape: &[usize],
        format: WeightFormat,
    ) -> Result<Weight> {
        self.load_view(weights, TensorView::whole(name, expected_shape), format).await
    }

    /// Loads what `view` shows of a weight file, by range, in pieces. The file stays open, so that the
    /// weight can be brought back after a loss; one that happens meanwhile is mended here.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::ShapeMismatch`], [`Error::UnsupportedWeights`] where quantised
    /// elements would have to be moved, and what reading and allocating gives.
    pub async fn load_view(
        &self,
        weights: &Weights,
        view: TensorView,
        format: WeightFormat,
    ) -> Result<Weight> {
        let (shape, layout) = upload::plan(weights, &view, format)?;
        let name = view.name().to_owned();
        let source = Rc::new(Source::File { weights: weights.clone(), view });
        loop {
            match self.weight_from(&name, shape, layout, &source).await {
                Err(error) if error.is_device_lost() => self.recover().await?,
                weight => return weight,
            }
        }
    }

    /// A weight from numbers in memory, in f32; `shape` is `[n]` or `[n_out, n_in]`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] when `data` has another number of elements.
    pub async fn weight_from_f32(&self, name: &str, shape: &[usize], data: &[f32]) -> Result<Weight> {
        let shape = vector_or_matrix(name, shape)?;
        if data.len() != shape.len() {
            let (expected, got) = (shape.to_string(), format!("{} elements", data.len()));
            return Err(Error::ShapeMismatch { what: name.into(), expected, got });
        }
        let source = Rc::new(Source::Numbers(data.into()));
        self.weight_from(name, shape, Layout::F32, &source).await
    }

    /// An empty cache of `n_ctx` positions of `width` elements.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] beyond 2^20 positions or 2^28 elements, [`Error::OutOfMemory`].
    pub async fn kv_cache(&self, n_ctx: usize, width: usize) -> Result<KvCache> {
        if n_ctx == 0 || n_ctx > MAX_CTX || width == 0 {
            let (got, max) = (n_ctx as u64, MAX_CTX as u64);
            return Err(Error::OutOfRange { what: "number of cached positions".into(), got, max });
        }
        if width > MAX_CACHE_ELEMENTS / n_ctx {
            let (got, max) = (n_ctx as u64 * width as u64, MAX_CACHE_ELEMENTS as u64);
            return Err(Error::OutOfRange { what: "elements of a cache".into(), got, max });
        }
        let cache = KvCache::new(n_ctx, width, self.create_cache(n_ctx, width).await?);
        self.0.recovery.remember_cache(&cache);
        Ok(cache)
    }

    pub(crate) async fn create_cache(&self, n_ctx: usize, width: usize) -> Result<CacheStorage> {
        let executor = self.executor();
        self.check_allocation("a key-value cache", 4 * n_ctx as u64 * width as u64)?;
        let storage = match &*executor {
            AnyExecutor::Cpu(cpu) => Storage::Cpu(cpu.create_cache(n_ctx, width).await?),
            AnyExecutor::Gpu(gpu) => Storage::Gpu(match gpu.create_cache(n_ctx, width).await {
                Err(Error::OutOfMemory { .. }) => {
                    gpu.trim();
                    gpu.create_cache(n_ctx, width).await?
                }
                cache => cache?,
            }),
        };
        self.still(&executor)?;
        Ok(storage)
    }

    /// A weight that can be brought back.
    async fn weight_from(
        &self,
        name: &str,
        shape: Shape,
        layout: Layout,
        source: &Rc<Source>,
    ) -> Result<Weight> {
        let storage = self.create_weight(name, shape, layout, source).await?;
        let weight = Weight::new(name, shape, layout, storage);
        self.0.recovery.remember_weight(&weight, Rc::clone(source));
        Ok(weight)
    }

    /// Allocates a weight's place and fills it.
    pub(crate) async fn create_weight(
        &self,
        name: &str,
        shape: Shape,
        layout: Layout,
        source: &Source,
    ) -> Result<WeightStorage> {
        let mut pending = self.pending_weight(name, shape, layout).await?;
        upload::fill(&mut pending, source, &self.0.ledger)?;
        Ok(pending.storage)
    }

    /// A weight whose rows are all in memory, for tests of a tier: it is not brought back.
    pub(crate) async fn weight_from_rows(&self, name: &str, shape: Shape, rows: Rows<'_>) -> Result<Weight> {
        let mut pending = self.pending_weight(name, shape, rows.layout()).await?;
        pending.write(0, rows)?;
        Ok(Weight::new(name, shape, pending.layout, pending.storage))
    }

    async fn pending_weight(&self, name: &str, shape: Shape, layout: Layout) -> Result<PendingWeight> {
        let executor = self.executor();
        self.check_allocation(name, self.weight_bytes(shape, layout))?;
        let storage = match &*executor {
            AnyExecutor::Cpu(cpu) => Storage::Cpu(cpu.create_weight(name, shape, layout).await?),
            AnyExecutor::Gpu(gpu) => Storage::Gpu(match gpu.create_weight(name, shape, layout).await {
                Err(Error::OutOfMemory { .. }) => {
                    gpu.trim();
                    gpu.create_weight(name, shape, layout).await?
                }
                weight => weight?,
            }),
        };
        self.still(&executor)?;
        Ok(PendingWeight { executor, shape, layout, storage })
    }

    fn weight_bytes(&self, shape: Shape, layout: Layout) -> u64 {
        match self.tier() {
            Tier::Cpu => Cpu::weight_bytes(shape, layout, self.0.options.precision),
            Tier::Gpu => Gpu::weight_bytes(shape, layout),
        }
    }

    /// Fails where the budget, or the heap that the CPU tier lives on, has no room.
    fn check_allocation(&self, what: &str, n_bytes: u64) -> Result<()> {
        self.check_room(what, n_bytes)?;
        match self.tier() {
            Tier::Cpu => check_heap(what, n_bytes + HEAP_MARGIN_BYTES).or_else(|_| {
                self.trim();
                check_heap(what, n_bytes + HEAP_MARGIN_BYTES)
            }),
            Tier::Gpu => Ok(()),
        }
    }

    /// What executes now.
    pub(crate) fn executor(&self) -> Rc<AnyExecutor> {
        Rc::clone(&self.0.executor.borrow())
    }

    /// Puts another executor in its place.
    pub(crate) fn replace_executor(&self, executor: AnyExecutor, report: TierReport) {
        self.0.executor.replace(Rc::new(executor));
        self.0.report.replace(report);
    }

    /// Fails when `executor` was replaced while something was awaited.
    fn still(&self, executor: &Rc<AnyExecutor>) -> Result<()> {
        if Rc::ptr_eq(executor, &self.0.executor.borrow()) {
            return Ok(());
        }
        Err(Error::DeviceLost { reason: "another one was opened meanwhile".into() })
    }

    pub(crate) fn warm_up(&self, program: &Program) -> Result<()> {
        match &*self.executor() {
            AnyExecutor::Cpu(_) => Ok(()),
            AnyExecutor::Gpu(gpu) => gpu.warm_up(program),
        }
    }

    pub(crate) async fn execute(&self, program: &Program, read: Option<BufferId>) -> Result<Vec<f32>> {
        match &*self.executor() {
            AnyExecutor::Cpu(cpu) => cpu.execute(program, read).await,
            AnyExecutor::Gpu(gpu) => match gpu.execute(program, read).await {
                // Caches are written at places of their own, so that nothing is done twice.
                Err(Error::OutOfMemory { .. }) => {
                    gpu.trim();
                    gpu.execute(program, read).await
                }
                outcome => outcome,
            },
        }
    }
}

/// Opens a tier by choice and tests it.
pub(crate) async fn open_tier(ledger: &Ledger, options: &Options) -> Result<(AnyExecutor, TierReport)> {
    match options.tier {
        TierChoice::Cpu => open_cpu(ledger, options.precision, "the CPU was asked for".into()).await,
        TierChoice::Gpu => {
            let gpu = Gpu::open(ledger, AdapterPolicy::Any, &options.kernels).await?;
            open_gpu(gpu, ledger, &options.kernels, "the GPU was asked for").await
        }
        TierChoice::Auto => {
            let reason = "a hardware GPU is there and passed the self-test";
            let opened = match Gpu::open(ledger, AdapterPolicy::HardwareOnly, &options.kernels).await {
                Ok(gpu) => open_gpu(gpu, ledger, &options.kernels, reason).await,
                Err(error) => Err(error),
            };
            match opened {
                Ok(opened) => Ok(opened),
                Err(Error::NoAdapter { reason }) => open_cpu(ledger, options.precision, reason).await,
                Err(error) => open_cpu(ledger, options.precision, error.to_string()).await,
            }
        }
    }
}

pub(crate) async fn open_cpu(
    ledger: &Ledger,
    precision: Precision,
    reason: String,
) -> Result<(AnyExecutor, TierReport)> {
    let policy = KernelPolicy::default();
    tested(AnyExecutor::Cpu(Cpu::open(ledger, precision)), ledger, &policy, reason).await
}

pub(crate) async fn open_gpu(
    gpu: Gpu,
    ledger: &Ledger,
    policy: &KernelPolicy,
    reason: &str,
) -> Result<(AnyExecutor, TierReport)> {
    let executor = AnyExecutor::Gpu(Box::new(gpu));
    let (executor, report) = tested(executor, ledger, policy, reason.into()).await?;
    if report.self_test.passed {
        return Ok((executor, report));
    }
    let adapter = report.adapter.as_deref().unwrap_or("the GPU");
    let (worst, error) = (&report.self_test.worst, report.self_test.max_error);
    Err(Error::NoAdapter { reason: format!("{adapter} computes {worst} wrongly (error {error:e})") })
}

/// Runs the self-test on an executor, and chooses its kernel variants once the plain ones passed.
async fn tested(
    executor: AnyExecutor,
    ledger: &Ledger,
    policy: &KernelPolicy,
    reason: String,
) -> Result<(AnyExecutor, TierReport)> {
    let (tier, adapter, is_software) = match &executor {
        AnyExecutor::Cpu(_) => (Tier::Cpu, None, false),
        AnyExecutor::Gpu(gpu) => (Tier::Gpu, Some(gpu.adapter().to_owned()), gpu.is_software()),
    };
    let untested = crate::SelfTest { passed: false, max_error: f32::NAN, worst: String::new(), took_ms: 0.0 };
    let report = TierReport {
        tier,
        adapter,
        is_software,
        simd: Cpu::simd_name(),
        n_threads: platform::n_threads(),
        reason,
        self_test: untested,
        kernels: None,
    };
    let runtime = Runtime::on(executor, report, Options::default(), ledger.clone());
    let self_test = self_test(&runtime).await?;
    let kernels = if self_test.passed { choose_kernels(&runtime, policy).await? } else { None };
    let inner = Rc::into_inner(runtime.0).expect("the self-test keeps no clone of the runtime");
    let executor = Rc::into_inner(inner.executor.into_inner()).expect("nothing runs after the self-test");
    Ok((executor, TierReport { self_test, kernels, ..inner.report.into_inner() }))
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Runtime").field(&self.0.report.borrow()).finish()
    }
}

/// A weight that is being filled.
pub(crate) struct PendingWeight {
    executor: Rc<AnyExecutor>,
    shape: Shape,
    layout: Layout,
    storage: WeightStorage,
}

impl PendingWeight {
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Writes whole rows from `first_row` on; see [`Rows::check`].
    pub(crate) fn write(&mut self, first_row: usize, rows: Rows<'_>) -> Result<()> {
        rows.check(self.shape, self.layout, first_row)?;
        match (&*self.executor, &mut self.storage) {
            (AnyExecutor::Cpu(cpu), Storage::Cpu(weight)) => cpu.write_rows(weight, first_row, rows),
            (AnyExecutor::Gpu(gpu), Storage::Gpu(weight)) => gpu.write_rows(weight, first_row, rows),
            _ => unreachable!("the storage was made by this executor"),
        }
    }
}
