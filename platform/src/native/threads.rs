//! The threads that compute.

use std::env;
use std::sync::OnceLock;
use std::thread;

use crate::pool::Pool;

/// All the cores of most machines; memory feeds fewer.
const MAX: usize = 64;

/// Each look takes some 20 ns where the processor knows a spin-wait instruction.
const N_SPINS: u32 = 1_000;

static POOL: Pool = Pool::new(N_SPINS);
static N_THREADS: OnceLock<usize> = OnceLock::new();

pub(crate) async fn start(n_threads: Option<usize>) -> usize {
    start_now(n_threads)
}

pub(crate) fn count() -> usize {
    start_now(None)
}

pub(crate) fn parallel_chunks_mut<T: Send>(
    data: &mut [T],
    chunk_len: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    start_now(None);
    POOL.chunks_mut(data, chunk_len, f);
}

fn start_now(n_threads: Option<usize>) -> usize {
    *N_THREADS.get_or_init(|| {
        let wanted = n_threads.or_else(by_variable).unwrap_or_else(by_machine).max(1);
        let n_started = (1..wanted).take_while(|helper_idx| spawn(*helper_idx)).count();
        1 + n_started
    })
}

fn by_variable() -> Option<usize> {
    env::var("FOOTNOTE_THREADS").ok()?.parse().ok()
}

fn by_machine() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX)
}

/// `false` when the system has no more threads to give; then there are fewer.
fn spawn(helper_idx: usize) -> bool {
    let named = thread::Builder::new().name(format!("compute-{helper_idx}"));
    named.spawn(|| POOL.help()).is_ok()
}
