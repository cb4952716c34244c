// out[out_at] = the token that `kernels/sample.rs` defines, exactly: order and weights are integers.
// One workgroup of 256. Top-k, top-p and the draw ask the same question, "where in the order of logits
// does the sum of weights reach a target?", which a radix search answers without sorting: seven rounds
// of 256 bins over 32 bits of key and 24 bits of id.
struct Params {
  n_vocab: u32,
  pos: u32,
  out_at: u32,
  is_greedy: u32,
  top_k: u32,
  has_share: u32,
  share: u32,
  unit_scale: f32,
  scale: f32,
  floor: f32,
  has_penalty: u32,
  penalty_above: f32,
  penalty_below: f32,
  seed_low: u32,
  seed_high: u32,
}
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> seen: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const WORKGROUP: u32 = 256u;
// What counts: each token, its weight at temperature 1, or its weight where min-p keeps it.
const TOP_K: u32 = 0u;
const TOP_P: u32 = 1u;
const DRAW: u32 = 2u;
// Of minus infinity.
const MINUS_INFINITY_KEY: u32 = 0x007fffffu;
const NO_TOKEN: u32 = 0xffffffffu;

var<workgroup> keys: array<u32, WORKGROUP>;
var<workgroup> ids: array<u32, WORKGROUP>;
var<workgroup> bad: array<u32, WORKGROUP>;
var<workgroup> bins_low: array<atomic<u32>, 256>;
var<workgroup> bins_high: array<atomic<u32>, 256>;
var<workgroup> sums: array<vec2<u32>, 16>;
// The likeliest token.
var<workgroup> best: f32;
var<workgroup> best_id: u32;
var<workgroup> is_bad: u32;
// The last key and id that are kept.
var<workgroup> last_key: u32;
var<workgroup> last_id: u32;
// The search: the digits found so far, and what is still missing.
var<workgroup> found_key: u32;
var<workgroup> found_id: u32;
var<workgroup> missing: vec2<u32>;
var<workgroup> is_beyond: u32;

// Numbers of 64 bits: (low, high).
fn add64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let low = a.x + b.x;
  return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn less64(a: vec2<u32>, b: vec2<u32>) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn sub64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn mul64(a: u32, b: u32) -> vec2<u32> {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let cross_a = (a >> 16u) * (b & 0xffffu);
  let cross_b = (a & 0xffffu) * (b >> 16u);
  let middle = (low >> 16u) + (cross_a & 0xffffu) + (cross_b & 0xffffu);
  let high = (a >> 16u) * (b >> 16u) + (cross_a >> 16u) + (cross_b >> 16u) + (middle >> 16u);
  return vec2<u32>((middle << 16u) | (low & 0xffffu), high);
}

// total * share / 2^32
fn part(total: vec2<u32>, share: u32) -> vec2<u32> {
  return add64(mul64(total.y, share), vec2<u32>(mul64(total.x, share).y, 0u));
}

fn has_no_number(bits: u32) -> bool {
  return (bits & 0x7f800000u) == 0x7f800000u && bits != 0xff800000u;
}

