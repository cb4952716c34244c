//! The pool against one thread that does it all.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

const N_SPINS: u32 = 500;

/// A pool that lives as long as the test program, as its helpers do.
fn pool(n_helpers: usize) -> &'static Pool {
    let pool: &Pool = Box::leak(Box::new(Pool::new(N_SPINS)));
    for _ in 0..n_helpers {
        thread::spawn(|| pool.help());
    }
    let begun = Instant::now();
    while pool.n_threads() < 1 + n_helpers {
        assert!(begun.elapsed() < Duration::from_secs(60), "helpers do not come up");
        thread::yield_now();
    }
    pool
}

fn fill(chunk_idx: usize, chunk: &mut [usize]) {
    for (at, value) in chunk.iter_mut().enumerate() {
        *value += 1000 * chunk_idx + at;
    }
}

#[test]
fn every_piece_is_done_once_whatever_the_number_of_threads() {
    for n_helpers in 0..4 {
        let pool = pool(n_helpers);
        for len in [0, 1, 2, 15, 16, 17, 1000] {
            for chunk_len in [1, 2, 16, 999, 1000, 1001] {
                let (mut shared, mut alone) = (vec![7; len], vec![7; len]);
                pool.chunks_mut(&mut shared, chunk_len, fill);
                alone.chunks_mut(chunk_len).enumerate().for_each(|(idx, chunk)| fill(idx, chunk));
                assert_eq!(shared, alone, "{n_helpers} helpers, {len} in pieces of {chunk_len}");
            }
        }
    }
}

#[test]
fn thousands_of_small_loops_follow_each_other() {
    let pool = pool(3);
    let mut data = vec![0_usize; 8];
    for _ in 0..20_000 {
        pool.chunks_mut(&mut data, 1, |_, chunk| chunk[0] += 1);
    }
    assert_eq!(data, [20_000; 8]);
}

#[test]
fn helpers_that_sleep_are_woken() {
    let pool = pool(2);
    let n_threads = AtomicUsize::new(0);
    thread::sleep(Duration::from_millis(20));
    let begun = Instant::now();
    // Each piece waits until three threads are inside, so all of them have to come.
    pool.chunks_mut(&mut [(); 3], 1, |_, _| {
        n_threads.fetch_add(1, Ordering::SeqCst);
        while n_threads.load(Ordering::SeqCst) < 3 {
            assert!(begun.elapsed() < Duration::from_secs(60), "a helper sleeps on");
            thread::yield_now();
        }
    });
}

#[test]
fn loops_inside_of_loops_and_beside_each_other_are_done() {
    let pool = pool(2);
    let total = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    pool.chunks_mut(&mut [0_u8; 4], 1, |_, _| {
                        pool.chunks_mut(&mut [0_u8; 5], 1, |_, _| {
                            total.fetch_add(1, Ordering::Relaxed);
                        });
                    });
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 3 * 200 * 4 * 5);
}

#[test]
fn a_panic_reaches_the_caller_after_all_are_done_and_the_pool_goes_on() {
    let pool = pool(2);
    for broken_idx in 0..6 {
        let n_done = AtomicUsize::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.chunks_mut(&mut [0_u8; 6], 1, |idx, _| {
                assert!(idx != broken_idx, "piece {idx} is broken");
                n_done.fetch_add(1, Ordering::Relaxed);
            });
        }));
        let message = outcome.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(*message, format!("piece {broken_idx} is broken"));
        assert!(n_done.into_inner() < 6);
        let mut data = [0_usize; 9];
        pool.chunks_mut(&mut data, 2, fill);
        assert_eq!(data, [0, 1, 1000, 1001, 2000, 2001, 3000, 3001, 4000]);
    }
}

#[test]
fn a_lost_helper_that_held_no_piece_is_not_missed() {
    let pool = pool(1);
    pool.lose_helper();
    assert_eq!(pool.n_threads(), 1);
    let mut data = [0_usize; 4];
    pool.chunks_mut(&mut data, 1, fill);
    assert_eq!(data, [0, 1000, 2000, 3000]);
}

#[test]
#[should_panic(expected = "chunk size must be non-zero")]
fn pieces_of_nothing_are_refused() {
    pool(1).chunks_mut(&mut [0_u8; 4], 0, |_, _| {});
}
