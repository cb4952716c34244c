// Weights in f32, row-major [n_out, n_in], four to a vector. Shared by every kernel that reads weights.
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;

// The four weights at flat position 4 * i.
fn weight4(i: u32) -> vec4<f32> {
  return weights[i];
}