fn key_of(logit: f32) -> u32 {
  var bits = bitcast<u32>(logit);
  if ((bits & 0x7fffffffu) == 0u) {
    bits = 0u;
  }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn logit_of(id: u32) -> f32 {
  let logit = logits[id];
  if (params.has_penalty != 0u && ((seen[id >> 5u] >> (id & 31u)) & 1u) == 1u) {
    return logit * select(params.penalty_above, params.penalty_below, logit < 0.0);
  }
  return logit;
}

// Four tokens from `first` on, WORKGROUP apart; those beyond the last are the last.
fn four_ids(first: u32) -> vec4<u32> {
  return min(first + vec4<u32>(0u, WORKGROUP, 2u * WORKGROUP, 3u * WORKGROUP), vec4<u32>(params.n_vocab - 1u));
}

// Their logits as they are, without a branch, so that many loads are under way together.
fn raw_logits(ids: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(logits[ids.x], logits[ids.y], logits[ids.z], logits[ids.w]);
}

fn with_penalty(raw: vec4<f32>, ids: vec4<u32>) -> vec4<f32> {
  if (params.has_penalty == 0u) {
    return raw;
  }
  return vec4<f32>(logit_of(ids.x), logit_of(ids.y), logit_of(ids.z), logit_of(ids.w));
}

fn times(a: u32, b: u32) -> u32 {
  return (a * b) >> 16u;
}

fn weight(distance: f32, scale: f32) -> u32 {
  if (distance >= 1e30) {
    return 0u;
  }
  let halvings = min(distance, 1e6) * scale;
  if (halvings >= 1638400.0) {
    return 0u;
  }
  let fixed = u32(halvings);
  let f = fixed & 0xffffu;
  let power = 65536u - times(f, 45420u - times(f, 15692u - times(f, 3488u - times(f, 448u))));
  return (power << 8u) >> (fixed >> 16u);
}

fn counts(kind: u32, logit: f32, key: u32) -> u32 {
  if (kind == TOP_K) {
    return 1u;
  }
  if (bitcast<u32>(logit) == 0xff800000u) {
    return 0u;
  }
  if (kind == TOP_P) {
    return weight(best - logit, params.unit_scale);
  }
  return select(0u, weight(best - logit, params.scale), key >= key_of(best + params.floor));
}

fn random() -> u32 {
  var v = vec3<u32>(params.seed_low, params.seed_high, params.pos) * 1664525u + 1013904223u;
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v ^= v >> vec3<u32>(16u);
  v.x += v.y * v.z;
  return v.x;
}

// Adds what is kept and has the digits found so far to the bins of the next digit.
fn fill_bins(kind: u32, round: u32, lane: u32) {
  atomicStore(&bins_low[lane], 0u);
  atomicStore(&bins_high[lane], 0u);
  workgroupBarrier();
  for (var first = lane; first < params.n_vocab; first += 4u * WORKGROUP) {
    let ids = four_ids(first);
    let logits4 = with_penalty(raw_logits(ids), ids);
    fill_bin(kind, round, first, logits4.x);
    fill_bin(kind, round, first + WORKGROUP, logits4.y);
    fill_bin(kind, round, first + 2u * WORKGROUP, logits4.z);
    fill_bin(kind, round, first + 3u * WORKGROUP, logits4.w);
  }
  workgroupBarrier();
}

fn fill_bin(kind: u32, round: u32, id: u32, logit: f32) {
  let key = key_of(logit);
  let is_kept = key > last_key || (key == last_key && id <= last_id);
  var digit = 0u;
  var has_digits = true;
  if (round < 4u) {
    let shift = 24u - 8u * round;
    digit = (key >> shift) & 255u;
    has_digits = round == 0u || ((key ^ found_key) >> (shift + 8u)) == 0u;
  } else {
    let shift = 16u - 8u * (round - 4u);
    digit = (id >> shift) & 255u;
    has_digits = key == found_key && ((id ^ found_id) >> (shift + 8u)) == 0u;
  }
  if (is_kept && has_digits && id < params.n_vocab) {
    let n = counts(kind, logit, key);
    let before = atomicAdd(&bins_low[digit], n);
    if (before + n < before) {
      atomicAdd(&bins_high[digit], 1u);
    }
  }
}

// Bin `i` in the order of the search: keys fall, ids rise.
fn bin(i: u32, round: u32) -> vec2<u32> {
  let digit = select(i, 255u - i, round < 4u);
  return vec2<u32>(atomicLoad(&bins_low[digit]), atomicLoad(&bins_high[digit]));
}

// The next digit: the bin at which the sum reaches what is missing.
fn choose_digit(kind: u32, round: u32) {
  if (round == 0u) {
    var total = vec2<u32>(0u);
    for (var i = 0u; i < 16u; i++) {
      total = add64(total, sums[i]);
    }
    if (kind == TOP_K) {
      missing = vec2<u32>(params.top_k, 0u);
    } else if (kind == TOP_P) {
      missing = part(total, params.share);
      if (missing.x == 0u && missing.y == 0u) {
        missing.x = 1u;
      }
    } else {
      missing = add64(part(total, random()), vec2<u32>(1u, 0u));
    }
    is_beyond = select(0u, 1u, less64(total, missing));
  }
  var rest = missing;
  var block = 0u;
  for (; block < 15u && less64(sums[block], rest); block++) {
    rest = sub64(rest, sums[block]);
  }
  var i = 16u * block;
  let end = i + 15u;
  for (; i < end && less64(bin(i, round), rest); i++) {
    rest = sub64(rest, bin(i, round));
  }
  missing = rest;
  if (round < 4u) {
    found_key |= (255u - i) << (24u - 8u * round);
  } else {
    found_id |= i << (16u - 8u * (round - 4u));
  }
}

// Moves the last key and id that are kept to where the sum reaches its target, if it does.
fn search(kind: u32, lane: u32) {
  if (lane == 0u) {
    found_key = 0u;
    found_id = 0u;
  }
  workgroupBarrier();
  for (var round = 0u; round < 7u; round++) {
    fill_bins(kind, round, lane);
    if (lane < 16u) {
      var sum = vec2<u32>(0u);
      for (var i = 0u; i < 16u; i++) {
        sum = add64(sum, bin(16u * lane + i, round));
      }
      sums[lane] = sum;
    }
    workgroupBarrier();
    if (lane == 0u) {
      choose_digit(kind, round);
    }
    workgroupBarrier();
  }
  if (lane == 0u && is_beyond == 0u) {
    last_key = found_key;
    last_id = found_id;
  }
  workgroupBarrier();
}

// The best of (key, id) and four tokens, and the first of equals.
fn better(found: vec2<u32>, logits4: vec4<f32>, ids4: vec4<u32>) -> vec2<u32> {
  let keys4 = vec4<u32>(key_of(logits4.x), key_of(logits4.y), key_of(logits4.z), key_of(logits4.w));
  var best_of = select(found, vec2<u32>(keys4.x, ids4.x), keys4.x > found.x);
  best_of = select(best_of, vec2<u32>(keys4.y, ids4.y), keys4.y > best_of.x);
  best_of = select(best_of, vec2<u32>(keys4.z, ids4.z), keys4.z > best_of.x);
  return select(best_of, vec2<u32>(keys4.w, ids4.w), keys4.w > best_of.x);
}

fn count_bad(logits4: vec4<f32>) -> u32 {
  let bits = bitcast<vec4<u32>>(logits4);
  let is_any_bad =
    has_no_number(bits.x) || has_no_number(bits.y) || has_no_number(bits.z) || has_no_number(bits.w);
  return select(0u, 1u, is_any_bad);
}

// Joins the findings of 16 invocations, `stride` apart, in the place of the first.
fn take_best(first: u32, stride: u32) {
  for (var i = first + stride; i < first + 16u * stride; i += stride) {
    bad[first] |= bad[i];
    if (keys[i] > keys[first] || (keys[i] == keys[first] && ids[i] < ids[first])) {
      keys[first] = keys[i];
      ids[first] = ids[i];
    }
  }
}

fn find_best(lane: u32) {
  var found = vec2<u32>(0u, NO_TOKEN);
  var n_bad = 0u;
  for (var first = lane; first < params.n_vocab; first += 16u * WORKGROUP) {
    let ids_a = four_ids(first);
    let ids_b = four_ids(first + 4u * WORKGROUP);
    let ids_c = four_ids(first + 8u * WORKGROUP);
    let ids_d = four_ids(first + 12u * WORKGROUP);
    let raw_a = raw_logits(ids_a);
    let raw_b = raw_logits(ids_b);
    let raw_c = raw_logits(ids_c);
    let raw_d = raw_logits(ids_d);
    found = better(found, with_penalty(raw_a, ids_a), ids_a);
    found = better(found, with_penalty(raw_b, ids_b), ids_b);
    found = better(found, with_penalty(raw_c, ids_c), ids_c);
    found = better(found, with_penalty(raw_d, ids_d), ids_d);
    n_bad |= count_bad(raw_a) | count_bad(raw_b) | count_bad(raw_c) | count_bad(raw_d);
  }
  keys[lane] = found.x;
  ids[lane] = found.y;
  bad[lane] = n_bad;
  workgroupBarrier();
  // In two strides: 16 invocations take 16 each, one takes theirs.
  if (lane < 16u) {
    take_best(lane, 16u);
  }
  workgroupBarrier();
  if (lane == 0u) {
    take_best(0u, 1u);
    let key = keys[0];
    let id = ids[0];
    best_id = id;
    best = logit_of(min(id, params.n_vocab - 1u));
    is_bad = select(bad[0], 1u, id == NO_TOKEN || key <= MINUS_INFINITY_KEY);
    last_key = 0u;
    last_id = NO_TOKEN;
  }
  workgroupBarrier();
}

@compute @workgroup_size(256)
fn sample(@builtin(local_invocation_index) lane: u32) {
  find_best(lane);
  if (params.is_greedy == 0u) {
    if (params.top_k > 0u) {
      search(TOP_K, lane);
    }
    if (params.has_share != 0u) {
      search(TOP_P, lane);
    }
    search(DRAW, lane);
  }
  if (lane == 0u) {
    var token = select(last_id, best_id, params.is_greedy != 0u);
    token = select(token, NO_TOKEN, is_bad != 0u);
    out[params.out_at] = token;
    if (params.has_penalty != 0u && token < params.n_vocab) {
      seen[token >> 5u] |= 1u << (token & 31u);
    }
  }
}
