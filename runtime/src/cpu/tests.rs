//! The CPU tier against the scalar twins, over shapes around every tile and vector border.

use half::f16;

use crate::kernels::{self, CausalParams, FullParams};
use crate::op::{Map, Rows, Shape};
use crate::{
    Activation, CausalAttention, FullAttention, KvCache, Options, Precision, Recorder, Rope, RopeScaling,
    RopeStyle, Runtime, Tensor, TierChoice, Weight,
};

fn runtime_of(precision: Precision) -> Runtime {
    platform::block_on(Runtime::open(&Options { tier: TierChoice::Cpu, precision, ..Options::default() }))
        .unwrap()
}

fn runtime() -> Runtime {
    runtime_of(Precision::Exact)
}

/// Numbers in -1..1, always the same for one seed (xorshift64*).
fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |state: &mut u64| {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| step(&mut state)).collect()
}

/// A quantised matrix, as bits.
enum Quantised {
    Q8 { scales: Vec<u16>, quants: Vec<i8> },
    Q4 { scales: Vec<u16>, mins: Vec<u16>, quants: Vec<u8> },
}

impl Quantised {
    fn new(is_q4: bool, n_elements: usize) -> Self {
        let halves = |seed, factor: f32| -> Vec<u16> {
            numbers(seed, n_elements / 32).iter().map(|x| f16::from_f32(x * factor).to_bits()).collect()
        };
        let bytes = numbers(7, n_elements).into_iter().map(|x| (x * 127.9) as i8);
        if is_q4 {
            let quants = bytes.take(n_elements / 2).map(|x| x as u8).collect();
            Self::Q4 { scales: halves(8, 0.01), mins: halves(9, 0.08), quants }
        } else {
            Self::Q8 { scales: halves(8, 0.001), quants: bytes.collect() }
        }
    }

    fn rows(&self) -> Rows<'_> {
        match self {
            Self::Q8 { scales, quants } => Rows::Q8 { scales, quants },
            Self::Q4 { scales, mins, quants } => Rows::Q4 { scales, mins, quants },
        }
    }
}

fn weight(rt: &Runtime, shape: &[usize], data: &[f32]) -> Weight {
    platform::block_on(rt.weight_from_f32("test", shape, data)).unwrap()
}

fn quantised_weight(rt: &Runtime, n_rows: usize, width: usize, q: &Quantised) -> Weight {
    platform::block_on(rt.weight_from_rows("test", Shape { n_rows, width }, q.rows())).unwrap()
}

/// Records with `record` and reads its result.
fn run(rt: &Runtime, record: impl FnOnce(&mut Recorder<'_>) -> crate::Result<Tensor>) -> Vec<f32> {
    let mut rec = rt.recorder();
    let t = record(&mut rec).unwrap();
    platform::block_on(rec.read(&t)).unwrap()
}

/// Differences may be `tolerance` times the largest expected element.
fn assert_close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-30f32, |max, x| max.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance * largest,
            "{what}: element {i} is {got}, not {expected}"
        );
    }
}

/// f32 sums of `n` terms in vectors of eight: an error of sqrt(n / 8) half units in the last place
/// is typical, ten times that never happens.
fn sum_tolerance(n: usize) -> f32 {
    10.0 * (n as f32 / 8.0 + 4.0).sqrt() * f32::EPSILON
}

#[test]
fn linear_equals_its_twin_at_every_tile_border() {
    check_linear(Precision::Exact, sum_tolerance);
    // Blocks of 64 are rounded to some 2^-14 of their root mean square: a sum is off by some 2^-14 of
    // its own, and by the largest of ten thousand errors, four times that.
    check_linear(Precision::Fast, |_| 4.0 / 16_384.0);
}

