//! A step of decoding, planned once and replayed token after token.
//!
//! All objects are made beforehand: buffers, bind groups, pipelines, staging buffers. A step writes the
//! few parameters that move with the position, encodes one compute pass and submits. The sampled token
//! stays on the device in a ring, from which the next step gathers; the host reads the ring back in
//! batches, with at most two of them ahead of what it has asked for.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

use super::fuse::{Fusion, fuse};
use super::fused::n_splits;
use super::kernel::{Kernel, Variant};
use super::plan::{Moves, Patch, Plan, Replay, Step, plan_nodes};
use super::pool::GpuBuffer;
use super::specs::{MAX_PARAMS_BYTES, SampleKernelParams};
use super::{Gpu, KernelSet, UNIFORM_STRIDE};
use crate::kernels::{SampleParams, scale_at};
use crate::memory::Owner;
use crate::op::{BufferId, Executor, Program};
use crate::{Error, Result};

/// Tokens that the ring holds: two batches, and one more that the next step reads.
const RING: usize = 64;
/// Tokens that are read back together at most.
const MAX_BATCH: usize = 16;
/// Batches under way.
const MAX_BATCHES: usize = 2;
const _: () = assert!(MAX_BATCHES * MAX_BATCH < RING && RING.is_power_of_two());
/// A batch should be this short, so that text flows and a stop wastes little.
const BATCH_MS: f64 = 40.0;
/// Largest difference between fused and single kernels, as a share of the largest logit: sums in
/// another order differ by less than a hundredth of this, a wrong kernel by more.
const MAX_ERROR: f32 = 1e-3;
/// What the sampling kernel gives where logits are no numbers.
const NO_TOKEN: u32 = u32::MAX;

/// A pass over one token that can be replayed.
pub(crate) struct Recording<'a> {
    pub(crate) program: &'a Program,
    /// `[1, n_vocab]`, from which the next token is chosen.
    pub(crate) logits: BufferId,
    /// The token, and the position at which it was recorded.
    pub(crate) token: u32,
    pub(crate) pos: usize,
    /// It can be replayed for positions below this.
    pub(crate) n_positions: usize,
}

/// Where a text stands when its steps begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    /// The last token, which the caches do not have yet.
    pub(crate) token: u32,
    /// Its position.
    pub(crate) pos: usize,
    /// Steps to run at most.
    pub(crate) n_steps: usize,
    pub(crate) sampling: &'a SampleParams,
    /// Tokens of the text so far, for the repetition penalty.
    pub(crate) seen: &'a [u32],
}

/// A replayable step, and the text it works on.
pub(crate) struct GpuSteps {
    /// The device that everything here belongs to.
    device_id: u64,
    dispatches: Vec<Dispatch>,
    /// Parameters of all dispatches, those that move first.
    params: Vec<u32>,
    n_moving: usize,
    uniforms: Rc<GpuBuffer>,
    data: (Rc<GpuBuffer>, Vec<u32>, Vec<Patch>),
    tokens: Rc<GpuBuffer>,
    /// One bit for each token of the vocabulary.
    seen: Rc<GpuBuffer>,
    logits: Rc<GpuBuffer>,
    n_vocab: usize,
    /// Every kernel it runs.
    variants: HashSet<Variant>,
    recorded_pos: usize,
    n_positions: usize,
    idle: Vec<wgpu::Buffer>,
    batches: VecDeque<Batch>,
    ready: VecDeque<u32>,
    /// The position of the next step's token, and where the steps end.
    next_pos: usize,
    end_pos: usize,
    ms_per_step: f64,
    /// When the last batch was seen to be done.
    done_ms: f64,
}

struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    /// What is bound: dropping a buffer destroys it.
    _storage: Vec<Rc<GpuBuffer>>,
    grid: [u32; 3],
    is_split: bool,
    /// Place of its parameters, in slots.
    slot: usize,
    patches: Vec<Patch>,
    /// Parameters as recorded.
    recorded: [u32; MAX_PARAMS_BYTES / 4],
}

