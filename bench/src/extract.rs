//! The text of PDFs: how fast it is had, and how near it comes to that of PDFium, beside pdftotext
//! and pypdf. `bench/peers/extract.py` runs the peers and says what near means.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ingest::{BlockKind, Document, Hint, Limits, Span, slice};
use platform::now_ms;
use serde_json::Value;

use crate::report::{Row, Rows};
use crate::{Args, Outcome, peers};

const SCRIPT: &str = "bench/peers/extract.py";
/// As near and as fast as the peers.
const BAR: f64 = 1.0;

/// What we made of one file.
struct Ours {
    file: String,
    /// Of what was read; none of a file that was refused.
    n_pages: Option<usize>,
    ms: f64,
}

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    let mut rows = Rows::default();
    let folder = std::env::var_os("FOOTNOTE_PDFS")
        .map_or_else(|| browser::workspace().join("../shared/eval/pdfs"), PathBuf::from);
    if !folder.is_dir() {
        rows.skip("text of PDFs", format!("no folder {}; FOOTNOTE_PDFS names one", folder.display()));
        return Ok(rows);
    }
    let texts = tempfile::tempdir()?;
    let ours = read_all(&folder, texts.path(), args.runs)?;
    let slowest = ours.iter().map(|row| row.ms).fold(0.0, f64::max);
    rows.rows.push(Row::new(format!("slowest of {} PDFs, read or refused", ours.len()), "ms", vec![slowest]));
    let read: Vec<&Ours> = ours.iter().filter(|row| row.n_pages.is_some()).collect();
    let n_pages: usize = read.iter().filter_map(|row| row.n_pages).sum();
    let ms: f64 = read.iter().map(|row| row.ms).sum();
    let what = format!("pages of the {} of them that have text", read.len());
    rows.rows.push(Row::new(what, "pages/s", vec![n_pages as f64 * 1e3 / ms]));
    match peers(&folder, texts.path()) {
        Ok(theirs) => compare(&ours, &theirs, &mut rows),
        Err(reason) => rows.skip("text of PDFs beside pdftotext and pypdf", reason.to_string()),
    }
    Ok(rows)
}

/// Reads every PDF below `folder`; texts are left in `texts`. Times are the median of `n_runs`.
fn read_all(folder: &Path, texts: &Path, n_runs: usize) -> Outcome<Vec<Ours>> {
    let mut found = Vec::new();
    for path in pdfs(folder)? {
        let file = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        let bytes = fs::read(&path)?;
        let hint = Hint { name: &file, ..Hint::default() };
        let mut times = Vec::new();
        let mut read = None;
        for _ in 0..n_runs.max(1) {
            let started = now_ms();
            read = ingest::ingest(&bytes, &hint, &Limits::default()).ok();
            times.push(now_ms() - started);
        }
        times.sort_by(f64::total_cmp);
        let n_pages = read.as_ref().map(|(document, _)| document.page_starts.len());
        if let Some((document, _)) = read {
            fs::write(texts.join(file.replace('/', "--") + ".txt"), page_text(&document))?;
        }
        found.push(Ours { file, n_pages, ms: times[times.len() / 2] });
    }
    Ok(found)
}

fn pdfs(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let (mut found, mut due) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = due.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                due.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pdf") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Without what was written on the pages afterwards, which no peer gives.
fn page_text(document: &Document) -> String {
    let (mut text, mut at) = (String::new(), 0);
    for comment in document.blocks.iter().filter(|block| block.kind == BlockKind::Comment) {
        text += slice(&document.text, Span::new(at, comment.span.start));
        at = comment.span.end;
    }
    text + slice(&document.text, Span::new(at, u32::MAX))
}

/// The lines of the script.
fn peers(folder: &Path, texts: &Path) -> Outcome<Vec<Value>> {
    let script = browser::workspace().join(SCRIPT);
    let ran = Command::new(peers::python()).arg(script).args([folder, texts]).output();
    let ran = ran.map_err(|error| format!("Python does not start: {error}; see bench/README.md"))?;
    if !ran.status.success() {
        let errors = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("{}; see bench/README.md", errors.lines().last().unwrap_or("it failed")).into());
    }
    let lines = String::from_utf8(ran.stdout)?;
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn compare(ours: &[Ours], theirs: &[Value], rows: &mut Rows) {
    let versions = theirs.last().map(|row| row["versions"].clone()).unwrap_or_default();
    let version = |tool: &str| versions[tool].as_str().unwrap_or_default().to_owned();
    for tool in ["pdftotext", "pypdf"] {
        let peer = format!("{tool} {}", version(tool));
        let both: Vec<(f64, f64)> =
            theirs.iter().filter_map(|row| Some((row["ours"].as_f64()?, row[tool].as_f64()?))).collect();
        let n_both = both.len();
        let what = format!("nearness to PDFium {} of {n_both} PDFs that both read", version("pdfium"));
        for (name, of) in [("mean", mean as fn(&[f64]) -> f64), ("median", median)] {
            let (a, b): (Vec<f64>, Vec<f64>) = both.iter().copied().unzip();
            rows.rows.push(Row::compared(format!("{what}, {name}"), "", &[(of(&a), of(&b))], &peer, BAR));
        }
        let n_worse = both.iter().filter(|(a, b)| a < &(b - 0.001)).count();
        let n_better = both.iter().filter(|(a, b)| a > &(b + 0.001)).count();
        rows.rows.push(Row::compared(
            "PDFs in which one of the two is nearer",
            "files",
            &[(n_better as f64, n_worse as f64)],
            &peer,
            BAR,
        ));
        rows.rows.extend(speed(ours, theirs, tool, &peer));
    }
}

/// Pages per second of the files that both read.
fn speed(ours: &[Ours], theirs: &[Value], tool: &str, peer: &str) -> Option<Row> {
    let (mut n_pages, mut our_ms, mut their_ms) = (0, 0.0, 0.0);
    for row in theirs.iter().filter(|row| !row[tool].is_null()) {
        let ours = ours.iter().find(|ours| Some(ours.file.as_str()) == row["file"].as_str());
        if let Some((ours, n)) = ours.and_then(|ours| Some((ours, ours.n_pages?))) {
            n_pages += n;
            our_ms += ours.ms;
            their_ms += row[format!("{tool}_ms")].as_f64().unwrap_or(0.0);
        }
    }
    let per_second = |ms: f64| n_pages as f64 * 1e3 / ms;
    let what = format!("{n_pages} pages that both read");
    (n_pages > 0)
        .then(|| Row::compared(what, "pages/s", &[(per_second(our_ms), per_second(their_ms))], peer, BAR))
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len().max(1) as f64
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