fn check_linear(precision: Precision, tolerance: fn(usize) -> f32) {
    let rt = runtime_of(precision);
    for n in [1, 2, 3, 7, 8, 9, 13, 53] {
        for (n_in, n_out) in [(1, 1), (3, 7), (8, 16), (17, 9), (64, 31), (33, 200), (513, 17), (1100, 33)] {
            let (x, w, b) = (numbers(1, n * n_in), numbers(2, n_in * n_out), numbers(3, n_out));
            let (weight, bias) = (weight(&rt, &[n_out, n_in], &w), weight(&rt, &[n_out], &b));
            for act in [Activation::None, Activation::Gelu, Activation::Silu] {
                for bias in [None, Some((&bias, b.as_slice()))] {
                    let mut expected = vec![0.0; n * n_out];
                    kernels::linear(&x, &w, bias.map(|b| b.1), act, n_in, &mut expected);
                    let got = run(&rt, |rec| {
                        let x = rec.input(n, n_in, x.clone())?;
                        rec.linear(x, &weight, bias.map(|b| b.0), act)
                    });
                    let what = format!("[{n}, {n_in}] x [{n_out}, {n_in}] {act:?} bias {}", bias.is_some());
                    assert_close(&what, &got, &expected, tolerance(n_in));
                }
            }
        }
    }
}

#[test]
fn quantised_linear_equals_its_twin_at_every_tile_border() {
    // Rounding an activation to 16 bits is off by at most 2^-16 of its group's largest, to 8 bits by
    // 2^-8; errors of n_in terms add up like their squares, as the terms themselves do.
    check_quantised(Precision::Exact, 4.0 / 65_536.0);
    check_quantised(Precision::Fast, 4.0 / 256.0);
}

fn check_quantised(precision: Precision, tolerance: f32) {
    let rt = runtime_of(precision);
    for is_q4 in [false, true] {
        for n in [1, 2, 4, 5, 8, 11, 30] {
            for (n_in, n_out) in [(32, 1), (32, 16), (64, 9), (96, 33), (576, 200)] {
                let (x, b) = (numbers(1, n * n_in), numbers(3, n_out));
                let q = Quantised::new(is_q4, n_in * n_out);
                let (weight, bias) = (quantised_weight(&rt, n_out, n_in, &q), weight(&rt, &[n_out], &b));
                let mut expected = vec![0.0; n * n_out];
                kernels::linear(
                    &x,
                    &kernels::dequantize(q.rows()),
                    Some(&b),
                    Activation::Silu,
                    n_in,
                    &mut expected,
                );
                let got = run(&rt, |rec| {
                    let x = rec.input(n, n_in, x.clone())?;
                    rec.linear(x, &weight, Some(&bias), Activation::Silu)
                });
                let what = format!("[{n}, {n_in}] x [{n_out}, {n_in}] q4 {is_q4}");
                assert_close(&what, &got, &expected, tolerance);
            }
        }
    }
}

#[test]
fn gathered_rows_are_bit_exact_in_every_layout() {
    let rt = runtime();
    let ids = [0, 36, 7, 7, 8];
    let (n_rows, width) = (37, 64);
    let floats = numbers(4, n_rows * width);
    let halves: Vec<u16> = floats.iter().map(|x| f16::from_f32(*x).to_bits()).collect();
    let (q8, q4) = (Quantised::new(false, n_rows * width), Quantised::new(true, n_rows * width));
    for rows in [Rows::F32(&floats), Rows::F16(&halves), q8.rows(), q4.rows()] {
        let table = platform::block_on(rt.weight_from_rows("table", Shape { n_rows, width }, rows)).unwrap();
        let mut expected = vec![0.0; ids.len() * width];
        kernels::gather(&kernels::dequantize(rows), &ids, width, &mut expected);
        assert_eq!(run(&rt, |rec| rec.gather(&table, &ids)), expected, "{:?}", rows.layout());
    }
}

