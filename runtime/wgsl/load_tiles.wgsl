// Fills the tiles of a matrix product: TILE rows of x and of the weights, dequantised, by DEPTH4 vectors of
// four from k0 on, a column after the other, with zeros outside. The kernel has the tiles and their sizes.
fn load_tiles(row0: u32, col0: u32, k0: u32, lane: u32) {
  for (var at = lane; at < TILE * DEPTH4; at += N_LANES) {
    let tile_row = at / DEPTH4;
    let tile_k = at % DEPTH4;
    let k = k0 + tile_k;
    let inside = k < params.n_in4;
    let x_row = row0 + tile_row;
    let w_row = col0 + tile_row;
    var x_value = vec4<f32>(0.0);
    var w_value = vec4<f32>(0.0);
    if (inside && x_row < params.n_rows) {
      x_value = x[x_row * params.n_in4 + k];
    }
    if (inside && w_row < params.n_weight_rows) {
      w_value = weight4(w_row * params.n_in4 + k);
    }
    x_tile[tile_k * STRIDE + tile_row] = narrow(x_value);
    w_tile[tile_k * STRIDE + tile_row] = vec4<elem>(w_value);
  }
}

