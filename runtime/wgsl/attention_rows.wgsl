// out[i, h] = sum_j softmax_j(scale * q[i, h] . k[j, g]) v[j, g] over the keys j in ranges[i], with
// g = h / (n_heads / n_kv_heads); where there is a soft cap, of the capped scores. With biases
// bias[h, j - i] is added to them, by the distance from row i's position. One invocation per (row, head) and the online softmax of
// Milakov and Gimelshein (2018): no score is ever stored. Right for many rows, and for software adapters.
// `HEAD_DIM4` comes from a one-line header.
struct Params {
  n_rows: u32,
  n_heads: u32,
  heads_per_kv: u32,
  kv_stride4: u32,
  ranges_at: u32,
  scale: f32,
  soft_cap: f32,
  first_pos: u32,
  n_distances: u32,
}
@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> ranges: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

// Lower than any score; minus infinity is no WGSL constant.
const LOWEST: f32 = -3.4e38;

@compute @workgroup_size(64)
fn attention_rows(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  let head = id.y;
  if (row >= params.n_rows) {
    return;
  }
  let at = (row * params.n_heads + head) * HEAD_DIM4;
  let kv_col = head / params.heads_per_kv * HEAD_DIM4;
  var query: array<vec4<f32>, HEAD_DIM4>;
  var acc: array<vec4<f32>, HEAD_DIM4>;
  for (var i = 0u; i < HEAD_DIM4; i++) {
    query[i] = q[at + i] * params.scale;
  }
  var highest = LOWEST;
  var total = 0.0;
  let start = ranges[params.ranges_at + 2u * row];
  let end = ranges[params.ranges_at + 2u * row + 1u];
  for (var key = start; key < end; key++) {
    let kv_at = key * params.kv_stride4 + kv_col;
    var products = vec4<f32>(0.0);
    for (var i = 0u; i < HEAD_DIM4; i++) {
      products += query[i] * k[kv_at + i];
    }
    var score = dot(products, vec4<f32>(1.0));
    if (params.soft_cap > 0.0) {
      score = soft_cap(vec4<f32>(score), params.soft_cap).x;
    }
    if (params.n_distances > 0u) {
      score += bias[bias_at(row, head) + key];
    }
    let new_highest = max(highest, score);
    let keep = exp(highest - new_highest);
    let weight = exp(score - new_highest);
    highest = new_highest;
    total = total * keep + weight;
    for (var i = 0u; i < HEAD_DIM4; i++) {
      acc[i] = acc[i] * keep + weight * v[kv_at + i];
    }
  }
  for (var i = 0u; i < HEAD_DIM4; i++) {
    out[at + i] = acc[i] / total;
  }
}
