//! All vectors in one piece of memory, and exact search by scanning it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::top::Top;
use crate::{ChunkId, DocumentId, Filter, Hit};

/// Rows of one document stand together, in the order of their chunk ids; documents stand in the order
/// in which they came. Removing a document closes the gap, so a scan never meets a dead row.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    n_dims: usize,
    /// [n_rows, n_dims]
    values: Vec<f32>,
    /// [n_rows]
    chunks: Vec<ChunkId>,
    documents: BTreeMap<DocumentId, Range<usize>>,
}

impl Slab {
    pub(crate) fn new(n_dims: usize) -> Self {
        Self { n_dims, ..Self::default() }
    }

    pub(crate) fn n_dims(&self) -> usize {
        self.n_dims
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.chunks.len()
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>() + self.chunks.capacity() * size_of::<ChunkId>()
    }

    /// Makes room for as many rows.
    pub(crate) fn reserve(&mut self, n_rows: usize) {
        self.values.reserve_exact(n_rows * self.n_dims);
        self.chunks.reserve_exact(n_rows);
    }

    /// Appends a row; rows of one document must come one after the other.
    pub(crate) fn push(&mut self, document: DocumentId, chunk: ChunkId, vector: impl Iterator<Item = f32>) {
        let row = self.chunks.len();
        self.values.extend(vector);
        assert_eq!(self.values.len(), (row + 1) * self.n_dims, "a row has the slab's dimensions");
        self.chunks.push(chunk);
        let rows = self.documents.entry(document).or_insert(row..row);
        assert_eq!(rows.end, row, "rows of one document stand together");
        rows.end += 1;
    }

    /// A row by its place.
    #[cfg(feature = "hnsw")]
    pub(crate) fn row(&self, row: usize) -> (ChunkId, &[f32]) {
        (self.chunks[row], &self.values[row * self.n_dims..(row + 1) * self.n_dims])
    }

    /// Where a chunk's row is. Ids ascend from row to row, because later documents have larger ones.
    #[cfg(feature = "hnsw")]
    pub(crate) fn row_of(&self, chunk: ChunkId) -> Option<usize> {
        self.chunks.binary_search(&chunk).ok()
    }

    /// The rows of chunks behind `chunk`.
    #[cfg(feature = "hnsw")]
    pub(crate) fn rows_after(&self, chunk: ChunkId) -> Range<usize> {
        self.chunks.partition_point(|id| *id <= chunk)..self.chunks.len()
    }

    /// Takes a document out; gives how many rows it had and the id of the last.
    pub(crate) fn remove(&mut self, document: DocumentId) -> Option<(usize, ChunkId)> {
        let gone = self.documents.remove(&document)?;
        let last = self.chunks[gone.end - 1];
        self.values.drain(gone.start * self.n_dims..gone.end * self.n_dims);
        self.chunks.drain(gone.clone());
        for rows in self.documents.values_mut().filter(|rows| rows.start >= gone.end) {
            rows.start -= gone.len();
            rows.end -= gone.len();
        }
        // Memory that many removals left behind is given back, with room for the next document.
        if self.chunks.capacity() > 2 * self.chunks.len() {
            let n_rows = self.chunks.len() + self.chunks.len() / 4;
            self.values.shrink_to(n_rows * self.n_dims);
            self.chunks.shrink_to(n_rows);
        }
        Some((gone.len(), last))
    }

    /// The `k` rows of largest dot product with `query: [n_dims]`; exact.
    pub(crate) fn search(&self, query: &[f32], k: usize, filter: &Filter) -> Vec<Hit> {
        assert_eq!(query.len(), self.n_dims, "the query has the slab's dimensions");
        let mut top = Top::new(k);
        for rows in self.rows(filter) {
            let values = &self.values[rows.start * self.n_dims..rows.end * self.n_dims];
            for (vector, chunk) in values.chunks_exact(self.n_dims.max(1)).zip(&self.chunks[rows]) {
                top.offer(dot(query, vector), || chunk.0);
            }
        }
        top.into_hits()
    }

