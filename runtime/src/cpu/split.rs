//! How a product is shared out among threads.

/// Multiply-adds below which waking a thread costs more than it brings (some 20 microseconds).
const MIN_WORK: usize = 1 << 18;
/// Rows and columns of a part are multiples of this, so that register tiles stay whole.
const GRAIN: usize = 16;

/// A part of an `[n_rows, n_columns]` result; either whole rows or a piece of the only row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) first_row: usize,
    pub(super) n_rows: usize,
    pub(super) first_column: usize,
    pub(super) n_columns: usize,
}

/// Calls `f` for all parts of `out: [n_rows, n_columns]`, in parallel where that pays. `work` is the
/// number of multiply-adds of one element.
pub(super) fn by_rows_or_columns(
    out: &mut [f32],
    n_rows: usize,
    n_columns: usize,
    work: usize,
    f: impl Fn(Part, &mut [f32]) + Sync,
) {
    let total = n_rows * n_columns;
    assert_eq!(out.len(), total);
    // More parts than threads, because threads of a busy machine are not equally fast.
    let n_parts = (4 * platform::n_threads()).min(total * work / MIN_WORK).max(1);
    let share = |n: usize| if n_parts == 1 { n } else { n.div_ceil(n_parts).next_multiple_of(GRAIN) };
    if n_rows == 1 {
        let part_columns = share(n_columns);
        platform::parallel_chunks_mut(out, part_columns, |idx, out| {
            f(Part { first_row: 0, n_rows: 1, first_column: idx * part_columns, n_columns: out.len() }, out);
        });
    } else {
        let part_rows = share(n_rows);
        platform::parallel_chunks_mut(out, part_rows * n_columns, |idx, out| {
            f(
                Part {
                    first_row: idx * part_rows,
                    n_rows: out.len() / n_columns,
                    first_column: 0,
                    n_columns,
                },
                out,
            );
        });
    }
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
