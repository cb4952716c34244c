// out[out_at + i] = x[x_at + i]: appends to a key-value cache, or takes a range of rows. A kernel and
// not a buffer copy, so that the compute pass need not end.
struct Params {
  n: u32,
  x_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn copy_rows(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
) {
  let at = id.x + id.y * n_groups.x * 64u;
  if (at < params.n) {
    out[params.out_at + at] = x[params.x_at + at];
  }
}
