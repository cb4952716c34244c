//! Kernel variants: against their twins, offered or not, and rejected when they compute wrongly.

use super::linear::check_linear;
use super::rest::{check_attention_causal, check_attention_full, check_norms};
use super::{Bench, LAYOUTS, Random, Record, assert_close};
use crate::gpu::plan::plan;
use crate::gpu::{KernelSet, VariantSet};
use crate::op::{Op, Rows, Shape};
use crate::runtime::open_gpu;
use crate::{Activation, Error, KernelChoice, KernelPolicy, KernelVariant, Layout, TierReport};

/// A device that runs these variants, or nothing where it does not offer them.
fn bench(variants: &[KernelVariant]) -> Option<Bench> {
    let bench = Bench::open(KernelSet::Hardware);
    for variant in variants {
        if let Err(reason) = bench.gpu.offers(*variant) {
            println!("{variant:?} is left out: {reason}");
            return None;
        }
    }
    bench.gpu.use_variants(variants.iter().copied().collect());
    Some(bench)
}

/// Stems of the kernels that a linear layer runs.
fn linear_kernels(
    bench: &Bench,
    layout: Layout,
    (n, n_in, n_out): (usize, usize, usize),
) -> Vec<&'static str> {
    let rows = super::OwnedRows::random(layout, n_out * n_in, &mut Random(1));
    let weight = bench.weight(Shape { n_rows: n_out, width: n_in }, rows.rows());
    let mut record = Record::default();
    let x = record.input(n_in, &vec![0.0; n * n_in]);
    let act = Activation::None;
    let out = record.op(n, n_out, |out| Op::Linear { x, weight, bias: None, act, out });
    let plan = plan(&bench.gpu, &record.0, Some(out)).expect("a plan");
    plan.steps.iter().map(|step| step.variant.kernel.spec().stem).collect()
}

/// Around tiles of 32, with less and more than one step of k.
const NARROW: [(usize, usize, usize); 5] =
    [(5, 32, 3), (31, 64, 33), (33, 32, 31), (37, 160, 41), (70, 96, 66)];
/// At least 32 tiles of 64 x 64: on the edge, one beyond, primes, and one row of tiles.
const WIDE: [(usize, usize, usize); 4] = [(512, 32, 256), (513, 64, 193), (131, 96, 701), (23, 32, 1985)];

#[test]
fn wide_tiles_equal_the_twin() {
    let Some(bench) = bench(&[KernelVariant::WideTiles]) else { return };
    for layout in LAYOUTS {
        for shape in WIDE {
            assert_eq!(linear_kernels(&bench, layout, shape), ["matmul_wide"]);
            check_linear(&bench, layout, shape, Activation::None, shape.0 % 2 == 0);
        }
        check_linear(&bench, layout, (200, 32, 530), Activation::Gelu, true);
    }
    check_linear(&bench, Layout::F32, (513, 36, 193), Activation::Silu, true);
    assert_eq!(linear_kernels(&bench, Layout::F32, (100, 32, 100)), ["matmul"], "four tiles are too few");
}

#[test]
fn half_tiles_equal_the_twin() {
    let Some(bench) = bench(&[KernelVariant::HalfTiles]) else { return };
    for layout in LAYOUTS {
        for (i, shape) in NARROW.into_iter().enumerate() {
            check_linear(&bench, layout, shape, Activation::None, i % 2 == 0);
        }
    }
    check_linear(&bench, Layout::F16, (6, 64, 20), Activation::Gelu, true);
    bench.gpu.use_variants([KernelVariant::HalfTiles, KernelVariant::WideTiles].into_iter().collect());
    for layout in LAYOUTS {
        check_linear(&bench, layout, (131, 96, 701), Activation::None, true);
    }
}

