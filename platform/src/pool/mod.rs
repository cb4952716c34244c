//! Threads that help one thread through its loops: fork, share the parts, join.
//!
//! The caller takes parts itself and waits only for helpers that have taken one, so a helper that
//! the system does not schedule, or that never came up, delays nobody. Helpers spin for a moment
//! before they sleep, because the next loop of a model follows within microseconds; longer spinning
//! would take the processor away from whoever has work on a shared machine.

mod lend;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use lend::Lent;

/// What is shared out: called by several threads at once, it takes parts until none is left.
type Work<'a> = dyn Fn() + Sync + 'a;

/// How long the caller waits for a helper that holds a part, in steps of [`STALL_STEP`]. A part
/// takes milliseconds; a minute without an end means that its thread is gone.
const MAX_STALL_STEPS: u32 = 60;
const STALL_STEP: Duration = Duration::from_secs(1);

/// Helpers that wait for loops to share.
pub(crate) struct Pool {
    /// Held by the one thread that forks; others, and forks inside of forks, do their loops alone.
    turn: Mutex<()>,
    state: Mutex<State>,
    /// Wakes helpers.
    forked: Condvar,
    /// Wakes the thread that forked.
    joined: Condvar,
    /// Equals that of the state, for spinning without the lock.
    n_forks: AtomicU32,
    /// Helpers that work on what is lent; changes under the lock of the state.
    n_inside: AtomicU32,
    n_helpers: AtomicUsize,
    has_lost_helper: AtomicBool,
    /// How often a thread looks again before it sleeps; some 20 microseconds.
    n_spins: u32,
}

struct State {
    n_forks: u32,
    work: Option<Lent>,
    n_asleep: usize,
    is_caller_asleep: bool,
    /// What the first part that panicked in a helper said.
    panic: Option<Box<dyn Any + Send>>,
}

impl Pool {
    pub(crate) const fn new(n_spins: u32) -> Self {
        let state = State { n_forks: 0, work: None, n_asleep: 0, is_caller_asleep: false, panic: None };
        Self {
            turn: Mutex::new(()),
            state: Mutex::new(state),
            forked: Condvar::new(),
            joined: Condvar::new(),
            n_forks: AtomicU32::new(0),
            n_inside: AtomicU32::new(0),
            n_helpers: AtomicUsize::new(0),
            has_lost_helper: AtomicBool::new(false),
            n_spins,
        }
    }

    /// The threads that share the next loop: the caller and the helpers that are up.
    pub(crate) fn n_threads(&self) -> usize {
        1 + self.n_helpers.load(Ordering::Relaxed)
    }

    /// Calls `f(chunk_idx, chunk)` for each piece of `chunk_len` elements of `data`.
    ///
    /// # Panics
    /// When `chunk_len` is 0, and with the first panic of `f`, after all threads are done.
    pub(crate) fn chunks_mut<T: Send>(
        &self,
        data: &mut [T],
        chunk_len: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let chunks = data.chunks_mut(chunk_len).enumerate();
        let n_chunks = chunks.len();
        let Some(_turn) = self.turn(n_chunks) else {
            return chunks.for_each(|(idx, chunk)| f(idx, chunk));
        };
        let chunks = Mutex::new(chunks);
        // `f` runs outside the lock, which is held for nanoseconds and cannot be poisoned.
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
        self.fork(n_chunks - 1, &|| {
            while let Some((idx, chunk)) = next() {
                f(idx, chunk);
            }
        });
    }

    /// The right to fork, where there is something to share and somebody to share it with.
    fn turn(&self, n_chunks: usize) -> Option<MutexGuard<'_, ()>> {
        if n_chunks < 2 || self.n_threads() == 1 {
            return None;
        }
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            // Whoever panicked has joined before.
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Runs `work` on this thread and on up to `n_wanted` helpers, to the end of all.
    fn fork(&self, n_wanted: usize, work: &Work<'_>) {
        {
            // The end of this scope joins, also when `work` panics.
            let _lease = lend::lend(self, work, n_wanted);
            work();
        }
        let panic = self.lock().panic.take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Helps for ever. Its thread belongs to the pool.
    pub(crate) fn help(&self) -> ! {
        let mut seen = self.n_forks.load(Ordering::Acquire);
        self.n_helpers.fetch_add(1, Ordering::Relaxed);
        loop {
            let work = self.wait_for_work(&mut seen);
            let outcome = catch_unwind(AssertUnwindSafe(|| work.run()));
            self.leave(outcome.err());
        }
    }

    /// Told by whoever sees a helper end, as only the web can: the caller waits for it no more.
    #[cfg(any(test, target_arch = "wasm32"))]
    pub(crate) fn lose_helper(&self) {
        self.has_lost_helper.store(true, Ordering::Release);
        self.n_helpers.fetch_sub(1, Ordering::Relaxed);
        self.joined.notify_all();
    }

    fn wait_for_work(&self, seen: &mut u32) -> Lent {
        loop {
            self.spin_while(|| self.n_forks.load(Ordering::Acquire) == *seen);
            let mut state = self.lock();
            while state.n_forks == *seen {
                state.n_asleep += 1;
                state = self.forked.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.n_asleep -= 1;
            }
            *seen = state.n_forks;
            // `None`: the others were done before this thread came.
            if let Some(work) = state.work {
                self.n_inside.fetch_add(1, Ordering::Relaxed);
                return work;
            }
        }
    }

    fn leave(&self, panic: Option<Box<dyn Any + Send>>) {
        let mut state = self.lock();
        if let Some(panic) = panic {
            state.panic.get_or_insert(panic);
        }
        let is_last = self.n_inside.fetch_sub(1, Ordering::Release) == 1;
        if is_last && state.is_caller_asleep {
            self.joined.notify_all();
        }
    }

    /// Offers `work` to the helpers.
    fn open(&self, work: Lent, n_wanted: usize) {
        let mut state = self.lock();
        (state.work, state.panic) = (Some(work), None);
        state.n_forks = state.n_forks.wrapping_add(1);
        let (n_forks, n_asleep) = (state.n_forks, state.n_asleep);
        drop(state);
        self.n_forks.store(n_forks, Ordering::Release);
        for _ in 0..n_asleep.min(n_wanted) {
            self.forked.notify_one();
        }
    }

    /// Takes the offer back and waits until no helper works on it any more.
    fn close(&self) {
        self.lock().work = None;
        self.spin_while(|| self.n_inside.load(Ordering::Acquire) != 0);
        let mut n_steps = 0;
        let mut state = self.lock();
        while self.n_inside.load(Ordering::Acquire) != 0 {
            if self.has_lost_helper.load(Ordering::Acquire) {
                die("a compute thread crashed");
            } else if n_steps == MAX_STALL_STEPS {
                die("a compute thread does not answer any more");
            }
            state.is_caller_asleep = true;
            let waited = self.joined.wait_timeout(state, STALL_STEP);
            let timeout;
            (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state.is_caller_asleep = false;
            n_steps += u32::from(timeout.timed_out());
        }
    }

    fn spin_while(&self, condition: impl Fn() -> bool) {
        let mut n_left = self.n_spins;
        while n_left > 0 && condition() {
            std::hint::spin_loop();
            n_left -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Panics without unwinding: a thread may still use what lies on this thread's stack.
fn die(message: &str) -> ! {
    struct Abort;
    impl Drop for Abort {
        fn drop(&mut self) {
            std::process::abort();
        }
    }
    let _abort = Abort;
    panic!("{message}");
}
