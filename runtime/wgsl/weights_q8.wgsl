// Weights in 8 bits, row-major [n_out, n_in], groups of 32 with one f16 scale each: w = scale * q.
// Scales lie two to a word, in group order.
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;

fn group_scale(group: u32) -> f32 {
  return unpack2x16float(scales[group >> 1u])[group & 1u];
}

// The four weights at flat position 4 * i.
fn weight4(i: u32) -> vec4<f32> {
  return group_scale(i >> 3u) * vec4<f32>(unpack4xI8(weights[i]));
}
