//! The CPU tier: SIMD kernels over weight panels, threads where the platform has them.

mod activations;
mod attention;
mod attention_few;
mod buffers;
mod cache;
mod execute;
mod gemm;
mod math;
mod one_row;
mod output;
mod panels;
mod quantised;
mod rows;
mod shorts;
mod simd;
mod split;
#[cfg(test)]
mod tests;
mod weight;

use std::cell::RefCell;

use crate::memory::{Lease, Ledger, Owner};
use crate::op::{BufferId, Executor, Program, Rows, Shape};
use crate::tensor::{KvCache, Layout};
use crate::{Precision, Result};

use buffers::Pool;
use cache::CacheRows;
pub(crate) use weight::CpuWeight;

/// The CPU tier.
pub(crate) struct Cpu {
    ledger: Ledger,
    pool: Pool,
    precision: Precision,
}

/// A key or value cache, `[n_ctx, width]`.
pub(crate) struct CpuCache {
    rows: RefCell<CacheRows>,
    _lease: Lease,
}

impl Cpu {
    /// Opens the tier; it is always there.
    pub(crate) fn open(ledger: &Ledger, precision: Precision) -> Self {
        Self { ledger: ledger.clone(), pool: Pool::new(ledger), precision }
    }

    /// Bytes that a weight takes here, at most.
    pub(crate) fn weight_bytes(shape: Shape, layout: Layout, precision: Precision) -> u64 {
        CpuWeight::max_bytes(shape, layout, precision)
    }

    /// Frees what is only kept for later.
    pub(crate) fn trim(&self) {
        self.pool.clear();
    }

    /// The instruction set in use.
    pub(crate) fn simd_name() -> &'static str {
        simd::name()
    }
}

impl Executor for Cpu {
    type Weight = CpuWeight;
    type Cache = CpuCache;

    async fn create_weight(&self, _name: &str, shape: Shape, layout: Layout) -> Result<CpuWeight> {
        Ok(CpuWeight::zeroed(&self.ledger, self.precision, shape, layout))
    }

    fn write_rows(&self, weight: &mut CpuWeight, first_row: usize, rows: Rows<'_>) -> Result<()> {
        weight.write_rows(first_row, rows);
        Ok(())
    }

    async fn create_cache(&self, n_ctx: usize, width: usize) -> Result<CpuCache> {
        let lease = self.ledger.lease(Owner::KvCache, 4 * (n_ctx * width) as u64);
        Ok(CpuCache { rows: RefCell::new(CacheRows::zeroed(n_ctx, width)), _lease: lease })
    }

    async fn copy_caches(&self, pairs: &[(&KvCache, &KvCache)], n_elements: usize) -> Result<()> {
        for (from, to) in pairs {
            let n_positions = n_elements / from.width();
            let (from, to) = (from.cpu()?, to.cpu()?);
            to.rows.borrow_mut().copy_first(&from.rows.borrow(), n_positions);
        }
        Ok(())
    }

    async fn execute(&self, program: &Program, read: Option<BufferId>) -> Result<Vec<f32>> {
        execute::execute(program, &self.pool, read).await
    }
}
