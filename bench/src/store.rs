//! How fast documents are stored and a store is opened, and what they take.

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

fn measure(n_chunks: usize, args: &Args, rows: &mut Rows) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let mut corpus = Corpus::new();
    let mut put_ms = Vec::new();
    let mut db = open(&folder, "bench.footnote")?;
    for i in 0..n_chunks / CHUNKS_PER_DOCUMENT {
        let document = corpus.document(i);
        let start_ms = now_ms();
        db.put_document(&document)?;
        put_ms.push(now_ms() - start_ms);
    }
    let index_bytes = db.stats()?.index_bytes as f64;
    let file_bytes = db.stats()?.file_bytes as f64;
    drop(db);
    let before_bytes = machine::resident_bytes();
    let mut db = open(&folder, "bench.footnote")?;
    let after_bytes = machine::resident_bytes();
    db.use_graph_from(usize::MAX);
    drop(db);
    let per_passage = |bytes: f64| vec![bytes / n_chunks as f64];
    let rate = n_chunks as f64 / put_ms.iter().sum::<f64>() * 1e3;
    let (p50, p99) = (percentile(&mut put_ms, 0.5), percentile(&mut put_ms, 0.99));
    let of = |what: &str| format!("{what}, {n_chunks} passages");
    let store = of(&format!("store documents of {CHUNKS_PER_DOCUMENT} passages"));
    rows.rows.extend([
        Row::new(&store, "passages/s", vec![rate]),
        Row::new(format!("{store}: one commit, p50"), "ms", vec![p50]),
        Row::new(format!("{store}: one commit, p99"), "ms", vec![p99]),
        Row::timed(of("open the store"), args.runs, || open(&folder, "bench.footnote"))?,
        Row::new(of("file, for each passage"), "bytes", per_passage(file_bytes)),
        Row::new(of("index in memory, for each passage"), "bytes", per_passage(index_bytes)),
    ]);
    match before_bytes.zip(after_bytes) {
        Some((before, after)) => {
            let grown = after.saturating_sub(before) as f64;
            let what = of("memory of the process that opening takes, for each passage");
            rows.rows.push(Row::new(what, "bytes", per_passage(grown)));
        }
        None => rows.skip(of("memory of the process"), "only Linux tells"),
    }
    Ok(())
}
