//! Linear layers and gather: every layout, every kernel, split weights.

use super::{Bench, EPS, KERNEL_SETS, LAYOUTS, OwnedRows, Random, Record, assert_close};
use crate::gpu::{KernelSet, VariantSet};
use crate::kernels::{self, dequantize};
use crate::op::{Op, Shape};
use crate::{Activation, KernelVariant, Layout};

/// Rows, inputs, outputs: 1, tile - 1, tile, tile + 1 (tiles of 4 and 32), primes, more than one
/// workgroup.
const SHAPES: [(usize, usize, usize); 12] = [
    (1, 32, 1),
    (1, 64, 63),
    (1, 96, 65),
    (1, 1056, 130),
    (2, 64, 37),
    (4, 32, 17),
    (5, 32, 3),
    (31, 64, 33),
    (32, 96, 32),
    (33, 32, 31),
    (37, 160, 41),
    (70, 128, 66),
];

/// The twin's result and, per output, the sum of |x * w| + |bias|: the scale of rounding errors.
fn expected(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    act: Activation,
    n_in: usize,
) -> (Vec<f32>, Vec<f64>) {
    let n_out = weight.len() / n_in;
    let mut out = vec![0.0; x.len() / n_in * n_out];
    kernels::linear(x, weight, bias, act, n_in, &mut out);
    let magnitudes = x.chunks(n_in).flat_map(|x| {
        weight.chunks(n_in).enumerate().map(|(i, w)| {
            let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from((x * w).abs())).sum();
            sum + bias.map_or(0.0, |bias| f64::from(bias[i].abs()))
        })
    });
    (out, magnitudes.collect())
}

/// A sum of n_in products in any order is off by at most (n_in + 2) roundings of its magnitude; taking
/// apart scale * q + min adds four. Activations have slopes below 1.13, and the polynomial in GELU is
/// good to 1.5e-7 of x / 2; exp (3 + 2|x| units in the last place) and the division add 30 roundings.
fn tolerance(n_in: usize, act: Activation, magnitude: f64) -> f64 {
    let sum = (n_in as f64 + 6.0) * 2.0 * EPS * magnitude;
    match act {
        Activation::None => sum,
        Activation::Gelu => 1.13 * sum + (1.5e-7 + 60.0 * EPS) * magnitude,
        Activation::GeluTanh | Activation::Silu => 1.13 * sum + 60.0 * EPS * magnitude,
        Activation::Tanh => sum + 60.0 * EPS,
    }
}

pub(super) fn check_linear(
    bench: &Bench,
    layout: Layout,
    (n, n_in, n_out): (usize, usize, usize),
    act: Activation,
    with_bias: bool,
) {
    let mut random = Random(n as u32 * 7919 + n_out as u32);
    let x = random.values(n * n_in);
    let rows = OwnedRows::random(layout, n_out * n_in, &mut random);
    let bias_values = random.values(n_out);
    let weight = bench.weight(Shape { n_rows: n_out, width: n_in }, rows.rows());
    let bias = with_bias.then(|| bench.vector(&bias_values));

    let mut record = Record::default();
    let input = record.input(n_in, &x);
    let out = record.op(n, n_out, |out| Op::Linear { x: input, weight, bias, act, out });
    let got = bench.read(&record, out);

    let bias = with_bias.then_some(bias_values.as_slice());
    let (expected, magnitudes) = expected(&x, &dequantize(rows.rows()), bias, act, n_in);
    let variants = bench.gpu.variants.get();
    let what = format!(
        "{layout:?} {:?} {:?} [{n}, {n_in}] x [{n_out}, {n_in}] {act:?}",
        bench.gpu.kernels,
        variants.to_vec()
    );
    // Dequantising moves where a group cancels: its magnitude is that of scale * q and min apart.
    let spread = if layout == Layout::Q4 { 4.0 } else { 1.0 };
    let scale: f64 = magnitudes.iter().sum::<f64>() / magnitudes.len() as f64;
    let narrow = narrowing(variants, layout, n_in);
    assert_close(&what, &got, &expected, |i| {
        let magnitude = magnitudes[i].max(scale);
        spread * tolerance(n_in, act, magnitude) + 1.13 * narrow(magnitude)
    });
}

