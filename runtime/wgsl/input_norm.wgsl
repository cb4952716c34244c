// The row that a step's kernel multiplies: x = input / sqrt(mean(input^2) + eps) * gamma, made by every
// workgroup for itself. `N_IN4` and `WORKGROUP` come from one-line headers.
@group(0) @binding(0) var<storage, read> input: array<vec4<f32>>;

fn load_x(lane: u32) {
  var squares = 0.0;
  for (var i = lane; i < N_IN4; i += WORKGROUP) {
    let value = input[i];
    squares += dot(value, value);
  }
  let mean_square = wide_sum(squares, lane) / f32(4u * N_IN4);
  let scale = 1.0 / sqrt(mean_square + params.eps);
  for (var i = lane; i < N_IN4; i += WORKGROUP) {
    x[place(i)] = input[i] * scale * gamma[i];
  }
  workgroupBarrier();
}
