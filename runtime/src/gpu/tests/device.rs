//! Memory, long programs, errors and loss.

use super::{Bench, Random, Record};
use crate::gpu::plan::plan;
use crate::gpu::{KernelSet, MAX_SUBMIT_STEPS, submission_len};
use crate::op::{Executor, Op, Rows, Shape};
use crate::{Activation, Error, Options, Runtime, Tier, TierChoice};

#[test]
fn a_program_longer_than_a_submission_runs_in_order() {
    let bench = Bench::open(KernelSet::Software);
    let mut record = Record::default();
    let one = record.input(4, &[1.0; 4]);
    let n_steps = MAX_SUBMIT_STEPS + 77;
    let sum = (1..n_steps).fold(one, |sum, _| record.op(1, 4, |out| Op::Add { a: sum, b: one, out }));
    assert_eq!(bench.read(&record, sum), [n_steps as f32; 4]);
}

/// Heavy programs are split so that no submission takes long, and still run in order.
#[test]
fn heavy_programs_are_split() {
    let bench = Bench::open(KernelSet::Software);
    let (n, width) = (64, 256);
    let identity: Vec<f32> =
        (0..width * width).map(|i| if i / width == i % width { 1.0 } else { 0.0 }).collect();
    let weight = bench.weight(Shape { n_rows: width, width }, Rows::F32(&identity));
    let x = Random(2).values(n * width);
    let mut record = Record::default();
    let input = record.input(width, &x);
    let layer = |record: &mut Record, x| {
        record.op(n, width, |out| Op::Linear {
            x,
            weight: weight.clone(),
            bias: None,
            act: Activation::None,
            out,
        })
    };
    let out = (0..6).fold(input, |x, _| layer(&mut record, x));
    let steps = plan(&bench.gpu, &record.0, Some(out)).expect("a plan").steps;
    let step_work = (n * width * width) as u64;
    assert_eq!([2 * step_work, 1].map(|max_work| submission_len(&steps, max_work)), [2, 1]);
    assert_eq!(bench.read(&record, out), x);
}

#[test]
fn an_input_alone_can_be_read() {
    let bench = Bench::open(KernelSet::Software);
    let mut record = Record::default();
    let x = record.input(3, &[1.0, 2.0, 3.0]);
    assert_eq!(bench.read(&record, x), [1.0, 2.0, 3.0]);
}

/// Intermediate buffers are recycled within a program and between programs.
#[test]
fn activations_are_recycled() {
    let bench = Bench::open(KernelSet::Software);
    let x = Random(1).values(64 * 64);
    let run = || {
        let mut record = Record::default();
        let mut sum = record.input(64, &x);
        for _ in 0..50 {
            sum = record.op(64, 64, |out| Op::Add { a: sum, b: sum, out });
        }
        bench.read(&record, sum);
        bench.ledger.report().activation_bytes
    };
    let after_first = run();
    assert_eq!(run(), after_first, "a second run needs nothing new");
    // The input, two alternating results, and what every device holds.
    assert!(after_first < 4 * 64 * 64 * 4, "{after_first}");
}

#[test]
fn freed_weights_leave_the_ledger() {
    let bench = Bench::open(KernelSet::Software);
    let values = vec![0.5; 1024];
    let weight = bench.weight(Shape { n_rows: 32, width: 32 }, Rows::F32(&values));
    let cache = bench.cache(10, 64);
    let report = bench.ledger.report();
    assert_eq!((report.weight_bytes, report.kv_bytes), (4096, 2560));
    drop((weight, cache));
    let report = bench.ledger.report();
    assert_eq!((report.weight_bytes, report.kv_bytes), (0, 0));
}

#[test]
fn widths_without_a_kernel_are_refused() {
    let bench = Bench::open(KernelSet::Software);
    let mut record = Record::default();
    let x = record.input(6, &[1.0; 6]);
    let gamma = bench.vector(&[1.0; 6]);
    let out = record.op(1, 6, |out| Op::RmsNorm { x, gamma, eps: 1e-5, out });
    let result = platform::block_on(bench.gpu.execute(&record.0, Some(out)));
    assert!(matches!(result, Err(Error::ShapeMismatch { .. })), "{result:?}");
}

#[test]
fn what_no_buffer_can_hold_is_out_of_memory() {
    let bench = Bench::with_max_binding(KernelSet::Software, 4096);
    let result = platform::block_on(bench.gpu.create_cache(1024, 64));
    assert!(matches!(result, Err(Error::OutOfMemory { .. })), "{result:?}");
}

#[test]
fn a_lost_device_is_an_error_value_and_a_new_one_works() {
    let bench = Bench::open(KernelSet::Software);
    bench.gpu.device.device.destroy();
    let mut record = Record::default();
    let x = record.input(4, &[1.0; 4]);
    let out = record.op(1, 4, |out| Op::Add { a: x, b: x, out });
    for _ in 0..2 {
        let result = platform::block_on(bench.gpu.execute(&record.0, Some(out)));
        assert!(matches!(result, Err(Error::DeviceLost { .. })), "{result:?}");
    }
    assert_eq!(Bench::open(KernelSet::Software).read(&record, out), [2.0; 4]);
}

#[test]
fn a_forced_gpu_passes_the_self_test() {
    let options = Options { tier: TierChoice::Gpu, ..Options::default() };
    let runtime = platform::block_on(Runtime::open(&options)).expect("a GPU that computes rightly");
    let report = runtime.describe();
    assert!(report.tier == Tier::Gpu && report.adapter.is_some());
    assert!(report.self_test.passed && report.self_test.max_error < 1e-5, "{report:?}");
}
