// Weights as in `weights_q8`, half a group at a time: one load of 16 bytes.
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;

const UNIT4: u32 = 4u;

// Dot product of weight unit `flat` (counted over all rows) with unit `unit` of the activations.
fn dot_unit(flat: u32, unit: u32, x0: u32) -> f32 {
  let words = weights[flat];
  let at = x0 + UNIT4 * unit;
  let products = vec4<f32>(unpack4xI8(words.x)) * x_at(at) + vec4<f32>(unpack4xI8(words.y)) * x_at(at + 1u)
    + vec4<f32>(unpack4xI8(words.z)) * x_at(at + 2u) + vec4<f32>(unpack4xI8(words.w)) * x_at(at + 3u);
  let scale = unpack2x16float(scales[flat >> 2u])[(flat >> 1u) & 1u];
  return scale * dot(products, vec4<f32>(1.0));
}
