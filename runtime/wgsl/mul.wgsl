// out = a * b, element by element, four at a time.
struct Params {
  n4: u32,
}
@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn mul(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
) {
  let at = id.x + id.y * n_groups.x * 64u;
  if (at < params.n4) {
    out[at] = a[at] * b[at];
  }
}
