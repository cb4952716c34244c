//! All other operations against their twins.

use std::ops::Range;

use super::{Bench, EPS, KERNEL_SETS, Random, Record, assert_close};
use crate::gpu::{KernelSet, VariantSet};
use crate::kernels::{self, CausalParams, FullParams};
use crate::op::{Map, Op};
use crate::{KernelVariant, Rope, RopeScaling, RopeStyle};

/// Rows and width around the workgroup (64 invocations of four elements), primes times four.
const SHAPES: [(usize, usize); 7] = [(1, 4), (3, 252), (2, 256), (5, 260), (1, 1028), (65, 12), (131, 68)];

#[test]
fn elementwise_equal_their_twins() {
    let bench = Bench::open(KernelSet::Software);
    // Odd sizes, too: the last vector of four reaches beyond the tensor.
    for (n, width) in SHAPES.into_iter().chain([(1, 1), (7, 9), (1, 255), (1, 257)]) {
        let mut random = Random(11);
        let (a, b) = (random.values(n * width), random.values(n * width));
        let mut record = Record::default();
        let (a_id, b_id) = (record.input(width, &a), record.input(width, &b));
        let sum = record.op(n, width, |out| Op::Add { a: a_id, b: b_id, out });
        let mut expected = vec![0.0; n * width];
        kernels::add(&a, &b, &mut expected);
        assert_close("add", &bench.read(&record, sum), &expected, |_| 0.0);

        let product = record.op(n, width, |out| Op::SiluMul { gate: a_id, up: b_id, out });
        kernels::silu_mul(&a, &b, &mut expected);
        // exp is good to 3 + 2|x| <= 5 units, the division to 2.5; 1 + exp and both products round.
        assert_close("silu_mul", &bench.read(&record, product), &expected, |_| 2.0 * 11.0 * EPS);

        let product = record.op(n, width, |out| Op::Mul { a: a_id, b: b_id, out });
        kernels::mul(&a, &b, &mut expected);
        assert_close("mul", &bench.read(&record, product), &expected, |_| 0.0);
        for map in [Map::Scale(11.3), Map::SoftCap(0.5), Map::SoftCap(30.0)] {
            let mapped = record.op(n, width, |out| Op::Map { x: a_id, map, out });
            kernels::map(&a, map, &mut expected);
            // The cap is taken off a fraction that the exponential's error moves.
            let allowed = if let Map::SoftCap(cap) = map { 20.0 * f64::from(cap) * EPS } else { 12.0 * EPS };
            assert_close(&format!("{map:?}"), &bench.read(&record, mapped), &expected, |_| allowed);
        }
    }
}

#[test]
fn silu_of_extreme_gates_is_finite() {
    let bench = Bench::open(KernelSet::Software);
    let gate = [-1e32, -1000.0, -89.0, -0.0, 89.0, 1000.0, 1e32, 0.0];
    let mut record = Record::default();
    let [gate_id, up_id] = [gate, [1.0; 8]].map(|x| record.input(8, &x));
    let out = record.op(1, 8, |out| Op::SiluMul { gate: gate_id, up: up_id, out });
    // 1e32 * e^-88 is 6e-7: as good as nothing.
    let expected = gate.map(|x| x.max(0.0));
    assert_close("silu", &bench.read(&record, out), &expected, |i| 1e-6 * f64::from(expected[i]) + 1e-5);
}

#[test]
fn norms_equal_their_twins() {
    check_norms(&Bench::open(KernelSet::Software));
}

