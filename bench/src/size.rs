//! How much a browser loads: the files of the built web app, raw and compressed.

use std::path::Path;

use crate::{Outcome, Row};

pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/web-dist");
    let entries = std::fs::read_dir(&folder).map_err(|_| "no web app is built yet: run `cargo xtask web`")?;
    let mut rows = Vec::new();
    let mut paths: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "wasm")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let raw = std::fs::metadata(path)?.len();
        rows.push(Row::new(format!("{name}, raw"), "kB", vec![raw as f64 / 1e3]));
        let mut compressed = path.as_os_str().to_owned();
        compressed.push(".br");
        let compressed = std::fs::metadata(&compressed)?.len();
        rows.push(Row::new(format!("{name}, brotli"), "kB", vec![compressed as f64 / 1e3]));
    }
    Ok(rows)
}
