// out[i, h] = sum_j softmax_j(scale * q[i, h] . k[j, g]) v[j, g] over the keys j in ranges[i], with
// g = h / (n_heads / n_kv_heads); where there is a soft cap, of the capped scores. With biases
// bias[h, j - i] is added to them, by the distance from row i's position. A workgroup of 64 owns ROWS neighbouring rows of one head and brings
// keys and values to workgroup memory in tiles that all of them read; the online softmax of Milakov and
// Gimelshein (2018), four keys at a time, stores no score. This is the order of FlashAttention (Dao et
// al., 2022). A row belongs to SPLIT invocations, each with a part of the head of at most 64 elements.
// Ranges of neighbouring rows follow each other or contain each other. `HEAD_DIM4` (at most 64) comes
// from a one-line header.
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
const SPLIT: u32 = (HEAD_DIM4 + 15u) / 16u;
const ROWS: u32 = WORKGROUP / SPLIT;
const PART4: u32 = (HEAD_DIM4 + SPLIT - 1u) / SPLIT;
// A head with the elements, all zero, that make its parts equal.
const WIDTH4: u32 = SPLIT * PART4;
// 16, 8, 4 and 4 keys: both tiles together take at most 8 KiB.
const KEYS: u32 = max(4u, 16u / SPLIT / 4u * 4u);
// Lower than any score; minus infinity is no WGSL constant.
const LOWEST: f32 = -3.4e38;
var<workgroup> k_tile: array<vec4<f32>, KEYS * WIDTH4>;
var<workgroup> v_tile: array<vec4<f32>, KEYS * WIDTH4>;
var<workgroup> parts: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(64)
fn attention_tiles(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = group.y;
  let kv_col = head / params.heads_per_kv * HEAD_DIM4;
  let first_row = group.x * ROWS;
  let last_row = min(first_row + ROWS, params.n_rows) - 1u;
  let tile_start = ranges[params.ranges_at + 2u * first_row];
  let tile_end = ranges[params.ranges_at + 2u * last_row + 1u];

  // Invocations without a row repeat the last one and store nothing.
  let part = lane % SPLIT;
  let is_used = lane < ROWS * SPLIT && first_row + lane / SPLIT <= last_row;
  let row = min(first_row + lane / SPLIT, last_row);
  let start = ranges[params.ranges_at + 2u * row];
  let end = ranges[params.ranges_at + 2u * row + 1u];
  let at = (row * params.n_heads + head) * HEAD_DIM4;
  var query: array<vec4<f32>, PART4>;
  var sums: array<vec4<f32>, PART4>;
  for (var i = 0u; i < PART4; i++) {
    if (part * PART4 + i < HEAD_DIM4) {
      query[i] = q[at + part * PART4 + i] * params.scale;
    }
  }
  var highest = LOWEST;
  var total = 0.0;

  for (var tile = tile_start; tile < tile_end; tile += KEYS) {
    for (var i = lane; i < KEYS * WIDTH4; i += WORKGROUP) {
      let key = tile + i / WIDTH4;
      let dim = i % WIDTH4;
      var k_value = vec4<f32>(0.0);
      var v_value = vec4<f32>(0.0);
      if (key < tile_end && dim < HEAD_DIM4) {
        k_value = k[key * params.kv_stride4 + kv_col + dim];
        v_value = v[key * params.kv_stride4 + kv_col + dim];
      }
      k_tile[i] = k_value;
      v_tile[i] = v_value;
    }
    workgroupBarrier();
    for (var four = 0u; four < KEYS; four += 4u) {
      let at0 = four * WIDTH4 + part * PART4;
      let at1 = at0 + WIDTH4;
      let at2 = at1 + WIDTH4;
      let at3 = at2 + WIDTH4;
      var scores = vec4<f32>(0.0);
      for (var i = 0u; i < PART4; i++) {
        scores += query[i] * mat4x4<f32>(k_tile[at0 + i], k_tile[at1 + i], k_tile[at2 + i], k_tile[at3 + i]);
      }
      if (SPLIT > 1u) {
        parts[lane] = scores;
        workgroupBarrier();
        scores = vec4<f32>(0.0);
        for (var i = 0u; i < SPLIT; i++) {
          scores += parts[lane - part + i];
        }
        workgroupBarrier();
      }
      if (params.soft_cap > 0.0) {
        scores = soft_cap(scores, params.soft_cap);
      }
      if (params.n_distances > 0u) {
        // Keys of other rows reach beyond the biases, and are not seen.
        let key0 = bias_at(row, head) + tile + four;
        let last = arrayLength(&bias) - 1u;
        scores += vec4<f32>(
          bias[min(key0, last)], bias[min(key0 + 1u, last)], bias[min(key0 + 2u, last)], bias[min(key0 + 3u, last)],
        );
      }
      let keys = vec4<u32>(0u, 1u, 2u, 3u) + (tile + four);
      let is_seen = (keys >= vec4<u32>(start)) & (keys < vec4<u32>(end));
      scores = select(vec4<f32>(LOWEST), scores, is_seen);
      let new_highest = max(highest, max(max(scores.x, scores.y), max(scores.z, scores.w)));
      let keep = exp(highest - new_highest);
      highest = new_highest;
      let weights = select(vec4<f32>(0.0), exp(scores - new_highest), is_seen);
      total = total * keep + dot(weights, vec4<f32>(1.0));
      for (var i = 0u; i < PART4; i++) {
        let values = mat4x4<f32>(v_tile[at0 + i], v_tile[at1 + i], v_tile[at2 + i], v_tile[at3 + i]);
        sums[i] = sums[i] * keep + values * weights;
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < PART4; i++) {
    if (is_used && part * PART4 + i < HEAD_DIM4) {
      out[at + part * PART4 + i] = sums[i] / total;
    }
  }
}