/// Activations beyond the range of f16 stay finite.
#[test]
fn half_tiles_survive_large_activations() {
    let Some(bench) = bench(&[KernelVariant::HalfTiles]) else { return };
    let (n, width) = (6, 32);
    let weight = bench.weight(Shape { n_rows: width, width }, Rows::F32(&vec![1.0; width * width]));
    let mut record = Record::default();
    let input = record.input(width, &vec![2e5; n * width]);
    let out =
        record.op(n, width, |out| Op::Linear { x: input, weight, bias: None, act: Activation::None, out });
    let expected = vec![2e5 * width as f32; n * width];
    assert_close("large", &bench.read(&record, out), &expected, |i| f64::from(expected[i]) * 6.0 / 2048.0);
}

#[test]
fn int8_products_equal_the_twin() {
    let Some(bench) = bench(&[KernelVariant::Int8Products]) else { return };
    for layout in [Layout::Q8, Layout::Q4] {
        for (i, shape) in NARROW.into_iter().enumerate() {
            assert_eq!(linear_kernels(&bench, layout, shape), ["quantize_rows", "matmul_int8"]);
            check_linear(&bench, layout, shape, Activation::None, i % 2 == 0);
        }
        check_linear(&bench, layout, (6, 64, 20), Activation::Gelu, true);
        check_linear(&bench, layout, (6, 64, 20), Activation::Silu, false);
    }
    assert_eq!(
        linear_kernels(&bench, Layout::F16, NARROW[1]),
        ["matmul"],
        "no integers, no integer products"
    );
}

/// Activations that 8 bits hold exactly give exact sums: nothing but the activations is rounded.
#[test]
fn int8_products_of_whole_numbers_are_exact() {
    let Some(bench) = bench(&[KernelVariant::Int8Products]) else { return };
    let (n, n_in, n_out) = (9, 96, 40);
    let word = |i: usize| (i * 7919 + 13) % 255;
    // Every group has a 127, so that its scale is 1; one group has nothing but zeros.
    let x: Vec<f32> = (0..n * n_in)
        .map(|i| {
            if i < 32 {
                0.0
            } else if i % 32 == 0 {
                127.0
            } else {
                word(i) as f32 - 127.0
            }
        })
        .collect();
    let quants: Vec<i8> = (0..n_in * n_out).map(|i| (word(i + 5) as i32 - 127) as i8).collect();
    let scales = vec![half::f16::ONE.to_bits(); quants.len() / 32];
    let rows = Rows::Q8 { scales: &scales, quants: &quants };
    let weight = bench.weight(Shape { n_rows: n_out, width: n_in }, rows);
    let mut record = Record::default();
    let input = record.input(n_in, &x);
    let out =
        record.op(n, n_out, |out| Op::Linear { x: input, weight, bias: None, act: Activation::None, out });
    let expected: Vec<f32> = (0..n * n_out)
        .map(|i| (0..n_in).map(|k| x[i / n_out * n_in + k] * f32::from(quants[i % n_out * n_in + k])).sum())
        .collect();
    assert_eq!(bench.read(&record, out), expected);
}

/// One tensor that several layers read is made into 8 bits once, and its copy is recycled afterwards.
#[test]
fn activations_are_quantized_once() {
    let Some(bench) = bench(&[KernelVariant::Int8Products]) else { return };
    let shape = Shape { n_rows: 64, width: 64 };
    let rows = super::OwnedRows::random(Layout::Q4, shape.len(), &mut Random(1));
    let weight = bench.weight(shape, rows.rows());
    let mut record = Record::default();
    let layer = |record: &mut Record, x| {
        let weight = weight.clone();
        record.op(8, 64, |out| Op::Linear { x, weight, bias: None, act: Activation::None, out })
    };
    let input = record.input(64, &[0.5; 8 * 64]);
    let [a, b] = [(); 2].map(|()| layer(&mut record, input));
    let sum = record.op(8, 64, |out| Op::Add { a, b, out });
    let last = layer(&mut record, sum);
    let steps = plan(&bench.gpu, &record.0, Some(last)).expect("a plan").steps;
    let stems: Vec<_> = steps.iter().map(|step| step.variant.kernel.spec().stem).collect();
    let expected = ["quantize_rows", "matmul_int8", "matmul_int8", "add", "quantize_rows", "matmul_int8"];
    assert_eq!(stems, expected);
    let run = || {
        bench.read(&record, last);
        bench.ledger.report().activation_bytes
    };
    assert_eq!(run(), run(), "a second run needs nothing new");
}