#[test]
fn rows_and_elements_equal_their_twins() {
    let rt = runtime();
    for (n, width) in [(1, 1), (2, 7), (3, 8), (5, 33), (2, 64), (3, 100), (1, 1537)] {
        let (a, b) = (numbers(1, n * width), numbers(2, n * width));
        let (gamma, beta) = (numbers(3, width), numbers(4, width));
        let (g, bt) = (weight(&rt, &[width], &gamma), weight(&rt, &[width], &beta));
        let check =
            |what: &str,
             tolerance,
             twin: &dyn Fn(&mut [f32]),
             record: &dyn Fn(&mut Recorder<'_>, Tensor, Tensor) -> crate::Result<Tensor>| {
                let mut expected = vec![0.0; n * width];
                twin(&mut expected);
                let got = run(&rt, |rec| {
                    let (a, b) = (rec.input(n, width, a.clone())?, rec.input(n, width, b.clone())?);
                    record(rec, a, b)
                });
                assert_close(&format!("{what} [{n}, {width}]"), &got, &expected, tolerance);
            };
        check("add", 0.0, &|out| kernels::add(&a, &b, out), &|rec, a, b| rec.add(a, b));
        check("silu_mul", 1e-6, &|out| kernels::silu_mul(&a, &b, out), &|rec, a, b| rec.silu_mul(a, b));
        check("mul", 0.0, &|out| kernels::mul(&a, &b, out), &|rec, a, b| rec.mul(a, b));
        check("scale", 0.0, &|out| kernels::map(&a, Map::Scale(3.7), out), &|rec, a, _| rec.scale(a, 3.7));
        check("soft_cap", 1e-6, &|out| kernels::map(&a, Map::SoftCap(0.9), out), &|rec, a, _| {
            rec.soft_cap(a, 0.9)
        });
        check("l2_normalize", 1e-6, &|out| kernels::l2_normalize(&a, width, out), &|rec, a, _| {
            rec.l2_normalize(a)
        });
        let tolerance = sum_tolerance(width);
        check("rms_norm", tolerance, &|out| kernels::rms_norm(&a, &gamma, 1e-5, out), &|rec, a, _| {
            rec.rms_norm(a, &g, 1e-5)
        });
        let (part, n_parts) = (width / 2, 2 * n);
        if width % 2 == 0 {
            let g = weight(&rt, &[part], &gamma[..part]);
            let heads = |out: &mut [f32]| kernels::rms_norm(&a, &gamma[..part], 1e-5, out);
            check(&format!("rms_norm of {n_parts} heads"), tolerance, &heads, &|rec, a, _| {
                rec.rms_norm(a, &g, 1e-5)
            });
        }
        if width > 1 {
            check(
                "layer_norm",
                tolerance,
                &|out| kernels::layer_norm(&a, &gamma, &beta, 1e-12, out),
                &|rec, a, _| rec.layer_norm(a, &g, &bt, 1e-12),
            );
        }
    }
}

#[test]
fn rope_equals_its_twin_also_far_into_the_context() {
    let rt = runtime();
    for style in [RopeStyle::Interleaved, RopeStyle::Half] {
        for (n, n_heads, head_dim, first_pos) in [(1, 1, 2, 0), (5, 3, 8, 7), (3, 9, 64, 2040)] {
            let width = n_heads * head_dim;
            let x = numbers(5, n * width);
            let p = Rope { first_pos, head_dim, base: 100_000.0, style, scaling: None };
            let mut expected = vec![0.0; x.len()];
            kernels::rope(&x, &p, width, &mut expected);
            let got = run(&rt, |rec| {
                let x = rec.input(n, width, x.clone())?;
                rec.rope(x, p.clone())
            });
            assert_close(&format!("{p:?}"), &got, &expected, 3e-7);

            let divisors = (0..head_dim / 2).map(|i| 1.0 + i as f32).collect();
            let p = Rope { scaling: Some(RopeScaling::new(divisors, 1.5)), ..p };
            kernels::rope(&x, &p, width, &mut expected);
            let got = run(&rt, |rec| {
                // The table of the rotation without is not taken for this one's.
                let x = rec.input(n, width, x.clone())?;
                rec.rope(x, Rope { scaling: None, ..p.clone() })?;
                rec.rope(x, p.clone())
            });
            assert_close(&format!("{p:?}"), &got, &expected, 5e-7);
        }
    }
}