struct Batch {
    staging: wgpu::Buffer,
    n_tokens: usize,
    submission: wgpu::SubmissionIndex,
    started_ms: f64,
}

impl GpuSteps {
    /// Plans a recorded step. On a GPU its first run is compared with the same operations one by one,
    /// unless all its kernels have passed that before; where they differ, it runs unfused.
    pub(crate) async fn new(gpu: &Gpu, recording: &Recording<'_>) -> Result<Self> {
        gpu.device.check()?;
        let fusion = match gpu.kernels {
            KernelSet::Hardware => Fusion::Workgroup,
            KernelSet::Software => Fusion::Invocation,
        };
        let mut steps = Self::scoped(gpu, recording, fusion).await?;
        if fusion == Fusion::Workgroup && !gpu.has_passed(&steps.variants) {
            if steps.agrees(gpu, recording).await? {
                gpu.passed.borrow_mut().extend(&steps.variants);
            } else {
                gpu.count(|counters| counters.n_unfused_loops += 1);
                steps = Self::scoped(gpu, recording, Fusion::None).await?;
            }
        }
        Ok(steps)
    }

    /// Makes the pipelines of a recorded step, as [`Gpu::warm_up`] does.
    pub(crate) fn warm_up(gpu: &Gpu, recording: &Recording<'_>) -> Result<()> {
        gpu.device.check()?;
        if gpu.kernels == KernelSet::Software {
            return Ok(());
        }
        // What goes wrong is told by the first steps, which use the same pipelines.
        let make = || Self::make(gpu, recording, Fusion::Workgroup).map(drop);
        gpu.device.scoped("kernels", 0, make).0
    }

    async fn scoped(gpu: &Gpu, recording: &Recording<'_>, fusion: Fusion) -> Result<Self> {
        let make = || Self::make(gpu, recording, fusion);
        let (steps, errors) = gpu.device.scoped("a step of decoding", 0, make);
        if let Err(error) = errors.await {
            gpu.registry.forget_pipelines();
            gpu.device.check_now()?;
            return Err(error);
        }
        steps
    }

    /// Whether a replayed step gives what its operations give, each with its own kernel.
    async fn agrees(&mut self, gpu: &Gpu, recording: &Recording<'_>) -> Result<bool> {
        let expected = gpu.execute(recording.program, Some(recording.logits)).await?;
        let sampling = SampleParams::default();
        let (token, pos) = (recording.token, recording.pos);
        self.start(gpu, Start { token, pos, n_steps: 1, sampling: &sampling, seen: &[] })?;
        self.write_moving(gpu, pos);
        let staging = gpu.staging(4 * self.n_vocab as u64);
        let mut encoder = gpu.device.device.create_command_encoder(&Default::default());
        self.encode(&mut encoder, pos);
        encoder.copy_buffer_to_buffer(&self.logits.buffer, 0, &staging, 0, staging.size());
        gpu.device.queue.submit([encoder.finish()]);
        let got = gpu.device.map(&staging, None).await?;
        staging.destroy();
        let largest = expected.iter().fold(0f32, |largest, logit| largest.max(logit.abs()));
        // A difference that is no number fails, too.
        Ok(got.iter().zip(&expected).all(|(got, expected)| (got - expected).abs() <= MAX_ERROR * largest))
    }

