// out[i, h] = sum_j softmax_j(scale * q[i, h] . k[j, g]) v[j, g] over the keys j in ranges[i], with
// g = h / (n_heads / n_kv_heads); where there is a soft cap, of the capped scores. With biases
// bias[h, j - i] is added to them, by the distance from row i's position. One workgroup per (row, head), and the online softmax of Milakov and
// Gimelshein (2018) over chunks of 64 keys: only one chunk of scores exists at a time. Right for few
// rows (decoding). `HEAD_DIM4` (at most 64) comes from a one-line header.
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

const WORKGROUP: u32 = 64u;
// Lower than any score; minus infinity is no WGSL constant.
const LOWEST: f32 = -3.4e38;
// For the sums over values, SLOTS keys are taken at a time, each by HEAD_DIM4 invocations.
const SLOTS: u32 = WORKGROUP / HEAD_DIM4;
var<workgroup> scores: array<f32, WORKGROUP>;
var<workgroup> weights: array<f32, WORKGROUP>;
var<workgroup> sums: array<vec4<f32>, WORKGROUP>;
var<workgroup> totals: array<f32, WORKGROUP>;

fn score(q_at: u32, k_at: u32) -> f32 {
  var products = vec4<f32>(0.0);
  for (var i = 0u; i < HEAD_DIM4; i++) {
    products += q[q_at + i] * k[k_at + i];
  }
  let score = params.scale * dot(products, vec4<f32>(1.0));
  if (params.soft_cap > 0.0) {
    return soft_cap(vec4<f32>(score), params.soft_cap).x;
  }
  return score;
}

@compute @workgroup_size(64)
fn attention_keys(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x;
  let head = group.y;
  let at = (row * params.n_heads + head) * HEAD_DIM4;
  let kv_col = head / params.heads_per_kv * HEAD_DIM4;
  let start = ranges[params.ranges_at + 2u * row];
  let end = ranges[params.ranges_at + 2u * row + 1u];
  let slot = lane / HEAD_DIM4;
  let dim = lane % HEAD_DIM4;

  var highest = LOWEST;
  var total = 0.0;
  var sum = vec4<f32>(0.0);
  for (var chunk = start; chunk < end; chunk += WORKGROUP) {
    var own = LOWEST;
    if (chunk + lane < end) {
      own = score(at, (chunk + lane) * params.kv_stride4 + kv_col);
      if (params.n_distances > 0u) {
        own += bias[bias_at(row, head) + chunk + lane];
      }
    }
    scores[lane] = own;
    workgroupBarrier();
    var new_highest = highest;
    for (var i = 0u; i < WORKGROUP; i++) {
      new_highest = max(new_highest, scores[i]);
    }
    let keep = exp(highest - new_highest);
    highest = new_highest;
    weights[lane] = select(0.0, exp(own - new_highest), chunk + lane < end);
    workgroupBarrier();
    total *= keep;
    sum *= keep;
    if (slot < SLOTS) {
      let n_keys = min(WORKGROUP, end - chunk);
      for (var i = slot; i < n_keys; i += SLOTS) {
        total += weights[i];
        sum += weights[i] * v[(chunk + i) * params.kv_stride4 + kv_col + dim];
      }
    }
  }

  sums[lane] = sum;
  totals[lane] = total;
  workgroupBarrier();
  if (lane < HEAD_DIM4) {
    for (var i = 1u; i < SLOTS; i++) {
      sum += sums[lane + i * HEAD_DIM4];
      total += totals[lane + i * HEAD_DIM4];
    }
    out[at + lane] = sum / total;
  }
}