#[test]
fn attention_tiles_equal_the_twin() {
    let Some(bench) = bench(&[KernelVariant::AttentionTiles]) else { return };
    // One tile and several, sequences within a tile and across, one to four parts of a head.
    let full: [(&[u32], usize, usize); 7] = [
        (&[63], 2, 32),
        (&[64, 1, 65], 3, 32),
        (&[40, 30, 70, 5, 33], 2, 64),
        (&[2, 130], 1, 80),
        (&[67], 2, 128),
        (&[50, 21], 1, 144),
        (&[45], 1, 256),
    ];
    full.into_iter().for_each(|case| check_attention_full(&bench, case));
    let causal =
        [(64, 0, 9, 3, 64), (65, 0, 2, 2, 20), (5, 131, 6, 2, 128), (33, 64, 4, 1, 4), (129, 3, 2, 1, 64)];
    causal.into_iter().for_each(|case| check_attention_causal(&bench, case));
}

#[test]
fn subgroup_sums_equal_the_twins() {
    if let Some(bench) = bench(&[KernelVariant::Subgroups]) {
        check_norms(&bench);
    }
}

fn forced(variants: &[KernelVariant]) -> KernelPolicy {
    KernelPolicy::Forced(variants.to_vec())
}

fn open(bench: Bench, policy: &KernelPolicy) -> Result<TierReport, Error> {
    let opened = platform::block_on(open_gpu(bench.gpu, &bench.ledger, policy, "a test"));
    opened.map(|(_, report)| report)
}

/// Every variant passes the self-test or is not offered.
#[test]
fn every_variant_passes_the_self_test() {
    let bench = Bench::open(KernelSet::Hardware);
    let offered: Vec<_> =
        KernelVariant::ALL.into_iter().filter(|variant| bench.gpu.offers(*variant).is_ok()).collect();
    let report = open(bench, &forced(&KernelVariant::ALL)).expect("a GPU");
    let kernels = report.kernels.expect("kernels of a GPU");
    assert_eq!(kernels.choice.variants, offered, "{:?}", kernels.rejected);
    assert_eq!(kernels.rejected.len() + offered.len(), KernelVariant::ALL.len());
    assert!(kernels.rejected.iter().all(|rejected| rejected.reason.contains("does not offer")));
}

/// A kernel of each variant computes wrongly, or does not compile: that variant is left out, with the
/// reason, and the others are used.
#[test]
fn a_wrong_variant_is_rejected() {
    use KernelVariant::{AttentionTiles, HalfTiles, Int8Products, Subgroups, WideTiles};
    let cases = [
        (WideTiles, "low1 += vec4<f32>(x1 * low)", "low1 += vec4<f32>(x0 * low)"),
        (HalfTiles, "clamp(x / NARROWING", "clamp(x / 15.0"),
        (Int8Products, "t2.y * minimum", "t1.y * minimum"),
        (AttentionTiles, "sums[i] * keep + values", "sums[i] + values"),
        (Subgroups, "subgroupAdd(value)", "subgroupMax(value)"),
        (AttentionTiles, "scores = vec4<f32>(0.0)", "scores = nonsense"),
    ];
    for (variant, right, wrong) in cases {
        let bench = Bench::open(KernelSet::Hardware);
        if bench.gpu.offers(variant).is_err() {
            continue;
        }
        bench.gpu.registry.sabotage(right, wrong);
        let other = if variant == Int8Products { AttentionTiles } else { Int8Products };
        let report = open(bench, &forced(&[variant, other])).expect("the plain kernels are right");
        let kernels = report.kernels.expect("kernels of a GPU");
        assert_eq!(kernels.choice.variants, [other], "{wrong}: {kernels:?}");
        let rejected = kernels.rejected.iter().find(|rejected| rejected.variant == variant);
        let reason = &rejected.expect("a rejection").reason;
        let expected = if wrong.contains("nonsense") { "refused" } else { "is wrong" };
        assert!(reason.contains(expected), "{wrong}: {reason}");
    }
}

