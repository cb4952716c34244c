// out[m, out_col + r] = activation(sum_k x[m, k] * w[r, k] + bias[out_col + r])
// for few rows m (one workgroup row each). LANES invocations share a weight row: on a GPU neighbours
// read neighbouring words; with LANES = 1 (software adapters) nothing is shared.
struct Params {
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

const WORKGROUP: u32 = 64u;
fn x_at(i: u32) -> vec4<f32> {
  return x[i];
}

override LANES: u32 = 16u;
var<workgroup> partial: array<f32, WORKGROUP>;

@compute @workgroup_size(64)
fn matvec(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let rows_per_group = WORKGROUP / LANES;
  // Weight rows run over x and z (one dimension holds 65535 workgroups), activation rows over y.
  let row = (group.x + group.z * n_groups.x) * rows_per_group + lane / LANES;
  let valid = row < params.n_weight_rows;

  let n_units = params.n_in4 / UNIT4;
  let x0 = group.y * params.n_in4;
  var sum = 0.0;
  if (valid) {
    for (var unit = lane % LANES; unit < n_units; unit += LANES) {
      sum += dot_unit(row * n_units + unit, unit, x0);
    }
  }

  if (LANES > 1u) {
    partial[lane] = sum;
    workgroupBarrier();
    if (lane % LANES == 0u) {
      for (var i = 1u; i < LANES; i++) {
        sum += partial[lane + i];
      }
    }
  }
  if (valid && lane % LANES == 0u) {
    let col = params.out_col + row;
    if (params.has_bias != 0u) {
      sum += bias[col];
    }
    out[group.y * params.out_stride + col] = activate(sum, params.activation);
  }
}
