//! Replayed steps against the same operations one by one.

use super::{Bench, KERNEL_SETS, LAYOUTS, OwnedRows, Random, Record, assert_close};
use crate::gpu::KernelSet;
use crate::gpu::fuse::{Fusion, Node, fuse};
use crate::gpu::plan::{Plan, plan_nodes};
use crate::gpu::steps::{GpuSteps, Recording, Start, copy_once};
use crate::kernels::SampleParams;
use crate::op::{BufferId, Executor, Op, Program, Shape};
use crate::tensor::{KvCache, Weight};
use crate::{Activation, Error, Layout, Rope, RopeStyle};

/// Sizes and settings of a decoder.
#[derive(Debug, Clone, Copy)]
struct Config {
    n_layers: usize,
    d_model: usize,
    d_ffn: usize,
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
    n_vocab: usize,
    n_ctx: usize,
    layout: Layout,
    style: RopeStyle,
    has_bias: bool,
}

const SMALL: Config = Config {
    n_layers: 2,
    d_model: 96,
    d_ffn: 160,
    n_heads: 6,
    n_kv_heads: 2,
    head_dim: 16,
    n_vocab: 77,
    n_ctx: 24,
    layout: Layout::Q4,
    style: RopeStyle::Interleaved,
    has_bias: false,
};

struct Layer {
    norms: [Weight; 2],
    /// Query, key, value, output, gate, up, down.
    weights: Vec<Weight>,
    biases: Vec<Option<Weight>>,
    keys: KvCache,
    values: KvCache,
}

struct Decoder {
    config: Config,
    bench: Bench,
    table: Weight,
    norm: Weight,
    layers: Vec<Layer>,
}

impl Decoder {
    fn new(config: Config, kernels: KernelSet) -> Self {
        let bench = Bench::open(kernels);
        let mut random = Random(77);
        let c = config;
        let mut matrix = |n_rows: usize, width: usize, layout| {
            let mut rows = OwnedRows::random(layout, n_rows * width, &mut random);
            // Like a model's: outputs about as large as inputs.
            let scale = 1.7 / (width as f32).sqrt();
            rows.floats.iter_mut().for_each(|w| *w *= scale);
            let quant = match layout {
                Layout::Q8 => 1.0 / 74.0,
                _ => 1.0 / 5.0,
            };
            let halves = if layout == Layout::F16 { scale } else { scale * quant };
            let times = |half: &mut u16, by: f32| {
                *half = half::f16::from_f32(half::f16::from_bits(*half).to_f32() * by).to_bits();
            };
            rows.halves.iter_mut().for_each(|half| times(half, halves));
            // Four-bit groups centred on zero.
            for (min, scale) in rows.mins.iter_mut().zip(&rows.halves) {
                *min = half::f16::from_f32(half::f16::from_bits(*scale).to_f32() * -7.5).to_bits();
            }
            bench.weight(Shape { n_rows, width }, rows.rows())
        };
        let (d_query, d_kv) = (c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim);
        let table = matrix(c.n_vocab, c.d_model, c.layout);
        let mut layers = vec![];
        for _ in 0..c.n_layers {
            let shapes = [
                (d_query, c.d_model),
                (d_kv, c.d_model),
                (d_kv, c.d_model),
                (c.d_model, d_query),
                (c.d_ffn, c.d_model),
                (c.d_ffn, c.d_model),
                (c.d_model, c.d_ffn),
            ];
            let weights: Vec<_> = shapes.map(|(n, width)| matrix(n, width, c.layout)).into();
            let mut vector = |n| matrix(1, n, Layout::F32);
            let biases =
                weights.iter().enumerate().map(|(i, w)| (c.has_bias && i < 4).then(|| vector(w.n_rows())));
            let biases = biases.collect();
            let norms = [vector(c.d_model), vector(c.d_model)];
            let [keys, values] = [(); 2].map(|()| bench.cache(c.n_ctx, d_kv));
            layers.push(Layer { norms, weights, biases, keys, values });
        }
        let norm = matrix(1, c.d_model, Layout::F32);
        Self { config, bench, table, norm, layers }
    }

