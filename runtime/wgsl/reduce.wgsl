// Sum over a workgroup of 64. Two barriers; every invocation gets the sum.
const WORKGROUP: u32 = 64u;
var<workgroup> partial: array<f32, WORKGROUP>;
var<workgroup> partial8: array<f32, 8>;

fn workgroup_sum(value: f32, lane: u32) -> f32 {
  partial[lane] = value;
  workgroupBarrier();
  if (lane < 8u) {
    var sum = 0.0;
    for (var i = 0u; i < 8u; i++) {
      sum += partial[lane + 8u * i];
    }
    partial8[lane] = sum;
  }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < 8u; i++) {
    total += partial8[i];
  }
  return total;
}
