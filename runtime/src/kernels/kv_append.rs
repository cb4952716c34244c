//! Writing keys or values to a cache.

/// `cache[at_pos + i] = x[i]`; `x: [n, width]`, `cache: [n_ctx, width]`, `at_pos + n <= n_ctx`.
pub(crate) fn kv_append(x: &[f32], at_pos: usize, width: usize, cache: &mut [f32]) {
    cache[at_pos * width..][..x.len()].copy_from_slice(x);
}
