//! How fast documents are stored and a store is opened, and what they take.

use std::fs;
use std::io::{BufReader, BufWriter};

use platform::{File, OpenMode, block_on, now_ms};
use tempfile::TempDir;
use vectordb::Db;

use crate::corpus::{CHUNKS_PER_DOCUMENT, Corpus, percentile, tag};
use crate::{Args, Outcome, Row, Rows, machine};

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    if args.only.as_deref() == Some("web") {
        return crate::peers::store::rows(args);
    }
    let mut rows = Rows::default();
    for &n_chunks in &args.chunks {
        measure(n_chunks, args, &mut rows)?;
    }
    Ok(rows)
}

/// Opens or makes a store.
pub(crate) fn open(folder: &TempDir, name: &str) -> Outcome<Db> {
    let path = folder.path().join(name);
    let path = path.to_str().ok_or("the temporary folder's name is not UTF-8")?;
    Ok(Db::open(block_on(File::open(path, OpenMode::ReadWrite))?, &tag())?)
}

/// Below so many passages a store is filled once for each run; above, once takes long enough.
const MAX_FILLED_AGAIN: usize = 10_000;
/// Up to so many an export is taken in: of a million that alone takes many minutes.
const MAX_TRANSFERRED: usize = 200_000;

fn measure(n_chunks: usize, args: &Args, rows: &mut Rows) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let (mut put_ms, mut rates) = (Vec::new(), Vec::new());
    let n_fills = if n_chunks < MAX_FILLED_AGAIN { args.runs.max(1) } else { 1 };
    let mut stats = None;
    for fill in 0..n_fills {
        let mut corpus = Corpus::new();
        let mut db = open(&folder, &name(fill))?;
        let n_before = put_ms.len();
        for i in 0..n_chunks / CHUNKS_PER_DOCUMENT {
            let document = corpus.document(i);
            let start_ms = now_ms();
            db.put_document(&document)?;
            put_ms.push(now_ms() - start_ms);
        }
        rates.push(n_chunks as f64 / put_ms[n_before..].iter().sum::<f64>() * 1e3);
        stats = Some(db.stats()?);
    }
    let stats = stats.ok_or("nothing was filled")?;
    let before_bytes = machine::resident_bytes();
    let mut db = open(&folder, &name(0))?;
    let after_bytes = machine::resident_bytes();
    db.use_graph_from(usize::MAX);
    drop(db);
    let per_passage = |bytes: f64| vec![bytes / n_chunks as f64];
    let (p50, p99) = (percentile(&mut put_ms, 0.5), percentile(&mut put_ms, 0.99));
    let of = |what: &str| format!("{what}, {n_chunks} passages");
    let store = of(&format!("store documents of {CHUNKS_PER_DOCUMENT} passages"));
    rows.rows.extend([
        Row::new(&store, "passages/s", rates),
        Row::new(format!("{store}: one commit, p50"), "ms", vec![p50]),
        Row::new(format!("{store}: one commit, p99"), "ms", vec![p99]),
        Row::timed(of("open the store"), args.runs, || open(&folder, &name(0)))?,
        Row::new(of("file, for each passage"), "bytes", per_passage(stats.file_bytes as f64)),
        Row::new(of("index in memory, for each passage"), "bytes", per_passage(stats.index_bytes as f64)),
    ]);
    match before_bytes.zip(after_bytes) {
        Some((before, after)) => {
            let grown = after.saturating_sub(before) as f64;
            let what = of("memory of the process that opening takes, for each passage");
            rows.rows.push(Row::new(what, "bytes", per_passage(grown)));
        }
        None => rows.skip(of("memory of the process"), "only Linux tells"),
    }
    if n_chunks > MAX_TRANSFERRED {
        rows.skip(of("export and import"), "many minutes");
        return Ok(());
    }
    transfer(&folder, args, &of, rows)
}

fn name(fill: usize) -> String {
    format!("bench-{fill}.footnote")
}

/// Writing a store to an export and taking that in, which makes the terms of all passages anew.
fn transfer(folder: &TempDir, args: &Args, of: &dyn Fn(&str) -> String, rows: &mut Rows) -> Outcome<()> {
    let db = open(folder, &name(0))?;
    let path = folder.path().join("bench.export");
    let (mut written, mut taken) = (Vec::new(), Vec::new());
    for run in 0..args.runs.clamp(1, 3) {
        let start_ms = now_ms();
        let mut out = BufWriter::new(fs::File::create(&path)?);
        let n_bytes = db.export(&mut out, 0)?.n_bytes as f64;
        out.into_inner()?.sync_data()?;
        written.push(n_bytes / 1e3 / (now_ms() - start_ms));
        let mut copy = open(folder, &format!("copy-{run}.footnote"))?;
        let start_ms = now_ms();
        copy.import(&mut BufReader::new(fs::File::open(&path)?))?;
        taken.push(n_bytes / 1e3 / (now_ms() - start_ms));
        drop(copy);
        fs::remove_file(folder.path().join(format!("copy-{run}.footnote")))?;
    }
    rows.rows.push(Row::new(of("export to a file"), "MB/s", written));
    rows.rows.push(Row::new(of("import it into an empty store"), "MB/s", taken));
    Ok(())
}
