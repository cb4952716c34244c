//! Rows of a table.

/// `out[i] = table[ids[i]]`; `table: [V, width]` in f32 (dequantised), `out: [n_ids, width]`.
pub(crate) fn gather(table: &[f32], ids: &[u32], width: usize, out: &mut [f32]) {
    assert_eq!(out.len(), ids.len() * width);
    for (out, id) in out.chunks_exact_mut(width).zip(ids) {
        out.copy_from_slice(&table[*id as usize * width..][..width]);
    }
}
