// Where the bias from a row of attention to the key 0 stands.
fn bias_at(row: u32, head: u32) -> u32 {
  return head * params.n_distances + params.n_distances / 2u - (params.first_pos + row);
}
