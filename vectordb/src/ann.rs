//! An approximate index for bases too large to scan: hierarchical navigable small worlds (Malkov,
//! Yashunin 2018) by hnsw_rs. Only natively, and only above [`MIN_CHUNKS`].
//!
//! The graph follows the rows: a thread of its own inserts them in order of their ids, and what is
//! not inserted yet is scanned, so a search is right at any moment. Nobody who stores waits for it. Removed rows are passed over, and
//! when they become many the graph is built anew, because every one of them costs recall.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hnsw_rs::anndists::dist::Distance;
use hnsw_rs::hnsw::Hnsw;

use crate::graph_file;
use crate::index::Index;
use crate::slab::{Slab, dot};
use crate::top::Top;
use crate::{ChunkId, Db, Hit};

/// From here on a graph serves. A scan reads 1.5 kB per chunk (384 dimensions) and takes about 42 us
/// for 1,000 chunks on one core, so 6 ms here; a graph answers in about 1 ms at any size, but costs
/// 1 ms and 4 kB for each chunk, and a little recall.
pub const MIN_CHUNKS: usize = 150_000;

/// Links per point and layer; twice as many in the lowest.
const N_LINKS: usize = 16;
const MAX_LAYERS: usize = 16;
/// Points that the library makes room for at first.
const CAPACITY_HINT: usize = 100_000;
/// Candidates weighed when a point is linked.
const N_BUILD_CANDIDATES: usize = 200;
/// Candidates weighed for a question: recall@10 stays above .99 on clustered vectors.
const N_SEARCH_CANDIDATES: usize = 128;
/// Rows that are taken from the index at once.
const MAX_BATCH_ROWS: usize = 64;
/// Rows inserted while searches wait: the library does not search while it inserts. A row takes about 1 ms.
const MAX_HELD_ROWS: usize = 8;
/// New points, as 1 of so many, at which the files beside the store are written again.
const MIN_NEW_SHARE: usize = 10;
/// Share of removed points, as 1 of so many, at which the graph is built anew.
const MAX_DEAD_SHARE: usize = 5;

type Points = Hnsw<'static, f32, OneMinusDot>;

/// The graph over the rows up to `covered`.
pub(crate) struct Graph {
    /// Under a lock of its own: while rows are inserted the index is free, so that commits do not wait.
    points: Arc<RwLock<Points>>,
    /// All rows with ids up to this one are points.
    covered: Option<ChunkId>,
    n_points: usize,
    n_dead: usize,
    /// Points that the files beside the store have.
    n_saved: usize,
    /// The store's file.
    store: Option<PathBuf>,
    min_chunks: usize,
    is_building: bool,
}

/// 0 for equal unit vectors, 2 for opposite ones.
#[derive(Default)]
pub(crate) struct OneMinusDot;

impl Distance<f32> for OneMinusDot {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - dot(a, b)).max(0.0)
    }
}

impl Graph {
    pub(crate) fn new(min_chunks: usize) -> Self {
        let points = Hnsw::new(N_LINKS, CAPACITY_HINT, MAX_LAYERS, N_BUILD_CANDIDATES, OneMinusDot);
        let points = Arc::new(RwLock::new(points));
        let (n_points, n_dead, n_saved) = (0, 0, 0);
        Self { points, covered: None, n_points, n_dead, n_saved, min_chunks, store: None, is_building: false }
    }

    #[cfg(test)]
    pub(crate) fn n_points(&self) -> usize {
        self.n_points
    }

    /// From so many rows on a graph serves.
    pub(crate) fn set_min_chunks(&mut self, min_chunks: usize) {
        self.min_chunks = min_chunks;
    }

    /// Takes up the graph that lies beside a store's file, if it is of these rows, and keeps it there
    /// from now on if it `may_write`.
    pub(crate) fn restore(&mut self, store: &Path, slab: &Slab, may_write: bool) {
        self.store = may_write.then(|| store.to_owned());
        if slab.n_rows() < self.min_chunks {
            return;
        }
        let Some(loaded) = graph_file::load(store, slab) else { return };
        if loaded.n_dead * MAX_DEAD_SHARE > loaded.n_points {
            return;
        }
        self.points = Arc::new(RwLock::new(loaded.hnsw));
        self.covered = Some(loaded.covered);
        self.n_points = loaded.n_points;
        self.n_dead = loaded.n_dead;
        self.n_saved = loaded.n_points;
    }