pub(super) fn check_norms(bench: &Bench) {
    for (n, width) in SHAPES {
        let mut random = Random(5);
        // An offset, so that the mean matters.
        let x: Vec<f32> = random.values(n * width).iter().map(|v| v + 3.0).collect();
        let (gamma, beta) = (random.values(width), random.values(width));
        let mut record = Record::default();
        let input = record.input(width, &x);
        let mut expected = vec![0.0; n * width];
        // A sum of `width` squares is off by as many roundings at most, its root by half of that;
        // division, root and product add 8.
        let relative = (width as f64 / 2.0 + 8.0) * 2.0 * EPS;

        let gamma_weight = bench.vector(&gamma);
        let rms =
            record.op(n, width, |out| Op::RmsNorm { x: input, gamma: gamma_weight.clone(), eps: 1e-5, out });
        kernels::rms_norm(&x, &gamma, 1e-5, &mut expected);
        assert_close("rms_norm", &bench.read(&record, rms), &expected, |i| {
            relative * f64::from(expected[i].abs()) + 1e-9
        });

        let beta_weight = bench.vector(&beta);
        let norm = record.op(n, width, |out| Op::LayerNorm {
            x: input,
            gamma: gamma_weight,
            beta: beta_weight,
            eps: 1e-5,
            out,
        });
        kernels::layer_norm(&x, &gamma, &beta, 1e-5, &mut expected);
        // The mean's error (about 4, the largest |x|, times its roundings) goes through 1 / deviation,
        // which is at most 1 / .2 for these numbers.
        let allowed = relative * 3.0 + (width as f64 + 2.0) * EPS * 4.0 / 0.2;
        assert_close("layer_norm", &bench.read(&record, norm), &expected, |_| allowed);

        let unit = record.op(n, width, |out| Op::L2Normalize { x: input, out });
        kernels::l2_normalize(&x, width, &mut expected);
        assert_close("l2_normalize", &bench.read(&record, unit), &expected, |i| {
            relative * f64::from(expected[i].abs())
        });
    }
}

#[test]
fn a_zero_row_stays_zero() {
    let bench = Bench::open(KernelSet::Software);
    let mut record = Record::default();
    let input = record.input(8, &[0.0; 8]);
    let unit = record.op(1, 8, |out| Op::L2Normalize { x: input, out });
    assert_eq!(bench.read(&record, unit), [0.0; 8]);
}

#[test]
fn rope_equals_its_twin() {
    let bench = Bench::open(KernelSet::Software);
    for style in [RopeStyle::Interleaved, RopeStyle::Half] {
        for (n, n_heads, head_dim, first_pos) in
            [(1, 1, 2, 0), (1, 3, 64, 700), (5, 9, 64, 3), (17, 2, 128, 60), (3, 5, 20, 0)]
        {
            let width = n_heads * head_dim;
            let x = Random(23).values(n * width);
            let rope = Rope { first_pos, head_dim, base: 100_000.0, style, scaling: None };
            let mut record = Record::default();
            let input = record.input(width, &x);
            let out = record.op(n, width, |out| Op::Rope { x: input, rope: rope.clone(), out });
            let mut expected = vec![0.0; n * width];
            kernels::rope(&x, &rope, width, &mut expected);
            // Cosine and sine are rounded once, then two products and a sum of numbers below 1.
            assert_close("rope", &bench.read(&record, out), &expected, |_| 2.0 * 4.0 * EPS);

            // Stretched after the same rotation without: tables of both are kept apart.
            let divisors = (0..head_dim / 2).map(|i| 1.0 + i as f32).collect();
            let rope = Rope { scaling: Some(RopeScaling::new(divisors, 1.5)), ..rope };
            let out = record.op(n, width, |out| Op::Rope { x: input, rope: rope.clone(), out });
            kernels::rope(&x, &rope, width, &mut expected);
            assert_close("scaled rope", &bench.read(&record, out), &expected, |_| 3.0 * 4.0 * EPS);
        }
    }
}

/// Scores are sums of `head_dim` products of numbers below 1, times a scale; their error moves a
/// weight by that factor. Each weight's exp is good to 3 + 2|x| units, rescaled once per chunk or key.
fn attention_tolerance(head_dim: usize, n_keys: usize, scale: f32) -> f64 {
    let score = (head_dim as f64 + 4.0) * EPS * head_dim as f64 * f64::from(scale);
    2.0 * score + (3.0 + 2.0 * head_dim as f64 * f64::from(scale)) * 4.0 * EPS + n_keys as f64 * 4.0 * EPS
}

/// Lengths of the sequences, heads, head size.
type FullCase<'a> = (&'a [u32], usize, usize);
/// Rows, first position, heads, key heads, head size.
type CausalCase = (usize, usize, usize, usize, usize);