#[test]
fn full_attention_equals_its_twin_on_ragged_batches() {
    let rt = runtime();
    for lengths in [vec![1], vec![7], vec![8, 1, 3], vec![50, 17, 97]] {
        for (n_heads, head_dim) in [(1, 1), (2, 5), (3, 32), (2, 64)] {
            let (n, width) = (lengths.iter().sum::<u32>() as usize, n_heads * head_dim);
            let [q, k, v] = [1, 2, 3].map(|seed| numbers(seed, n * width));
            let scale = 3.0 / (head_dim as f32).sqrt();
            let mut expected = vec![0.0; q.len()];
            kernels::attention_full(
                &q,
                &k,
                &v,
                &lengths,
                &FullParams { n_heads, head_dim, scale },
                &mut expected,
            );
            let got = run(&rt, |rec| {
                let [q, k, v] = [&q, &k, &v].map(|x| rec.input(n, width, x.clone()).unwrap());
                rec.attention_full(q, k, v, FullAttention { lengths: &lengths, n_heads, scale })
            });
            assert_close(&format!("{lengths:?} {n_heads} x {head_dim}"), &got, &expected, 2e-6);
        }
    }
}

/// Windows shorter and longer than a piece of the keys, and caps that scores reach and do not reach.
const WINDOWS_AND_CAPS: [(Option<usize>, Option<f32>); 4] =
    [(None, None), (Some(5), None), (Some(260), Some(1.5)), (None, Some(50.0))];

/// A cap multiplies the error of the hyperbolic tangent, which is good to 2e-7, and scores' errors add up.
fn attention_tolerance(soft_cap: Option<f32>) -> f32 {
    2e-6 + soft_cap.map_or(0.0, |cap| 4e-7 * cap)
}

#[test]
fn causal_attention_over_an_appended_cache_equals_its_twin() {
    let rt = runtime();
    for (n_heads, n_kv_heads, head_dim) in [(1, 1, 1), (4, 2, 5), (9, 3, 64), (2, 1, 40)] {
        let (q_width, kv_width, n_ctx) = (n_heads * head_dim, n_kv_heads * head_dim, 80);
        let [k_cache, v_cache] = [0; 2].map(|_| platform::block_on(rt.kv_cache(n_ctx, kv_width)).unwrap());
        let (keys, values) = (numbers(1, n_ctx * kv_width), numbers(2, n_ctx * kv_width));
        let scale = 3.0 / (head_dim as f32).sqrt();
        // A prompt in two parts, then single tokens.
        for (first_pos, n) in [(0, 13), (13, 60), (73, 1), (74, 1)] {
            let q = numbers(3 + first_pos as u64, n * q_width);
            for (window, soft_cap) in WINDOWS_AND_CAPS {
                let p = CausalParams {
                    first_pos,
                    n_heads,
                    n_kv_heads,
                    head_dim,
                    scale,
                    window,
                    soft_cap,
                    n_seen: None,
                    bias: None,
                };
                let mut expected = vec![0.0; q.len()];
                kernels::attention_causal(&q, &keys, &values, &p, &mut expected);
                let got = run(&rt, |rec| {
                    let new = |all: &[f32]| all[first_pos * kv_width..][..n * kv_width].to_vec();
                    let (k, v) = (rec.input(n, kv_width, new(&keys))?, rec.input(n, kv_width, new(&values))?);
                    rec.kv_append(&k_cache, k, first_pos)?;
                    rec.kv_append(&v_cache, v, first_pos)?;
                    let q = rec.input(n, q_width, q.clone())?;
                    let (keys, values) = (&k_cache, &v_cache);
                    let a = CausalAttention {
                        keys,
                        values,
                        first_pos,
                        n_kv_heads,
                        scale,
                        window,
                        soft_cap,
                        n_seen: None,
                        bias: None,
                    };
                    rec.attention_causal(q, a)
                });
                assert_close(&format!("{p:?}, {n} rows"), &got, &expected, attention_tolerance(soft_cap));
            }
        }
    }
}