    /// The `k` best rows, nearly; `None` where a scan has to do it.
    pub(crate) fn search(&self, slab: &Slab, query: &[f32], k: usize) -> Option<Vec<Hit>> {
        let covered = self.covered.filter(|_| slab.n_rows() >= self.min_chunks)?;
        // While most rows wait for their place in the graph, the first look at signs is faster.
        if slab.n_rows() + self.n_dead > 2 * self.n_points {
            return None;
        }
        let is_alive = |id: &usize| slab.row_of(ChunkId(*id as u64)).is_some();
        let points = self.points.read().unwrap_or_else(PoisonError::into_inner);
        let found = points.search_filter(query, k, N_SEARCH_CANDIDATES.max(2 * k), Some(&is_alive));
        drop(points);
        let mut top = Top::new(k);
        // Later ones are scanned, also those that were just inserted.
        let ids = found.iter().map(|point| ChunkId(point.d_id as u64)).filter(|id| *id <= covered);
        let rows = ids.filter_map(|id| slab.row_of(id));
        for row in rows.chain(slab.rows_after(covered)) {
            let (chunk, vector) = slab.row(row);
            top.offer(dot(query, vector), || chunk.0);
        }
        let hits = top.into_hits();
        (hits.len() == k.min(slab.n_rows())).then_some(hits)
    }

    /// Rows are gone, of which the largest id is `last`.
    pub(crate) fn removed(&mut self, n_rows: usize, last: ChunkId) {
        if self.covered.is_some_and(|covered| last <= covered) {
            self.n_dead += n_rows;
        }
        if self.n_dead * MAX_DEAD_SHARE > self.n_points {
            self.clear();
        }
    }

    /// Forgets all points.
    pub(crate) fn clear(&mut self) {
        let (is_building, store) = (self.is_building, self.store.take());
        *self = Self { is_building, store, ..Self::new(self.min_chunks) };
    }

    /// The next rows; `None` when there are none, or too few rows at all.
    fn next(&self, slab: &Slab) -> Option<Batch> {
        if slab.n_rows() < self.min_chunks {
            return None;
        }
        let rows = slab.rows_after(self.covered.unwrap_or(ChunkId(0))).take(MAX_BATCH_ROWS);
        let rows = rows.map(|row| slab.row(row)).map(|(chunk, vector)| (chunk, vector.to_vec()));
        let rows: Vec<_> = rows.collect();
        (!rows.is_empty()).then(|| Batch { points: Arc::clone(&self.points), rows })
    }

    /// Counts rows that were inserted, unless the graph has been begun anew meanwhile.
    fn take(&mut self, slab: &Slab, batch: &Batch) {
        let Some((last, _)) = batch.rows.last().filter(|_| Arc::ptr_eq(&self.points, &batch.points)) else {
            return;
        };
        self.covered = Some(*last);
        self.n_points += batch.rows.len();
        let n_gone = batch.rows.iter().filter(|(chunk, _)| slab.row_of(*chunk).is_none()).count();
        self.n_dead += n_gone;
    }

    /// Where the graph is to be written, if so much is new in it that this is worth while.
    fn unsaved(&self) -> Option<&Path> {
        let n_new = self.n_points - self.n_saved.min(self.n_points);
        self.store.as_deref().filter(|_| n_new * MIN_NEW_SHARE > self.n_points)
    }
}

/// Rows on their way into a graph.
struct Batch {
    points: Arc<RwLock<Points>>,
    rows: Vec<(ChunkId, Vec<f32>)>,
}

impl Batch {
    fn insert(&self) {
        for rows in self.rows.chunks(MAX_HELD_ROWS) {
            let points = self.points.write().unwrap_or_else(PoisonError::into_inner);
            rows.iter().for_each(|(chunk, vector)| points.insert_slice((vector, chunk.0 as usize)));
            drop(points);
            // Lets waiting searches in.
            std::thread::yield_now();
        }
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n_points, n_dead) = (self.n_points, self.n_dead);
        f.debug_struct("Graph").field("n_points", &n_points).field("n_dead", &n_dead).finish_non_exhaustive()
    }
}

/// Sees to it that the graph takes in what is new, if the base is large enough for one. Returns at
/// once; the work ends with the index.
pub(crate) fn keep_up(index: &Arc<RwLock<Index>>) {
    let mut held = index.write().unwrap_or_else(PoisonError::into_inner);
    if held.graph.is_building || held.vectors.n_rows() < held.graph.min_chunks {
        return;
    }
    held.graph.is_building = true;
    drop(held);
    let index = Arc::downgrade(index);
    std::thread::spawn(move || {
        while let Some(index) = index.upgrade() {
            let held = index.read().unwrap_or_else(PoisonError::into_inner);
            let batch = held.graph.next(&held.vectors);
            drop(held);
            if let Some(batch) = &batch {
                batch.insert();
            }
            let mut held = index.write().unwrap_or_else(PoisonError::into_inner);
            let Index { graph, vectors, .. } = &mut *held;
            match batch {
                Some(batch) => graph.take(vectors, &batch),
                None if graph.unsaved().is_some() => {
                    drop(held);
                    save(&index);
                }
                None if graph.next(vectors).is_none() => {
                    graph.is_building = false;
                    return;
                }
                None => {}
            }
        }
    });
}

