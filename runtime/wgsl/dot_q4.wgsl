// Weights as in `weights_q4`, a group of 32 at a time: one load of 16 bytes, and one of the group's scale
// and minimum.
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;

const UNIT4: u32 = 8u;

// Dot product of weight unit `flat` (counted over all rows) with unit `unit` of the activations: low
// nibbles meet the first half of it, high nibbles the second.
fn dot_unit(flat: u32, unit: u32, x0: u32) -> f32 {
  let words = weights[flat];
  let low = words & vec4<u32>(0x0f0f0f0fu);
  let high = (words >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
  let at = x0 + UNIT4 * unit;
  let x_0 = x_at(at);
  let x_1 = x_at(at + 1u);
  let x_2 = x_at(at + 2u);
  let x_3 = x_at(at + 3u);
  let x_4 = x_at(at + 4u);
  let x_5 = x_at(at + 5u);
  let x_6 = x_at(at + 6u);
  let x_7 = x_at(at + 7u);
  let products = vec4<f32>(unpack4xU8(low.x)) * x_0 + vec4<f32>(unpack4xU8(low.y)) * x_1
    + vec4<f32>(unpack4xU8(low.z)) * x_2 + vec4<f32>(unpack4xU8(low.w)) * x_3
    + vec4<f32>(unpack4xU8(high.x)) * x_4 + vec4<f32>(unpack4xU8(high.y)) * x_5
    + vec4<f32>(unpack4xU8(high.z)) * x_6 + vec4<f32>(unpack4xU8(high.w)) * x_7;
  let total = ((x_0 + x_1) + (x_2 + x_3)) + ((x_4 + x_5) + (x_6 + x_7));
  let scale_min = unpack2x16float(scales[flat]);
  return dot(scale_min.x * products + scale_min.y * total, vec4<f32>(1.0));
}
