//! All vectors in one piece of memory, and search by scanning it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::signs::Signs;
use crate::top::Top;
use crate::{ChunkId, DocumentId, Filter, Hit};

/// From so many rows on, signs choose which of them are scored. A scan of fewer is as fast, and exact.
const MIN_SIGN_ROWS: usize = 16_384;
/// Rows that are scored exactly, for each that is asked for, and at least. Signs rank a nearest row
/// this far down so rarely that recall@10 is above .99 on clustered vectors.
const CANDIDATES_PER_HIT: usize = 12;
const MIN_CANDIDATES: usize = 512;
/// Removed rows, as 1 of so many, at which the others move together.
const MAX_DEAD_SHARE: usize = 4;

/// Rows of one document stand together, in the order of their chunk ids; documents stand in the order
/// in which they came. A removed document leaves a gap that scans pass over, until gaps are closed.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    n_dims: usize,
    /// [n_rows with gaps, n_dims]
    values: Vec<f32>,
    /// [n_rows with gaps]
    signs: Signs,
    /// [n_rows with gaps], ascending.
    chunks: Vec<ChunkId>,
    documents: BTreeMap<DocumentId, Range<usize>>,
    /// What is between the gaps, ascending, none of them empty.
    live: Vec<Range<usize>>,
    n_live: usize,
}

impl Slab {
    pub(crate) fn new(n_dims: usize) -> Self {
        Self { n_dims, signs: Signs::new(n_dims), ..Self::default() }
    }

    pub(crate) fn n_dims(&self) -> usize {
        self.n_dims
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_live
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>()
            + self.signs.n_bytes()
            + self.chunks.capacity() * size_of::<ChunkId>()
    }

    /// Makes room for as many rows.
    pub(crate) fn reserve(&mut self, n_rows: usize) {
        self.values.reserve_exact(n_rows * self.n_dims);
        self.signs.reserve(n_rows);
        self.chunks.reserve_exact(n_rows);
    }

