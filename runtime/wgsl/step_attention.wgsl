// One token of a decoder's attention, from the residual stream to partial sums: RMS normalisation,
// query, key and value of one head, rotation, append to the caches, attention over some of the keys.
// One workgroup per (head, split of the keys). Each makes the query of its head; those of the split that
// has the new position make its key and value too, and the first head of a group appends them. Keys are
// taken WORKGROUP at a time with the online softmax of Milakov and Gimelshein (2018).
struct Params {
  n_heads: u32,
  heads_per_kv: u32,
  kv_stride4: u32,
  pos: u32,
  interleaved: u32,
  has_bias: u32,
  eps: f32,
  scale: f32,
  stats_at: u32,
}
@group(0) @binding(3) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> angles: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> keys: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> params: Params;

const LANES: u32 = 16u;
// Rows of a weight that are taken at a time.
const PLACES: u32 = WORKGROUP / LANES;
const HEAD_DIM: u32 = 4u * HEAD_DIM4;
// For the sums over values, SLOTS keys are taken at a time, each by HEAD_DIM4 invocations.
const SLOTS: u32 = WORKGROUP / HEAD_DIM4;
// Lower than any score; minus infinity is no WGSL constant.
const LOWEST: f32 = -3.4e38;

// Query, key and value of this head at the new position.
var<workgroup> projected: array<f32, 3u * HEAD_DIM>;
var<workgroup> weights_of_keys: array<f32, WORKGROUP>;
var<workgroup> sums: array<vec4<f32>, WORKGROUP>;

// Where four rows of the weight begin, PLACES apart; rows beyond the head are the last one again.
fn row_starts(first_row: u32, base: u32, lane: u32) -> vec4<u32> {
  let own = base + lane / LANES + vec4<u32>(0u, PLACES, 2u * PLACES, 3u * PLACES);
  return (first_row + min(own, vec4<u32>(HEAD_DIM - 1u))) * (N_IN4 / UNIT4);
}

fn four_products(starts: vec4<u32>, unit: u32) -> vec4<f32> {
  return vec4<f32>(
    dot_unit(starts.x + unit, unit, 0u),
    dot_unit(starts.y + unit, unit, 0u),
    dot_unit(starts.z + unit, unit, 0u),
    dot_unit(starts.w + unit, unit, 0u),
  );
}

// Adds up what LANES neighbours have of 4 * PLACES rows.
fn join(partial: vec4<f32>, first_row: u32, at: u32, base: u32, lane: u32) {
  sums[lane] = partial;
  workgroupBarrier();
  let row = base + lane;
  if (lane < 4u * PLACES && row < HEAD_DIM) {
    var sum = 0.0;
    for (var i = 0u; i < LANES; i++) {
      sum += sums[lane % PLACES * LANES + i][lane / PLACES];
    }
    if (params.has_bias != 0u) {
      sum += gamma[N_IN4 + ((first_row + row) >> 2u)][(first_row + row) & 3u];
    }
    projected[at + row] = sum;
  }
  workgroupBarrier();
}

// Query of the head, and its key and value if `has_new`: four rows of each at a time to LANES neighbours,
// so that many loads are under way together.
fn project(head: u32, kv_head: u32, has_new: bool, lane: u32) {
  let n_kv_heads = params.n_heads / params.heads_per_kv;
  let q_row = head * HEAD_DIM;
  let k_row = (params.n_heads + kv_head) * HEAD_DIM;
  let v_row = (params.n_heads + n_kv_heads + kv_head) * HEAD_DIM;
  for (var base = 0u; base < HEAD_DIM; base += 4u * PLACES) {
    let q_starts = row_starts(q_row, base, lane);
    let k_starts = row_starts(k_row, base, lane);
    let v_starts = row_starts(v_row, base, lane);
    var q = vec4<f32>(0.0);
    var k = vec4<f32>(0.0);
    var v = vec4<f32>(0.0);
    if (has_new) {
      for (var unit = lane % LANES; unit < N_IN4 / UNIT4; unit += LANES) {
        q += four_products(q_starts, unit);
        k += four_products(k_starts, unit);
        v += four_products(v_starts, unit);
      }
    } else {
      for (var unit = lane % LANES; unit < N_IN4 / UNIT4; unit += LANES) {
        q += four_products(q_starts, unit);
      }
    }
    join(q, q_row, 0u, base, lane);
    if (has_new) {
      join(k, k_row, HEAD_DIM, base, lane);
      join(v, v_row, 2u * HEAD_DIM, base, lane);
    }
  }
}

// Pairs (2i, 2i + 1) or (i, i + HEAD_DIM / 2) turn by the position's angle.
fn rotate(at: u32, pair: u32) {
  let half_dim = HEAD_DIM / 2u;
  let first = at + select(pair, 2u * pair, params.interleaved != 0u);
  let second = select(first + half_dim, first + 1u, params.interleaved != 0u);
  let turn = angles[params.pos * half_dim + pair];
  let u = projected[first];
  let v = projected[second];
  projected[first] = u * turn.x - v * turn.y;
  projected[second] = u * turn.y + v * turn.x;
}

