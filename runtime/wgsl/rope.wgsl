// Rotary position embedding (Su et al., 2021): every pair (u, v) of a head turns by the angle of its
// position and frequency. Pairs are (2i, 2i + 1) or (i, i + head_dim / 2). `angles` holds cosine and
// sine per position and pair, computed by the host: WGSL's sine is only good to 2^-11.
struct Params {
  n_rows: u32,
  n_heads: u32,
  half_dim: u32,
  first_pos: u32,
  interleaved: u32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> angles: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn rope(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
) {
  let at = id.x + id.y * n_groups.x * 64u;
  let pairs_per_row = params.n_heads * params.half_dim;
  if (at >= params.n_rows * pairs_per_row) {
    return;
  }
  let row = at / pairs_per_row;
  let pair = at % params.half_dim;
  let head = at / params.half_dim;
  var first = head * 2u * params.half_dim + pair;
  var second = first + params.half_dim;
  if (params.interleaved != 0u) {
    first += pair;
    second = first + 1u;
  }
  let turn = angles[(params.first_pos + row) * params.half_dim + pair];
  let u = x[first];
  let v = x[second];
  out[first] = u * turn.x - v * turn.y;
  out[second] = u * turn.y + v * turn.x;
}
