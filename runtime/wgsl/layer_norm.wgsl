// out[i, :] = (x[i, :] - mean) / sqrt(variance + eps) * gamma + beta. One workgroup per row; the
// variance is taken around the mean in a second pass.
struct Params {
  n_rows: u32,
  n_cols4: u32,
  eps: f32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> beta: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn layer_norm(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * n_groups.x;
  if (row >= params.n_rows) {
    return;
  }
  let start = row * params.n_cols4;
  let n_cols = f32(4u * params.n_cols4);
  var sum = vec4<f32>(0.0);
  for (var i = lane; i < params.n_cols4; i += WORKGROUP) {
    sum += x[start + i];
  }
  let mean = workgroup_sum(dot(sum, vec4<f32>(1.0)), lane) / n_cols;
  var squares = 0.0;
  for (var i = lane; i < params.n_cols4; i += WORKGROUP) {
    let centred = x[start + i] - mean;
    squares += dot(centred, centred);
  }
  let variance = workgroup_sum(squares, lane) / n_cols;
  let scale = 1.0 / sqrt(variance + params.eps);
  for (var i = lane; i < params.n_cols4; i += WORKGROUP) {
    out[start + i] = (x[start + i] - mean) * scale * gamma[i] + beta[i];
  }
}
