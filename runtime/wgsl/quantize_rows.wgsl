// Activations in 8 bits for `matmul_int8`: in groups of 32 along a row, x = scale * q with scale =
// max|x| / 127. `scales` gets the scale and the sum of the exact x, by which Q4's minima count. One
// invocation per group.
struct Params {
  n_groups: u32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<storage, read_write> scales: array<vec2<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn quantize_rows(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
) {
  let at = id.x + id.y * n_groups.x * 64u;
  if (at >= params.n_groups) {
    return;
  }
  var highest = vec4<f32>(0.0);
  var sum = vec4<f32>(0.0);
  for (var i = 0u; i < 8u; i++) {
    let value = x[8u * at + i];
    highest = max(highest, abs(value));
    sum += value;
  }
  let scale = max(max(highest.x, highest.y), max(highest.z, highest.w)) / 127.0;
  // A group of zeros has no scale. Below 2^-120 its inverse would not be finite, and it is as good as zero.
  let inverse = select(0.0, 1.0 / scale, scale > 7.6e-37);
  for (var i = 0u; i < 8u; i++) {
    out[8u * at + i] = pack4xI8(vec4<i32>(round(x[8u * at + i] * inverse)));
  }
  scales[at] = vec2<f32>(scale, dot(sum, vec4<f32>(1.0)));
}