/// As an encoder has it, and a decoder that looks at what was read: few rows and many.
#[test]
fn attention_to_a_whole_cache_with_biases_equals_its_twin() {
    let rt = runtime();
    let (n_heads, n_kv_heads, head_dim, n_ctx) = (4, 4, 24, 300);
    let width = n_heads * head_dim;
    let [k_cache, v_cache] = [0; 2].map(|_| platform::block_on(rt.kv_cache(n_ctx, width)).unwrap());
    let (keys, values) = (numbers(1, n_ctx * width), numbers(2, n_ctx * width));
    let biases = numbers(4, n_heads * (2 * n_ctx - 1));
    let bias = weight(&rt, &[biases.len()], &biases);
    for (first_pos, n, n_seen, has_bias) in [
        (0, 300, Some(300), true),
        (0, 2, Some(299), false),
        (290, 3, None, true),
        (7, 40, None, true),
        (5, 1, Some(280), true),
    ] {
        let q = numbers(3 + n as u64, n * width);
        let (scale, window, soft_cap) = (0.5, None, None);
        let p = CausalParams {
            first_pos,
            n_heads,
            n_kv_heads,
            head_dim,
            scale,
            window,
            soft_cap,
            n_seen,
            bias: has_bias.then_some(&biases),
        };
        let mut expected = vec![0.0; q.len()];
        kernels::attention_causal(&q, &keys, &values, &p, &mut expected);
        let got = run(&rt, |rec| {
            for (cache, x) in [(&k_cache, &keys), (&v_cache, &values)] {
                let x = rec.input(n_ctx, width, x.clone())?;
                rec.kv_append(cache, x, 0)?;
            }
            let q = rec.input(n, width, q.clone())?;
            let (keys, values, bias) = (&k_cache, &v_cache, has_bias.then_some(&bias));
            let a = CausalAttention {
                keys,
                values,
                first_pos,
                n_kv_heads,
                scale,
                window,
                soft_cap,
                n_seen,
                bias,
            };
            rec.attention_causal(q, a)
        });
        assert_close(&format!("{first_pos}, {n} rows, {n_seen:?}"), &got, &expected, 4e-6);
    }
    let mut rec = rt.recorder();
    let q = rec.input(2, width, vec![0.0; 2 * width]).unwrap();
    let (keys, values, scale, window, soft_cap) = (&k_cache, &v_cache, 1.0, None, None);
    let a = CausalAttention {
        keys,
        values,
        first_pos: 0,
        n_kv_heads,
        scale,
        window,
        soft_cap,
        n_seen: Some(301),
        bias: None,
    };
    assert!(rec.attention_causal(q, a).is_err(), "beyond the cache");
    let short = weight(&rt, &[n_heads * 3], &numbers(4, n_heads * 3));
    let a = CausalAttention { n_seen: Some(3), bias: Some(&short), ..a };
    assert!(rec.attention_causal(q, a).is_err(), "farther than the biases reach");
}

