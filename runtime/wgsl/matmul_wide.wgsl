// out[m, out_col + r] = activation(sum_k x[m, k] * w[r, k] + bias[out_col + r])
// As `matmul`, for large products: a workgroup of 8 x 16 owns a 64 x 64 tile of out, an invocation 4
// rows by 8 columns of it, so that a load from workgroup memory feeds ten multiplications and not
// eight, and every weight is dequantised half as often. `elem` comes from a header.
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
const TILE: u32 = 64u;
const N_LANES: u32 = 128u;
const DEPTH4: u32 = 4u;
// One more than the tile, so that a column of stores falls on different memory banks. Both tiles take
// 8,320 bytes of the 16,384 that every WebGPU device has.
const STRIDE: u32 = 65u;
var<workgroup> x_tile: array<vec4<elem>, 260>;
var<workgroup> w_tile: array<vec4<elem>, 260>;

@compute @workgroup_size(8, 16)
fn matmul_wide(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row0 = group.y * TILE;
  let col0 = group.x * TILE;
  // Columns 0 to 31 and 32 to 63 of four rows.
  var low0 = vec4<f32>(0.0);
  var low1 = vec4<f32>(0.0);
  var low2 = vec4<f32>(0.0);
  var low3 = vec4<f32>(0.0);
  var high0 = vec4<f32>(0.0);
  var high1 = vec4<f32>(0.0);
  var high2 = vec4<f32>(0.0);
  var high3 = vec4<f32>(0.0);

  for (var k0 = 0u; k0 < params.n_in4; k0 += DEPTH4) {
    load_tiles(row0, col0, k0, lane);
    workgroupBarrier();
    for (var k = 0u; k < DEPTH4; k++) {
      let at_x = k * STRIDE + local.y;
      let at_w = k * STRIDE + local.x;
      // A vector times such a matrix is its product with four rows of weights.
      let low = mat4x4<elem>(w_tile[at_w], w_tile[at_w + 8u], w_tile[at_w + 16u], w_tile[at_w + 24u]);
      let high = mat4x4<elem>(w_tile[at_w + 32u], w_tile[at_w + 40u], w_tile[at_w + 48u], w_tile[at_w + 56u]);
      let x0 = x_tile[at_x];
      let x1 = x_tile[at_x + 16u];
      let x2 = x_tile[at_x + 32u];
      let x3 = x_tile[at_x + 48u];
      low0 += vec4<f32>(x0 * low);
      low1 += vec4<f32>(x1 * low);
      low2 += vec4<f32>(x2 * low);
      low3 += vec4<f32>(x3 * low);
      high0 += vec4<f32>(x0 * high);
      high1 += vec4<f32>(x1 * high);
      high2 += vec4<f32>(x2 * high);
      high3 += vec4<f32>(x3 * high);
    }
    workgroupBarrier();
  }

  let row = row0 + local.y;
  let w_row = col0 + local.x;
  store4(row, w_row, low0 * NARROWING);
  store4(row, w_row + 32u, high0 * NARROWING);
  store4(row + 16u, w_row, low1 * NARROWING);
  store4(row + 16u, w_row + 32u, high1 * NARROWING);
  store4(row + 32u, w_row, low2 * NARROWING);
  store4(row + 32u, w_row + 32u, high2 * NARROWING);
  store4(row + 48u, w_row, low3 * NARROWING);
  store4(row + 48u, w_row + 32u, high3 * NARROWING);
}
