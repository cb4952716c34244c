//! Clock, tasks and threads of the operating system.

use std::future::{Future, poll_fn};
use std::sync::OnceLock;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;

/// Runs a future to its end on this thread. Native only: a browser's threads must not wait.
pub fn block_on<F: Future>(future: F) -> F::Output {
    pollster::block_on(future)
}

pub(crate) fn now_ms() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}

pub(crate) fn unix_ms() -> i64 {
    let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

pub(crate) async fn sleep_ms(duration_ms: u32) {
    std::thread::sleep(Duration::from_millis(duration_ms.into()));
}

pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

pub(crate) fn n_threads() -> usize {
    rayon::current_num_threads()
}

pub(crate) fn parallel_chunks_mut<T: Send>(
    data: &mut [T],
    chunk_len: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    data.par_chunks_mut(chunk_len).enumerate().for_each(|(chunk_idx, chunk)| f(chunk_idx, chunk));
}