/// One, two and three rows whose keys fill one piece, several, and one more key than that.
#[test]
fn few_rows_over_a_long_cache_equal_their_twin() {
    let rt = runtime();
    for (n_heads, n_kv_heads, head_dim) in [(1, 1, 3), (9, 3, 64), (8, 1, 16), (5, 1, 72), (4, 2, 40)] {
        let (q_width, kv_width, n_ctx) = (n_heads * head_dim, n_kv_heads * head_dim, 770);
        let [k_cache, v_cache] = [0; 2].map(|_| platform::block_on(rt.kv_cache(n_ctx, kv_width)).unwrap());
        let (keys, values) = (numbers(1, n_ctx * kv_width), numbers(2, n_ctx * kv_width));
        let mut rec = rt.recorder();
        for (cache, x) in [(&k_cache, &keys), (&v_cache, &values)] {
            let x = rec.input(n_ctx, kv_width, x.clone()).unwrap();
            rec.kv_append(cache, x, 0).unwrap();
        }
        platform::block_on(rec.run()).unwrap();
        let scale = 3.0 / (head_dim as f32).sqrt();
        for (first_pos, n) in [(254, 2), (255, 1), (256, 1), (255, 3), (510, 3), (767, 3)] {
            let q = numbers(3 + first_pos as u64, n * q_width);
            for (window, soft_cap) in WINDOWS_AND_CAPS {
                let p = CausalParams {
                    first_pos,
                    n_heads,
                    n_kv_heads,
                    head_dim,
                    scale,
                    window,
                    soft_cap,
                    n_seen: None,
                    bias: None,
                };
                let mut expected = vec![0.0; q.len()];
                kernels::attention_causal(&q, &keys, &values, &p, &mut expected);
                let got = run(&rt, |rec| {
                    let q = rec.input(n, q_width, q.clone())?;
                    let (keys, values) = (&k_cache, &v_cache);
                    let a = CausalAttention {
                        keys,
                        values,
                        first_pos,
                        n_kv_heads,
                        scale,
                        window,
                        soft_cap,
                        n_seen: None,
                        bias: None,
                    };
                    rec.attention_causal(q, a)
                });
                assert_close(&format!("{p:?}, {n} rows"), &got, &expected, attention_tolerance(soft_cap));
            }
        }
    }
}

/// What is no number is not lost among the pieces.
#[test]
fn attention_to_what_is_no_number_is_none() {
    let rt = runtime();
    let [keys, values] = [0; 2].map(|_| platform::block_on(rt.kv_cache(300, 4)).unwrap());
    let got = run(&rt, |rec| {
        let q = rec.input(1, 4, vec![f32::NAN; 4])?;
        let (keys, values) = (&keys, &values);
        rec.attention_causal(
            q,
            CausalAttention {
                keys,
                values,
                first_pos: 299,
                n_kv_heads: 1,
                scale: 1.0,
                window: None,
                soft_cap: None,
                n_seen: None,
                bias: None,
            },
        )
    });
    assert!(got.iter().all(|x| x.is_nan()), "{got:?}");
}

/// Layers of one row are computed together, whatever their weights are; each as if it were alone.
#[test]
fn layers_of_the_same_row_equal_each_alone() {
    let n_in = 64;
    for precision in [Precision::Fast, Precision::Exact] {
        let rt = runtime_of(precision);
        let weights = [
            quantised_weight(&rt, 200, n_in, &Quantised::new(true, 200 * n_in)),
            quantised_weight(&rt, 33, n_in, &Quantised::new(false, 33 * n_in)),
            weight(&rt, &[70, n_in], &numbers(4, 70 * n_in)),
            weight(&rt, &[1, n_in], &numbers(5, n_in)),
        ];
        let x = numbers(6, n_in);
        let alone: Vec<Vec<f32>> = weights
            .iter()
            .map(|w| {
                run(&rt, |rec| {
                    let x = rec.input(1, n_in, x.clone())?;
                    rec.linear(x, w, None, Activation::Silu)
                })
            })
            .collect();
        for (i, expected) in alone.iter().enumerate() {
            let together = run(&rt, |rec| {
                let x = rec.input(1, n_in, x.clone())?;
                let layers: Vec<Tensor> = weights
                    .iter()
                    .map(|w| rec.linear(x, w, None, Activation::Silu))
                    .collect::<crate::Result<_>>()?;
                Ok(layers[i])
            });
            assert_eq!(together, *expected, "{precision:?}, layer {i}");
        }
    }
}

#[test]
fn pools_rows_and_argmax_are_wired() {
    let rt = runtime();
    let x = [1.0, 2.0, 5.0, 4.0, 3.0, -4.0];
    let input = |rec: &mut Recorder<'_>| rec.input(3, 2, x.to_vec());
    let mean = run(&rt, |rec| input(rec).and_then(|x| rec.mean_pool(x, &[0..2, 2..3])));
    assert_eq!(mean, [3.0, 3.0, 3.0, -4.0]);
    for wrong in [1..1, 2..4] {
        let mut rec = rt.recorder();
        let x = input(&mut rec).unwrap();
        assert!(rec.mean_pool(x, std::slice::from_ref(&wrong)).is_err(), "{wrong:?} of three rows");
    }
    let last = run(&rt, |rec| input(rec).and_then(|x| rec.last_row(x)));
    assert_eq!(last, [3.0, -4.0]);
    let mut rec = rt.recorder();
    let t = input(&mut rec).unwrap();
    assert_eq!(platform::block_on(rec.read_argmax(t)).unwrap(), [1, 0, 0]);
}

