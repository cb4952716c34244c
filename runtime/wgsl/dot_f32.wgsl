// A unit of work is 4 weights.
const UNIT4: u32 = 1u;

// Dot product of weight unit `flat` (counted over all rows) with unit `unit` of the activations.
fn dot_unit(flat: u32, unit: u32, x0: u32) -> f32 {
  return dot(weights[flat], x_at(x0 + unit));
}
