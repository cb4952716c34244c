//! vectordb.
