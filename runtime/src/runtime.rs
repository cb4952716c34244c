//! The runtime: which tier, and the objects that live on it.

use std::rc::Rc;

use crate::cpu::Cpu;
use crate::gpu::{AdapterPolicy, Gpu};
use crate::memory::{Ledger, MemoryReport};
use crate::op::{BufferId, Executor, Program, Rows, Shape};
use crate::self_test::self_test;
use crate::tensor::{KvCache, Layout, Storage, Weight};
use crate::tier::{Options, Tier, TierChoice, TierReport};
use crate::upload::{WeightFormat, vector_or_matrix};
use crate::weights::Weights;
use crate::{Error, Recorder, Result, upload};

/// Longest cache: 2^20 positions, more than any model of a size that runs here was trained for.
const MAX_CTX: usize = 1 << 20;
/// Largest cache: 2^28 f32 are 1 GiB, a quarter of what wasm32 can address.
const MAX_CACHE_ELEMENTS: usize = 1 << 28;

/// Executes forward passes on one tier. One per worker or thread serves all its models; clones
/// share it.
#[derive(Clone)]
pub struct Runtime(Rc<Inner>);

struct Inner {
    executor: AnyExecutor,
    ledger: Ledger,
    report: TierReport,
}

/// The tier that was chosen.
pub(crate) enum AnyExecutor {
    Cpu(Cpu),
    Gpu(Box<Gpu>),
}

impl Runtime {
    /// Chooses a tier (see [`TierChoice`]) and tests it against the scalar reference.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when the GPU is forced and there is none, or it fails the self-test.
    pub async fn open(options: &Options) -> Result<Self> {
        let ledger = Ledger::default();
        match options.tier {
            TierChoice::Cpu => Self::open_cpu(ledger, "the CPU was asked for".into()).await,
            TierChoice::Gpu => Self::open_gpu(&ledger, AdapterPolicy::Any, "the GPU was asked for").await,
            TierChoice::Auto => {
                let policy = AdapterPolicy::HardwareOnly;
                match Self::open_gpu(&ledger, policy, "a hardware GPU is there and passed the self-test")
                    .await
                {
                    Ok(runtime) => Ok(runtime),
                    Err(Error::NoAdapter { reason }) => Self::open_cpu(Ledger::default(), reason).await,
                    Err(error) => Self::open_cpu(Ledger::default(), error.to_string()).await,
                }
            }
        }
    }

    async fn open_cpu(ledger: Ledger, reason: String) -> Result<Self> {
        let cpu = Cpu::open(&ledger);
        Self::open_on(AnyExecutor::Cpu(cpu), ledger, reason).await
    }

    async fn open_gpu(ledger: &Ledger, policy: AdapterPolicy, reason: &str) -> Result<Self> {
        let gpu = Gpu::open(ledger, policy).await?;
        let runtime = Self::open_on(AnyExecutor::Gpu(Box::new(gpu)), ledger.clone(), reason.into()).await?;
        let test = &runtime.0.report.self_test;
        if test.passed {
            return Ok(runtime);
        }
        let adapter = runtime.0.report.adapter.as_deref().unwrap_or("the GPU");
        let (worst, error) = (&test.worst, test.max_error);
        Err(Error::NoAdapter { reason: format!("{adapter} computes {worst} wrongly (error {error:e})") })
    }

    async fn open_on(executor: AnyExecutor, ledger: Ledger, reason: String) -> Result<Self> {
        let (tier, adapter) = match &executor {
            AnyExecutor::Cpu(_) => (Tier::Cpu, None),
            AnyExecutor::Gpu(gpu) => (Tier::Gpu, Some(gpu.adapter().to_owned())),
        };
        let report = TierReport {
            tier,
            adapter,
            simd: Cpu::simd_name(),
            n_threads: platform::n_threads(),
            reason,
            self_test: crate::SelfTest {
                passed: false,
                max_error: f32::NAN,
                worst: String::new(),
                took_ms: 0.0,
            },
        };
        let mut runtime = Self(Rc::new(Inner { executor, ledger, report }));
        let test = self_test(&runtime).await?;
        let inner = Rc::get_mut(&mut runtime.0).expect("the self-test keeps no clone of the runtime");
        inner.report.self_test = test;
        Ok(runtime)
    }

