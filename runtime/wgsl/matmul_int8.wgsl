// out[m, out_col + r] = activation(sum_k x[m, k] * w[r, k] + bias[out_col + r]) with x and w in 8 bits:
// both lie in groups of 32, whose products are added as integers, four at a time, and then scaled. With
// w = s * q + minimum and x = t * p: sum x * w = s * t * sum(p * q) + minimum * sum(x).
// A workgroup of 8 x 8 owns a 32 x 32 tile of out, an invocation 4 x 4 of it; two barriers per 64 steps
// of k.
struct Params {
  n_rows: u32,
  n_groups: u32,
  n_weight_rows: u32,
  out_col: u32,
  out_stride: u32,
  activation: u32,
  has_bias: u32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read> x_scales: array<vec2<f32>>;
@group(0) @binding(6) var<uniform> params: Params;

const COLUMN_STEP: u32 = 8u;
const TILE: u32 = 32u;
// Groups of a step, and vectors of 16 bytes in them.
const DEPTH: u32 = 2u;
const DEPTH16: u32 = 4u;
// One more than the tile, so that a column of stores falls on different memory banks.
const STRIDE: u32 = 33u;
var<workgroup> x_tile: array<vec4<u32>, 132>;
var<workgroup> w_tile: array<vec4<u32>, 132>;
var<workgroup> x_scale: array<vec2<f32>, 64>;
var<workgroup> w_scale: array<vec2<f32>, 64>;

fn dot16(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

// Products of a group of activations, in two halves, with four rows of weights.
fn products(x0: vec4<u32>, x1: vec4<u32>, at_w: u32) -> vec4<f32> {
  let high = at_w + STRIDE;
  return vec4<f32>(vec4<i32>(
    dot16(x0, w_tile[at_w]) + dot16(x1, w_tile[high]),
    dot16(x0, w_tile[at_w + 8u]) + dot16(x1, w_tile[high + 8u]),
    dot16(x0, w_tile[at_w + 16u]) + dot16(x1, w_tile[high + 16u]),
    dot16(x0, w_tile[at_w + 24u]) + dot16(x1, w_tile[high + 24u]),
  ));
}

@compute @workgroup_size(8, 8)
fn matmul_int8(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row0 = group.y * TILE;
  let col0 = group.x * TILE;
  var sum0 = vec4<f32>(0.0);
  var sum1 = vec4<f32>(0.0);
  var sum2 = vec4<f32>(0.0);
  var sum3 = vec4<f32>(0.0);

  for (var first = 0u; first < params.n_groups; first += DEPTH) {
    for (var step = 0u; step < 2u; step++) {
      let at = lane + 64u * step;
      let tile_row = at / DEPTH16;
      let tile_k = at % DEPTH16;
      let k = first + tile_k / 2u;
      let x_row = row0 + tile_row;
      let w_row = col0 + tile_row;
      var x_value = vec4<u32>(0u);
      var w_value = vec4<u32>(0u);
      if (k < params.n_groups && x_row < params.n_rows) {
        x_value = x[2u * (x_row * params.n_groups + k) + tile_k % 2u];
      }
      if (k < params.n_groups && w_row < params.n_weight_rows) {
        w_value = bytes16(w_row * params.n_groups + k, tile_k % 2u);
      }
      x_tile[tile_k * STRIDE + tile_row] = x_value;
      w_tile[tile_k * STRIDE + tile_row] = w_value;
    }
    let k = first + lane / TILE;
    let x_row = row0 + lane % TILE;
    let w_row = col0 + lane % TILE;
    var x_value = vec2<f32>(0.0);
    var w_value = vec2<f32>(0.0);
    if (k < params.n_groups && x_row < params.n_rows) {
      x_value = x_scales[x_row * params.n_groups + k];
    }
    if (k < params.n_groups && w_row < params.n_weight_rows) {
      w_value = scale_min(w_row * params.n_groups + k);
    }
    x_scale[lane] = x_value;
    w_scale[lane] = w_value;
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let at_x = 2u * k * STRIDE + local.y;
      let at_w = 2u * k * STRIDE + local.x;
      let at_scale = k * TILE + local.x;
      // Scales in one row and minima in the other.
      let s = mat4x2<f32>(
        w_scale[at_scale], w_scale[at_scale + 8u], w_scale[at_scale + 16u], w_scale[at_scale + 24u],
      );
      let scale = vec2<f32>(1.0, 0.0) * s;
      let minimum = vec2<f32>(0.0, 1.0) * s;
      let at_t = k * TILE + local.y;
      let t0 = x_scale[at_t];
      let t1 = x_scale[at_t + 8u];
      let t2 = x_scale[at_t + 16u];
      let t3 = x_scale[at_t + 24u];
      sum0 += t0.x * scale * products(x_tile[at_x], x_tile[at_x + STRIDE], at_w) + t0.y * minimum;
      sum1 += t1.x * scale * products(x_tile[at_x + 8u], x_tile[at_x + 8u + STRIDE], at_w) + t1.y * minimum;
      sum2 += t2.x * scale * products(x_tile[at_x + 16u], x_tile[at_x + 16u + STRIDE], at_w) + t2.y * minimum;
      sum3 += t3.x * scale * products(x_tile[at_x + 24u], x_tile[at_x + 24u + STRIDE], at_w) + t3.y * minimum;
    }
    workgroupBarrier();
  }

  store4(row0 + local.y, col0 + local.x, sum0);
  store4(row0 + local.y + 8u, col0 + local.x, sum1);
  store4(row0 + local.y + 16u, col0 + local.x, sum2);
  store4(row0 + local.y + 24u, col0 + local.x, sum3);
}