/// What tiles in fewer bits add, by a sum's magnitude. In f16 both factors are rounded (2^-11 each), and
/// so are products and sums of four (at most four times); below 2^-14 a sixteenth of an activation is
/// off by 2^-25 of its own, times a weight of at most 128. In 8 bits an activation, all below 1, is off
/// by at most 1/254: times a weight below 128 (Q8), or below 15 without its minimum (Q4).
fn narrowing(variants: VariantSet, layout: Layout, n_in: usize) -> impl Fn(f64) -> f64 {
    let is_quantized = matches!(layout, Layout::Q8 | Layout::Q4);
    let is_int8 = variants.has(KernelVariant::Int8Products) && is_quantized;
    let highest = match layout {
        Layout::F32 | Layout::F16 => 1.0,
        Layout::Q8 => 128.0,
        Layout::Q4 => 15.0,
    };
    move |magnitude| match () {
        () if is_int8 => n_in as f64 * highest / 254.0,
        () if variants.has(KernelVariant::HalfTiles) => {
            6.0 / 2048.0 * magnitude + n_in as f64 * highest * 16.0 * EPS
        }
        () => 0.0,
    }
}

#[test]
fn linear_equals_its_twin() {
    for kernels in KERNEL_SETS {
        let bench = Bench::open(kernels);
        for layout in LAYOUTS {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                check_linear(&bench, layout, shape, Activation::None, i % 2 == 0);
            }
            check_linear(&bench, layout, (1, 64, 20), Activation::Gelu, true);
            check_linear(&bench, layout, (6, 64, 20), Activation::Gelu, true);
            check_linear(&bench, layout, (1, 64, 20), Activation::Silu, false);
            check_linear(&bench, layout, (6, 64, 20), Activation::Silu, false);
            check_linear(&bench, layout, (6, 64, 1), Activation::Tanh, true);
            check_linear(&bench, layout, (1, 64, 20), Activation::GeluTanh, true);
            check_linear(&bench, layout, (6, 64, 20), Activation::GeluTanh, false);
        }
    }
}

/// More weight rows than one dimension of a grid has workgroups (65,535 of four rows).
#[test]
fn linear_takes_more_rows_than_one_grid_dimension() {
    check_linear(&Bench::open(KernelSet::Hardware), Layout::F16, (1, 4, 262_147), Activation::None, true);
}

/// Widths of four that are no group of 32, which f32 and f16 allow.
#[test]
fn linear_takes_any_multiple_of_four_inputs() {
    for kernels in KERNEL_SETS {
        let bench = Bench::open(kernels);
        for layout in [Layout::F32, Layout::F16] {
            for shape in [(1, 4, 5), (1, 68, 33), (7, 4, 5), (35, 36, 33), (9, 60, 40)] {
                check_linear(&bench, layout, shape, Activation::None, true);
            }
        }
    }
}

/// A weight larger than a binding lies in several buffers: here 64 rows (F32) to 512 (Q4) in each.
#[test]
fn split_weights_are_one_weight() {
    for kernels in KERNEL_SETS {
        let bench = Bench::with_max_binding(kernels, 64 * 1024);
        for layout in LAYOUTS {
            let (n_in, n_out) = (256, 1100);
            let mut random = Random(17);
            let rows = OwnedRows::random(layout, n_out * n_in, &mut random);
            let weight = bench.weight(Shape { n_rows: n_out, width: n_in }, rows.rows());
            assert!(weight.gpu().expect("a GPU weight").parts.len() > 1, "{layout:?} is split");
            for n in [1, 6] {
                check_linear(&bench, layout, (n, n_in, n_out), Activation::None, true);
            }
            check_gather(&bench, layout, &weight, &dequantize(rows.rows()), n_in);
        }
    }
}

fn check_gather(bench: &Bench, layout: Layout, table: &crate::Weight, values: &[f32], width: usize) {
    let last = (values.len() / width - 1) as u32;
    let ids = [0, last, last / 2, 0, 1 % (last + 1), last / 3];
    let mut record = Record::default();
    let out = record.op(ids.len(), width, |out| Op::Gather { table: table.clone(), ids: ids.to_vec(), out });
    let got = bench.read(&record, out);
    let mut expected = vec![0.0; got.len()];
    kernels::gather(values, &ids, width, &mut expected);
    // One product and one sum: |scale * q| and |min| are below 256 here.
    let allowed = if matches!(layout, Layout::F32 | Layout::F16) { 0.0 } else { 2.0 * 256.0 * EPS };
    assert_close(&format!("gather {layout:?}"), &got, &expected, |_| allowed);
}

#[test]
fn gather_equals_its_twin() {
    let bench = Bench::open(KernelSet::Software);
    for layout in LAYOUTS {
        for (n_rows, width) in [(1, 32), (5, 64), (67, 352)] {
            let rows = OwnedRows::random(layout, n_rows * width, &mut Random(3));
            let table = bench.weight(Shape { n_rows, width }, rows.rows());
            check_gather(&bench, layout, &table, &dequantize(rows.rows()), width);
        }
    }
}
