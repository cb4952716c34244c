// out[b, :] = mean of the rows of range b of x. `ranges` holds start and end row of each.
struct Params {
  n_ranges: u32,
  n_cols4: u32,
  ranges_at: u32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> ranges: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn mean_pool(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
) {
  let at = id.x + id.y * n_groups.x * 64u;
  if (at >= params.n_ranges * params.n_cols4) {
    return;
  }
  let range = at / params.n_cols4;
  let col = at % params.n_cols4;
  let start = ranges[params.ranges_at + 2u * range];
  let end = ranges[params.ranges_at + 2u * range + 1u];
  var sum = vec4<f32>(0.0);
  for (var row = start; row < end; row++) {
    sum += x[row * params.n_cols4 + col];
  }
  out[at] = sum / f32(max(end - start, 1u));
}
