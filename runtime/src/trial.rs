//! A short measurement of the same work with two sets of kernel variants.

use crate::gpu::{Gpu, VariantSet};
use crate::op::{GROUP, Rows, Shape};
use crate::self_test::{halves, numbers};
use crate::tensor::Weight;
use crate::{Activation, FullAttention, KernelVariant, Recorder, Result, Runtime, Tensor};

/// Rows, inputs and outputs of a trial: a batch of passages through a small model's layer; 0.1 G products, a
/// millisecond for a slow GPU.
/// Tests run on software adapters.
const N_ROWS: usize = if cfg!(test) { 16 } else { 512 };
/// Sequences that the rows are to attention.
const N_SEQUENCES: usize = 4;
const N_IN: usize = 384;
const N_OUT: usize = 512;
/// Heads and their size, as many elements as `N_IN`.
const N_HEADS: usize = 12;
/// Repetitions within a run take at least this long together: several ticks of a browser's coarse
/// clock (.1 ms).
const MIN_RUN_MS: f64 = 1.0;
/// Repetitions at most: a thousand dispatches take a browser about a millisecond to encode.
const MAX_REPEATS: usize = 64;
/// Runs of each side, of which the fastest counts.
const N_RUNS: usize = 2;

/// Work that a variant changes.
pub(crate) struct Trial<'a> {
    runtime: &'a Runtime,
    work: Work,
    x: Vec<f32>,
}

enum Work {
    Linear(Weight),
    Attention,
    Norm(Weight),
}

impl<'a> Trial<'a> {
    /// The work by which `variant` is judged.
    pub(crate) async fn prepare(runtime: &'a Runtime, variant: KernelVariant) -> Result<Self> {
        let shape = Shape { n_rows: N_OUT, width: N_IN };
        let work = match variant {
            KernelVariant::WideTiles | KernelVariant::HalfTiles => {
                let values = numbers(shape.len(), 51);
                Work::Linear(runtime.weight_from_rows("trial", shape, Rows::F32(&values)).await?)
            }
            KernelVariant::Int8Products => {
                let scales = halves(shape.len() / GROUP, 52);
                let quants = vec![0x5a; shape.len() / 2];
                let rows = Rows::Q4 { scales: &scales, mins: &scales, quants: &quants };
                Work::Linear(runtime.weight_from_rows("trial", shape, rows).await?)
            }
            KernelVariant::AttentionTiles => Work::Attention,
            KernelVariant::Subgroups => {
                Work::Norm(runtime.weight_from_f32("trial", &[N_IN], &[1.0; N_IN]).await?)
            }
        };
        Ok(Self { runtime, work, x: numbers(N_ROWS * N_IN, 53) })
    }

    /// Milliseconds of the work with each of two sets. What a run costs besides (submission, waiting for
    /// the result) is measured by runs of one repetition and taken off. What is lost in it counts as zero.
    pub(crate) async fn compare(&self, gpu: &Gpu, sets: [VariantSet; 2]) -> Result<[f64; 2]> {
        let mut singles = [f64::INFINITY; 2];
        for (set, single) in sets.into_iter().zip(&mut singles) {
            gpu.use_variants(set);
            self.run(1).await?; // Compiles.
            *single = self.run(1).await?;
        }
        let mut n_repeats = 1;
        loop {
            n_repeats *= 4;
            let run_ms = self.run(n_repeats).await?;
            if run_ms - singles[1] >= MIN_RUN_MS || n_repeats >= MAX_REPEATS {
                break;
            }
        }
        let mut times = [f64::INFINITY; 2];
        for _ in 0..N_RUNS {
            for (i, set) in sets.into_iter().enumerate() {
                gpu.use_variants(set);
                singles[i] = singles[i].min(self.run(1).await?);
                times[i] = times[i].min(self.run(n_repeats).await?);
            }
        }
        gpu.use_variants(VariantSet::default());
        let each = |i: usize| (times[i] - singles[i]).max(0.0) / (n_repeats - 1) as f64;
        Ok([each(0), each(1)])
    }

    /// Records the work `n_repeats` times, runs it, and gives the time.
    async fn run(&self, n_repeats: usize) -> Result<f64> {
        let mut recorder = self.runtime.recorder();
        let x = recorder.input(N_ROWS, N_IN, self.x.clone())?;
        let mut last = x;
        for _ in 0..n_repeats {
            last = self.record(&mut recorder, x)?;
        }
        let row = recorder.last_row(last)?;
        let start_ms = platform::now_ms();
        recorder.read(&row).await?;
        Ok(platform::now_ms() - start_ms)
    }

    fn record(&self, recorder: &mut Recorder<'_>, x: Tensor) -> Result<Tensor> {
        match &self.work {
            Work::Linear(weight) => recorder.linear(x, weight, None, Activation::None),
            Work::Attention => {
                let lengths = [(N_ROWS / N_SEQUENCES) as u32; N_SEQUENCES];
                let scale = 1.0 / ((N_IN / N_HEADS) as f32).sqrt();
                recorder.attention_full(x, x, x, FullAttention { lengths: &lengths, n_heads: N_HEADS, scale })
            }
            Work::Norm(gamma) => recorder.rms_norm(x, gamma, 1e-5),
        }
    }
}
