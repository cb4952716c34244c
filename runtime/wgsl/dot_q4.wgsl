// A unit of work is 8 weights: one word, whose low nibbles meet one vector of activations and whose
// high nibbles meet the vector 16 activations on.
const UNIT4: u32 = 2u;

// Dot product of weight unit `flat` (counted over all rows) with unit `unit` of the activations.
fn dot_unit(flat: u32, unit: u32, x0: u32) -> f32 {
  let word = weights[flat];
  let scale_min = unpack2x16float(scales[flat >> 2u]);
  let at = x0 + 8u * (unit >> 2u) + (unit & 3u);
  let low = x[at];
  let high = x[at + 4u];
  let product = dot(vec4<f32>(unpack4xU8(word & 0x0f0f0f0fu)), low)
    + dot(vec4<f32>(unpack4xU8((word >> 4u) & 0x0f0f0f0fu)), high);
  return scale_min.x * product + scale_min.y * dot(low + high, vec4<f32>(1.0));
}
