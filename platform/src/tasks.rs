//! Clock, tasks and threads.

use crate::os;

/// Milliseconds on a clock that never goes back; only differences mean something.
pub fn now_ms() -> f64 {
    os::tasks::now_ms()
}

/// Milliseconds since 1970-01-01 00:00 UTC, by the clock of the machine.
pub fn unix_ms() -> i64 {
    os::tasks::unix_ms()
}

/// Waits. Natively this blocks the thread.
pub async fn sleep_ms(duration_ms: u32) {
    os::tasks::sleep_ms(duration_ms).await;
}

/// Lets other tasks, and on the web waiting messages, have their turn.
pub async fn yield_now() {
    os::tasks::yield_now().await;
}

/// How many threads [`parallel_chunks_mut`] spreads over.
pub fn n_threads() -> usize {
    os::tasks::n_threads()
}

/// Calls `f(chunk_idx, chunk)` for each piece of `chunk_len` elements of `data`, the last one may
/// be shorter: on all threads natively, one after the other on the web.
///
/// # Panics
/// When `chunk_len` is 0.
pub fn parallel_chunks_mut<T: Send>(data: &mut [T], chunk_len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    os::tasks::parallel_chunks_mut(data, chunk_len, f);
}