#[test]
fn a_wrong_plain_kernel_means_no_gpu() {
    let bench = Bench::open(KernelSet::Software);
    bench.gpu.registry.sabotage("sqrt(mean_square + params.eps)", "sqrt(mean_square)");
    bench.gpu.registry.sabotage("1.0 / sqrt(mean_square)", "2.0 / sqrt(mean_square)");
    let error = open(bench, &KernelPolicy::Measure).expect_err("a wrong kernel");
    assert!(error.to_string().contains("computes rms_norm wrongly"), "{error}");
}

/// A trial measures all that passed; what it chose is taken over by the next start.
#[test]
fn a_choice_is_measured_once() {
    let bench = || {
        let mut bench = Bench::open(KernelSet::Hardware);
        bench.gpu.device.is_software = false;
        bench
    };
    let kernels =
        |policy: &KernelPolicy| open(bench(), policy).expect("a GPU").kernels.expect("kernels of a GPU");
    let measured = kernels(&KernelPolicy::Measure);
    assert_eq!(measured.trials.len() + measured.rejected.len(), KernelVariant::ALL.len());
    for trial in &measured.trials {
        let is_faster = trial.variant_ms < 0.92 * trial.plain_ms;
        assert_eq!(measured.choice.variants.contains(&trial.variant), is_faster, "{trial:?}");
    }

    let json = serde_json::to_string(&measured.choice).expect("a choice is plain data");
    let kept: KernelChoice = serde_json::from_str(&json).expect("the same choice");
    let again = kernels(&KernelPolicy::Remembered(kept));
    assert_eq!((&again.choice, again.trials.len()), (&measured.choice, 0));
}

#[test]
fn a_software_adapter_gets_no_trial() {
    let bench = Bench::open(KernelSet::Software);
    if bench.gpu.is_software() {
        let kernels = open(bench, &KernelPolicy::Measure).expect("a GPU").kernels;
        let kernels = kernels.expect("kernels of a GPU");
        assert!(kernels.choice.variants.is_empty() && kernels.trials.is_empty(), "{kernels:?}");
    }
}

#[test]
fn variants_do_not_reach_kernels_without_them() {
    let all: VariantSet = KernelVariant::ALL.into_iter().collect();
    for kernel in crate::gpu::kernel::Kernel::ALL {
        let plain = crate::gpu::kernel::Variant::plain(kernel);
        let changed = plain.specialised(all) != plain;
        let parts = kernel.spec().parts;
        use crate::gpu::kernel::Part::{Elem, Reduce};
        assert_eq!(changed, parts.contains(&Elem) || parts.contains(&Reduce), "{kernel:?}");
    }
}

#[test]
fn warming_up_compiles_what_a_run_needs() {
    let bench = Bench::open(KernelSet::Hardware);
    let weight = bench.weight(Shape { n_rows: 32, width: 32 }, Rows::F32(&[1.0; 32 * 32]));
    let mut record = Record::default();
    let x = record.input(32, &[1.0; 8 * 32]);
    let out = record.op(8, 32, |out| Op::Linear { x, weight, bias: None, act: Activation::None, out });
    bench.gpu.warm_up(&record.0).expect("pipelines");
    assert_eq!(bench.gpu.registry.n_pipelines(), 1);
    assert_eq!(bench.read(&record, out), [32.0; 8 * 32]);
    assert_eq!(bench.gpu.registry.n_pipelines(), 1, "the run found its pipeline");
}

/// A weight in several buffers, each product by itself: columns and scales must fit together.
#[test]
fn variants_take_split_weights() {
    let variants = [KernelVariant::HalfTiles, KernelVariant::Int8Products];
    for variant in variants {
        let bench = Bench::with_max_binding(KernelSet::Hardware, 64 * 1024);
        if bench.gpu.offers(variant).is_err() {
            continue;
        }
        bench.gpu.use_variants(VariantSet::default().with(variant));
        for layout in LAYOUTS {
            check_linear(&bench, layout, (10, 256, 600), Activation::None, true);
        }
    }
}
