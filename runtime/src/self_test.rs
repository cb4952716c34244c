//! Every kernel of the chosen tier on a few known numbers, compared with the scalar twins, before the
//! tier is used: a driver that computes wrongly must not answer anybody.

use half::f16;

use crate::kernels::{self, CausalParams, FullParams};
use crate::op::{GROUP, Map, Rows, Shape};
use crate::tensor::Weight;
use crate::{
    Activation, CausalAttention, FullAttention, KernelVariant, Result, Rope, RopeStyle, Runtime, SelfTest,
};

/// Largest error of a sound tier, as a share of the largest reference value: sums of 100 products in
/// f32 stay below 1e-5, the CPU's exponential and GELU too, its 16-bit layers below 1e-4; wrong code
/// is off by far more.
const MAX_ERROR: f32 = 3e-4;
/// The same for tiles in f16: each factor is off by at most 2^-11 = 5e-4 and the sum of four products by
/// three times that, mostly in different directions.
const MAX_HALF_ERROR: f32 = 2e-3;
/// The same for activations in 8 bits: each is off by up to 1/254 of its group's largest, in different
/// directions; against the largest of some hundred sums of a hundred products about a third of it is left.
const MAX_INT8_ERROR: f32 = 1e-2;

/// Runs the test on `runtime`.
///
/// # Errors
/// What the tier gives for the same calls.
pub(crate) async fn self_test(runtime: &Runtime) -> Result<SelfTest> {
    let start_ms = platform::now_ms();
    let mut test = Comparison::new();
    for (n_rows, act) in [(1, Activation::None), (6, Activation::Gelu), (37, Activation::Silu)] {
        linear_layers(runtime, &mut test, n_rows, act, 37).await?;
    }
    gathers(runtime, &mut test).await?;
    rows_and_pairs(runtime, &mut test).await?;
    rotations(runtime, &mut test).await?;
    attention_causal(runtime, &mut test, 1).await?;
    attention_causal(runtime, &mut test, 5).await?;
    // Few rows and many: the GPU has a kernel for each.
    attention_full(runtime, &mut test, &[3, 7], 2, 32).await?;
    attention_full(runtime, &mut test, &[2; 256], 8, 32).await?;
    Ok(test.outcome(MAX_ERROR, start_ms))
}

/// Runs what `variant` changes, while the device runs it.
///
/// # Errors
/// What the tier gives for the same calls.
pub(crate) async fn test_variant(runtime: &Runtime, variant: KernelVariant) -> Result<SelfTest> {
    let start_ms = platform::now_ms();
    let mut test = Comparison::new();
    let max_error = match variant {
        KernelVariant::HalfTiles => MAX_HALF_ERROR,
        KernelVariant::Int8Products => MAX_INT8_ERROR,
        _ => MAX_ERROR,
    };
    match variant {
        KernelVariant::WideTiles | KernelVariant::HalfTiles => {
            linear_layers(runtime, &mut test, 37, Activation::Gelu, 37).await?;
            // Enough tiles of 64 x 64 for the wide kernel.
            linear_layers(runtime, &mut test, 130, Activation::None, 700).await?;
        }
        KernelVariant::Int8Products => {
            linear_layers(runtime, &mut test, 37, Activation::Silu, 37).await?;
        }
        KernelVariant::AttentionTiles => {
            attention_causal(runtime, &mut test, 5).await?;
            attention_full(runtime, &mut test, &[70, 7], 2, 32).await?;
            attention_full(runtime, &mut test, &[70, 7], 2, 128).await?;
        }
        KernelVariant::Subgroups => rows_and_pairs(runtime, &mut test).await?,
    }
    Ok(test.outcome(max_error, start_ms))
}

struct Comparison {
    worst: String,
    max_error: f32,
}

impl Comparison {
    fn new() -> Self {
        Self { worst: String::new(), max_error: 0.0 }
    }

    fn outcome(self, max_error: f32, start_ms: f64) -> SelfTest {
        SelfTest {
            passed: self.max_error <= max_error,
            max_error: self.max_error,
            worst: self.worst,
            took_ms: platform::now_ms() - start_ms,
        }
    }

