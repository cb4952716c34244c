//! The CPU tier.

mod execute;

use std::cell::RefCell;

use crate::Result;
use crate::kernels::dequantize;
use crate::memory::{Lease, Ledger, Owner};
use crate::op::{BufferId, Executor, Program, Rows, Shape};
use crate::tensor::Layout;

/// The CPU tier.
pub(crate) struct Cpu {
    ledger: Ledger,
}

/// A weight in the CPU tier's layout.
pub(crate) struct CpuWeight {
    values: Vec<f32>,
    _lease: Lease,
}

/// A key or value cache.
pub(crate) struct CpuCache {
    values: RefCell<Vec<f32>>,
    _lease: Lease,
}

impl Cpu {
    /// Opens the tier; it is always there.
    pub(crate) fn open(ledger: &Ledger) -> Self {
        Self { ledger: ledger.clone() }
    }

    /// The instruction set in use.
    pub(crate) fn simd_name() -> &'static str {
        "portable"
    }
}

impl Executor for Cpu {
    type Weight = CpuWeight;
    type Cache = CpuCache;

    async fn create_weight(&self, _name: &str, shape: Shape, _layout: Layout) -> Result<CpuWeight> {
        let lease = self.ledger.lease(Owner::Weights, shape.len() as u64 * 4);
        Ok(CpuWeight { values: vec![0.0; shape.len()], _lease: lease })
    }

    fn write_rows(&self, weight: &mut CpuWeight, first_row: usize, rows: Rows<'_>) -> Result<()> {
        let width = weight.values.len();
        let _ = (width, first_row);
        let values = dequantize(rows);
        let _ = values;
        Ok(())
    }

    async fn create_cache(&self, n_ctx: usize, width: usize) -> Result<CpuCache> {
        let lease = self.ledger.lease(Owner::KvCache, (n_ctx * width) as u64 * 4);
        Ok(CpuCache { values: RefCell::new(vec![0.0; n_ctx * width]), _lease: lease })
    }

    async fn execute(&self, program: &Program, read: Option<BufferId>) -> Result<Vec<f32>> {
        execute::execute(program, read)
    }
}
