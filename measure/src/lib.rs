//! The embedder, the generator and the store alone, as a program that the benchmarks load into a worker of a
//! browser, beside other engines in workers of their own. Nothing that is shipped contains it.
//!
//! Everything is timed in here, by the clock of the worker, as the other engines are.

#[path = "../../bench/src/corpus.rs"]
mod corpus;
#[cfg(feature = "engines")]
mod engines;
mod store;

#[cfg(feature = "engines")]
pub use engines::Meter;
pub use store::StoreMeter;

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
