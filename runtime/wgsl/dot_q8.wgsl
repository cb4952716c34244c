// A unit of work is 8 weights: two words of one group.
const UNIT4: u32 = 2u;

// Dot product of weight unit `flat` (counted over all rows) with unit `unit` of the activations.
fn dot_unit(flat: u32, unit: u32, x0: u32) -> f32 {
  let low = vec4<f32>(unpack4xI8(weights[2u * flat]));
  let high = vec4<f32>(unpack4xI8(weights[2u * flat + 1u]));
  let at = x0 + 2u * unit;
  return group_scale(flat >> 2u) * (dot(low, x[at]) + dot(high, x[at + 1u]));
}
