// out[m, out_col + r] = activation(sum_k x[m, k] * w[r, k] + bias[out_col + r])
// A workgroup of 8 x 8 owns a 32 x 32 tile of out, an invocation 4 x 4 of it. Weights are dequantised
// once per tile into workgroup memory; two barriers per 32 steps of k. `elem` comes from a header.
struct Params {
  n_rows: u32,
  n_in4: u32,
  n_weight_rows: u32,
  out_col: u32,
  out_stride: u32,
  activation: u32,
  has_bias: u32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

const COLUMN_STEP: u32 = 8u;
const TILE: u32 = 32u;
const N_LANES: u32 = 64u;
const DEPTH4: u32 = 8u;
// One more than the tile, so that a column of stores falls on different memory banks.
const STRIDE: u32 = 33u;
var<workgroup> x_tile: array<vec4<elem>, 264>;
var<workgroup> w_tile: array<vec4<elem>, 264>;

@compute @workgroup_size(8, 8)
fn matmul(
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

  for (var k0 = 0u; k0 < params.n_in4; k0 += DEPTH4) {
    load_tiles(row0, col0, k0, lane);
    workgroupBarrier();
    for (var k = 0u; k < DEPTH4; k++) {
      let at_x = k * STRIDE + local.y;
      let at_w = k * STRIDE + local.x;
      // A vector times this matrix is its product with four rows of weights.
      let w = mat4x4<elem>(w_tile[at_w], w_tile[at_w + 8u], w_tile[at_w + 16u], w_tile[at_w + 24u]);
      sum0 += vec4<f32>(x_tile[at_x] * w);
      sum1 += vec4<f32>(x_tile[at_x + 8u] * w);
      sum2 += vec4<f32>(x_tile[at_x + 16u] * w);
      sum3 += vec4<f32>(x_tile[at_x + 24u] * w);
    }
    workgroupBarrier();
  }

  store4(row0 + local.y, col0 + local.x, sum0 * NARROWING);
  store4(row0 + local.y + 8u, col0 + local.x, sum1 * NARROWING);
  store4(row0 + local.y + 16u, col0 + local.x, sum2 * NARROWING);
  store4(row0 + local.y + 24u, col0 + local.x, sum3 * NARROWING);
}
