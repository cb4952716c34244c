// out[r] = silu(sum_k x[k] * gate[r, k]) * sum_k x[k] * up[r, k]
// for the one row x that `input_*.wgsl` provides. `dot_unit_2` reads the second weight.
struct Params {
  n_in4: u32,
  n_weight_rows: u32,
  eps: f32,
  n_splits: u32,
  stats_at: u32,
}
@group(0) @binding(3) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

override LANES: u32 = 16u;

@compute @workgroup_size(128)
fn step_gate_up(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  load_x(lane);
  let row = (group.x + group.y * n_groups.x) * (WORKGROUP / LANES) + lane / LANES;
  let valid = row < params.n_weight_rows;
  let n_units = params.n_in4 / UNIT4;
  var gate = 0.0;
  var up = 0.0;
  if (valid) {
    for (var unit = lane % LANES; unit < n_units; unit += LANES) {
      gate += dot_unit(row * n_units + unit, unit, 0u);
      up += dot_unit_2(row * n_units + unit, unit, 0u);
    }
  }
  if (LANES > 1u) {
    gate = lanes_sum(gate, lane, LANES);
    up = lanes_sum(up, lane, LANES);
  }
  if (valid && lane % LANES == 0u) {
    out[row] = silu(gate) * up;
  }
}
