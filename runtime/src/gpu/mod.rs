//! The GPU tier: WebGPU in the browser, Vulkan, Metal or DirectX 12 natively, one code.
//!
//! A program becomes a list of dispatches (`plan`), which run in one compute pass and one submission;
//! long ones are split, so that no submission runs into a system's watchdog. Pipelines, bind groups
//! and activation buffers are made once and reused, parameters of all dispatches are written at once
//! into one uniform buffer, and only what is asked for is read back.
//!
//! Decoding repeats one program with other positions. `fuse` joins its operations, `fused` plans what was
//! joined, and `steps` replays the plan: nothing is created per token, and the token stays on the device.
//!
//! Invariants:
//! - No `cfg` for the browser: what differs there is known from the adapter.
//! - Between planning and submission nothing is awaited, so interleaved executions cannot mix.
//! - Every buffer is counted in the ledger and destroyed when dropped.
//! - Kernels use plain WebGPU (no f16, no subgroups, default limits but for the size of buffers), unless a
//!   variant was chosen that the device offers and that passed the self-test.

mod device;
mod fuse;
mod fused;
mod kernel;
mod matmul;
mod plan;
mod pool;
mod registry;
mod shader_module;
mod specs;
mod step_specs;
mod steps;
mod variants;
mod weight;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};

pub(crate) use steps::{GpuSteps, Recording, Start};

use device::{Device, UNIFORM_STRIDE};
use kernel::Variant;
use plan::{Plan, Step, plan};
use pool::{GpuBuffer, Pool};
use registry::Registry;
pub(crate) use variants::VariantSet;
use weight::{GpuCache, GpuWeight};

use crate::memory::{Ledger, Owner};
use crate::op::{BufferId, Executor, Program, Rows, Shape};
use crate::rope::RopeKey;
use crate::{Error, GpuCounters, KernelPolicy, KernelVariant, KvCache, Layout, Result, Rope};

/// Dispatches of one submission: their parameters fill a uniform buffer of 256 KiB.
const MAX_SUBMIT_STEPS: usize = 1024;
/// Multiplications of one submission on a GPU. Systems kill what runs for 2 s; a slow integrated GPU
/// does 100 G per second.
const MAX_SUBMIT_WORK: u64 = 40 << 30;
/// Multiplications of one submission on a software adapter, which does some 1 G per second; browsers
/// kill their GPU process when it does not answer for 10 s.
const MAX_SOFTWARE_SUBMIT_WORK: u64 = 1 << 30;
/// Weight bytes written before they are submitted, so that the copies made for them are freed.
const MAX_PENDING_WRITES: usize = 32 << 20;

/// Which adapters may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdapterPolicy {
    /// Any, software adapters too.
    Any,
    /// Only real GPUs.
    HardwareOnly,
}

/// Which of two kernels for the same operation is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KernelSet {
    /// Invocations work together: workgroup memory, neighbouring reads.
    Hardware,
    /// Invocations work alone: what CPUs that play GPU are best at.
    Software,
}

/// The GPU tier.
#[derive(Debug)]
pub(crate) struct Gpu {
    registry: Registry,
    pool: Pool,
    /// Parameters of one submission's dispatches.
    uniforms: wgpu::Buffer,
    /// Stands where a kernel's binding has no use.
    nothing: Rc<GpuBuffer>,
    /// Cosines and sines by what they turn like, for the positions so far.
    angles: RefCell<HashMap<RopeKey, Angles>>,
    /// Weights that lie in one buffer for replayed steps, by the buffers they come from.
    packed: RefCell<HashMap<Vec<u64>, Weak<GpuBuffer>>>,
    /// Kernels that have computed a step rightly.
    passed: RefCell<HashSet<Variant>>,
    pending_writes: Cell<usize>,
    counters: Cell<GpuCounters>,
    kernels: KernelSet,
    /// What replaces plain kernels.
    variants: Cell<VariantSet>,
    max_binding_bytes: u64,
    /// Last, so that buffers go before it.
    device: Device,
}

