//! How far a queue of files is, and how long the rest takes.

/// Before this much time and this share of the bytes an estimate would be a guess.
const MIN_WORKED_MS: f64 = 3_000.0;
const MIN_SHARE: f64 = 0.02;

/// A file of the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Portion {
    /// Its size.
    pub n_bytes: u64,
    /// The share of it that is done, 0 to 1.
    pub done: f64,
}

/// The queue as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// Files that are done, well or badly.
    pub n_done: u64,
    /// All files.
    pub n_total: u64,
    /// Bytes that are done.
    pub done_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
    /// What the rest takes at the speed so far; `None` while that is a guess.
    pub left_ms: Option<f64>,
}

/// Sums up a queue that was worked on for `worked_ms`.
pub fn estimate(files: &[Portion], worked_ms: f64) -> Estimate {
    let total_bytes = files.iter().map(|file| file.n_bytes).sum::<u64>();
    let done = files.iter().map(|file| file.n_bytes as f64 * file.done.clamp(0.0, 1.0)).sum::<f64>();
    let share = if total_bytes == 0 { 0.0 } else { done / total_bytes as f64 };
    let is_known = worked_ms >= MIN_WORKED_MS && share >= MIN_SHARE;
    Estimate {
        n_done: files.iter().filter(|file| file.done >= 1.0).count() as u64,
        n_total: files.len() as u64,
        done_bytes: done as u64,
        total_bytes,
        left_ms: is_known.then(|| worked_ms * (1.0 - share) / share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_for_each_byte_as_what_is_done() {
        let files = [(100, 1.0), (200, 0.5), (600, 0.0)].map(|(n_bytes, done)| Portion { n_bytes, done });
        let found = estimate(&files, 10_000.0);
        assert_eq!((found.n_done, found.n_total, found.done_bytes, found.total_bytes), (1, 3, 200, 900));
        assert_eq!(found.left_ms.map(f64::round), Some(35_000.0));
    }

    #[test]
    fn nothing_is_promised_too_early() {
        let files = [Portion { n_bytes: 1_000, done: 0.5 }];
        assert_eq!(estimate(&files, 2_000.0).left_ms, None, "two seconds say nothing");
        assert_eq!(estimate(&[Portion { n_bytes: 1_000, done: 0.01 }], 60_000.0).left_ms, None);
        assert_eq!(estimate(&[], 60_000.0), Estimate::default());
        assert_eq!(estimate(&[Portion { n_bytes: 0, done: 1.0 }], 60_000.0).left_ms, None);
    }
}
