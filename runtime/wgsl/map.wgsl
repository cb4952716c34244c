// out = number * x, or number * tanh(x / number), element by element, four at a time.
struct Params {
  n4: u32,
  is_cap: u32,
  number: f32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn map(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
) {
  let at = id.x + id.y * n_groups.x * 64u;
  if (at >= params.n4) {
    return;
  }
  if (params.is_cap != 0u) {
    out[at] = soft_cap(x[at], params.number);
  } else {
    out[at] = params.number * x[at];
  }
}