    /// Appends a row; rows of one document must come one after the other.
    pub(crate) fn push(&mut self, document: DocumentId, chunk: ChunkId, vector: impl Iterator<Item = f32>) {
        let row = self.chunks.len();
        if row == self.chunks.capacity() {
            // A vector that doubles would hold twice the memory of a large base for a moment.
            self.reserve(row / 4 + MIN_GROWTH_ROWS);
        }
        self.values.extend(vector);
        assert_eq!(self.values.len(), (row + 1) * self.n_dims, "a row has the slab's dimensions");
        self.signs.push(&self.values[row * self.n_dims..]);
        self.chunks.push(chunk);
        let rows = self.documents.entry(document).or_insert(row..row);
        assert_eq!(rows.end, row, "rows of one document stand together");
        rows.end += 1;
        match self.live.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => self.live.push(row..row + 1),
        }
        self.n_live += 1;
    }

    /// A row by its place.
    #[cfg(feature = "hnsw")]
    pub(crate) fn row(&self, row: usize) -> (ChunkId, &[f32]) {
        (self.chunks[row], self.vector(row))
    }

    /// Where a chunk's row is. Ids ascend from row to row, because later documents have larger ones.
    pub(crate) fn row_of(&self, chunk: ChunkId) -> Option<usize> {
        let row = self.chunks.binary_search(&chunk).ok()?;
        let range = self.live.partition_point(|rows| rows.end <= row);
        self.live.get(range).is_some_and(|rows| rows.start <= row).then_some(row)
    }

    /// The document that a chunk belongs to.
    pub(crate) fn document_of(&self, chunk: ChunkId) -> Option<DocumentId> {
        let row = self.row_of(chunk)?;
        self.documents.iter().find(|(_, rows)| rows.contains(&row)).map(|(id, _)| *id)
    }

    /// The rows of chunks behind `chunk`, ascending.
    #[cfg(feature = "hnsw")]
    pub(crate) fn rows_after(&self, chunk: ChunkId) -> impl Iterator<Item = usize> {
        let first = self.chunks.partition_point(|id| *id <= chunk);
        let range = self.live.partition_point(|rows| rows.end <= first);
        self.live[range..].iter().flat_map(move |rows| rows.start.max(first)..rows.end)
    }

    /// Takes a document out; gives how many rows it had and the id of the last.
    pub(crate) fn remove(&mut self, document: DocumentId) -> Option<(usize, ChunkId)> {
        let gone = self.documents.remove(&document)?;
        let last = self.chunks[gone.end - 1];
        let range = self.live.partition_point(|rows| rows.end <= gone.start);
        let around = self.live[range].clone();
        let left = [around.start..gone.start, gone.end..around.end];
        self.live.splice(range..=range, left.into_iter().filter(|rows| !rows.is_empty()));
        self.n_live -= gone.len();
        if (self.chunks.len() - self.n_live) * MAX_DEAD_SHARE > self.chunks.len() {
            self.close_gaps();
        }
        Some((gone.len(), last))
    }

    /// Moves the rows together, and gives memory back with room for the next document.
    fn close_gaps(&mut self) {
        let mut moved = 0;
        let mut documents: Vec<&mut Range<usize>> = self.documents.values_mut().collect();
        documents.sort_unstable_by_key(|rows| rows.start);
        for rows in documents {
            self.values.copy_within(rows.start * self.n_dims..rows.end * self.n_dims, moved * self.n_dims);
            self.signs.move_down(rows, moved);
            self.chunks.copy_within(rows.clone(), moved);
            *rows = moved..moved + rows.len();
            moved = rows.end;
        }
        self.values.truncate(moved * self.n_dims);
        self.signs.truncate(moved);
        self.chunks.truncate(moved);
        self.live.clear();
        self.live.extend((moved > 0).then_some(0..moved));
        let n_rows = moved + moved / 4;
        self.values.shrink_to(n_rows * self.n_dims);
        self.signs.shrink_to(n_rows);
        self.chunks.shrink_to(n_rows);
    }

    /// The `k` rows of largest dot product with `query: [n_dims]`. Exact for up to [`MIN_SIGN_ROWS`]
    /// rows within the filter; beyond, all scores are exact, but a row may be missed.
    pub(crate) fn search(&self, query: &[f32], k: usize, filter: &Filter) -> Vec<Hit> {
        let ranges = self.rows(filter);
        let n_rows: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        let n_candidates = MIN_CANDIDATES.max(k.saturating_mul(CANDIDATES_PER_HIT));
        if n_rows < MIN_SIGN_ROWS || n_candidates > n_rows / 4 {
            return self.scan(query, k, ranges.into_iter().flatten());
        }
        let candidates = self.signs.candidates(query, &ranges, n_candidates);
        self.scan(query, k, candidates.into_iter())
    }

    /// The `k` of these chunks that have the largest dot product with `query`.
    pub(crate) fn nearest_of(
        &self,
        query: &[f32],
        k: usize,
        chunks: impl Iterator<Item = ChunkId>,
    ) -> Vec<Hit> {
        self.scan(query, k, chunks.filter_map(|chunk| self.row_of(chunk)))
    }

    /// The same as [`Self::search`] without a first look at signs: exact at any size.
    pub(crate) fn search_exactly(&self, query: &[f32], k: usize, filter: &Filter) -> Vec<Hit> {
        self.scan(query, k, self.rows(filter).into_iter().flatten())
    }

    fn scan(&self, query: &[f32], k: usize, rows: impl Iterator<Item = usize>) -> Vec<Hit> {
        assert_eq!(query.len(), self.n_dims, "the query has the slab's dimensions");
        let mut top = Top::new(k);
        for row in rows {
            top.offer(dot(query, self.vector(row)), || self.chunks[row].0);
        }
        top.into_hits()
    }

    fn vector(&self, row: usize) -> &[f32] {
        &self.values[row * self.n_dims..(row + 1) * self.n_dims]
    }

    /// How the scores of a query are spread over the rows that a filter lets through; over at most
    /// [`MAX_SPREAD_ROWS`] of them, evenly taken.
    pub(crate) fn spread(&self, query: &[f32], filter: &Filter) -> Spread {
        let ranges = self.rows(filter);
        let n_rows = ranges.iter().map(ExactSizeIterator::len).sum::<usize>();
        let step = n_rows.div_ceil(MAX_SPREAD_ROWS).max(1);
        let (mut n, mut sum, mut sum_of_squares) = (0.0, 0.0, 0.0);
        // Rows to pass over before the next one that counts.
        let mut skipped = 0;
        for rows in ranges {
            let mut row = rows.start + skipped;
            while row < rows.end {
                let score = f64::from(dot(query, self.vector(row)));
                n += 1.0;
                sum += score;
                sum_of_squares += score * score;
                row += step;
            }
            skipped = row - rows.end;
        }
        let mean = sum / f64::max(n, 1.0);
        let variance = (sum_of_squares / f64::max(n, 1.0) - mean * mean).max(0.0);
        Spread { n_rows, mean: mean as f32, deviation: variance.sqrt() as f32 }
    }

    /// The rows that a filter lets through, ascending, without repetition.
    fn rows(&self, filter: &Filter) -> Vec<Range<usize>> {
        let Some(documents) = &filter.documents else { return self.live.clone() };
        let mut rows: Vec<_> = documents.iter().filter_map(|id| self.documents.get(id).cloned()).collect();
        rows.sort_unstable_by_key(|rows| rows.start);
        rows.dedup();
        rows
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

/// Rows that room is made for at least when there is none.
const MIN_GROWTH_ROWS: usize = 64;

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
    use crate::testing::Rng;

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

    /// Rows around centres, as the texts of a base are.
    fn clustered(n_rows: usize, n_dims: usize) -> (Slab, Vec<Vec<f32>>) {
        let mut rng = Rng(11);
        let centres: Vec<Vec<f32>> = (0..60).map(|_| rng.unit_vector(n_dims)).collect();
        let mut near_one = || {
            let (centre, noise) = (&centres[rng.below(centres.len())], rng.unit_vector(n_dims));
            let vector: Vec<f32> = centre.iter().zip(&noise).map(|(c, n)| c + 0.8 * n).collect();
            let length = dot(&vector, &vector).sqrt();
            vector.iter().map(|value| value / length).collect::<Vec<f32>>()
        };
        let mut slab = Slab::new(n_dims);
        for row in 0..n_rows as u64 {
            slab.push(DocumentId(row / 10), ChunkId(row + 1), near_one().into_iter());
        }
        let queries = (0..40).map(|_| near_one()).collect();
        (slab, queries)
    }

    #[test]
    fn a_first_look_at_signs_misses_at_most_one_in_a_hundred() {
        let (mut slab, queries) = clustered(MIN_SIGN_ROWS + 8_000, 96);
        let recall = |slab: &Slab, filter: &Filter| {
            let mut n_found = 0;
            for query in &queries {
                let exact = slab.search_exactly(query, 10, filter);
                let found = slab.search(query, 10, filter);
                assert_eq!(found.len(), 10);
                n_found += found.iter().filter(|hit| exact.contains(hit)).count();
            }
            n_found as f64 / (queries.len() * 10) as f64
        };
        let all = Filter::default();
        assert!(recall(&slab, &all) >= 0.99, "{}", recall(&slab, &all));
        // Gaps, and a filter that leaves more than a scan would take.
        for document in 0..200 {
            slab.remove(DocumentId(document * 3));
        }
        assert!(recall(&slab, &all) >= 0.99);
        let most = Filter { documents: Some((100..2_300).map(DocumentId).collect()), ..Filter::default() };
        assert!(recall(&slab, &most) >= 0.99);
        // Few rows are scanned exactly.
        let few = Filter { documents: Some((100..110).map(DocumentId).collect()), ..Filter::default() };
        assert_eq!(recall(&slab, &few), 1.0);
        // More hits asked for than candidates would hold.
        let many = slab.search(&queries[0], 3_000, &all);
        assert_eq!(many, slab.search_exactly(&queries[0], 3_000, &all));
    }

    #[test]
    fn gaps_are_closed_when_they_are_many() {
        let (mut slab, rows) = filled(700, 16);
        let n_bytes = slab.n_bytes();
        for document in 0..20 {
            slab.remove(DocumentId(document));
        }
        assert_eq!((slab.n_rows(), slab.chunks.len(), slab.live.len()), (560, 700, 1));
        slab.remove(DocumentId(50));
        assert_eq!((slab.n_rows(), slab.chunks.len(), slab.live.len()), (553, 700, 2));
        for document in 60..70 {
            slab.remove(DocumentId(document));
        }
        assert!(slab.chunks.len() < 600 && slab.live.len() <= 2 && slab.n_bytes() < n_bytes);
        slab.push(DocumentId(200), ChunkId(900), rows[0].2.iter().copied());
        let kept: Vec<_> = rows
            .iter()
            .filter(|row| (20..60).contains(&row.0.0) && row.0 != DocumentId(50) || (70..).contains(&row.0.0))
            .cloned()
            .chain([(DocumentId(200), ChunkId(900), rows[0].2.clone())])
            .collect();
        assert_eq!(slab.n_rows(), kept.len());
        let hits = slab.search(&rows[0].2, 600, &Filter::default());
        assert_eq!(hits.iter().map(|h| h.chunk).collect::<Vec<_>>(), naive(&kept, &rows[0].2, 600));
        for (row, (_, chunk, _)) in kept.iter().enumerate().step_by(50) {
            assert!(slab.row_of(*chunk).is_some(), "{row}");
        }
        assert_eq!((slab.row_of(ChunkId(1)), slab.row_of(rows[350].1)), (None, None));
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