    /// The tier that executes.
    pub fn tier(&self) -> Tier {
        self.0.report.tier
    }

    /// What was chosen, and why.
    pub fn describe(&self) -> TierReport {
        self.0.report.clone()
    }

    /// Bytes held by this runtime's weights, caches and activations.
    pub fn memory(&self) -> MemoryReport {
        self.0.ledger.report()
    }

    /// An empty recording.
    pub fn recorder(&self) -> Recorder<'_> {
        Recorder::new(self)
    }

    /// Loads the tensor `name` of a weight file, by range, in pieces. `expected_shape` is `[n]` for
    /// a vector and `[n_out, n_in]` for a matrix.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::ShapeMismatch`], and what reading and allocating gives.
    pub async fn load_weight(
        &self,
        weights: &Weights,
        name: &str,
        expected_shape: &[usize],
        format: WeightFormat,
    ) -> Result<Weight> {
        upload::load(self, weights, name, expected_shape, format).await
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
        self.weight_from_rows(name, shape, Rows::F32(data)).await
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
        let storage = match &self.0.executor {
            AnyExecutor::Cpu(cpu) => Storage::Cpu(cpu.create_cache(n_ctx, width).await?),
            AnyExecutor::Gpu(gpu) => Storage::Gpu(gpu.create_cache(n_ctx, width).await?),
        };
        Ok(KvCache::new(n_ctx, width, storage))
    }

    /// A weight whose rows are all in memory.
    pub(crate) async fn weight_from_rows(&self, name: &str, shape: Shape, rows: Rows<'_>) -> Result<Weight> {
        let mut pending = self.create_weight(name, shape, rows.layout()).await?;
        pending.write(self, 0, rows)?;
        Ok(pending.finish())
    }

    /// Allocates a weight that is then filled piece by piece.
    pub(crate) async fn create_weight(
        &self,
        name: &str,
        shape: Shape,
        layout: Layout,
    ) -> Result<PendingWeight> {
        let storage = match &self.0.executor {
            AnyExecutor::Cpu(cpu) => Storage::Cpu(cpu.create_weight(name, shape, layout).await?),
            AnyExecutor::Gpu(gpu) => Storage::Gpu(gpu.create_weight(name, shape, layout).await?),
        };
        Ok(PendingWeight { name: name.into(), shape, layout, storage })
    }

    pub(crate) async fn execute(&self, program: &Program, read: Option<BufferId>) -> Result<Vec<f32>> {
        match &self.0.executor {
            AnyExecutor::Cpu(cpu) => cpu.execute(program, read).await,
            AnyExecutor::Gpu(gpu) => gpu.execute(program, read).await,
        }
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Runtime").field(&self.0.report).finish()
    }
}

/// A weight that is being filled.
pub(crate) struct PendingWeight {
    name: String,
    shape: Shape,
    layout: Layout,
    storage: Storage<<Cpu as Executor>::Weight, <Gpu as Executor>::Weight>,
}

impl PendingWeight {
    /// Writes whole rows from `first_row` on; see [`Rows::check`].
    pub(crate) fn write(&mut self, runtime: &Runtime, first_row: usize, rows: Rows<'_>) -> Result<()> {
        rows.check(self.shape, self.layout, first_row)?;
        match (&runtime.0.executor, &mut self.storage) {
            (AnyExecutor::Cpu(cpu), Storage::Cpu(weight)) => cpu.write_rows(weight, first_row, rows),
            (AnyExecutor::Gpu(gpu), Storage::Gpu(weight)) => gpu.write_rows(weight, first_row, rows),
            _ => Err(Error::WrongOwner { what: format!("`{}`", self.name) }),
        }
    }

    /// The weight, once all rows are written.
    pub(crate) fn finish(self) -> Weight {
        Weight::new(&self.name, self.shape, self.layout, self.storage)
    }
}
