// The row of `input_norm` and `input_heads` in workgroup memory.
var<workgroup> x: array<vec4<f32>, (N_IN4 + 7u) / 8u * 8u>;

// Where vector `i` lies: neighbours that read 4 or 8 vectors apart meet different memory banks.
fn place(i: u32) -> u32 {
  return i ^ ((i >> 3u) & 7u);
}

fn x_at(i: u32) -> vec4<f32> {
  return x[place(i)];
}
