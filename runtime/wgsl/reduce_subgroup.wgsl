// Sum over a workgroup of 64, as `reduce.wgsl`, with the hardware's own sum over a subgroup. Nothing is
// assumed about a subgroup's size or about which invocations it has. One barrier: the halves of
// `partial` take turns, so that a call writes what nobody reads any more.
const WORKGROUP: u32 = 64u;
var<workgroup> partial: array<vec4<f32>, 32>;
var<private> turn: u32;

fn workgroup_sum(value: f32, lane: u32) -> f32 {
  let sum = subgroupAdd(value);
  let base = 16u * turn;
  turn = 1u - turn;
  partial[base + lane / 4u][lane % 4u] = select(0.0, sum, subgroupMin(lane) == lane);
  workgroupBarrier();
  var total = vec4<f32>(0.0);
  for (var i = 0u; i < 16u; i++) {
    total += partial[base + i];
  }
  return dot(total, vec4<f32>(1.0));
}
