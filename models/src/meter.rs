//! How fast a download is, and how long it will take.

use std::collections::VecDeque;

/// What the speed is measured over: long enough to be steady, short enough to follow the network.
const WINDOW_MS: f64 = 5_000.0;
/// Before this much time has passed a speed would be a guess.
const MIN_MS: f64 = 250.0;

/// Speed over the last seconds.
#[derive(Default)]
pub(crate) struct Meter {
    /// (time, bytes so far), oldest first
    marks: VecDeque<(f64, u64)>,
}

impl Meter {
    /// Notes that `done_bytes` are here at `now_ms`; gives bytes per second, once that can be said.
    pub(crate) fn note(&mut self, now_ms: f64, done_bytes: u64) -> Option<u64> {
        if self.marks.back().is_some_and(|(_, before)| *before > done_bytes) {
            // What came was thrown away.
            self.marks.clear();
        }
        while self.marks.len() > 1 && self.marks[1].0 <= now_ms - WINDOW_MS {
            self.marks.pop_front();
        }
        // A few marks a second are enough.
        if self.marks.len() < 2 || self.marks[self.marks.len() - 1].0 < now_ms - MIN_MS {
            self.marks.push_back((now_ms, done_bytes));
        }
        let (first_ms, first_bytes) = *self.marks.front()?;
        let elapsed_ms = now_ms - first_ms;
        (elapsed_ms >= MIN_MS).then(|| ((done_bytes - first_bytes) as f64 / elapsed_ms * 1e3) as u64)
    }
}

/// Milliseconds until `left_bytes` are here; `None` while nothing comes.
pub(crate) fn left_ms(left_bytes: u64, bytes_per_s: u64) -> Option<u64> {
    (left_bytes * 1000).checked_div(bytes_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_follows_the_last_seconds() {
        let mut meter = Meter::default();
        assert_eq!(meter.note(0.0, 500), None, "what was here before says nothing");
        assert_eq!(meter.note(100.0, 600), None);
        assert_eq!(meter.note(1000.0, 1500), Some(1000));
        let mut now_ms = 1000.0;
        let mut done_bytes = 1500;
        for _ in 0..100 {
            now_ms += 100.0;
            done_bytes += 10;
            meter.note(now_ms, done_bytes);
        }
        assert_eq!(meter.note(now_ms + 100.0, done_bytes + 10), Some(100));
        assert!(meter.marks.len() < 100);
        assert_eq!(meter.note(now_ms + 200.0, 0), None, "starting over");
        assert_eq!(left_ms(5000, 100), Some(50_000));
        assert_eq!(left_ms(5000, 0), None);
    }
}
