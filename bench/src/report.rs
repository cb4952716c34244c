//! Rows of figures, as a table and as JSON.

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
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub n_runs: usize,
}

impl Row {
    /// A row of the given figures; the median of an even number of figures is the lower of the two in
    /// the middle.
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, mut figures: Vec<f64>) -> Self {
        assert!(!figures.is_empty(), "a row has figures");
        figures.sort_by(f64::total_cmp);
        Self {
            what: what.into(),
            unit,
            median: figures[(figures.len() - 1) / 2],
            min: figures[0],
            max: figures[figures.len() - 1],
            n_runs: figures.len(),
        }
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
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(rows: Vec<Row>) -> Self {
        Self { machine: Machine::this(), rows }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        writeln!(f, "| what | median | min | max | unit | runs |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for Row { what, unit, median, min, max, n_runs } in &self.rows {
            writeln!(
                f,
                "| {what} | {} | {} | {} | {unit} | {n_runs} |",
                short(*median),
                short(*min),
                short(*max)
            )?;
        }
        Ok(())
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
        let row = Row::new("x", "ms", vec![3.0, 1.0, 2.0]);
        assert_eq!((row.median, row.min, row.max, row.n_runs), (2.0, 1.0, 3.0, 3));
    }

    #[test]
    fn figures_are_short() {
        for (x, expect) in [(1234.5, "1234"), (12.345, "12.3"), (1.2345, "1.23"), (0.01234, "0.012")] {
            assert_eq!(short(x), expect);
        }
    }
}
