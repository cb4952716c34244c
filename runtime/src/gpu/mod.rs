//! The GPU tier.

use crate::memory::Ledger;
use crate::op::{BufferId, Executor, Program, Rows, Shape};
use crate::tensor::Layout;
use crate::{Error, Result};

/// Which adapters may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdapterPolicy {
    /// Real GPUs only.
    HardwareOnly,
    /// Software adapters too.
    Any,
}

/// The GPU tier.
pub(crate) enum Gpu {}

impl Gpu {
    /// Opens the best adapter that the policy allows, else `Error::NoAdapter` with the reason.
    pub(crate) async fn open(_ledger: &Ledger, _policy: AdapterPolicy) -> Result<Self> {
        Err(Error::NoAdapter { reason: "no adapter".into() })
    }

    /// The adapter's name.
    pub(crate) fn adapter(&self) -> &str {
        match *self {}
    }
}

impl Executor for Gpu {
    type Weight = ();
    type Cache = ();

    async fn create_weight(&self, _name: &str, _shape: Shape, _layout: Layout) -> Result<()> {
        match *self {}
    }

    fn write_rows(&self, _weight: &mut (), _first_row: usize, _rows: Rows<'_>) -> Result<()> {
        match *self {}
    }

    async fn create_cache(&self, _n_ctx: usize, _width: usize) -> Result<()> {
        match *self {}
    }

    async fn execute(&self, _program: &Program, _read: Option<BufferId>) -> Result<Vec<f32>> {
        match *self {}
    }
}