    /// How the scores of a query are spread over the rows that a filter lets through; over at most
    /// [`MAX_SPREAD_ROWS`] of them, evenly taken.
    pub(crate) fn spread(&self, query: &[f32], filter: &Filter) -> Spread {
        let ranges = self.rows(filter);
        let n_rows = ranges.iter().map(ExactSizeIterator::len).sum::<usize>();
        let step = n_rows.div_ceil(MAX_SPREAD_ROWS).max(1);
        let (mut n, mut sum, mut sum_of_squares) = (0.0, 0.0, 0.0);
        for row in ranges.into_iter().flatten().step_by(step) {
            let score = f64::from(dot(query, &self.values[row * self.n_dims..(row + 1) * self.n_dims]));
            n += 1.0;
            sum += score;
            sum_of_squares += score * score;
        }
        let mean = sum / f64::max(n, 1.0);
        let variance = (sum_of_squares / f64::max(n, 1.0) - mean * mean).max(0.0);
        Spread { n_rows, mean: mean as f32, deviation: variance.sqrt() as f32 }
    }

    /// The rows that a filter lets through, without repetition.
    fn rows(&self, filter: &Filter) -> Vec<Range<usize>> {
        match &filter.documents {
            None => std::iter::once(0..self.n_rows()).collect(),
            Some(documents) => {
                let mut rows: Vec<_> =
                    documents.iter().filter_map(|id| self.documents.get(id).cloned()).collect();
                rows.sort_by_key(|rows| rows.start);
                rows.dedup();
                rows
            }
        }
    }
}

/// Mean and standard deviation of a query's scores over rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) n_rows: usize,
    pub(crate) mean: f32,
    pub(crate) deviation: f32,
}

/// Rows that tell the spread of scores well enough: the mean of as many numbers is off by less than
/// 3 % of their deviation.
const MAX_SPREAD_ROWS: usize = 2_000;

/// Products are summed in this many lanes: enough independent sums for the compiler to fill the
/// vector registers of SSE2, AVX2 and wasm's simd128.
const N_LANES: usize = 16;

/// The dot product of two vectors of equal length.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<N_LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<N_LANES>();
    let mut lanes = [0f32; N_LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..N_LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n_rows: usize, n_dims: usize) -> (Slab, Vec<(DocumentId, ChunkId, Vec<f32>)>) {
        let mut slab = Slab::new(n_dims);
        let rows: Vec<_> = (0..n_rows)
            .map(|i| {
                let vector: Vec<f32> =
                    (0..n_dims).map(|d| (((i * 31 + d * 17) % 101) as f32 - 50.0) / 50.0).collect();
                (DocumentId(i as u64 / 7), ChunkId(i as u64 + 1), vector)
            })
            .collect();
        for (document, chunk, vector) in &rows {
            slab.push(*document, *chunk, vector.iter().copied());
        }
        (slab, rows)
    }

    fn naive(rows: &[(DocumentId, ChunkId, Vec<f32>)], query: &[f32], k: usize) -> Vec<ChunkId> {
        let score = |v: &[f32]| v.iter().zip(query).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let mut scored: Vec<_> = rows.iter().map(|(_, id, v)| (score(v), *id)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.into_iter().take(k).map(|s| s.1).collect()
    }

    #[test]
    fn a_dot_product_is_a_sum_of_products_at_any_length() {
        for n in [0, 1, 7, 15, 16, 17, 384, 385] {
            let a: Vec<f32> = (0..n).map(|i| i as f32 * 0.5).collect();
            let b: Vec<f32> = (0..n).map(|i| 3.0 - i as f32).collect();
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() <= exact.abs() * 1e-5, "{n}");
        }
    }

    #[test]
    fn search_is_exact_before_and_after_removals() {
        let (mut slab, mut rows) = filled(60, 19);
        for gone in [3, 0, 8, 99] {
            slab.remove(DocumentId(gone));
            rows.retain(|row| row.0 != DocumentId(gone));
            assert_eq!(slab.n_rows(), rows.len());
            for query_row in [0, rows.len() / 2] {
                let query = rows[query_row].2.clone();
                let hits = slab.search(&query, 5, &Filter::default());
                assert_eq!(hits.iter().map(|h| h.chunk).collect::<Vec<_>>(), naive(&rows, &query, 5));
            }
        }
    }

    #[test]
    fn a_filter_still_gives_k_hits() {
        let (slab, rows) = filled(70, 8);
        let only = vec![DocumentId(9), DocumentId(2), DocumentId(9), DocumentId(1234)];
        let allowed: Vec<_> = rows.iter().filter(|row| only.contains(&row.0)).cloned().collect();
        let hits = slab.search(&rows[0].2, 10, &Filter { documents: Some(only), ..Filter::default() });
        assert_eq!(hits.iter().map(|h| h.chunk).collect::<Vec<_>>(), naive(&allowed, &rows[0].2, 10));
        assert!(
            slab.search(&rows[0].2, 10, &Filter { documents: Some(vec![]), ..Filter::default() }).is_empty()
        );
    }
}
