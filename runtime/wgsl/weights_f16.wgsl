// Weights in f16, row-major [n_out, n_in], two to a word, so that no shader-f16 feature is needed.
@group(0) @binding(1) var<storage, read> weights: array<vec2<u32>>;

// The four weights at flat position 4 * i.
fn weight4(i: u32) -> vec4<f32> {
  let packed = weights[i];
  return vec4<f32>(unpack2x16float(packed.x), unpack2x16float(packed.y));
}