    /// A pass over one token, as a model file records it: the program and its logits.
    fn record(&self, token: u32, pos: usize) -> (Program, BufferId) {
        let c = self.config;
        let (d_query, d_kv) = (c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim);
        let mut record = Record::default();
        let rope =
            Rope { first_pos: pos, head_dim: c.head_dim, base: 10_000.0, style: c.style, scaling: None };
        let norm = |record: &mut Record, x, gamma: &Weight| {
            let gamma = gamma.clone();
            record.op(1, c.d_model, |out| Op::RmsNorm { x, gamma, eps: 1e-5, out })
        };
        let linear = |record: &mut Record, x, weight: &Weight, bias: Option<&Weight>| {
            let (weight, bias, act) = (weight.clone(), bias.cloned(), Activation::None);
            record.op(1, weight.n_rows(), |out| Op::Linear { x, weight, bias, act, out })
        };
        let table = self.table.clone();
        let mut x = record.op(1, c.d_model, |out| Op::Gather { table, ids: vec![token], out });
        for layer in &self.layers {
            let part = |i: usize| (&layer.weights[i], layer.biases[i].as_ref());
            let h = norm(&mut record, x, &layer.norms[0]);
            let [q, k, v] = [0, 1, 2].map(|i| linear(&mut record, h, part(i).0, part(i).1));
            let q = record.op(1, d_query, |out| Op::Rope { x: q, rope: rope.clone(), out });
            let k = record.op(1, d_kv, |out| Op::Rope { x: k, rope: rope.clone(), out });
            for (cache, x) in [(&layer.keys, k), (&layer.values, v)] {
                record.0.ops.push(Op::KvAppend { cache: cache.clone(), x, at_pos: pos });
            }
            let heads = record.op(1, d_query, |out| Op::AttentionCausal {
                q,
                keys: layer.keys.clone(),
                values: layer.values.clone(),
                first_pos: pos,
                n_heads: c.n_heads,
                n_kv_heads: c.n_kv_heads,
                scale: 1.0 / (c.head_dim as f32).sqrt(),
                window: None,
                soft_cap: None,
                n_seen: None,
                bias: None,
                out,
            });
            let attended = linear(&mut record, heads, part(3).0, part(3).1);
            x = record.op(1, c.d_model, |out| Op::Add { a: x, b: attended, out });
            let h = norm(&mut record, x, &layer.norms[1]);
            let [gate, up] = [4, 5].map(|i| linear(&mut record, h, part(i).0, None));
            let inner = record.op(1, c.d_ffn, |out| Op::SiluMul { gate, up, out });
            let outer = linear(&mut record, inner, part(6).0, None);
            x = record.op(1, c.d_model, |out| Op::Add { a: x, b: outer, out });
        }
        let h = norm(&mut record, x, &self.norm);
        let logits = linear(&mut record, h, &self.table, None);
        (record.0, logits)
    }

    /// Fills the first `n` positions of the caches.
    fn fill(&self, n: usize) {
        let mut random = Random(5);
        for cache in self.layers.iter().flat_map(|layer| [&layer.keys, &layer.values]) {
            let mut record = Record::default();
            let x = record.input(cache.width(), &random.values(n * cache.width()));
            record.0.ops.push(Op::KvAppend { cache: cache.clone(), x, at_pos: 0 });
            platform::block_on(self.bench.gpu.execute(&record.0, None)).expect("a filled cache");
        }
    }

    fn read(&self, program: &Program, nodes: &[Node<'_>], out: BufferId) -> Vec<f32> {
        let gpu = &self.bench.gpu;
        let plan: Plan = plan_nodes(gpu, program, nodes, Some(out), None).expect("a plan");
        copy_once(gpu, &plan);
        let staging = gpu.submit_plan(&plan).expect("something to read");
        platform::block_on(gpu.device.map(&staging, None)).expect("a result")
    }

    /// What is left of `nodes` after fusion at this place.
    fn fused<'a>(&self, program: &'a Program, logits: BufferId) -> Vec<Node<'a>> {
        let fusion = match self.bench.gpu.kernels {
            KernelSet::Hardware => Fusion::Workgroup,
            KernelSet::Software => Fusion::Invocation,
        };
        fuse(program, fusion, logits, self.bench.gpu.max_binding_bytes)
    }

    fn steps(&self) -> GpuSteps {
        let (program, logits) = self.record(0, 0);
        let n_positions = self.config.n_ctx;
        let recording = Recording { program: &program, logits, token: 0, pos: 0, n_positions };
        platform::block_on(GpuSteps::new(&self.bench.gpu, &recording)).expect("steps")
    }

    /// Greedy tokens, one recording for each.
    fn one_by_one(&self, token: u32, pos: usize, n: usize) -> Vec<u32> {
        let mut tokens = vec![token];
        for pos in pos..pos + n {
            let (mut program, logits) = self.record(*tokens.last().expect("one at least"), pos);
            program.buffers.push(Shape { n_rows: 1, width: 1 });
            let out = BufferId(program.buffers.len() as u32 - 1);
            program.ops.push(Op::Argmax { x: logits, out });
            let best = platform::block_on(self.bench.gpu.execute(&program, Some(out))).expect("a token");
            tokens.push(best[0] as u32);
        }
        tokens.split_off(1)
    }

    fn replayed(&self, steps: &mut GpuSteps, start: Start<'_>) -> Vec<u32> {
        steps.start(&self.bench.gpu, start).expect("a start");
        let mut tokens = vec![];
        while let Some(token) = platform::block_on(steps.next(&self.bench.gpu)).expect("a token") {
            tokens.push(token);
        }
        tokens
    }
}