    fn add(&mut self, what: &str, got: &[f32], expected: &[f32]) {
        let largest = expected.iter().fold(1e-6f32, |max, x| max.max(x.abs()));
        // A NaN must not pass: `f32::max` would drop it.
        let sound = got.len() == expected.len() && got.iter().all(|x| x.is_finite());
        let difference = got.iter().zip(expected).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        let error = if sound { difference / largest } else { f32::INFINITY };
        if error > self.max_error || self.worst.is_empty() {
            (self.worst, self.max_error) = (what.into(), error);
        }
    }
}

/// Numbers in -1..1 that look like noise; the same for the same seed.
pub(crate) fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let number = |i: u32| {
        let hash = (i ^ seed.rotate_left(16)).wrapping_mul(0x9E37_79B1);
        ((hash ^ hash >> 15).wrapping_mul(0x85EB_CA77) >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n as u32).map(number).collect()
}

/// Numbers that rounding groups to 8 bits leaves as they are: whole ones in -127..=127, the first of
/// each group 127. So a tier that rounds its inputs is held to the same error.
fn whole_numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut x: Vec<f32> = numbers(n, seed).into_iter().map(|x| (x * 127.0).round()).collect();
    x.iter_mut().step_by(GROUP).for_each(|x| *x = 127.0);
    x
}

/// As [`numbers`], in half precision.
pub(crate) fn halves(n: usize, seed: u32) -> Vec<u16> {
    numbers(n, seed).into_iter().map(|x| f16::from_f32(x).to_bits()).collect()
}

/// Weight rows of one layout, `n` elements.
struct TestRows {
    floats: Vec<f32>,
    halves: Vec<u16>,
    mins: Vec<u16>,
    bytes: Vec<u8>,
}

impl TestRows {
    fn new(n: usize) -> Self {
        let bytes = numbers(n, 5).into_iter().map(|x| (x * 127.0) as i8 as u8).collect();
        Self { floats: numbers(n, 1), halves: halves(n, 2), mins: halves(n / GROUP, 4), bytes }
    }

    fn all(&self) -> [Rows<'_>; 4] {
        let scales = &self.halves[..self.mins.len()];
        [
            Rows::F32(&self.floats),
            Rows::F16(&self.halves),
            Rows::Q8 { scales, quants: bytemuck::cast_slice(&self.bytes) },
            Rows::Q4 { scales, mins: &self.mins, quants: &self.bytes[..self.bytes.len() / 2] },
        ]
    }
}

/// Linear layers of every layout.
async fn linear_layers(
    runtime: &Runtime,
    test: &mut Comparison,
    n_rows: usize,
    act: Activation,
    n_out: usize,
) -> Result<()> {
    // Wide layers are no deeper than they must be: browsers' software adapters take long for a tile.
    let n_in = if n_out > 64 { 32 } else { 96 };
    let rows = TestRows::new(n_in * n_out);
    let bias_values = numbers(n_out, 6);
    let bias = runtime.weight_from_f32("bias", &[n_out], &bias_values).await?;
    let x = whole_numbers(n_rows * n_in, 7);
    let mut expected = vec![0.0; n_rows * n_out];
    for rows in rows.all() {
        let name = format!("{:?}", rows.layout());
        let weight = runtime.weight_from_rows(&name, Shape { n_rows: n_out, width: n_in }, rows).await?;
        let mut recorder = runtime.recorder();
        let input = recorder.input(n_rows, n_in, x.clone())?;
        let out = recorder.linear(input, &weight, Some(&bias), act)?;
        let got = recorder.read(&out).await?;
        kernels::linear(&x, &kernels::dequantize(rows), Some(&bias_values), act, n_in, &mut expected);
        test.add(&format!("linear {name} with {n_rows} rows"), &got, &expected);
    }
    Ok(())
}

/// Gathers from every layout.
async fn gathers(runtime: &Runtime, test: &mut Comparison) -> Result<()> {
    let shape = Shape { n_rows: 37, width: 96 };
    for rows in TestRows::new(shape.len()).all() {
        let table = runtime.weight_from_rows("table", shape, rows).await?;
        gather(runtime, test, &table, &kernels::dequantize(rows)).await?;
    }
    Ok(())
}

