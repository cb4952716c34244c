//! How fast passages are found, and how many of the right ones.

use platform::now_ms;
use tempfile::TempDir;
use vectordb::{ChunkId, Db, DocumentId, Filter, Hit};

use crate::corpus::{CHUNKS_PER_DOCUMENT, Corpus, percentile};
use crate::cozo_graph::CozoGraph;
use crate::{Args, Outcome, Row, Rows};

const QUERIES: usize = 200;
const QUERY_WORDS: usize = 8;
const TOP: usize = 10;
/// A filter lets one document of so many through.
const FILTERED: usize = 100;

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    if args.only.as_deref() == Some("web") {
        return crate::peers::store::rows(args);
    }
    if args.only.as_deref() == Some("duplicates") {
        return crate::duplicates::rows(args);
    }
    let mut rows = Rows::default();
    if args.wants("scan") {
        for &n_chunks in &args.chunks {
            Bench::new(n_chunks)?.scans(args, &mut rows)?;
        }
    }
    if args.only.as_deref() == Some("graph") {
        for &n_chunks in &args.chunks {
            Bench::new(n_chunks)?.graph(args, &mut rows)?;
        }
    } else {
        rows.skip("the graph, and cozo's", "minutes of building: ask for them with `--only graph`");
        rows.skip("near-duplicates, and cozo's index of them", "ask for them with `--only duplicates`");
    }
    Ok(rows)
}

/// A store of so many passages, and questions.
struct Bench {
    n_chunks: usize,
    db: Db,
    _folder: TempDir,
    vectors: Vec<Vec<f32>>,
    texts: Vec<String>,
    /// The right answers.
    nearest: Vec<Vec<Hit>>,
}