    fn make(gpu: &Gpu, recording: &Recording<'_>, fusion: Fusion) -> Result<Self> {
        let Recording { program, logits, .. } = *recording;
        let n_vocab = program.shape(logits).width;
        let tokens = gpu.pool.create("the ring of tokens", 4 * RING as u64, Owner::Activations)?;
        let seen_bytes = 4 * n_vocab.div_ceil(32) as u64;
        let seen = gpu.pool.create("the set of seen tokens", seen_bytes, Owner::Activations)?;
        let nodes = fuse(program, fusion, logits, gpu.max_binding_bytes);
        let replay = Replay { tokens: tokens.clone(), n_positions: recording.n_positions };
        let mut plan = plan_nodes(gpu, program, &nodes, Some(logits), Some(replay))?;
        let (logits, _) = plan.read.take().expect("the logits were asked for");
        plan.steps.push(sample_step(n_vocab, vec![logits.clone(), seen.clone(), tokens.clone()]));
        copy_once(gpu, &plan);
        let data = (plan.data.0.clone(), plan.data.1.clone(), plan.data_patches.clone());
        gpu.write_inputs(&plan);
        let uniform_bytes = (plan.steps.len() * UNIFORM_STRIDE) as u64;
        let uniforms = gpu.pool.create_uniform("parameters of a step", uniform_bytes)?;
        let n_moving = plan.steps.iter().filter(|step| !step.patches.is_empty()).count();
        let variants = plan.steps.iter().map(|step| step.variant).collect();
        let dispatches = dispatches(gpu, plan.steps, &uniforms.buffer, n_moving);
        let mut params = vec![0; dispatches.len() * UNIFORM_STRIDE / 4];
        for dispatch in &dispatches {
            let at = dispatch.slot * UNIFORM_STRIDE / 4;
            params[at..at + dispatch.recorded.len()].copy_from_slice(&dispatch.recorded);
        }
        let idle = (0..MAX_BATCHES).map(|_| gpu.staging(4 * MAX_BATCH as u64)).collect();
        Ok(Self {
            device_id: gpu.device.id,
            dispatches,
            params,
            n_moving,
            uniforms,
            data,
            tokens,
            seen,
            logits,
            n_vocab,
            variants,
            recorded_pos: recording.pos,
            n_positions: recording.n_positions,
            idle,
            batches: VecDeque::new(),
            ready: VecDeque::new(),
            next_pos: 0,
            end_pos: 0,
            ms_per_step: BATCH_MS,
            done_ms: 0.0,
        })
    }

    /// Begins a text; what was under way is dropped.
    pub(crate) fn start(&mut self, gpu: &Gpu, start: Start<'_>) -> Result<()> {
        self.check(gpu)?;
        // Their copies come first in the queue, so that the buffers may be copied to again.
        let n_dropped = self.batches.len();
        self.idle.extend(self.batches.drain(..).map(|batch| batch.staging));
        while self.idle.len() < MAX_BATCHES {
            // A read that was cancelled half-way has kept its buffer.
            self.idle.push(gpu.staging(4 * MAX_BATCH as u64));
        }
        debug_assert!(n_dropped <= MAX_BATCHES);
        self.ready.clear();
        self.next_pos = start.pos;
        self.end_pos = (start.pos + start.n_steps).min(self.n_positions);
        let queue = &gpu.device.queue;
        let slot = (start.pos % RING * 4) as u64;
        queue.write_buffer(&self.tokens.buffer, slot, bytemuck::bytes_of(&start.token));
        let [above, below] = start.sampling.penalties();
        if above != 1.0 {
            let mut seen = vec![0u32; self.n_vocab.div_ceil(32)];
            for token in start.seen.iter().filter(|token| (**token as usize) < self.n_vocab) {
                seen[*token as usize / 32] |= 1 << (token % 32);
            }
            queue.write_buffer(&self.seen.buffer, 0, bytemuck::cast_slice(&seen));
        }
        let share = start.sampling.share();
        let params = SampleKernelParams {
            n_vocab: self.n_vocab as u32,
            pos: self.recorded_pos as u32 + 1,
            out_at: 0,
            is_greedy: u32::from(start.sampling.is_greedy()),
            top_k: start.sampling.top_k,
            has_share: u32::from(share.is_some()),
            share: share.unwrap_or_default(),
            unit_scale: scale_at(1.0),
            scale: start.sampling.scale(),
            floor: start.sampling.floor(),
            has_penalty: u32::from(above != 1.0),
            penalty_above: above,
            penalty_below: below,
            seed_low: start.sampling.seed as u32,
            seed_high: (start.sampling.seed >> 32) as u32,
        };
        let sample = self.dispatches.last_mut().expect("sampling comes last");
        let words: &[u32] = bytemuck::cast_slice(bytemuck::bytes_of(&params));
        sample.recorded[..words.len()].copy_from_slice(words);
        let at = sample.slot * UNIFORM_STRIDE / 4;
        self.params[at..at + words.len()].copy_from_slice(words);
        queue.write_buffer(&self.uniforms.buffer, 0, bytemuck::cast_slice(&self.params));
        Ok(())
    }

