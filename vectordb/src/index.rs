//! The indexes in memory: derived from the rows, brought up at opening, kept in step with commits.

use crate::bm25::TextIndex;
use crate::postings::Terms;
use crate::slab::Slab;
use crate::{ChunkId, DocumentId, Filter, Hit};

/// What searches look into.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) vectors: Slab,
    pub(crate) text: TextIndex,
    #[cfg(feature = "hnsw")]
    pub(crate) graph: crate::ann::Graph,
}

impl Index {
    pub(crate) fn new(n_dims: usize) -> Self {
        Self {
            vectors: Slab::new(n_dims),
            text: TextIndex::default(),
            #[cfg(feature = "hnsw")]
            graph: crate::ann::Graph::new(crate::ann::MIN_CHUNKS),
        }
    }

    /// Takes the rows of another index, read anew; a graph begins again where this one's lies.
    pub(crate) fn replace(&mut self, other: Self) {
        self.vectors = other.vectors;
        self.text = other.text;
        #[cfg(feature = "hnsw")]
        self.graph.clear();
    }

    pub(crate) fn n_chunks(&self) -> usize {
        self.vectors.n_rows()
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.vectors.n_bytes() + self.text.n_bytes()
    }

    /// Adds a committed document whose chunks are numbered from `first_chunk`.
    pub(crate) fn add<'a>(
        &mut self,
        document: DocumentId,
        first_chunk: u64,
        vectors: impl Iterator<Item = &'a [f32]>,
        parts: &[Terms<'_>],
    ) {
        for (chunk, vector) in (first_chunk..).zip(vectors) {
            self.vectors.push(document, ChunkId(chunk), vector.iter().copied());
        }
        let mut chunks = (first_chunk..).map(ChunkId);
        for part in parts {
            self.text.add(document, chunks.by_ref().take(part.n_terms().len()), part);
        }
    }

    pub(crate) fn remove(&mut self, document: DocumentId) {
        let removed = self.vectors.remove(document);
        #[cfg(feature = "hnsw")]
        if let Some((n_rows, last)) = removed {
            self.graph.removed(n_rows, last);
        }
        #[cfg(not(feature = "hnsw"))]
        let _ = removed;
        self.text.remove(document);
    }

    /// The `k` chunks whose vectors are nearest: by the graph where one serves, else by a scan.
    pub(crate) fn nearest(&self, query: &[f32], k: usize, filter: &Filter) -> Vec<Hit> {
        #[cfg(feature = "hnsw")]
        if filter.documents.is_none()
            && let Some(hits) = self.graph.search(&self.vectors, query, k)
        {
            return hits;
        }
        self.vectors.search(query, k, filter)
    }
}
