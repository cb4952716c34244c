//! The graph of `ann` in files beside the store, so that opening a large base does not build it anew.
//!
//! hnsw_rs writes `NAME.hnsw.data` (its points) and `NAME.hnsw.graph` (their links); `NAME.hnsw` is
//! ours, written last, and says which generation of rows they hold. `docs/FORMAT.md` has the table.
//! Files that are absent, damaged, of another generation or of another store are not used: the graph
//! is then built from the rows, which are all that counts.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hnsw_rs::api::AnnT;
use hnsw_rs::hnsw::Hnsw;
use hnsw_rs::hnswio::HnswIo;

use crate::ChunkId;
use crate::ann::OneMinusDot;
use crate::slab::Slab;

const MAGIC: [u8; 8] = *b"FNHNSW01";
const HEADER_BYTES: usize = 44;
/// Files are read in pieces of this size to be summed up.
const PIECE_BYTES: usize = 1 << 20;

/// A graph that was read, and what is known of its points.
pub(crate) struct Loaded {
    pub(crate) hnsw: Hnsw<'static, f32, OneMinusDot>,
    pub(crate) covered: ChunkId,
    pub(crate) n_points: usize,
    pub(crate) n_dead: usize,
}

/// What `NAME.hnsw` holds.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// The generation: the largest chunk id of the points. Ids are never given out twice, so rows of
    /// a later generation are those with larger ids, and rows of removed documents.
    covered: u64,
    n_points: u64,
    n_dims: u64,
    /// CRC-32 of `NAME.hnsw.graph` and of `NAME.hnsw.data`: the library trusts lengths that it reads.
    links_crc: u32,
    points_crc: u32,
}

/// Writes the graph; the files of an earlier generation stay valid until the new ones stand.
///
/// # Errors
/// Where the folder cannot be written, or has no room.
pub(crate) fn save(
    hnsw: &Hnsw<'static, f32, OneMinusDot>,
    covered: ChunkId,
    n_dims: usize,
    store: &Path,
) -> io::Result<()> {
    let draft = with_suffix(store, "-draft");
    remove(&draft)?;
    let (Some(folder), Some(name)) = (folder_of(&draft), draft.file_name().and_then(|name| name.to_str()))
    else {
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, "the store's name is not UTF-8"));
    };
    // The library panics where a file cannot be made.
    let dumped = catch_unwind(AssertUnwindSafe(|| hnsw.file_dump(&folder, name)));
    match dumped {
        Ok(Ok(written)) if written == name => {}
        _ => return Err(io::Error::other("the graph could not be written")),
    }
    let header = Header {
        covered: covered.0,
        n_points: hnsw.get_nb_point() as u64,
        n_dims: n_dims as u64,
        links_crc: crc_of(&links(&draft))?,
        points_crc: crc_of(&points(&draft))?,
    };
    remove(store)?;
    fs::rename(points(&draft), points(store))?;
    fs::rename(links(&draft), links(store))?;
    fs::write(header_of(&draft), header.to_bytes())?;
    fs::rename(header_of(&draft), header_of(store))
}

/// Reads the graph of a store, if there is one that agrees with its rows: every row up to its
/// generation must be a point of it with the same numbers.
pub(crate) fn load(store: &Path, slab: &Slab) -> Option<Loaded> {
    let header = Header::from_bytes(&fs::read(header_of(store)).ok()?)?;
    let is_undamaged =
        crc_of(&links(store)).ok()? == header.links_crc && crc_of(&points(store)).ok()? == header.points_crc;
    if header.n_dims != slab.n_dims() as u64 || !is_undamaged {
        return None;
    }
    let name = store.file_name()?.to_str()?;
    let folder = folder_of(store)?;
    let read = catch_unwind(|| {
        // The library ties what it has read to the life of its reader, of which some hundred bytes stay.
        let reader: &'static mut HnswIo = Box::leak(Box::new(HnswIo::new(&folder, name)));
        reader.load_hnsw::<f32, OneMinusDot>()
    });
    let mut hnsw = read.ok()?.ok()?;
    hnsw.set_extend_candidates(false);
    let (mut n_points, mut n_alive) = (0, 0);
    for point in hnsw.get_point_indexation() {
        n_points += 1;
        let Some(row) = slab.row_of(ChunkId(point.get_origin_id() as u64)) else { continue };
        if slab.row(row).1 != point.get_v() {
            return None;
        }
        n_alive += 1;
    }
    let covered = ChunkId(header.covered);
    let n_expected = slab.n_rows() - slab.rows_after(covered).count();
    let is_whole = n_points as u64 == header.n_points && n_alive == n_expected;
    is_whole.then(|| Loaded { hnsw, covered, n_points, n_dead: n_points - n_alive })
}

