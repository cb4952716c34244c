//! Compressed neighbours: `page.js.br` and `page.js.gz` beside `page.js`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Outcome;

/// Brotli's best takes half a minute for a file of 10 MB, for a few hundredths less than the
/// next: it is for small files, where it costs nothing.
const BROTLI_BEST: i32 = 11;
const BROTLI_LARGE: i32 = 9;
const LARGE_BYTES: u64 = 1 << 20;
/// The window that every decoder takes: 2^24 bytes hold a whole program.
const BROTLI_WINDOW_BITS: i32 = 24;

/// A file's lengths.
#[derive(Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Its name below the folder.
    pub name: PathBuf,
    /// In bytes.
    pub raw: u64,
    /// In bytes, compressed.
    pub gzip: u64,
    /// In bytes, compressed.
    pub brotli: u64,
}

/// Brings the compressed neighbours of these files up to date, on all cores.
pub fn compress_all(folder: &Path, names: &BTreeSet<PathBuf>) -> Outcome<Vec<Sizes>> {
    let names: Vec<&PathBuf> = names.iter().collect();
    let next = AtomicUsize::new(0);
    let sizes = Mutex::new(Vec::new());
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let size = compress(folder, name);
                    sizes.lock().expect("no thread panics with the lock").push(size);
                }
            });
        }
    });
    let sizes = sizes.into_inner().expect("no thread panics with the lock");
    let mut sizes = sizes.into_iter().collect::<io::Result<Vec<Sizes>>>()?;
    sizes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sizes)
}

/// Whether a name is that of a compressed neighbour.
pub fn is_compressed(name: &Path) -> bool {
    original_name(name) != name
}

/// `page.js` for `page.js.br`.
pub fn original_name(name: &Path) -> PathBuf {
    match name.extension().and_then(|extension| extension.to_str()) {
        Some("br" | "gz") => name.with_extension(""),
        _ => name.to_owned(),
    }
}

fn compress(folder: &Path, name: &Path) -> io::Result<Sizes> {
    let path = folder.join(name);
    let raw = fs::metadata(&path)?.len();
    let gzip = neighbour(&path, "gz", |bytes, out| {
        let mut encoder = GzEncoder::new(out, Compression::best());
        encoder.write_all(bytes)?;
        encoder.finish().map(drop)
    })?;
    let brotli = neighbour(&path, "br", |mut bytes, mut out| {
        let quality = if raw < LARGE_BYTES { BROTLI_BEST } else { BROTLI_LARGE };
        let params =
            BrotliEncoderParams { quality, lgwin: BROTLI_WINDOW_BITS, ..BrotliEncoderParams::default() };
        brotli::BrotliCompress(&mut bytes, &mut out, &params).map(drop)
    })?;
    Ok(Sizes { name: name.to_owned(), raw, gzip, brotli })
}

/// Writes one neighbour unless it is younger than the file; returns its length.
fn neighbour(
    path: &Path,
    extension: &str,
    write: impl Fn(&[u8], &mut File) -> io::Result<()>,
) -> io::Result<u64> {
    let with = |end: &str| {
        let mut name = path.to_owned().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    let neighbour = with(&format!(".{extension}"));
    let changed = fs::metadata(path)?.modified()?;
    if let Ok(there) = fs::metadata(&neighbour)
        && there.modified()? > changed
    {
        return Ok(there.len());
    }
    // Never half of it under the final name: the server would send that.
    let partial = with(&format!(".{extension}-partial"));
    let mut file = File::create(&partial)?;
    write(&fs::read(path)?, &mut file)?;
    fs::rename(&partial, &neighbour)?;
    Ok(fs::metadata(&neighbour)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_follow_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let name = PathBuf::from("page.js");
        let names = BTreeSet::from([name.clone()]);
        let text = "export const footnote = 1;\n".repeat(100);
        fs::write(folder.path().join(&name), &text).unwrap();
        let first = compress_all(folder.path(), &names).unwrap();
        assert_eq!(first[0].raw, 2700);
        assert!(first[0].brotli < first[0].gzip && first[0].gzip < 200, "{first:?}");

        let mut packed = io::BufReader::new(File::open(folder.path().join("page.js.br")).unwrap());
        let mut unpacked = Vec::new();
        brotli::BrotliDecompress(&mut packed, &mut unpacked).unwrap();
        assert_eq!(unpacked, text.as_bytes());

        fs::write(folder.path().join(&name), "x").unwrap();
        let second = compress_all(folder.path(), &names).unwrap();
        assert!(second[0].gzip != first[0].gzip, "a changed file is compressed anew");
    }

    #[test]
    fn names() {
        assert_eq!(original_name(Path::new("a/page.js.br")), Path::new("a/page.js"));
        assert!(is_compressed(Path::new("page.js.gz")));
        assert!(!is_compressed(Path::new("page.js")));
    }
}
