//! Decoding token after token: on the GPU a step is recorded once and replayed.

use crate::gpu::{GpuSteps, Start};
use crate::kernels::SampleParams;
use crate::{Result, Runtime};

/// Where a text stands when a [`TokenLoop`] takes it on.
#[derive(Debug, Clone, Copy)]
pub struct TokenStart<'a> {
    /// The last token, which has not been through the model yet.
    pub token: u32,
    /// Its position: so many positions are in the caches.
    pub pos: usize,
    /// Tokens to choose at most; the loop also ends where the caches are full.
    pub n_tokens: usize,
    /// How they are chosen.
    pub sampling: &'a SampleParams,
    /// The tokens that were said already, which a repetition penalty is for.
    pub seen: &'a [u32],
}

/// A step of decoding that was recorded once, with [`Recorder::token_loop`](crate::Recorder), and is
/// replayed on the GPU: each chosen token stays there and is the next step's input, and several steps
/// run ahead of what [`Self::next`] has given.
///
/// Positions after the last token that was taken hold what the steps ahead wrote to the caches; another
/// text, or another start, overwrites them.
pub struct TokenLoop {
    runtime: Runtime,
    steps: GpuSteps,
}

impl TokenLoop {
    pub(crate) fn new(runtime: Runtime, steps: GpuSteps) -> Self {
        Self { runtime, steps }
    }

    /// Begins, or begins anew.
    ///
    /// # Errors
    /// [`Error::DeviceLost`](crate::Error::DeviceLost): record and make another loop then.
    pub fn start(&mut self, start: TokenStart<'_>) -> Result<()> {
        let TokenStart { token, pos, n_tokens, sampling, seen } = start;
        self.steps
            .start(self.runtime.executor().gpu()?, Start { token, pos, n_steps: n_tokens, sampling, seen })
    }

    /// The next token; `None` after the last. A caller that wants no more just stops asking.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) where the model computes nonsense, and
    /// [`Error::DeviceLost`](crate::Error::DeviceLost).
    pub async fn next(&mut self) -> Result<Option<u32>> {
        self.steps.next(self.runtime.executor().gpu()?).await
    }

    /// Dispatches of one step.
    pub fn n_dispatches(&self) -> usize {
        self.steps.n_dispatches()
    }
}

impl std::fmt::Debug for TokenLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenLoop({} dispatches)", self.n_dispatches())
    }
}

/// What the GPU tier has done so far, for benchmarks.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct GpuCounters {
    /// Steps of token loops.
    pub n_steps: u64,
    /// Their dispatches.
    pub n_dispatches: u64,
    /// Time spent writing, encoding and submitting them, in ms.
    pub submit_ms: f64,
    /// Time spent waiting for their tokens, in ms.
    pub read_ms: f64,
    /// Token loops whose fused kernels differed from their operations, and that run unfused.
    pub n_unfused_loops: u64,
    /// Buffers, bind groups and pipelines that were ever created.
    pub n_objects: u64,
    /// Of these the pipelines, each of which is a kernel to compile.
    pub n_pipelines: u64,
}
