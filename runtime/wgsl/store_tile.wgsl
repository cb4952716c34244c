// What a matrix product does with a sum: activation(sum + bias), where the tile is inside of `out`. The
// kernel binds `bias` and `out`, has a `Params`, and says how far its columns lie apart in COLUMN_STEP.
fn store(row: u32, w_row: u32, sum: f32) {
  if (row < params.n_rows && w_row < params.n_weight_rows) {
    let col = params.out_col + w_row;
    var value = sum;
    if (params.has_bias != 0u) {
      value += bias[col];
    }
    out[row * params.out_stride + col] = activate(value, params.activation);
  }
}

fn store4(row: u32, w_row: u32, sums: vec4<f32>) {
  store(row, w_row, sums.x);
  store(row, w_row + COLUMN_STEP, sums.y);
  store(row, w_row + 2u * COLUMN_STEP, sums.z);
  store(row, w_row + 3u * COLUMN_STEP, sums.w);
}