#[derive(Debug)]
struct Angles {
    n_positions: usize,
    buffer: Rc<GpuBuffer>,
}

impl Gpu {
    /// Opens the system's preferred adapter.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when there is none that `policy` allows.
    pub(crate) async fn open(ledger: &Ledger, policy: AdapterPolicy, kernels: &KernelPolicy) -> Result<Self> {
        let device = Device::open().await?;
        if device.is_software && policy == AdapterPolicy::HardwareOnly {
            let reason = format!("{} runs on the CPU, which is faster without it", device.adapter);
            return Err(Error::NoAdapter { reason });
        }
        // Who forces variants wants to see what GPUs run, on a software adapter too.
        let is_alone = device.is_software && !matches!(kernels, KernelPolicy::Forced(_));
        let kernels = if is_alone { KernelSet::Software } else { KernelSet::Hardware };
        let max_binding_bytes = device.max_binding_bytes;
        Self::on(device, ledger, kernels, max_binding_bytes).await
    }

    async fn on(device: Device, ledger: &Ledger, kernels: KernelSet, max_binding_bytes: u64) -> Result<Self> {
        let pool = Pool::new(device.device.clone(), max_binding_bytes, ledger.clone());
        let (made, errors) = device.scoped("the first buffers", 0, || {
            let uniforms = device.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("parameters"),
                size: (MAX_SUBMIT_STEPS * UNIFORM_STRIDE) as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let nothing = pool.create("nothing", 0, Owner::Activations);
            nothing.map(|nothing| (uniforms, nothing))
        });
        errors.await?;
        let (uniforms, nothing) = made?;
        Ok(Self {
            registry: Registry::new(device.device.clone()),
            pool,
            uniforms,
            nothing,
            angles: RefCell::default(),
            packed: RefCell::default(),
            passed: RefCell::default(),
            pending_writes: Cell::new(0),
            counters: Cell::default(),
            kernels,
            variants: Cell::default(),
            max_binding_bytes,
            device,
        })
    }

    /// Bytes that a weight takes here, but for the rounding of buffers.
    pub(crate) fn weight_bytes(shape: Shape, layout: Layout) -> u64 {
        weight::n_bytes(shape, layout)
    }

    /// Frees what is only kept for later.
    pub(crate) fn trim(&self) {
        self.pool.clear();
    }

    /// Why the device is gone, once it is.
    pub(crate) fn loss(&self) -> Option<String> {
        self.device.loss()
    }

    /// Takes the device away, as a driver's reset does.
    pub(crate) fn destroy_device(&self) {
        self.device.device.destroy();
    }

    /// What was done so far.
    pub(crate) fn counters(&self) -> GpuCounters {
        let n_objects = self.pool.n_created() + self.registry.n_created();
        let counters = self.counters.get();
        let n_pipelines = self.registry.n_compiled();
        GpuCounters { n_objects: counters.n_objects + n_objects, n_pipelines, ..counters }
    }

    fn has_passed(&self, variants: &HashSet<Variant>) -> bool {
        variants.is_subset(&self.passed.borrow())
    }

