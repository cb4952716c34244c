// out[i] = index of the greatest element of x[i, :] as a number, the lowest where several are equal.
// One workgroup of 256 per row.
struct Params {
  n_rows: u32,
  n_cols: u32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const WORKGROUP: u32 = 256u;
var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> places: array<u32, WORKGROUP>;

@compute @workgroup_size(256)
fn argmax(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * n_groups.x;
  if (row >= params.n_rows) {
    return;
  }
  let start = row * params.n_cols;
  var best = -3.4e38;
  var place = lane;
  for (var i = lane; i < params.n_cols; i += WORKGROUP) {
    let value = x[start + i];
    if (value > best) {
      best = value;
      place = i;
    }
  }
  values[lane] = best;
  places[lane] = place;
  workgroupBarrier();
  if (lane < 16u) {
    for (var i = lane; i < WORKGROUP; i += 16u) {
      if (values[i] > best || (values[i] == best && places[i] < place)) {
        best = values[i];
        place = places[i];
      }
    }
  }
  workgroupBarrier();
  if (lane < 16u) {
    values[lane] = best;
    places[lane] = place;
  }
  workgroupBarrier();
  if (lane == 0u) {
    for (var i = 1u; i < 16u; i++) {
      if (values[i] > best || (values[i] == best && places[i] < place)) {
        best = values[i];
        place = places[i];
      }
    }
    out[row] = f32(place);
  }
}
