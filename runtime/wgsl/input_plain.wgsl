// The row that a step's kernel multiplies, as it is.
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;

fn load_x(lane: u32) {}

fn x_at(i: u32) -> vec4<f32> {
  return x[i];
}
