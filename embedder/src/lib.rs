//! embedder.