#[test]
fn attention_full_equals_its_twin() {
    for kernels in KERNEL_SETS {
        let bench = Bench::open(kernels);
        let cases: [FullCase<'_>; 6] = [
            (&[1], 1, 4),
            (&[63], 2, 32),
            (&[64, 1, 65], 3, 32),
            (&[2, 130], 1, 80),
            (&[7, 5, 11], 12, 64),
            (&[3], 1, 256),
        ];
        cases.into_iter().for_each(|case| check_attention_full(&bench, case));
    }
}

pub(super) fn check_attention_full(bench: &Bench, (lengths, n_heads, head_dim): FullCase<'_>) {
    let (n, width) = (lengths.iter().sum::<u32>() as usize, n_heads * head_dim);
    let scale = 1.0 / (head_dim as f32).sqrt();
    let mut random = Random(n as u32);
    let [q, k, v] = [(); 3].map(|()| random.values(n * width));
    let mut record = Record::default();
    let ids = [&q, &k, &v].map(|x| record.input(width, x));
    let [q_id, k_id, v_id] = ids;
    let lengths = lengths.to_vec();
    let out = record.op(n, width, |out| Op::AttentionFull {
        q: q_id,
        k: k_id,
        v: v_id,
        lengths: lengths.clone(),
        n_heads,
        scale,
        out,
    });
    let mut expected = vec![0.0; n * width];
    let params = FullParams { n_heads, head_dim, scale };
    kernels::attention_full(&q, &k, &v, &lengths, &params, &mut expected);
    let allowed = attention_tolerance(head_dim, n, scale);
    let what = format!("attention_full {:?} {lengths:?} {n_heads} x {head_dim}", bench.gpu.kernels);
    assert_close(&what, &bench.read(&record, out), &expected, |_| allowed);
}

#[test]
fn attention_causal_equals_its_twin() {
    for kernels in KERNEL_SETS {
        let bench = Bench::open(kernels);
        let cases = [
            (1, 0, 1, 1, 4),
            (1, 63, 9, 3, 64),
            (1, 64, 9, 3, 64),
            (1, 200, 4, 1, 32),
            (66, 0, 2, 2, 20),
            (5, 131, 6, 2, 128),
        ];
        cases.into_iter().for_each(|case| check_attention_causal(&bench, case));
    }
}

pub(super) fn check_attention_causal(bench: &Bench, case: CausalCase) {
    let (n, first_pos, n_heads, n_kv_heads, head_dim) = case;
    let (width, kv_width, n_ctx) = (n_heads * head_dim, n_kv_heads * head_dim, first_pos + n + 3);
    let scale = 1.0 / (head_dim as f32).sqrt();
    let mut random = Random(n_ctx as u32);
    let q = random.values(n * width);
    let [keys, values] = [(); 2].map(|()| random.values((first_pos + n) * kv_width));
    let caches = [(); 2].map(|()| bench.cache(n_ctx, kv_width));
    let mut record = Record::default();
    for (cache, data) in caches.iter().zip([&keys, &values]) {
        // In two pieces, as a prompt and its continuation.
        let split = first_pos * kv_width;
        for (at_pos, piece) in [(0, &data[..split]), (first_pos, &data[split..])] {
            if !piece.is_empty() {
                let x = record.input(kv_width, piece);
                record.0.ops.push(Op::KvAppend { cache: cache.clone(), x, at_pos });
            }
        }
    }
    let q_id = record.input(width, &q);
    let [keys_cache, values_cache] = caches;
    let biases = random.values(n_heads * (2 * n_ctx - 1));
    let bias_weight = bench.vector(&biases);
    let kinds = [
        (None, None, None, false),
        (Some(3), None, None, false),
        (Some(65), Some(0.7), None, false),
        (None, Some(50.0), None, false),
        (None, None, Some(first_pos + n), true),
        (None, None, None, true),
        (None, None, Some(1), false),
    ];
    for (window, soft_cap, n_seen, has_bias) in kinds {
        let out = record.op(n, width, |out| Op::AttentionCausal {
            q: q_id,
            keys: keys_cache.clone(),
            values: values_cache.clone(),
            first_pos,
            n_heads,
            n_kv_heads,
            scale,
            window,
            soft_cap,
            n_seen,
            bias: has_bias.then(|| bias_weight.clone()),
            out,
        });
        let mut expected = vec![0.0; n * width];
        let bias = has_bias.then_some(biases.as_slice());
        let params =
            CausalParams { first_pos, n_heads, n_kv_heads, head_dim, scale, window, soft_cap, n_seen, bias };
        kernels::attention_causal(&q, &keys, &values, &params, &mut expected);
        let cap_error = soft_cap.map_or(0.0, |cap| 2.0 * 20.0 * f64::from(cap) * EPS);
        let allowed = attention_tolerance(head_dim, n_ctx, scale) + cap_error + 4.0 * EPS;
        let what = format!("attention_causal {:?} {case:?} {params:?}", bench.gpu.kernels);
        assert_close(&what[..what.len().min(200)], &bench.read(&record, out), &expected, |_| allowed);
    }
}

