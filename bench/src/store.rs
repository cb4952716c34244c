//! How fast documents are stored and a store is opened.

use platform::{File, OpenMode, block_on, now_ms};
use vectordb::Db;

use crate::search::{Corpus, tag};
use crate::{Args, Outcome, Row};

const DOCUMENTS: usize = 100;
const CHUNKS_PER_DOCUMENT: usize = 100;

pub(crate) fn rows(args: &Args) -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bench.footnote");
    let path = path.to_str().ok_or("the temporary folder's name is not UTF-8")?;
    let open = || -> Outcome<Db> { Ok(Db::open(block_on(File::open(path, OpenMode::ReadWrite))?, &tag())?) };

    let mut corpus = Corpus::new();
    let mut put_ms = Vec::new();
    let mut db = open()?;
    for i in 0..DOCUMENTS {
        let document = corpus.document(i, CHUNKS_PER_DOCUMENT);
        let start_ms = now_ms();
        db.put_document(&document)?;
        put_ms.push(now_ms() - start_ms);
    }
    let index_bytes = db.stats()?.index_bytes;
    drop(db);
    let n_chunks = DOCUMENTS * CHUNKS_PER_DOCUMENT;
    let file_bytes = std::fs::metadata(path)?.len();
    Ok(vec![
        Row::new(format!("store a document of {CHUNKS_PER_DOCUMENT} passages"), "ms", put_ms),
        Row::timed(format!("open a store of {n_chunks} passages"), args.runs, open)?,
        Row::new(format!("file of {n_chunks} passages"), "MB", vec![file_bytes as f64 / 1e6]),
        Row::new(format!("index of {n_chunks} passages in memory"), "MB", vec![index_bytes as f64 / 1e6]),
    ])
}
