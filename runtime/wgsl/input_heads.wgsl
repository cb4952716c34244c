// The row that a step's kernel multiplies: attention's partial sums, joined over the splits of the keys.
// `input` holds [n_splits, N_IN4] vectors, each relative to its own highest score, and from vector
// `stats_at` on [n_splits, n_heads] of that score and the total weight.
@group(0) @binding(0) var<storage, read> input: array<vec4<f32>>;

fn load_x(lane: u32) {
  let n_heads = N_IN4 / HEAD_DIM4;
  for (var i = lane; i < N_IN4; i += WORKGROUP) {
    let stats = params.stats_at + i / HEAD_DIM4;
    var highest = input[stats].x;
    for (var split = 1u; split < params.n_splits; split++) {
      highest = max(highest, input[stats + split * n_heads].x);
    }
    var total = 0.0;
    var sum = vec4<f32>(0.0);
    for (var split = 0u; split < params.n_splits; split++) {
      let stat = input[stats + split * n_heads];
      let weight = exp(stat.x - highest);
      total += weight * stat.y;
      sum += weight * input[split * N_IN4 + i];
    }
    x[place(i)] = sum / total;
  }
  workgroupBarrier();
}