impl Bench {
    fn new(n_chunks: usize) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let mut corpus = Corpus::new();
        let mut db = crate::store::open(&folder, "search.footnote")?;
        db.use_graph_from(usize::MAX);
        for i in 0..n_chunks / CHUNKS_PER_DOCUMENT {
            db.put_document(&corpus.document(i))?;
        }
        let vectors: Vec<Vec<f32>> = (0..QUERIES).map(|_| corpus.vector()).collect();
        let texts = (0..QUERIES).map(|_| corpus.words(QUERY_WORDS)).collect();
        let all = Filter::default();
        let nearest = vectors.iter().map(|query| db.search_vector_exactly(query, TOP, &all));
        let nearest = nearest.collect::<vectordb::Result<_>>()?;
        Ok(Self { n_chunks, db, _folder: folder, vectors, texts, nearest })
    }

    /// Latencies of one way to search, p50 and p99 of all questions in each run.
    fn timed<T>(
        &self,
        what: &str,
        args: &Args,
        rows: &mut Rows,
        mut search: impl FnMut(usize) -> Outcome<T>,
    ) -> Outcome<()> {
        let (mut medians, mut worst) = (Vec::new(), Vec::new());
        for run in 0..=args.runs {
            let mut figures = Vec::with_capacity(QUERIES);
            for query in 0..QUERIES {
                let start_ms = now_ms();
                search(query)?;
                figures.push(now_ms() - start_ms);
            }
            // The first run warms up.
            if run > 0 {
                medians.push(percentile(&mut figures, 0.5));
                worst.push(percentile(&mut figures, 0.99));
            }
        }
        let what = format!("{what}, {} passages, top {TOP}", self.n_chunks);
        rows.rows.push(Row::new(format!("{what}: p50"), "ms", medians));
        rows.rows.push(Row::new(format!("{what}: p99"), "ms", worst));
        Ok(())
    }

    /// The share of the nearest that a way to search finds.
    fn recall(
        &self,
        what: &str,
        rows: &mut Rows,
        search: impl Fn(usize) -> Outcome<Vec<Hit>>,
    ) -> Outcome<()> {
        let mut n_found = 0;
        for (query, nearest) in self.nearest.iter().enumerate() {
            let found = search(query)?;
            n_found +=
                nearest.iter().filter(|hit| found.iter().any(|other| other.chunk == hit.chunk)).count();
        }
        let recall = n_found as f64 / (QUERIES * TOP) as f64;
        let what = format!("{what}, {} passages: recall@{TOP}", self.n_chunks);
        rows.rows.push(Row::new(what, "share", vec![recall]));
        Ok(())
    }

    fn scans(&self, args: &Args, rows: &mut Rows) -> Outcome<()> {
        let Self { db, vectors, texts, .. } = self;
        let all = Filter::default();
        self.timed("vector search, exact", args, rows, |q| {
            Ok(db.search_vector_exactly(&vectors[q], TOP, &all)?)
        })?;
        self.timed("vector search", args, rows, |q| Ok(db.search_vector(&vectors[q], TOP, &all)?))?;
        self.recall("vector search", rows, |q| Ok(db.search_vector(&vectors[q], TOP, &all)?))?;
        let some = |q: usize| -> Filter {
            let ids = (1..=(self.n_chunks / CHUNKS_PER_DOCUMENT) as u64).map(DocumentId);
            Filter {
                documents: Some(ids.skip(q % FILTERED).step_by(FILTERED).collect()),
                ..Filter::default()
            }
        };
        let filters: Vec<Filter> = (0..QUERIES).map(some).collect();
        let what = format!("the same in one document of {FILTERED}");
        self.timed(&what, args, rows, |q| Ok(db.search_vector(&vectors[q], TOP, &filters[q])?))?;
        let what = "the same joined with passages in one Datalog query";
        self.timed(what, args, rows, |q| Ok(db.nearest(&vectors[q], TOP, &all)?))?;
        let what = format!("BM25 search of {QUERY_WORDS} words");
        self.timed(&what, args, rows, |q| Ok(db.search_text(&texts[q], TOP, &all)?))?;
        let misspelled: Vec<String> = texts.iter().map(|text| text.replacen("z", "zx", 1)).collect();
        let what = "the same with a misspelled word";
        self.timed(what, args, rows, |q| Ok(db.search_text(&misspelled[q], TOP, &all)?))?;
        self.timed("both, fused", args, rows, |q| Ok(db.search(&vectors[q], &texts[q], TOP, &all)?))
    }

    /// The graph, and cozo's own relation of vectors beside it.
    fn graph(&mut self, args: &Args, rows: &mut Rows) -> Outcome<()> {
        self.db.use_graph_from(1);
        let start_ms = now_ms();
        self.db.finish_graph();
        let build_s = (now_ms() - start_ms) / 1e3;
        rows.rows.push(Row::new(format!("graph, {} passages: building", self.n_chunks), "s", vec![build_s]));
        let Self { db, vectors, .. } = &*self;
        let all = Filter::default();
        self.timed("graph (hnsw_rs)", args, rows, |q| Ok(db.search_vector(&vectors[q], TOP, &all)?))?;
        self.recall("graph (hnsw_rs)", rows, |q| Ok(db.search_vector(&vectors[q], TOP, &all)?))?;
        let mut corpus = Corpus::new();
        let documents = (0..self.n_chunks / CHUNKS_PER_DOCUMENT).map(|i| corpus.document(i));
        // Numbered from 1, as the store's passages are.
        let base: Vec<Vec<f32>> =
            documents.flat_map(|document| document.chunks).map(|chunk| chunk.vector).collect();
        let (cozo, build_s) = CozoGraph::build(&base)?;
        let what = "cozo's graph";
        rows.rows.push(Row::new(format!("{what}, {} passages: building", self.n_chunks), "s", vec![build_s]));
        let hits = |ids: Vec<u64>| ids.into_iter().map(|id| Hit { chunk: ChunkId(id), score: 0.0 }).collect();
        self.timed(what, args, rows, |q| cozo.search(&vectors[q], TOP))?;
        self.recall(what, rows, |q| Ok(hits(cozo.search(&vectors[q], TOP)?)))
    }
}
