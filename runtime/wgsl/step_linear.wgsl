// out[out_col + r] = activation(sum_k x[k] * w[r, k] + bias[out_col + r]) + residual[out_col + r]
// for the one row x that `input_*.wgsl` provides. LANES neighbours share a weight row; with LANES = 1
// (software adapters) no barrier is met. A workgroup takes `n_repeats` times as many rows as it has places
// for, so that x is not made anew for each few of a large vocabulary.
struct Params {
  n_in4: u32,
  n_weight_rows: u32,
  out_col: u32,
  activation: u32,
  has_bias: u32,
  has_residual: u32,
  eps: f32,
  n_splits: u32,
  stats_at: u32,
  n_repeats: u32,
}
@group(0) @binding(3) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

override LANES: u32 = 16u;

@compute @workgroup_size(128)
fn step_linear(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  load_x(lane);
  let n_places = WORKGROUP / LANES;
  let first_row = (group.x + group.y * n_groups.x) * n_places * params.n_repeats + lane / LANES;
  let n_units = params.n_in4 / UNIT4;
  for (var i = 0u; i < params.n_repeats; i++) {
    let row = first_row + i * n_places;
    let valid = row < params.n_weight_rows;
    var sum = 0.0;
    if (valid) {
      for (var unit = lane % LANES; unit < n_units; unit += LANES) {
        sum += dot_unit(row * n_units + unit, unit, 0u);
      }
    }
    if (LANES > 1u) {
      sum = lanes_sum(sum, lane, LANES);
    }
    if (valid && lane % LANES == 0u) {
      let col = params.out_col + row;
      if (params.has_bias != 0u) {
        sum += bias[col];
      }
      sum = activate(sum, params.activation);
      if (params.has_residual != 0u) {
        sum += residual[col];
      }
      out[col] = sum;
    }
  }
}
