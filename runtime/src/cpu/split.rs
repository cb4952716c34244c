//! How a product is shared out among threads.

/// Multiply-adds below which waking a thread costs more than it brings (some 20 microseconds).
const MIN_WORK: usize = 1 << 18;
/// Rows of a part are a multiple of this, so that register tiles stay whole.
const GRAIN: usize = 16;

/// Calls `f(first_row, rows)` for parts of `out: [n_rows, n_columns]`, in parallel where that pays.
/// `work` is the number of multiply-adds of one element.
pub(super) fn by_product_rows(
    out: &mut [f32],
    n_columns: usize,
    work: usize,
    f: impl Fn(usize, &mut [f32]) + Sync,
) {
    // More parts than threads, because threads of a busy machine are not equally fast.
    let n_parts = (4 * platform::n_threads()).min(out.len() * work / MIN_WORK).max(1);
    let n_rows = out.len() / n_columns;
    let part_rows = if n_parts == 1 { n_rows } else { n_rows.div_ceil(n_parts).next_multiple_of(GRAIN) };
    platform::parallel_chunks_mut(out, part_rows * n_columns, |idx, out| f(idx * part_rows, out));
}

/// Elements of an operation on single rows from which it is worth a thread.
const MIN_ELEMENTS: usize = 1 << 15;

/// Calls `f(first_element, piece)` for pieces of whole rows of `out: [n_rows, width]`, in parallel
/// where that pays.
pub(super) fn by_rows(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let n_rows = out.len() / width;
    let n_parts = (2 * platform::n_threads()).min(out.len() / MIN_ELEMENTS).max(1);
    let part_len = n_rows.div_ceil(n_parts) * width;
    platform::parallel_chunks_mut(out, part_len, |part, out| f(part * part_len, out));
}