    fn count(&self, change: impl FnOnce(&mut GpuCounters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    /// The adapter's name, for people.
    pub(crate) fn adapter(&self) -> &str {
        &self.device.adapter
    }

    /// Whether the adapter is the CPU in disguise.
    pub(crate) fn is_software(&self) -> bool {
        self.device.is_software
    }

    /// The adapter, its driver and the version of the kernels.
    pub(crate) fn kernels_key(&self) -> String {
        format!("{}, {}, {}", self.device.adapter, self.device.driver, env!("CARGO_PKG_VERSION"))
    }

    /// Whether the device can be asked for `variant`, or why not.
    pub(crate) fn offers(&self, variant: KernelVariant) -> std::result::Result<(), String> {
        variants::offers(&self.device, variant)
    }

    /// Runs these variants from now on.
    pub(crate) fn use_variants(&self, variants: VariantSet) {
        self.variants.set(variants);
    }

    /// The table of cosines and sines for at least `n_positions`: `[n_positions, head_dim / 2]`
    /// pairs, computed in f64 here because WGSL's functions are not exact enough.
    fn rope_angles(&self, rope: &Rope, n_positions: usize) -> Result<Rc<GpuBuffer>> {
        let key = rope.key();
        if let Some(angles) =
            self.angles.borrow().get(&key).filter(|angles| angles.n_positions >= n_positions)
        {
            return Ok(angles.buffer.clone());
        }
        let n_positions = n_positions.next_power_of_two().max(512);
        let (speeds, magnitude) = (rope.speeds(), rope.magnitude());
        let turns: Vec<[f32; 2]> = (0..n_positions)
            .flat_map(|pos| speeds.iter().map(move |speed| pos as f64 * speed))
            .map(|angle| [(magnitude * angle.cos()) as f32, (magnitude * angle.sin()) as f32])
            .collect();
        let bytes: &[u8] = bytemuck::cast_slice(&turns);
        let buffer = self.pool.create("the table of rotations", bytes.len() as u64, Owner::Activations)?;
        self.device.queue.write_buffer(&buffer.buffer, 0, bytes);
        self.angles.borrow_mut().insert(key, Angles { n_positions, buffer: buffer.clone() });
        Ok(buffer)
    }

    /// Makes the pipelines of `program`, where that is what a first run waits for.
    pub(crate) fn warm_up(&self, program: &Program) -> Result<()> {
        self.device.check()?;
        if self.kernels == KernelSet::Software {
            return Ok(());
        }
        // What goes wrong is told by the first run, which uses the same pipelines.
        let (planned, _errors) = self.device.scoped("kernels", 0, || {
            let plan = plan(self, program, None)?;
            plan.steps.iter().for_each(|step| drop(self.registry.pipeline(&step.variant)));
            Ok(())
        });
        planned
    }

    /// Plans and submits; gives the buffer that the result is copied to.
    fn submit(&self, program: &Program, read: Option<BufferId>) -> Result<Option<wgpu::Buffer>> {
        Ok(self.submit_plan(&plan(self, program, read)?))
    }

    /// Encodes and submits; gives the buffer that the result is copied to.
    fn submit_plan(&self, plan: &Plan) -> Option<wgpu::Buffer> {
        self.write_inputs(plan);
        let staging = plan.read.as_ref().map(|(_, n)| self.staging(4 * *n as u64));
        let max_work = match self.kernels {
            KernelSet::Hardware => MAX_SUBMIT_WORK,
            KernelSet::Software => MAX_SOFTWARE_SUBMIT_WORK,
        };
        let mut rest = plan.steps.as_slice();
        loop {
            let (now, later) = rest.split_at(submission_len(rest, max_work));
            rest = later;
            let mut encoder = self.device.device.create_command_encoder(&Default::default());
            self.encode(&mut encoder, now);
            if let (true, Some((buffer, _)), Some(staging)) = (rest.is_empty(), &plan.read, &staging) {
                encoder.copy_buffer_to_buffer(&buffer.buffer, 0, staging, 0, staging.size());
            }
            self.device.queue.submit([encoder.finish()]);
            if rest.is_empty() {
                break;
            }
        }
        self.pending_writes.set(0);
        staging
    }

    fn write_inputs(&self, plan: &Plan) {
        for (buffer, values) in &plan.inputs {
            self.device.queue.write_buffer(&buffer.buffer, 0, bytemuck::cast_slice(values));
        }
        let (buffer, words) = &plan.data;
        if !words.is_empty() {
            self.device.queue.write_buffer(&buffer.buffer, 0, bytemuck::cast_slice(words));
        }
    }

    /// One compute pass; the parameters are written before it runs, as all writes are.
    fn encode(&self, encoder: &mut wgpu::CommandEncoder, steps: &[Step]) {
        let mut params = vec![0; steps.len() * UNIFORM_STRIDE];
        for (slot, step) in params.chunks_exact_mut(UNIFORM_STRIDE).zip(steps) {
            slot[..step.params.len()].copy_from_slice(&step.params);
        }
        if !params.is_empty() {
            self.device.queue.write_buffer(&self.uniforms, 0, &params);
        }
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let mut current = None;
        for (idx, step) in steps.iter().enumerate() {
            let pipeline = self.registry.pipeline(&step.variant);
            let bind_group = self.registry.bind_group(&pipeline, &step.storage, &self.uniforms);
            if current.replace(step.variant) != Some(step.variant) {
                pass.set_pipeline(&pipeline.pipeline);
            }
            pass.set_bind_group(0, &bind_group, &[(idx * UNIFORM_STRIDE) as u32]);
            let [x, y, z] = step.grid;
            pass.dispatch_workgroups(x, y, z);
        }
    }

    fn staging(&self, n_bytes: u64) -> wgpu::Buffer {
        self.count(|counters| counters.n_objects += 1);
        self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: n_bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }
}

/// Number of steps that go into the next submission: at least one, where there is one.
fn submission_len(steps: &[Step], max_work: u64) -> usize {
    let mut work = 0;
    let fits = |step: &&Step| {
        work += step.work;
        work <= max_work
    };
    steps.iter().take(MAX_SUBMIT_STEPS).take_while(fits).count().max(steps.len().min(1))
}

impl Executor for Gpu {
    type Weight = GpuWeight;
    type Cache = GpuCache;

    async fn create_weight(&self, name: &str, shape: Shape, layout: Layout) -> Result<GpuWeight> {
        self.device.check_now()?;
        let create = || GpuWeight::create(&self.pool, self.max_binding_bytes, name, shape, layout);
        let (weight, errors) = self.device.scoped(name, weight::n_bytes(shape, layout), create);
        errors.await?;
        weight
    }

    fn write_rows(&self, weight: &mut GpuWeight, first_row: usize, rows: Rows<'_>) -> Result<()> {
        self.device.check()?;
        let n_bytes = weight.write(&self.device, first_row, rows);
        self.pending_writes.set(self.pending_writes.get() + n_bytes);
        if self.pending_writes.get() >= MAX_PENDING_WRITES {
            self.pending_writes.set(0);
            self.device.queue.submit([]);
        }
        Ok(())
    }

    async fn create_cache(&self, n_ctx: usize, width: usize) -> Result<GpuCache> {
        self.device.check_now()?;
        let create = || GpuCache::create(&self.pool, n_ctx, width);
        let (cache, errors) =
            self.device.scoped("a key-value cache", 4 * n_ctx as u64 * width as u64, create);
        errors.await?;
        cache
    }

    async fn copy_caches(&self, pairs: &[(&KvCache, &KvCache)], n_elements: usize) -> Result<()> {
        self.device.check()?;
        let n_bytes = 4 * n_elements as u64;
        let (copied, errors) = self.device.scoped("a copy of caches", n_bytes, || {
            let mut encoder = self.device.device.create_command_encoder(&Default::default());
            for (from, to) in pairs {
                let (from, to) = (from.gpu()?, to.gpu()?);
                encoder.copy_buffer_to_buffer(&from.buffer.buffer, 0, &to.buffer.buffer, 0, n_bytes);
            }
            self.device.queue.submit([encoder.finish()]);
            Ok(())
        });
        errors.await?;
        copied
    }

    async fn execute(&self, program: &Program, read: Option<BufferId>) -> Result<Vec<f32>> {
        self.device.check()?;
        self.registry.forget_destroyed(&self.pool.take_destroyed().into_iter().collect());
        let n_bytes = program.buffers.iter().map(|shape| 4 * shape.len() as u64).max().unwrap_or(0);
        let (submitted, errors) =
            self.device.scoped("a forward pass", n_bytes, || self.submit(program, read));
        if let Err(error) = errors.await {
            self.registry.forget_pipelines();
            self.device.check_now()?;
            return Err(error);
        }
        match submitted? {
            Some(staging) => {
                let values = self.device.map(&staging, None).await;
                staging.destroy();
                values
            }
            None => Ok(vec![]),
        }
    }
}
