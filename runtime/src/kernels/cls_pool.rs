//! The first row of each sequence.

/// `x: [sum(lengths), width]` -> `out: [n_sequences, width]`.
pub(crate) fn cls_pool(x: &[f32], lengths: &[u32], width: usize, out: &mut [f32]) {
    assert_eq!(out.len(), lengths.len() * width);
    let mut first = 0;
    for (out, len) in out.chunks_exact_mut(width).zip(lengths) {
        out.copy_from_slice(&x[first * width..][..width]);
        first += *len as usize;
    }
    assert_eq!(x.len(), first * width);
}