fn greedy(sampling: &SampleParams, pos: usize, n_steps: usize) -> Start<'_> {
    Start { token: 3, pos, n_steps, sampling, seen: &[] }
}

/// Every layout and style, with and without bias, shapes around the workgroups' sizes, one split and
/// several, whole rows of logits: as far apart as sums in another order are.
#[test]
fn a_fused_step_equals_its_operations() {
    let shapes = [
        SMALL,
        Config { d_model: 32, n_heads: 1, n_kv_heads: 1, head_dim: 32, d_ffn: 32, ..SMALL },
        Config { d_model: 2048, n_heads: 4, n_kv_heads: 1, head_dim: 128, d_ffn: 544, ..SMALL },
        // Too wide for a fused attention.
        Config { d_model: 2080, n_heads: 2, n_kv_heads: 2, head_dim: 64, d_ffn: 96, n_vocab: 130, ..SMALL },
        Config { n_heads: 4, n_kv_heads: 2, head_dim: 40, n_ctx: 2100, ..SMALL },
    ];
    for (i, shape) in shapes.into_iter().enumerate() {
        // The first shape with every layout, the others each with one.
        for layout in if i == 0 { LAYOUTS.to_vec() } else { vec![LAYOUTS[i % 4]] } {
            for kernels in KERNEL_SETS {
                let style = if i % 2 == 0 { RopeStyle::Interleaved } else { RopeStyle::Half };
                let config = Config { layout, style, has_bias: i < 3, ..shape };
                let decoder = Decoder::new(config, kernels);
                decoder.fill(config.n_ctx);
                for pos in [0, 1, 17, config.n_ctx - 1] {
                    let (program, logits) = decoder.record(5, pos);
                    let plain: Vec<_> = program.ops.iter().map(Node::Op).collect();
                    let expected = decoder.read(&program, &plain, logits);
                    let nodes = decoder.fused(&program, logits);
                    assert!(nodes.len() < plain.len());
                    let got = decoder.read(&program, &nodes, logits);
                    let largest = expected.iter().fold(0f32, |max, l| max.max(l.abs()));
                    // Two layers of sums of up to 2,080 products in another order: 2^-24 times the root
                    // of their number, and some ten such steps after each other, with room for ten times.
                    let allowed = f64::from(largest) * 2e-5;
                    assert_close(&format!("{config:?} {kernels:?} at {pos}"), &got, &expected, |_| allowed);
                }
            }
        }
    }
}

/// The twin of what is told to drivers: where loops are made to end in any case the results are the same, but
/// for a driver's other order of sums.
#[test]
fn bounded_loops_give_the_same() {
    for kernels in KERNEL_SETS {
        let logits = [false, true].map(|bounds_loops| {
            let decoder = Decoder::new(SMALL, kernels);
            if bounds_loops {
                decoder.bench.gpu.registry.bound_loops();
            }
            decoder.fill(SMALL.n_ctx);
            let (program, logits) = decoder.record(5, SMALL.n_ctx - 1);
            let nodes = decoder.fused(&program, logits);
            decoder.read(&program, &nodes, logits)
        });
        let largest = logits[1].iter().fold(0f32, |max, l| max.max(l.abs()));
        assert!(largest > 0.0);
        assert_close(&format!("{kernels:?}"), &logits[0], &logits[1], |_| f64::from(largest) * 2e-5);
    }
}