async fn gather(runtime: &Runtime, test: &mut Comparison, table: &Weight, dense: &[f32]) -> Result<()> {
    let ids = [5, 0, table.n_rows() as u32 - 1];
    let mut recorder = runtime.recorder();
    let out = recorder.gather(table, &ids)?;
    let got = recorder.read(&out).await?;
    let mut expected = vec![0.0; got.len()];
    kernels::gather(dense, &ids, table.width(), &mut expected);
    test.add(&format!("gather {:?}", table.layout()), &got, &expected);
    Ok(())
}

/// Norms, pools, sums and argmax.
async fn rows_and_pairs(runtime: &Runtime, test: &mut Comparison) -> Result<()> {
    let (ranges, width) = ([0..2, 2..7, 6..7], 260);
    let n = 7 * width;
    let (a, b) = (numbers(n, 11), numbers(n, 12));
    let (gamma_values, beta_values) = (numbers(width, 13), numbers(width, 14));
    let gamma = runtime.weight_from_f32("gamma", &[width], &gamma_values).await?;
    let beta = runtime.weight_from_f32("beta", &[width], &beta_values).await?;
    let mut expected = vec![0.0; n];
    macro_rules! check {
        ($what:literal, |$recorder:ident, $a:ident, $b:ident| $record:expr, $twin:expr) => {{
            let mut $recorder = runtime.recorder();
            let ($a, $b) = ($recorder.input(7, width, a.clone())?, $recorder.input(7, width, b.clone())?);
            let out = $record;
            let got = $recorder.read(&out).await?;
            let expected = &mut expected[..got.len()];
            let twin: &dyn Fn(&mut [f32]) = &$twin;
            twin(expected);
            test.add($what, &got, expected);
        }};
    }
    check!("add", |r, x, y| r.add(x, y)?, |out| kernels::add(&a, &b, out));
    check!("mul", |r, x, y| r.mul(x, y)?, |out| kernels::mul(&a, &b, out));
    check!("map", |r, x, _y| r.soft_cap(x, 0.7)?, |out| kernels::map(&a, Map::SoftCap(0.7), out));
    check!("silu_mul", |r, x, y| r.silu_mul(x, y)?, |out| kernels::silu_mul(&a, &b, out));
    check!("layer_norm", |r, x, _y| r.layer_norm(x, &gamma, &beta, 1e-5)?, |out| {
        kernels::layer_norm(&a, &gamma_values, &beta_values, 1e-5, out);
    });
    check!("rms_norm", |r, x, _y| r.rms_norm(x, &gamma, 1e-5)?, |out| {
        kernels::rms_norm(&a, &gamma_values, 1e-5, out);
    });
    check!("l2_normalize", |r, x, _y| r.l2_normalize(x)?, |out| kernels::l2_normalize(&a, width, out));
    check!("mean_pool", |r, x, _y| r.mean_pool(x, &ranges)?, |out| {
        kernels::mean_pool(&a, &ranges, width, out);
    });
    check!("last_row", |r, x, _y| r.last_row(x)?, |out| out.copy_from_slice(&a[6 * width..]));

    let mut recorder = runtime.recorder();
    let input = recorder.input(7, width, a.clone())?;
    let got: Vec<f32> = recorder.read_argmax(input).await?.into_iter().map(|idx| idx as f32).collect();
    let mut expected = [0.0; 7];
    kernels::argmax(&a, width, &mut expected);
    test.add("argmax", &got, &expected);
    Ok(())
}

async fn rotations(runtime: &Runtime, test: &mut Comparison) -> Result<()> {
    let width = 3 * 32;
    let x = numbers(4 * width, 21);
    for style in [RopeStyle::Interleaved, RopeStyle::Half] {
        let rope = Rope { first_pos: 90, head_dim: 32, base: 10_000.0, style, scaling: None };
        let mut recorder = runtime.recorder();
        let input = recorder.input(4, width, x.clone())?;
        let out = recorder.rope(input, rope.clone())?;
        let got = recorder.read(&out).await?;
        let mut expected = vec![0.0; x.len()];
        kernels::rope(&x, &rope, width, &mut expected);
        test.add(&format!("rope {style:?}"), &got, &expected);
    }
    Ok(())
}

