//! Waiting without holding a thread: one thread wakes whoever's time has come.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Done at a moment, which may be put off while it waits.
#[derive(Debug)]
pub(crate) struct Sleep {
    until: Instant,
    /// Who is woken, and when; it may be sooner than needed.
    queued: Option<(Instant, Waker)>,
}

impl Sleep {
    pub(crate) fn new(duration: Duration) -> Self {
        Self { until: Instant::now() + duration, queued: None }
    }

    /// Begins to wait anew.
    pub(crate) fn restart(&mut self, duration: Duration) {
        self.until = Instant::now() + duration;
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        if now >= self.until {
            return Poll::Ready(());
        }
        let waker = context.waker();
        let is_queued = self.queued.as_ref().is_some_and(|(at, queued)| *at > now && queued.will_wake(waker));
        if !is_queued {
            self.queued = Some((self.until, waker.clone()));
            alarms().add(Alarm { at: self.until, waker: waker.clone() });
        }
        Poll::Pending
    }
}

struct Alarm {
    at: Instant,
    waker: Waker,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    /// The earliest is the greatest, which a heap gives first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

#[derive(Default)]
struct Alarms {
    waiting: Mutex<BinaryHeap<Alarm>>,
    added: Condvar,
}

impl Alarms {
    fn add(&self, alarm: Alarm) {
        self.lock().push(alarm);
        self.added.notify_one();
    }

    /// The heap is whole even if a thread panicked with the lock: every change is a single call.
    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Alarm>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            while waiting.peek().is_some_and(|alarm| alarm.at <= now) {
                if let Some(alarm) = waiting.pop() {
                    alarm.waker.wake();
                }
            }
            // Without an alarm, any time will do: adding one ends the wait.
            let pause = waiting.peek().map_or(Duration::from_secs(3600), |alarm| alarm.at - now);
            let waited = self.added.wait_timeout(waiting, pause);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn alarms() -> &'static Alarms {
    static ALARMS: LazyLock<Alarms> = LazyLock::new(|| {
        let started = thread::Builder::new().name("timer".to_owned()).spawn(|| alarms().ring());
        drop(started.expect("the system has a thread for the timer"));
        Alarms::default()
    });
    &ALARMS
}
