//! Rows of figures, as tables and as JSON.

use std::fmt;

use serde::Serialize;

use crate::machine::Machine;

/// One measured thing.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured, in words.
    pub what: String,
    /// Unit of the figures.
    pub unit: &'static str,
    #[serde(flatten)]
    pub ours: Spread,
    /// The same thing done by another engine, in turns with ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

/// What several runs gave.
#[derive(Debug, Serialize)]
pub(crate) struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub n_runs: usize,
}

/// Another engine's figures.
#[derive(Debug, Serialize)]
pub(crate) struct Against {
    /// The engine, in words.
    pub peer: String,
    #[serde(flatten)]
    pub spread: Spread,
    /// Median, over the pairs of runs, of how many times as fast we were.
    pub ratio: f64,
    /// The ratio that is wanted.
    pub bar: f64,
    pub is_met: bool,
}

/// A row that could not be measured.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    pub what: String,
    pub reason: String,
}

/// What one benchmark gives.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rows {
    pub rows: Vec<Row>,
    pub skipped: Vec<Skipped>,
}

impl From<Vec<Row>> for Rows {
    fn from(rows: Vec<Row>) -> Self {
        Self { rows, skipped: Vec::new() }
    }
}

impl Rows {
    /// Notes that something could not be measured.
    pub(crate) fn skip(&mut self, what: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push(Skipped { what: what.into(), reason: reason.into() });
    }
}

impl Spread {
    /// The median of an even number of figures is the lower of the two in the middle.
    fn of(mut figures: Vec<f64>) -> Self {
        assert!(!figures.is_empty(), "a row has figures");
        figures.sort_by(f64::total_cmp);
        let n_runs = figures.len();
        Self { median: figures[(n_runs - 1) / 2], min: figures[0], max: figures[n_runs - 1], n_runs }
    }
}

impl Row {
    /// A row of the given figures.
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, figures: Vec<f64>) -> Self {
        Self { what: what.into(), unit, ours: Spread::of(figures), against: None }
    }

    /// A row of speeds, `(ours, the peer's)` of runs that took turns.
    pub(crate) fn compared(
        what: impl Into<String>,
        unit: &'static str,
        pairs: &[(f64, f64)],
        peer: impl Into<String>,
        bar: f64,
    ) -> Self {
        let mut row = Self::new(what, unit, pairs.iter().map(|pair| pair.0).collect());
        let spread = Spread::of(pairs.iter().map(|pair| pair.1).collect());
        let ratio = Spread::of(pairs.iter().map(|(ours, theirs)| ours / theirs).collect()).median;
        row.against = Some(Against { peer: peer.into(), spread, ratio, bar, is_met: ratio >= bar });
        row
    }

    /// Runs `f` once to warm up and then `n_runs` times, and keeps the milliseconds.
    pub(crate) fn timed<T>(
        what: impl Into<String>,
        n_runs: usize,
        mut f: impl FnMut() -> crate::Outcome<T>,
    ) -> crate::Outcome<Self> {
        f()?;
        let mut figures = Vec::with_capacity(n_runs);
        for _ in 0..n_runs.max(1) {
            let start_ms = platform::now_ms();
            f()?;
            figures.push(platform::now_ms() - start_ms);
        }
        Ok(Self::new(what, "ms", figures))
    }
}

/// What one run of a benchmark says.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    #[serde(flatten)]
    rows: Rows,
}

impl Report {
    /// `machine` was looked at before the measurement, so that its load is not our own.
    pub(crate) fn new(machine: Machine, rows: Rows) -> Self {
        Self { machine, rows }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        let (compared, alone): (Vec<_>, Vec<_>) = self.rows.rows.iter().partition(|r| r.against.is_some());
        if !alone.is_empty() {
            writeln!(f, "\n| what | median | min | max | unit | runs |\n|---|---|---|---|---|---|")?;
        }
        for Row { what, unit, ours: Spread { median, min, max, n_runs }, .. } in alone {
            let [median, min, max] = [median, min, max].map(|figure| short(*figure));
            writeln!(f, "| {what} | {median} | {min} | {max} | {unit} | {n_runs} |")?;
        }
        if !compared.is_empty() {
            writeln!(f, "\n| what | Footnote | peer | the peer's | ratio | bar | unit | runs |")?;
            writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        }
        for Row { what, unit, ours, against } in compared {
            let Some(Against { peer, spread, ratio, bar, is_met }) = against else { continue };
            let verdict = if *is_met { "met" } else { "not met" };
            let n_runs = ours.n_runs;
            writeln!(
                f,
                "| {what} | {ours} | {peer} | {spread} | {ratio:.2} | {bar}, {verdict} | {unit} | {n_runs} |"
            )?;
        }
        if !self.rows.skipped.is_empty() {
            writeln!(f, "\n{} skipped:", self.rows.skipped.len())?;
        }
        for Skipped { what, reason } in &self.rows.skipped {
            writeln!(f, "- {what}: {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} to {})", short(self.median), short(self.min), short(self.max))
    }
}

/// Three significant digits, more only where the number is larger.
fn short(x: f64) -> String {
    match x.abs() {
        size if size >= 100.0 => format!("{x:.0}"),
        size if size >= 10.0 => format!("{x:.1}"),
        size if size >= 1.0 => format!("{x:.2}"),
        _ => format!("{x:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_the_median() {
        let Spread { median, min, max, n_runs } = Row::new("x", "ms", vec![3.0, 1.0, 2.0]).ours;
        assert_eq!((median, min, max, n_runs), (2.0, 1.0, 3.0, 3));
    }

    #[test]
    fn ratios_are_of_pairs() {
        // A machine that slows down between the pairs: each pair says "twice as fast".
        let row = Row::compared("x", "tokens/s", &[(8.0, 4.0), (2.0, 1.0), (4.0, 2.0)], "other", 2.0);
        let against = row.against.expect("it is compared");
        assert_eq!((against.ratio, against.is_met, against.spread.median), (2.0, true, 2.0));
        let missed = Row::compared("x", "tokens/s", &[(1.0, 1.0)], "other", 1.5);
        assert!(!missed.against.expect("it is compared").is_met);
    }

    #[test]
    fn figures_are_short() {
        for (x, expect) in [(1234.5, "1234"), (12.345, "12.3"), (1.2345, "1.23"), (0.01234, "0.012")] {
            assert_eq!(short(x), expect);
        }
    }
}