/// Writes the graph beside its store; searches go on, commits wait. What cannot be written is built
/// anew at the next opening, and not tried again before.
fn save(index: &RwLock<Index>) {
    let held = index.read().unwrap_or_else(PoisonError::into_inner);
    let Index { graph, vectors, .. } = &*held;
    let n_points = graph.n_points;
    if let (Some(store), Some(covered)) = (graph.unsaved(), graph.covered) {
        let points = graph.points.read().unwrap_or_else(PoisonError::into_inner);
        let _ = graph_file::save(&points, covered, vectors.n_dims(), store);
    }
    drop(held);
    index.write().unwrap_or_else(PoisonError::into_inner).graph.n_saved = n_points;
}

/// Returns when the graph has taken in all rows and lies beside its store.
pub(crate) fn wait(index: &Arc<RwLock<Index>>) {
    keep_up(index);
    while index.read().unwrap_or_else(PoisonError::into_inner).graph.is_building {
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Db {
    /// From so many passages on the approximate index serves; 150,000 if nothing is said. `usize::MAX`
    /// for never.
    pub fn use_graph_from(&mut self, min_chunks: usize) {
        self.index_mut().graph.set_min_chunks(min_chunks);
        self.keep_up();
    }

    /// Returns when the approximate index has all passages, and lies beside the store's file.
    pub fn finish_graph(&self) {
        wait(&self.index);
    }

    pub(crate) fn restore_graph(&self, file: &platform::File) {
        let mut index = self.index_mut();
        let Index { graph, vectors, .. } = &mut *index;
        graph.restore(Path::new(file.path()), vectors, !self.is_read_only());
        drop(index);
        self.keep_up();
    }
}

#[cfg(test)]
impl Graph {
    /// Inserts the next rows; `false` when there are none.
    fn insert_some(&mut self, slab: &Slab) -> bool {
        let Some(batch) = self.next(slab) else { return false };
        batch.insert();
        self.take(slab, &batch);
        true
    }
}

#[cfg(test)]
impl Db {
    pub(crate) fn open_with_graph_from(
        file: platform::File,
        tag: &crate::EmbedderTag,
        n: usize,
    ) -> crate::Result<Self> {
        let mut db = Self::over(crate::pages::Pages::in_file(file.clone()), tag)?;
        db.index_mut().graph.set_min_chunks(n);
        db.found_in(file);
        Ok(db)
    }

    pub(crate) fn n_graph_points(&self) -> usize {
        self.index().graph.n_points()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{N_DIMS, Rng, document, tag};
    use crate::{DocumentId, Filter};

    const N_ROWS: u64 = 3_000;

    fn clustered(rng: &mut Rng, centres: &[Vec<f32>]) -> Vec<f32> {
        let centre = &centres[rng.below(centres.len())];
        let noise = rng.unit_vector(64);
        let vector: Vec<f32> = centre.iter().zip(&noise).map(|(c, n)| c + 0.7 * n).collect();
        let length = dot(&vector, &vector).sqrt();
        vector.iter().map(|value| value / length).collect()
    }

    fn recall(graph: &Graph, slab: &Slab, queries: &[Vec<f32>]) -> f64 {
        let mut n_found = 0;
        for query in queries {
            let exact = slab.search_exactly(query, 10, &Filter::default());
            let found = graph.search(slab, query, 10).unwrap();
            n_found += found.iter().filter(|hit| exact.contains(hit)).count();
        }
        n_found as f64 / (queries.len() * 10) as f64
    }

    #[test]
    fn the_graph_finds_what_a_scan_finds_also_after_removals() {
        let mut rng = Rng(3);
        let centres: Vec<Vec<f32>> = (0..40).map(|_| rng.unit_vector(64)).collect();
        let mut index = Index::new(64);
        index.graph.set_min_chunks(1_000);
        for id in 1..=N_ROWS {
            let vector = clustered(&mut rng, &centres);
            index.vectors.push(DocumentId(id / 10), ChunkId(id), vector.into_iter());
        }
        let queries: Vec<Vec<f32>> = (0..100).map(|_| clustered(&mut rng, &centres)).collect();
        assert!(index.graph.search(&index.vectors, &queries[0], 10).is_none(), "there is no graph yet");
        // Half of the rows are points, the others are scanned.
        while index.graph.covered < Some(ChunkId(N_ROWS / 2)) {
            assert!(index.graph.search(&index.vectors, &queries[0], 10).is_none(), "most rows are missing");
            assert!(index.graph.insert_some(&index.vectors));
        }
        assert!(recall(&index.graph, &index.vectors, &queries) >= 0.99);
        while index.graph.insert_some(&index.vectors) {}
        assert!(recall(&index.graph, &index.vectors, &queries) >= 0.99);
        for gone in 0..50 {
            index.remove(DocumentId(gone * 6));
        }
        assert!(index.graph.n_dead > 400 && index.graph.n_points as u64 == N_ROWS);
        assert!(recall(&index.graph, &index.vectors, &queries) >= 0.98);
        for gone in 0..50 {
            index.remove(DocumentId(gone * 6 + 1));
        }
        assert!(index.graph.n_points == 0, "too many points were dead, so the graph begins anew");
        while index.graph.insert_some(&index.vectors) {}
        assert!(recall(&index.graph, &index.vectors, &queries) >= 0.99);
    }

    #[test]
    fn the_graph_follows_a_store() {
        let mut db = Db::in_memory(&tag()).unwrap();
        db.use_graph_from(200);
        let mut rng = Rng(8);
        for n in 0..30 {
            db.put_document(&document(&mut rng, &format!("{n}"), 20)).unwrap();
        }
        let start_ms = platform::now_ms();
        while db.n_graph_points() < 600 {
            assert!(platform::now_ms() - start_ms < 20_000.0, "the graph does not follow");
            std::thread::sleep(Duration::from_millis(5));
        }
        let query = rng.unit_vector(N_DIMS);
        let hits = db.search_vector(&query, 5, &Filter::default()).unwrap();
        let exact = db.search_vector_exactly(&query, 5, &Filter::default()).unwrap();
        assert_eq!(hits[0], exact[0]);
    }

    #[test]
    fn who_stores_does_not_wait_for_the_graph() {
        let mut db = Db::in_memory(&tag()).unwrap();
        db.use_graph_from(20);
        let mut rng = Rng(8);
        db.put_document(&document(&mut rng, "first", 40)).unwrap();
        let points = Arc::clone(&db.index().graph.points);
        let inserting = points.write().unwrap();
        // Waiting would be for ever.
        db.put_document(&document(&mut rng, "second", 40)).unwrap();
        let gone = db.documents().unwrap()[0].id;
        db.remove_document(gone).unwrap();
        drop(inserting);
        db.finish_graph();
        let query = rng.unit_vector(N_DIMS);
        let exact = db.search_vector_exactly(&query, 5, &Filter::default()).unwrap();
        assert_eq!(db.search_vector(&query, 5, &Filter::default()).unwrap(), exact);
    }

    #[test]
    fn the_graph_of_a_store_is_there_again_when_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kb.footnote").display().to_string();
        let open = || {
            let file = platform::block_on(platform::File::open(&path, platform::OpenMode::ReadWrite));
            Db::open_with_graph_from(file.unwrap(), &tag(), 200).unwrap()
        };
        let mut rng = Rng(8);
        let mut db = open();
        for n in 0..30 {
            db.put_document(&document(&mut rng, &format!("{n}"), 20)).unwrap();
        }
        db.finish_graph();
        let query = rng.unit_vector(N_DIMS);
        let hits = db.search_vector(&query, 5, &Filter::default()).unwrap();
        drop(db);
        let mut db = open();
        // The last few rows are put in again if the graph was written before they came.
        assert!(db.n_graph_points() >= 540, "read, not built");
        assert_eq!(db.search_vector(&query, 5, &Filter::default()).unwrap(), hits);
        // It goes on from there, with fewer and more rows.
        let gone = db.documents().unwrap()[0].id;
        db.remove_document(gone).unwrap();
        db.put_document(&document(&mut rng, "new", 20)).unwrap();
        db.finish_graph();
        assert_eq!(db.n_graph_points(), 620);
        let exact = |db: &Db| db.search_vector_exactly(&query, 5, &Filter::default()).unwrap();
        assert_eq!(db.search_vector(&query, 5, &Filter::default()).unwrap(), exact(&db));
        drop(db);
        // The files are of a generation before; the rows since then are put in again.
        let db = open();
        db.finish_graph();
        assert_eq!(db.n_graph_points(), 620);
        assert_eq!(db.search_vector(&query, 5, &Filter::default()).unwrap(), exact(&db));
    }
}