fn projected4(at: u32) -> vec4<f32> {
  return vec4<f32>(projected[at], projected[at + 1u], projected[at + 2u], projected[at + 3u]);
}

fn score(key: u32, kv_col: u32) -> f32 {
  var products = vec4<f32>(0.0);
  if (key == params.pos) {
    for (var i = 0u; i < HEAD_DIM4; i++) {
      products += projected4(4u * i) * projected4(HEAD_DIM + 4u * i);
    }
  } else {
    let at = key * params.kv_stride4 + kv_col;
    for (var i = 0u; i < HEAD_DIM4; i++) {
      products += projected4(4u * i) * keys[at + i];
    }
  }
  return params.scale * dot(products, vec4<f32>(1.0));
}

fn cached(key: u32, kv_col: u32, dim: u32) -> vec4<f32> {
  return values[key * params.kv_stride4 + kv_col + dim];
}

fn wide_max(own: f32, lane: u32) -> f32 {
  wide[lane] = own;
  workgroupBarrier();
  if (lane < 16u) {
    var highest = LOWEST;
    for (var i = lane; i < WORKGROUP; i += 16u) {
      highest = max(highest, wide[i]);
    }
    wide16[lane] = highest;
  }
  workgroupBarrier();
  var highest = LOWEST;
  for (var i = 0u; i < 16u; i++) {
    highest = max(highest, wide16[i]);
  }
  workgroupBarrier();
  return highest;
}

@compute @workgroup_size(256)
fn step_attention(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = group.x;
  let split = group.y;
  let kv_head = head / params.heads_per_kv;
  let kv_col = kv_head * HEAD_DIM4;
  let n_keys = params.pos + 1u;
  let split_keys = (n_keys + n_groups.y - 1u) / n_groups.y;
  let start = min(split * split_keys, n_keys);
  let end = min(start + split_keys, n_keys);
  let has_new = start < n_keys && end == n_keys;
  let end_cached = select(end, params.pos, has_new);

  load_x(lane);
  project(head, kv_head, has_new, lane);
  if (lane < HEAD_DIM / 2u) {
    rotate(0u, lane);
    if (has_new) {
      rotate(HEAD_DIM, lane);
    }
  }
  workgroupBarrier();
  if (has_new && head % params.heads_per_kv == 0u && lane < HEAD_DIM4) {
    let at = params.pos * params.kv_stride4 + kv_col + lane;
    keys[at] = projected4(HEAD_DIM + 4u * lane);
    values[at] = projected4(2u * HEAD_DIM + 4u * lane);
  }

  let slot = lane / HEAD_DIM4;
  let dim = lane % HEAD_DIM4;
  var highest = LOWEST;
  var total = 0.0;
  var sum = vec4<f32>(0.0);
  for (var chunk = start; chunk < end; chunk += WORKGROUP) {
    let key = chunk + lane;
    var own = LOWEST;
    if (key < end) {
      own = score(key, kv_col);
    }
    let new_highest = max(highest, wide_max(own, lane));
    let keep = exp(highest - new_highest);
    highest = new_highest;
    weights_of_keys[lane] = select(0.0, exp(own - new_highest), key < end);
    workgroupBarrier();
    total *= keep;
    sum *= keep;
    if (slot < SLOTS) {
      // Four keys at a time, whose loads are under way together.
      for (var i = slot; chunk + i < end_cached && i < WORKGROUP; i += 4u * SLOTS) {
        let n = i + vec4<u32>(0u, SLOTS, 2u * SLOTS, 3u * SLOTS);
        let is_there = n < vec4<u32>(min(WORKGROUP, end_cached - chunk));
        let at = select(vec4<u32>(i), n, is_there);
        let weight = select(
          vec4<f32>(0.0),
          vec4<f32>(
            weights_of_keys[at.x],
            weights_of_keys[at.y],
            weights_of_keys[at.z],
            weights_of_keys[at.w],
          ),
          is_there,
        );
        total += dot(weight, vec4<f32>(1.0));
        sum += weight.x * cached(chunk + at.x, kv_col, dim) + weight.y * cached(chunk + at.y, kv_col, dim)
          + weight.z * cached(chunk + at.z, kv_col, dim) + weight.w * cached(chunk + at.w, kv_col, dim);
      }
      if (has_new && slot == 0u && chunk + WORKGROUP >= end) {
        let weight = weights_of_keys[params.pos - chunk];
        total += weight;
        sum += weight * projected4(2u * HEAD_DIM + 4u * dim);
      }
    }
    workgroupBarrier();
  }

  sums[lane] = sum;
  wide[lane] = total;
  workgroupBarrier();
  if (lane < HEAD_DIM4) {
    for (var i = 1u; i < SLOTS; i++) {
      sum += sums[lane + i * HEAD_DIM4];
      total += wide[lane + i * HEAD_DIM4];
    }
    out[(split * params.n_heads + head) * HEAD_DIM4 + lane] = sum;
    if (lane == 0u) {
      out[params.stats_at + split * params.n_heads + head] = vec4<f32>(highest, total, 0.0, 0.0);
    }
  }
}