impl Header {
    fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.covered.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.n_points.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.n_dims.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.links_crc.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.points_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.try_into().ok()?;
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let short = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let is_ours = bytes[..8] == MAGIC && crc32fast::hash(&bytes[..40]) == short(40);
        is_ours.then(|| Self {
            covered: long(8),
            n_points: long(16),
            n_dims: long(24),
            links_crc: short(32),
            points_crc: short(36),
        })
    }
}

fn crc_of(path: &Path) -> io::Result<u32> {
    let mut file = fs::File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finalize()),
            n_bytes => hasher.update(&piece[..n_bytes]),
        }
    }
}

/// Removes the files of a graph.
fn remove(store: &Path) -> io::Result<()> {
    // The header first: without it the others are nothing.
    for path in [header_of(store), links(store), points(store)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
}

fn header_of(store: &Path) -> PathBuf {
    with_suffix(store, ".hnsw")
}

fn links(store: &Path) -> PathBuf {
    with_suffix(store, ".hnsw.graph")
}

fn points(store: &Path) -> PathBuf {
    with_suffix(store, ".hnsw.data")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DocumentId;
    use crate::testing::Rng;

    const N_DIMS: usize = 24;

    fn slab(n_rows: u64, seed: u64) -> Slab {
        let mut rng = Rng(seed);
        let mut slab = Slab::new(N_DIMS);
        for id in 1..=n_rows {
            slab.push(DocumentId(id / 10), ChunkId(id), rng.unit_vector(N_DIMS).into_iter());
        }
        slab
    }

    fn saved(folder: &Path, slab: &Slab) -> PathBuf {
        let store = folder.join("kb.footnote");
        let hnsw = Hnsw::new(16, 1_000, 16, 100, OneMinusDot);
        for row in 0..slab.n_rows() {
            let (chunk, vector) = slab.row(row);
            hnsw.insert_slice((vector, chunk.0 as usize));
        }
        save(&hnsw, slab.row(slab.n_rows() - 1).0, N_DIMS, &store).unwrap();
        store
    }

    #[test]
    fn a_graph_is_read_for_the_rows_it_was_made_of_and_later_ones() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = slab(200, 1);
        let store = saved(folder.path(), &rows);
        let read = load(&store, &rows).unwrap();
        assert_eq!((read.covered, read.n_points, read.n_dead), (ChunkId(200), 200, 0));
        rows.remove(DocumentId(3));
        rows.push(DocumentId(99), ChunkId(201), [1.0; N_DIMS].into_iter());
        let read = load(&store, &rows).unwrap();
        assert_eq!((read.covered, read.n_points, read.n_dead), (ChunkId(200), 200, 10));
        // It is written again over what is there.
        saved(folder.path(), &slab(100, 2));
        assert_eq!(load(&store, &slab(100, 2)).unwrap().n_points, 100);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left behind");
    }

    #[test]
    fn other_rows_have_no_use_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = saved(folder.path(), &slab(200, 1));
        assert!(load(&store, &slab(200, 2)).is_none(), "other numbers under the same ids");
        assert!(load(&store, &slab(200, 1)).is_some());
        // A store that was put back to an earlier state and went on differently.
        let mut other = slab(190, 1);
        for id in 191..=210 {
            other.push(DocumentId(70), ChunkId(id), [0.5; N_DIMS].into_iter());
        }
        assert!(load(&store, &other).is_none());
        assert!(load(&folder.path().join("absent"), &slab(200, 1)).is_none());
    }

    #[test]
    fn damaged_files_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let rows = slab(60, 1);
        let store = saved(folder.path(), &rows);
        for path in [header_of(&store), links(&store), points(&store)] {
            let bytes = fs::read(&path).unwrap();
            for at in (0..bytes.len()).step_by(bytes.len() / 12 + 1) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x55;
                fs::write(&path, &damaged).unwrap();
                assert!(load(&store, &rows).is_none(), "{} at {at}", path.display());
            }
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            assert!(load(&store, &rows).is_none(), "{} cut", path.display());
            fs::write(&path, &bytes).unwrap();
        }
        assert!(load(&store, &rows).is_some());
    }
}