async fn attention_causal(runtime: &Runtime, test: &mut Comparison, n_rows: usize) -> Result<()> {
    let (n_heads, n_kv_heads, head_dim, first_pos) = (6, 2, 32, 70);
    let (width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
    let scale = 1.0 / (head_dim as f32).sqrt();
    let n_ctx = first_pos + n_rows;
    let q = numbers(n_rows * width, 31);
    let (keys, values) = (numbers(n_ctx * kv_width, 32), numbers(n_ctx * kv_width, 33));
    let key_cache = runtime.kv_cache(n_ctx + 2, kv_width).await?;
    let value_cache = runtime.kv_cache(n_ctx + 2, kv_width).await?;
    let mut recorder = runtime.recorder();
    for (cache, data) in [(&key_cache, &keys), (&value_cache, &values)] {
        let x = recorder.input(n_ctx, kv_width, data.clone())?;
        recorder.kv_append(cache, x, 0)?;
    }
    let input = recorder.input(n_rows, width, q.clone())?;
    // A single row sees everything, several are in a window and below a cap.
    let window = (n_rows > 1).then_some(20);
    let soft_cap = window.map(|_| 0.5);
    let (keys_of, values_of) = (&key_cache, &value_cache);
    let attention = CausalAttention {
        keys: keys_of,
        values: values_of,
        first_pos,
        n_kv_heads,
        scale,
        window,
        soft_cap,
        n_seen: None,
        bias: None,
    };
    let out = recorder.attention_causal(input, attention)?;
    let got = recorder.read(&out).await?;
    let mut expected = vec![0.0; q.len()];
    let params = CausalParams {
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
    kernels::attention_causal(&q, &keys, &values, &params, &mut expected);
    test.add(&format!("attention_causal with {n_rows} rows"), &got, &expected);
    Ok(())
}

async fn attention_full(
    runtime: &Runtime,
    test: &mut Comparison,
    lengths: &[u32],
    n_heads: usize,
    head_dim: usize,
) -> Result<()> {
    let (n_rows, width) = (lengths.iter().sum::<u32>() as usize, n_heads * head_dim);
    let scale = 1.0 / (head_dim as f32).sqrt();
    let [q, k, v] = [41, 42, 43].map(|seed| numbers(n_rows * width, seed));
    let mut recorder = runtime.recorder();
    let q_input = recorder.input(n_rows, width, q.clone())?;
    let k_input = recorder.input(n_rows, width, k.clone())?;
    let v_input = recorder.input(n_rows, width, v.clone())?;
    let call = FullAttention { lengths, n_heads, scale };
    let out = recorder.attention_full(q_input, k_input, v_input, call)?;
    let got = recorder.read(&out).await?;
    let mut expected = vec![0.0; q.len()];
    let params = FullParams { n_heads, head_dim, scale };
    kernels::attention_full(&q, &k, &v, lengths, &params, &mut expected);
    test.add(&format!("attention_full with {n_rows} rows"), &got, &expected);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, TierChoice};

    #[test]
    fn the_cpu_passes() {
        let options = Options { tier: TierChoice::Cpu, ..Options::default() };
        let report = platform::block_on(Runtime::open(&options)).unwrap().describe();
        assert!(report.self_test.passed, "{report:?}");
    }

    #[test]
    fn a_wrong_or_missing_number_fails() {
        for got in [&[1.0, 2.1][..], &[1.0, f32::NAN], &[1.0]] {
            let mut test = Comparison::new();
            test.add("right", &[1.0, 2.0], &[1.0, 2.0]);
            test.add("wrong", got, &[1.0, 2.0]);
            assert!(test.worst == "wrong" && test.max_error > MAX_ERROR, "{got:?}");
        }
    }
}