#[test]
fn a_layer_is_four_dispatches() {
    let smollm2 = Config {
        n_layers: 30,
        d_model: 576,
        d_ffn: 1536,
        n_heads: 9,
        n_kv_heads: 3,
        head_dim: 64,
        n_vocab: 49_152,
        n_ctx: 2048,
        ..SMALL
    };
    let decoder = Decoder::new(smollm2, KernelSet::Hardware);
    let mut steps = decoder.steps();
    // Gather, four for each layer, head, sampling.
    assert_eq!(steps.n_dispatches(), 1 + 4 * 30 + 1 + 1);
    let sampling = SampleParams::default();
    for pos in [10, 2000] {
        let before = decoder.bench.gpu.counters();
        assert_eq!(decoder.replayed(&mut steps, greedy(&sampling, pos, 2)).len(), 2);
        let after = decoder.bench.gpu.counters();
        assert_eq!(after.n_steps - before.n_steps, 2);
        assert!((after.n_dispatches - before.n_dispatches) / 2 <= 150);
        assert_eq!(after.n_objects, before.n_objects, "a step creates nothing");
    }
}

#[test]
fn replayed_steps_give_the_tokens_of_single_ones() {
    for kernels in KERNEL_SETS {
        let decoder = Decoder::new(Config { n_ctx: 300, layout: Layout::F32, ..SMALL }, kernels);
        decoder.fill(300);
        let mut steps = decoder.steps();
        let sampling = SampleParams::default();
        // From the start, across the end of the ring, and where the keys are split.
        for (pos, n) in [(0, 5), (50, 40), (255, 20)] {
            let expected = decoder.one_by_one(3, pos, n);
            assert_eq!(
                decoder.replayed(&mut steps, greedy(&sampling, pos, n)),
                expected,
                "{kernels:?} {pos}"
            );
        }
        // The caches end.
        assert_eq!(decoder.replayed(&mut steps, greedy(&sampling, 290, 50)).len(), 10);
    }
}

/// What a kernel computes wrongly on this device is not used: the step runs as its operations do.
#[test]
fn a_step_that_differs_runs_unfused() {
    let decoder = Decoder::new(Config { layout: Layout::F32, ..SMALL }, KernelSet::Hardware);
    decoder.bench.gpu.registry.sabotage("sum += residual[col]", "sum -= residual[col]");
    let mut steps = decoder.steps();
    assert!(steps.n_dispatches() > 4 * decoder.config.n_layers + 3);
    assert_eq!(decoder.bench.gpu.counters().n_unfused_loops, 1);
    let sampling = SampleParams::default();
    let expected = decoder.one_by_one(3, 0, 12);
    assert_eq!(decoder.replayed(&mut steps, greedy(&sampling, 0, 12)), expected);
}

#[test]
fn a_loop_can_be_left_and_begun_again() {
    let decoder = Decoder::new(Config { n_ctx: 100, layout: Layout::F32, ..SMALL }, KernelSet::Software);
    let mut steps = decoder.steps();
    let sampling = SampleParams::default();
    let expected = decoder.replayed(&mut steps, greedy(&sampling, 0, 20));
    for n_taken in [0, 1, 7] {
        steps.start(&decoder.bench.gpu, greedy(&sampling, 0, 90)).expect("a start");
        for token in &expected[..n_taken] {
            let got = platform::block_on(steps.next(&decoder.bench.gpu)).expect("a token");
            assert_eq!(got, Some(*token));
        }
    }
    assert_eq!(decoder.replayed(&mut steps, greedy(&sampling, 0, 20)), expected);
}

#[test]
fn a_lost_device_ends_the_loop() {
    let decoder = Decoder::new(SMALL, KernelSet::Software);
    let mut steps = decoder.steps();
    let sampling = SampleParams::default();
    steps.start(&decoder.bench.gpu, greedy(&sampling, 0, 20)).expect("a start");
    platform::block_on(steps.next(&decoder.bench.gpu)).expect("a token");
    decoder.bench.gpu.device.device.destroy();
    let mut rest = (0..20).map(|_| platform::block_on(steps.next(&decoder.bench.gpu)));
    assert!(rest.any(|next| matches!(next, Err(Error::DeviceLost { .. }))));
    let other = Decoder::new(SMALL, KernelSet::Software);
    let moved = steps.start(&other.bench.gpu, greedy(&sampling, 0, 1));
    assert!(matches!(moved, Err(Error::DeviceLost { .. })), "{moved:?}");
}
