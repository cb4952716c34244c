// out[i, :] = x[i, :] / max(|x[i, :]|, 1e-12). One workgroup per row.
struct Params {
  n_rows: u32,
  n_cols4: u32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn l2_normalize(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * n_groups.x;
  if (row >= params.n_rows) {
    return;
  }
  let start = row * params.n_cols4;
  var squares = 0.0;
  for (var i = lane; i < params.n_cols4; i += WORKGROUP) {
    let value = x[start + i];
    squares += dot(value, value);
  }
  let norm = sqrt(workgroup_sum(squares, lane));
  let scale = 1.0 / max(norm, 1e-12);
  for (var i = lane; i < params.n_cols4; i += WORKGROUP) {
    out[start + i] = x[start + i] * scale;
  }
}
