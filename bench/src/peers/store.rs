//! The store in a worker of Chromium, on a file of the browser's storage.

use serde_json::{Value, json};

use super::page::Page;
use crate::corpus::{CHUNKS_PER_DOCUMENT, percentile};
use crate::report::{Row, Rows};
use crate::{Args, Outcome};

/// More vectors than a tab should hold: 1.7 kB each in memory, and 7 kB in the file.
const MAX_CHUNKS: usize = 200_000;
/// Documents stored by one call, so that none takes minutes.
const DOCUMENTS_PER_CALL: usize = 50;
const QUERIES: usize = 200;
/// The engine's name on the page.
const OURS: &str = "ours";

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    let mut rows = Rows::default();
    for &n_chunks in &args.chunks {
        let what = format!("the store in Chromium, {n_chunks} passages");
        if n_chunks > MAX_CHUNKS {
            rows.skip(what, format!("a tab holds {MAX_CHUNKS} at most"));
            continue;
        }
        // A page of its own for each: wasm memory grows and never shrinks.
        let mut page = Page::open(&browser::models_folder(), false)?;
        measure(&mut page, n_chunks, args, &mut rows)?;
    }
    Ok(rows)
}

fn measure(page: &mut Page, n_chunks: usize, args: &Args, rows: &mut Rows) -> Outcome<()> {
    let name = format!("bench-{n_chunks}.footnote");
    page.start(OURS, "store.js", &json!({"name": name}))?;
    let mut put_ms: Vec<f64> = Vec::new();
    let n_documents = n_chunks / CHUNKS_PER_DOCUMENT;
    while put_ms.len() < n_documents {
        let n_more = DOCUMENTS_PER_CALL.min(n_documents - put_ms.len());
        let filled = page.call(OURS, "fill", &json!([n_more]))?;
        put_ms.extend(filled["put_ms"].as_array().into_iter().flatten().filter_map(Value::as_f64));
    }
    let of = |what: &str| format!("{what}, {n_chunks} passages, in Chromium");
    let rate = n_chunks as f64 / put_ms.iter().sum::<f64>() * 1e3;
    let store = of(&format!("store documents of {CHUNKS_PER_DOCUMENT} passages"));
    let (p50, p99) = (percentile(&mut put_ms, 0.5), percentile(&mut put_ms, 0.99));
    rows.rows.push(Row::new(&store, "passages/s", vec![rate]));
    rows.rows.push(Row::new(format!("{store}: one commit, p50"), "ms", vec![p50]));
    rows.rows.push(Row::new(format!("{store}: one commit, p99"), "ms", vec![p99]));
    let stats = page.call(OURS, "stats", &json!([]))?;
    for (what, key) in [("file", "file_bytes"), ("index in memory", "index_bytes")] {
        let bytes = figure(&stats[key])? / n_chunks as f64;
        rows.rows.push(Row::new(of(&format!("{what}, for each passage")), "bytes", vec![bytes]));
    }
    // The first one warms up.
    page.call(OURS, "search", &json!([QUERIES]))?;
    let searches = (0..args.runs.max(1)).map(|_| page.call(OURS, "search", &json!([QUERIES])));
    let searches = searches.collect::<Outcome<Vec<Value>>>()?;
    for (what, key) in [
        ("vector search, exact", "exact"),
        ("vector search", "vector"),
        ("the same in one document of 100", "filtered"),
        ("BM25 search of 8 words", "text"),
        ("both, fused", "fused"),
    ] {
        for (share, field) in [("p50", "p50_ms"), ("p99", "p99_ms")] {
            let figures = searches.iter().map(|search| figure(&search[key][field]));
            let what = of(&format!("{what}: {share}"));
            rows.rows.push(Row::new(what, "ms", figures.collect::<Outcome<Vec<f64>>>()?));
        }
    }
    let recall = searches.iter().map(|search| figure(&search["recall"])).collect::<Outcome<Vec<f64>>>()?;
    rows.rows.push(Row::new(of("vector search: recall@10"), "share", recall));
    page.stop(OURS)?;
    page.start(OURS, "store.js", &json!({}))?;
    // The first waits for the handle of the worker that was stopped.
    page.call(OURS, "opening", &json!([name]))?;
    let opening = (0..args.runs.max(1)).map(|_| figure(&page.call(OURS, "opening", &json!([name]))?["ms"]));
    rows.rows.push(Row::new(of("open the store"), "ms", opening.collect::<Outcome<Vec<f64>>>()?));
    page.stop(OURS)
}

pub(super) fn figure(value: &Value) -> Outcome<f64> {
    value.as_f64().ok_or_else(|| format!("no number: {value}").into())
}