#[test]
fn memory_is_counted_and_given_back() {
    let rt = runtime();
    let before = rt.memory();
    let w = weight(&rt, &[9, 10], &[0.0; 90]);
    // One panel of sixteen rows.
    assert_eq!(rt.memory().weight_bytes, before.weight_bytes + 16 * 10 * 4);
    let q = quantised_weight(&rt, 8, 32, &Quantised::new(true, 8 * 32));
    assert_eq!(rt.memory().weight_bytes, before.weight_bytes + 640 + 256 + 128);
    let cache = platform::block_on(rt.kv_cache(5, 3)).unwrap();
    assert_eq!(rt.memory().kv_bytes, 60);
    drop((w, q, cache));
    let after = rt.memory();
    assert_eq!((after.weight_bytes, after.kv_bytes), (before.weight_bytes, 0));
    run(&rt, |rec| rec.input(1000, 10, vec![1.0; 10_000]));
    assert!(rt.memory().peak_activation_bytes >= 40_000);
}

#[test]
fn caches_are_copied_and_wrong_copies_refused() {
    let rt = runtime();
    let cache = |n_ctx, width| platform::block_on(rt.kv_cache(n_ctx, width)).unwrap();
    let (from, to, wide) = (cache(4, 2), cache(6, 2), cache(6, 3));
    let append = |cache: &KvCache, x: [f32; 4], at_pos| {
        let mut rec = rt.recorder();
        let x = rec.input(2, 2, x.to_vec()).unwrap();
        rec.kv_append(cache, x, at_pos).unwrap();
        platform::block_on(rec.run()).unwrap();
    };
    append(&from, [1.0, 2.0, 3.0, 4.0], 0);
    append(&to, [5.0, 6.0, 7.0, 8.0], 1);
    platform::block_on(rt.copy_caches(&[(&from, &to)], 2)).unwrap();
    let copied = to.cpu().unwrap();
    let copied: Vec<f32> = (0..3).flat_map(|pos| copied.rows.borrow().row(pos).collect::<Vec<_>>()).collect();
    assert_eq!(copied, [1.0, 2.0, 3.0, 4.0, 7.0, 8.0]);
    for (pair, n_positions) in [((&from, &wide), 1), ((&to, &from), 5), ((&from, &from), 1)] {
        assert!(platform::block_on(rt.copy_caches(&[pair], n_positions)).is_err(), "{pair:?}");
    }
}

#[test]
fn a_forward_pass_can_be_given_up_between_two_operations() {
    let rt = runtime();
    let w = weight(&rt, &[512, 512], &numbers(1, 512 * 512));
    let record = |n_layers: usize| {
        let mut rec = rt.recorder();
        let mut x = rec.input(256, 512, numbers(2, 256 * 512)).unwrap();
        for _ in 0..n_layers {
            x = rec.linear(x, &w, None, Activation::None).unwrap();
        }
        (rec, x)
    };
    let (rec, out) = record(2);
    let expected = platform::block_on(rec.read(&out)).unwrap();
    // 67 M multiplications each: a thousand of them take seconds on any machine.
    let (rec, out) = record(1000);
    {
        let mut pass = std::pin::pin!(rec.read(&out));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..3 {
            assert!(pass.as_mut().poll(&mut context).is_pending(), "the pass gives others a turn");
        }
    }
    assert!(rt.memory().activation_bytes <= 64 << 20, "{:?}", rt.memory());
    let (rec, out) = record(2);
    assert_eq!(platform::block_on(rec.read(&out)).unwrap(), expected);
}
