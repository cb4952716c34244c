// Reductions over a workgroup of WORKGROUP (a multiple of 16, from a one-line header). Three barriers;
// every invocation gets the result.
var<workgroup> wide: array<f32, WORKGROUP>;
var<workgroup> wide16: array<f32, 16>;

fn wide_sum(value: f32, lane: u32) -> f32 {
  wide[lane] = value;
  workgroupBarrier();
  if (lane < 16u) {
    var sum = 0.0;
    for (var i = lane; i < WORKGROUP; i += 16u) {
      sum += wide[i];
    }
    wide16[lane] = sum;
  }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < 16u; i++) {
    total += wide16[i];
  }
  workgroupBarrier();
  return total;
}

// Sum over the LANES neighbours that share a row, right for the first of them.
fn lanes_sum(value: f32, lane: u32, lanes: u32) -> f32 {
  wide[lane] = value;
  workgroupBarrier();
  var sum = value;
  if (lane % lanes == 0u) {
    for (var i = 1u; i < lanes; i++) {
      sum += wide[lane + i];
    }
  }
  workgroupBarrier();
  return sum;
}
