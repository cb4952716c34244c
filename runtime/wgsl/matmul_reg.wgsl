// out[m, out_col + r] = activation(sum_k x[m, k] * w[r, k] + bias[out_col + r])
// Without workgroup memory: every invocation owns 4 x 4 of out and streams k. Software adapters run
// barriers as coroutine switches, ten times dearer than the arithmetic between them; this is theirs.
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

const COLUMN_STEP: u32 = 1u;

@compute @workgroup_size(8, 8)
fn matmul_reg(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.y * 4u;
  let w_row = id.x * 4u;
  if (row >= params.n_rows || w_row >= params.n_weight_rows) {
    return;
  }
  // Rows past the edge repeat the last one; `store` drops them.
  let last_row = params.n_rows - 1u;
  let last_w = params.n_weight_rows - 1u;
  let k4 = params.n_in4;
  let x0 = row * k4;
  let x1 = min(row + 1u, last_row) * k4;
  let x2 = min(row + 2u, last_row) * k4;
  let x3 = min(row + 3u, last_row) * k4;
  let w0 = w_row * k4;
  let w1 = min(w_row + 1u, last_w) * k4;
  let w2 = min(w_row + 2u, last_w) * k4;
  let w3 = min(w_row + 3u, last_w) * k4;
  var sum0 = vec4<f32>(0.0);
  var sum1 = vec4<f32>(0.0);
  var sum2 = vec4<f32>(0.0);
  var sum3 = vec4<f32>(0.0);
  for (var k = 0u; k < k4; k++) {
    let a = weight4(w0 + k);
    let b = weight4(w1 + k);
    let c = weight4(w2 + k);
    let d = weight4(w3 + k);
    let v0 = x[x0 + k];
    sum0 += vec4<f32>(dot(v0, a), dot(v0, b), dot(v0, c), dot(v0, d));
    let v1 = x[x1 + k];
    sum1 += vec4<f32>(dot(v1, a), dot(v1, b), dot(v1, c), dot(v1, d));
    let v2 = x[x2 + k];
    sum2 += vec4<f32>(dot(v2, a), dot(v2, b), dot(v2, c), dot(v2, d));
    let v3 = x[x3 + k];
    sum3 += vec4<f32>(dot(v3, a), dot(v3, b), dot(v3, c), dot(v3, d));
  }
  store4(row, w_row, sum0);
  store4(row + 1u, w_row, sum1);
  store4(row + 2u, w_row, sum2);
  store4(row + 3u, w_row, sum3);
}
