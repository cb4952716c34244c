//! The store alone: filled, opened and searched in a worker, on a file of the browser's storage.

use platform::{File, OpenMode, now_ms};
use serde_json::json;
use vectordb::{Db, DocumentId, Filter};
use wasm_bindgen::prelude::*;

use crate::corpus::{CHUNKS_PER_DOCUMENT, Corpus, percentile, tag};
use crate::words;

const QUERY_WORDS: usize = 8;
const TOP: usize = 10;

/// A store in the browser's storage.
#[wasm_bindgen]
pub struct StoreMeter {
    db: Db,
    corpus: Corpus,
    n_documents: usize,
}

#[wasm_bindgen]
impl StoreMeter {
    /// Opens or makes the store of a name. `load_ms` in [`StoreMeter::describe`] says how long that took.
    ///
    /// # Errors
    /// In words.
    pub async fn open(name: &str) -> Result<StoreMeter, String> {
        let file = File::open(&format!("measure/{name}"), OpenMode::ReadWrite).await.map_err(words)?;
        let db = Db::open(file, &tag()).map_err(words)?;
        let n_documents = db.documents().map_err(words)?.len();
        let mut corpus = Corpus::new();
        // On to where the stored documents end.
        (0..n_documents).for_each(|i| drop(corpus.document(i)));
        Ok(Self { db, corpus, n_documents })
    }

    /// Opens the store of a name and closes it: milliseconds.
    ///
    /// # Errors
    /// In words.
    #[wasm_bindgen(js_name = timeOpening)]
    pub async fn time_opening(name: &str) -> Result<f64, String> {
        let start_ms = now_ms();
        let file = File::open(&format!("measure/{name}"), OpenMode::ReadWrite).await.map_err(words)?;
        let db = Db::open(file, &tag()).map_err(words)?;
        let ms = now_ms() - start_ms;
        drop(db);
        Ok(ms)
    }

    /// Stores so many more documents of 100 passages, one commit each: `{"n_chunks", "put_ms"}`, of
    /// which the latter lists the milliseconds of each commit.
    ///
    /// # Errors
    /// In words.
    pub fn fill(&mut self, n_documents: usize) -> Result<String, String> {
        let mut put_ms = Vec::new();
        for _ in 0..n_documents {
            let document = self.corpus.document(self.n_documents);
            let start_ms = now_ms();
            self.db.put_document(&document).map_err(words)?;
            put_ms.push(now_ms() - start_ms);
            self.n_documents += 1;
        }
        Ok(json!({"n_chunks": self.n_documents * CHUNKS_PER_DOCUMENT, "put_ms": put_ms}).to_string())
    }

    /// Numbers of documents, passages and bytes.
    ///
    /// # Errors
    /// In words.
    pub fn stats(&self) -> Result<String, String> {
        serde_json::to_string(&self.db.stats().map_err(words)?).map_err(words)
    }

    /// Searches with `n_queries` vectors and texts that no document has: milliseconds at the median and
    /// at the 99th percentile, and the share of the nearest that is found.
    ///
    /// # Errors
    /// In words.
    pub fn search(&mut self, n_queries: usize) -> Result<String, String> {
        let vectors: Vec<Vec<f32>> = (0..n_queries).map(|_| self.corpus.vector()).collect();
        let texts: Vec<String> = (0..n_queries).map(|_| self.corpus.words(QUERY_WORDS)).collect();
        let (db, all) = (&self.db, Filter::default());
        let some = Filter {
            documents: Some((1..=self.n_documents as u64).step_by(100).map(DocumentId).collect()),
            ..Filter::default()
        };
        let timed = |search: &dyn Fn(usize) -> vectordb::Result<Vec<vectordb::Hit>>| {
            let mut figures = Vec::with_capacity(n_queries);
            let mut found = Vec::with_capacity(n_queries);
            for query in 0..n_queries {
                let start_ms = now_ms();
                found.push(search(query).map_err(words)?);
                figures.push(now_ms() - start_ms);
            }
            let row =
                json!({"p50_ms": percentile(&mut figures, 0.5), "p99_ms": percentile(&mut figures, 0.99)});
            Ok::<_, String>((row, found))
        };
        let (exact, nearest) = timed(&|q| db.search_vector_exactly(&vectors[q], TOP, &all))?;
        let (vector, found) = timed(&|q| db.search_vector(&vectors[q], TOP, &all))?;
        let (filtered, _) = timed(&|q| db.search_vector(&vectors[q], TOP, &some))?;
        let (text, _) = timed(&|q| db.search_text(&texts[q], TOP, &all))?;
        let (fused, _) = timed(&|q| db.search(&vectors[q], &texts[q], TOP, &all))?;
        let pairs = nearest.iter().zip(&found);
        let n_found: usize = pairs
            .map(|(right, got)| right.iter().filter(|hit| got.iter().any(|g| g.chunk == hit.chunk)).count())
            .sum();
        let recall = n_found as f64 / (n_queries * TOP) as f64;
        Ok(json!({
            "exact": exact, "vector": vector, "filtered": filtered, "text": text, "fused": fused, "recall": recall,
        })
        .to_string())
    }

    /// The vectors of the first passages of a store, in the order of their ids, and behind them as many
    /// that are no passage's: `[n_chunks + n_queries, 384]`.
    pub fn vectors(n_chunks: usize, n_queries: usize) -> Vec<f32> {
        let mut corpus = Corpus::new();
        let mut vectors = Vec::new();
        for i in 0..n_chunks / CHUNKS_PER_DOCUMENT {
            vectors.extend(corpus.document(i).chunks.into_iter().flat_map(|chunk| chunk.vector));
        }
        (0..n_queries).for_each(|_| vectors.extend(corpus.vector()));
        vectors
    }

    /// How many of the first passages are found by their own vectors.
    ///
    /// # Errors
    /// In words.
    #[wasm_bindgen(js_name = nFound)]
    pub fn n_found(&self, n_chunks: usize) -> Result<usize, String> {
        let mut corpus = Corpus::new();
        let documents = (0..n_chunks / CHUNKS_PER_DOCUMENT).map(|i| corpus.document(i));
        let mut n_found = 0;
        for (id, chunk) in (1..).zip(documents.flat_map(|document| document.chunks)) {
            let hits = self.db.search_vector(&chunk.vector, 1, &Filter::default()).map_err(words)?;
            n_found += usize::from(hits.first().is_some_and(|hit| hit.chunk.0 == id));
        }
        Ok(n_found)
    }
}