/// Large scores: without taking the maximum off, exp would overflow.
#[test]
fn attention_survives_large_scores() {
    let benches = KERNEL_SETS.map(Bench::open);
    let tiled = Bench::open(KernelSet::Hardware);
    tiled.gpu.use_variants(VariantSet::default().with(KernelVariant::AttentionTiles));
    for bench in benches.iter().chain([&tiled]) {
        let (n, width) = (70, 8);
        let mut record = Record::default();
        let x: Vec<f32> = (0..n * width).map(|i| (i / width) as f32).collect();
        let input = record.input(width, &x);
        let out = record.op(n, width, |out| Op::AttentionFull {
            q: input,
            k: input,
            v: input,
            lengths: vec![n as u32],
            n_heads: 1,
            scale: 1.0,
            out,
        });
        let got = bench.read(&record, out);
        // Row 0 sees equal scores and takes the mean; the later ones see only the last key.
        assert!(
            (got[0] - 34.5).abs() < 1e-4 && got[width..].iter().all(|v| (v - 69.0).abs() < 0.1),
            "{:?}",
            bench.gpu.kernels
        );
    }
}

#[test]
fn pools_rows_and_argmax_equal_their_twins() {
    let bench = Bench::open(KernelSet::Software);
    let pairs: Vec<_> = (0..67).map(|i| 2 * i..2 * i + 2).collect();
    let cases: [(&[Range<u32>], usize); 4] =
        [(&pairs[..1], 4), (&[0..3, 3..4, 4..69], 32), (&[0..64, 64..127, 5..6, 60..70], 260), (&pairs, 12)];
    for (ranges, width) in cases {
        let (n, n_ranges) = (ranges.iter().map(|r| r.end).max().unwrap() as usize, ranges.len());
        let x = Random(9).values(n * width);
        let mut record = Record::default();
        let input = record.input(width, &x);
        let mean = record.op(n_ranges, width, |out| Op::MeanPool { x: input, ranges: ranges.to_vec(), out });
        let last = record.op(1, width, |out| Op::Rows { x: input, first_row: n - 1, out });
        let best = record.op(n, 1, |out| Op::Argmax { x: input, out });
        let mut expected = vec![0.0; n_ranges * width];
        kernels::mean_pool(&x, ranges, width, &mut expected);
        // At most 65 numbers below 1 are added, and divided once.
        assert_close("mean_pool", &bench.read(&record, mean), &expected, |_| 68.0 * EPS);
        assert_eq!(bench.read(&record, last), x[(n - 1) * width..]);
        let mut expected = vec![0.0; n];
        kernels::argmax(&x, width, &mut expected);
        assert_eq!(bench.read(&record, best), expected);
    }
}

#[test]
fn argmax_takes_the_first_of_equals_and_wide_rows() {
    let bench = Bench::open(KernelSet::Software);
    for (width, places) in [(1, [0, 0]), (255, [3, 200]), (257, [255, 256]), (5000, [4097, 4999])] {
        let mut x = vec![-1.0; width];
        places.into_iter().for_each(|place| x[place] = 2.5);
        let mut record = Record::default();
        let input = record.input(width, &x);
        let best = record.op(1, 1, |out| Op::Argmax { x: input, out });
        assert_eq!(bench.read(&record, best), [places[0] as f32], "{width}");
    }
}