    /// The next token; `None` after the last step.
    pub(crate) async fn next(&mut self, gpu: &Gpu) -> Result<Option<u32>> {
        self.check(gpu)?;
        while self.batches.len() < MAX_BATCHES && self.next_pos < self.end_pos {
            self.submit_batch(gpu);
        }
        if self.ready.is_empty() {
            let Some(batch) = self.batches.pop_front() else { return Ok(None) };
            let asked_ms = platform::now_ms();
            let tokens = gpu.device.map(&batch.staging, Some(batch.submission)).await?;
            let now_ms = platform::now_ms();
            gpu.count(|counters| counters.read_ms += now_ms - asked_ms);
            // With a slow caller this is too much, which makes batches short and does no harm.
            self.ms_per_step = (now_ms - batch.started_ms.max(self.done_ms)) / batch.n_tokens as f64;
            self.done_ms = now_ms;
            self.ready.extend(tokens[..batch.n_tokens].iter().map(|token| token.to_bits()));
            self.idle.push(batch.staging);
        }
        match self.ready.pop_front() {
            Some(NO_TOKEN) => Err(Error::NotFinite),
            token => Ok(token),
        }
    }

    /// Dispatches of one step.
    pub(crate) fn n_dispatches(&self) -> usize {
        self.dispatches.len()
    }

    fn check(&self, gpu: &Gpu) -> Result<()> {
        if self.device_id != gpu.device.id {
            return Err(Error::DeviceLost { reason: "another device was opened since".into() });
        }
        gpu.device.check()
    }

    fn submit_batch(&mut self, gpu: &Gpu) {
        let started_ms = platform::now_ms();
        let wanted = (BATCH_MS / self.ms_per_step.max(0.01)) as usize;
        let first_pos = self.next_pos;
        // A copy of a range: batches end where the ring does.
        let to_wrap = RING - (first_pos + 1) % RING;
        let n_tokens = wanted.clamp(1, MAX_BATCH).min(self.end_pos - first_pos).min(to_wrap);
        let staging = self.idle.pop().expect("as many buffers as batches");
        let mut submission = None;
        for pos in first_pos..first_pos + n_tokens {
            self.write_moving(gpu, pos);
            let mut encoder = gpu.device.device.create_command_encoder(&Default::default());
            self.encode(&mut encoder, pos);
            if pos + 1 == first_pos + n_tokens {
                let from = ((first_pos + 1) % RING * 4) as u64;
                let n_bytes = 4 * n_tokens as u64;
                encoder.copy_buffer_to_buffer(&self.tokens.buffer, from, &staging, 0, n_bytes);
            }
            submission = Some(gpu.device.queue.submit([encoder.finish()]));
        }
        self.next_pos += n_tokens;
        let submission = submission.expect("a batch has at least one step");
        self.batches.push_back(Batch { staging, n_tokens, submission, started_ms });
        let submit_ms = platform::now_ms() - started_ms;
        gpu.count(|counters| {
            counters.n_steps += n_tokens as u64;
            counters.n_dispatches += (n_tokens * self.dispatches.len()) as u64;
            counters.submit_ms += submit_ms;
        });
    }

    /// Writes what moves with the position, all at once.
    fn write_moving(&mut self, gpu: &Gpu, pos: usize) {
        let by = (pos as u32).wrapping_sub(self.recorded_pos as u32);
        for dispatch in self.dispatches.iter().filter(|dispatch| !dispatch.patches.is_empty()) {
            let at = dispatch.slot * UNIFORM_STRIDE / 4;
            for patch in &dispatch.patches {
                self.params[at + patch.word] = moved(dispatch.recorded[patch.word], patch.moves, pos, by);
            }
        }
        let moving = &self.params[..self.n_moving * UNIFORM_STRIDE / 4];
        gpu.device.queue.write_buffer(&self.uniforms.buffer, 0, bytemuck::cast_slice(moving));
        let (buffer, recorded, patches) = &self.data;
        if !recorded.is_empty() {
            let mut words = recorded.clone();
            for patch in patches {
                words[patch.word] = moved(words[patch.word], patch.moves, pos, by);
            }
            gpu.device.queue.write_buffer(&buffer.buffer, 0, bytemuck::cast_slice(&words));
        }
    }

