//! Copies between caches, for what several conversations have in common.

use crate::op::Executor;
use crate::runtime::AnyExecutor;
use crate::tensor::KvCache;
use crate::{Error, Result, Runtime};

impl Runtime {
    /// Copies the first `n_positions` of caches: from the first to the second of each pair, two
    /// caches of the same elements per position.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::OutOfRange`] beyond a cache's end, [`Error::WrongOwner`] for
    /// a pair of one and the same cache.
    pub async fn copy_caches(&self, pairs: &[(&KvCache, &KvCache)], n_positions: usize) -> Result<()> {
        let Some((first, _)) = pairs.first().filter(|_| n_positions > 0) else { return Ok(()) };
        let width = first.width();
        for (from, to) in pairs {
            check(from, to, width, n_positions)?;
        }
        let n_elements = n_positions * width;
        match &*self.executor() {
            AnyExecutor::Cpu(cpu) => cpu.copy_caches(pairs, n_elements).await,
            AnyExecutor::Gpu(gpu) => gpu.copy_caches(pairs, n_elements).await,
        }
    }
}

fn check(from: &KvCache, to: &KvCache, width: usize, n_positions: usize) -> Result<()> {
    if from.width() != width || to.width() != width {
        let (expected, got) = (format!("[_, {width}]"), format!("{from:?} to {to:?}"));
        return Err(Error::ShapeMismatch { what: "a copy of caches".into(), expected, got });
    }
    let max = from.n_ctx().min(to.n_ctx()) as u64;
    if n_positions as u64 > max {
        let what = "number of copied positions".into();
        return Err(Error::OutOfRange { what, got: n_positions as u64, max });
    }
    if from.is(to) {
        return Err(Error::WrongOwner { what: "the target of a copy".into() });
    }
    Ok(())
}
