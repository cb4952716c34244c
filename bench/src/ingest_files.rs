//! How fast files become chunks: the documents of `fixtures/docs`.

use std::path::Path;

use ingest::{ChunkPolicy, Hint, Limits};

use crate::{Args, Outcome, Row};

pub(crate) fn rows(args: &Args) -> Outcome<Vec<Row>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/docs");
    let mut rows = Vec::new();
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths.iter().filter(|path| path.is_file()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = std::fs::read(path)?;
        let hint = Hint { name: &name, mime: None, password: None };
        // Files that are there to be refused are no speed.
        if ingest::ingest(&bytes, &hint, &Limits::default()).is_err() {
            continue;
        }
        let what = format!("{name}, {} kB, to chunks", bytes.len().div_ceil(1000));
        rows.push(Row::timed(what, args.runs, || {
            let (document, _) = ingest::ingest(&bytes, &hint, &Limits::default())?;
            Ok(ingest::chunk(&document, &ChunkPolicy::default(), &|text| {
                text.split_whitespace().count() as u32
            }))
        })?);
    }
    Ok(rows)
}
