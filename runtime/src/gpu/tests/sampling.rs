//! The sampling kernel against its twin: the same tokens, exactly.

use super::{Bench, Random};
use crate::gpu::KernelSet;
use crate::gpu::steps::{GpuSteps, Recording, Start};
use crate::kernels::{SampleParams, sample};
use crate::op::{Op, Program, Rows, Shape};
use crate::tensor::Layout;

/// A "model" whose logits are a row of a table: token `t` gives row `t`.
struct Table {
    bench: Bench,
    steps: GpuSteps,
}

impl Table {
    fn new(rows: &[f32], n_vocab: usize) -> Self {
        let bench = Bench::open(KernelSet::Software);
        let shape = Shape { n_rows: rows.len() / n_vocab, width: n_vocab };
        let table = bench.weight(shape, Rows::F32(rows));
        assert_eq!(table.layout(), Layout::F32);
        let mut program = Program::default();
        program.buffers.push(Shape { n_rows: 1, width: n_vocab });
        let out = crate::op::BufferId(0);
        program.ops.push(Op::Gather { table, ids: vec![0], out });
        let recording = Recording { program: &program, logits: out, token: 0, pos: 0, n_positions: 1 << 20 };
        let steps = platform::block_on(GpuSteps::new(&bench.gpu, &recording)).expect("steps");
        Self { bench, steps }
    }

    /// The token that follows `row` at `pos + 1`.
    fn sample(&mut self, row: u32, pos: usize, sampling: &SampleParams, seen: &[u32]) -> Option<u32> {
        let start = Start { token: row, pos, n_steps: 1, sampling, seen };
        self.steps.start(&self.bench.gpu, start).expect("a start");
        platform::block_on(self.steps.next(&self.bench.gpu)).ok().flatten()
    }
}

fn settings() -> Vec<SampleParams> {
    let warm = SampleParams { temperature: 1.0, seed: 0x1234_5678_9abc, ..SampleParams::default() };
    let mut settings = vec![
        SampleParams::default(),
        SampleParams { repetition_penalty: 1.3, ..SampleParams::default() },
        warm,
        SampleParams { top_k: 1, ..warm },
        SampleParams { top_k: 7, ..warm },
        SampleParams { top_k: 1 << 20, ..warm },
        SampleParams { top_p: 0.0, ..warm },
        SampleParams { top_p: 0.9, ..warm },
        SampleParams { top_p: 0.999_999, temperature: 2.0, ..warm },
        SampleParams { min_p: 0.05, ..warm },
        SampleParams { min_p: 1.0, ..warm },
        SampleParams { repetition_penalty: 1.5, ..warm },
        SampleParams { repetition_penalty: 0.5, top_k: 20, ..warm },
        SampleParams { top_k: 40, top_p: 0.95, min_p: 0.05, temperature: 0.8, ..warm },
    ];
    let extremes = [1e-30, 1e-3, 0.1, 10.0, 1e6, f32::INFINITY, f32::NAN, -1.0];
    settings.extend(extremes.map(|temperature| SampleParams { temperature, ..warm }));
    settings
}

/// Rows of logits that are hard in their own ways.
fn rows(n_vocab: usize) -> Vec<Vec<f32>> {
    let mut random = Random(n_vocab as u32);
    let spread: Vec<f32> = (0..n_vocab).map(|_| 12.0 * random.value()).collect();
    let coarse = spread.iter().map(|l| (l / 4.0).round()).collect();
    let negative = spread.iter().map(|l| l - 40.0).collect();
    let all_equal = vec![3.25; n_vocab];
    let mut masked = spread.clone();
    masked.iter_mut().step_by(3).for_each(|l| *l = f32::NEG_INFINITY);
    let zeros = (0..n_vocab).map(|i| if i % 2 == 0 { -0.0 } else { 0.0 }).collect();
    vec![spread, coarse, negative, all_equal, masked, zeros]
}

#[test]
fn the_kernel_draws_what_its_twin_draws() {
    for n_vocab in [4, 252, 256, 260, 5000] {
        let rows = rows(n_vocab);
        let mut table = Table::new(&rows.concat(), n_vocab);
        for (idx, row) in rows.iter().enumerate() {
            let seen_ids: Vec<u32> = (0..n_vocab as u32).filter(|id| id % 5 == 1).collect();
            let seen: Vec<bool> = (0..n_vocab).map(|id| id % 5 == 1).collect();
            for settings in settings() {
                for pos in 0..if n_vocab < 300 { 4 } else { 1 } {
                    let got = table.sample(idx as u32, pos, &settings, &seen_ids);
                    let expected = sample(row, &seen, &settings, pos + 1);
                    assert_eq!(got, expected, "row {idx} of {n_vocab} at {pos}: {settings:?}");
                    assert!(expected.is_some());
                }
            }
        }
    }
}

#[test]
fn logits_that_are_no_numbers_are_an_error() {
    let n_vocab = 300;
    let mut rows = vec![vec![1.0; n_vocab]; 3];
    rows[0][299] = f32::NAN;
    rows[1][0] = f32::INFINITY;
    rows[2] = vec![f32::NEG_INFINITY; n_vocab];
    let mut table = Table::new(&rows.concat(), n_vocab);
    for (idx, row) in rows.iter().enumerate() {
        for settings in
            [SampleParams::default(), SampleParams { temperature: 1.0, ..SampleParams::default() }]
        {
            assert_eq!(sample(row, &[], &settings, 1), None);
            let start = Start { token: idx as u32, pos: 0, n_steps: 1, sampling: &settings, seen: &[] };
            table.steps.start(&table.bench.gpu, start).expect("a start");
            let got = platform::block_on(table.steps.next(&table.bench.gpu));
            assert!(matches!(got, Err(crate::Error::NotFinite)), "{got:?}");
        }
    }
}