    fn encode(&self, encoder: &mut wgpu::CommandEncoder, pos: usize) {
        let n_splits = n_splits(pos + 1) as u32;
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let mut current: Option<&wgpu::ComputePipeline> = None;
        for dispatch in &self.dispatches {
            if current.replace(&dispatch.pipeline) != Some(&dispatch.pipeline) {
                pass.set_pipeline(&dispatch.pipeline);
            }
            pass.set_bind_group(0, &dispatch.bind_group, &[(dispatch.slot * UNIFORM_STRIDE) as u32]);
            let [x, y, z] = dispatch.grid;
            pass.dispatch_workgroups(x, if dispatch.is_split { n_splits } else { y }, z);
        }
    }
}

/// A recorded word at position `pos`, which lies `by` after the recorded one.
fn moved(recorded: u32, moves: Moves, pos: usize, by: u32) -> u32 {
    match moves {
        Moves::By(stride) => recorded.wrapping_add(by.wrapping_mul(stride)),
        Moves::Ring { next } => (pos as u32 + next) % RING as u32,
        Moves::Splits => n_splits(pos + 1) as u32,
        Moves::Window(window) => (pos as u32 + 1).saturating_sub(window),
    }
}

/// The choice of the next token, whose settings come with the text.
fn sample_step(n_vocab: usize, storage: Vec<Rc<GpuBuffer>>) -> Step {
    let word = |offset: usize| offset / 4;
    Step {
        variant: Variant::plain(Kernel::Sample),
        storage,
        params: [0; MAX_PARAMS_BYTES],
        grid: [1, 1, 1],
        work: n_vocab as u64,
        patches: vec![
            Patch { word: word(std::mem::offset_of!(SampleKernelParams, pos)), moves: Moves::By(1) },
            Patch {
                word: word(std::mem::offset_of!(SampleKernelParams, out_at)),
                moves: Moves::Ring { next: 1 },
            },
        ],
        is_split: false,
    }
}

/// Fills the buffers that hold several weights.
pub(super) fn copy_once(gpu: &Gpu, plan: &Plan) {
    if plan.copies.is_empty() {
        return;
    }
    let mut encoder = gpu.device.device.create_command_encoder(&Default::default());
    for copy in &plan.copies {
        let (from, to) = (&copy.from.buffer, &copy.to.buffer);
        encoder.copy_buffer_to_buffer(from, 0, to, copy.to_byte, copy.n_bytes);
    }
    gpu.device.queue.submit([encoder.finish()]);
}

/// Dispatches in order; the parameters of the `n_moving` that move take the first slots.
fn dispatches(gpu: &Gpu, steps: Vec<Step>, uniforms: &wgpu::Buffer, n_moving: usize) -> Vec<Dispatch> {
    let (mut moving, mut standing) = (0..n_moving, n_moving..);
    let dispatch = |step: Step| {
        let pipeline = gpu.registry.pipeline(&step.variant);
        let slot = if step.patches.is_empty() { standing.next() } else { moving.next() };
        let mut recorded = [0; MAX_PARAMS_BYTES / 4];
        recorded.copy_from_slice(&bytemuck::pod_collect_to_vec::<u8, u32>(&step.params));
        Dispatch {
            bind_group: gpu.registry.make_bind_group(&pipeline, &step.storage, uniforms),
            pipeline: pipeline.pipeline,
            _storage: step.storage,
            grid: step.grid,
            is_split: step.is_split,
            slot: slot.expect("a slot for each dispatch"),
            patches: step.patches,
            recorded,
        }
    };
    steps.into_iter().map(dispatch).collect()
}
