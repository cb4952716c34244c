// out[i, :] = table[ids[i], :], for the ids that lie in this part of the table.
struct Params {
  n_rows: u32,
  n_in4: u32,
  first_id: u32,
  n_table_rows: u32,
  ids_at: u32,
}
@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn gather(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) n_groups: vec3<u32>,
) {
  let at = id.x + id.y * n_groups.x * 64u;
  if (at >= params.n_rows * params.n_in4) {
    return;
  }
  let row = at / params.n_in4;
  let col = at % params.n_in4;
  // An id before this part wraps around and so fails the comparison, too.
  let table_row = ids[params.ids_at + row] - params.first_id;
  if (table_row < params.n_table_rows) {
    out[at] = weight4(table_row * params.n_in4 + col);
  }
}
