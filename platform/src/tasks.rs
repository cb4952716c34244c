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

/// Waits; other tasks go on meanwhile.
pub async fn sleep_ms(duration_ms: u32) {
    os::tasks::sleep_ms(duration_ms).await;
}

/// Lets other tasks, and on the web waiting messages, have their turn.
pub async fn yield_now() {
    os::tasks::yield_now().await;
}

/// Starts the threads of [`parallel_chunks_mut`] and returns how many there are, this one included.
/// Later calls change nothing.
///
/// `None` stands for as many as the machine has, but at most 64, or 8 on the web; natively for what
/// the variable `FOOTNOTE_THREADS` says, if it is set. Natively the first use starts them if nobody did
/// before. On the web there is one thread until this was called, and only one where the program was
/// not compiled for more, where the page is not isolated from other sites, and on the page's own
/// thread; `compute-worker.js` must lie beside the program.
pub async fn start_threads(n_threads: Option<usize>) -> usize {
    os::threads::start(n_threads).await
}

/// How many threads [`parallel_chunks_mut`] spreads over.
pub fn n_threads() -> usize {
    os::threads::count()
}

/// Calls `f(chunk_idx, chunk)` for each piece of `chunk_len` elements of `data`, the last one may
/// be shorter, on all threads, and returns when all are done. Inside of another such call, and
/// while another thread is in one, everything happens on the calling thread.
///
/// # Panics
/// When `chunk_len` is 0, and with the panic of a piece. On the web, where a panic ends the program,
/// also when another of its threads has crashed.
pub fn parallel_chunks_mut<T: Send>(data: &mut [T], chunk_len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    os::threads::parallel_chunks_mut(data, chunk_len, f);
}
