//! Products of a weight with many rows: which kernel, and activations in 8 bits where it wants them.

use std::rc::Rc;

use super::KernelSet;
use super::kernel::{Kernel, Variant};
use super::plan::{MAX_GRID, Planner, flat};
use super::pool::GpuBuffer;
use super::specs::{MATMUL_TILE, MATMUL_WIDE_TILE, MatmulInt8Params, MatmulParams, QuantizeRowsParams};
use crate::op::{BufferId, GROUP};
use crate::{Error, KernelVariant, Layout, Result};

/// Workgroups of `matmul_wide` from which on it is used: fewer leave most of a GPU idle, and `matmul`
/// has four times as many.
const MIN_WIDE_GROUPS: u32 = 32;

impl Planner<'_> {
    /// `storage` and `params` are those of `matmul`, and `x` is the tensor that `storage[0]` holds.
    pub(super) fn matmul(
        &mut self,
        x: BufferId,
        layout: Layout,
        mut storage: Vec<Rc<GpuBuffer>>,
        params: MatmulParams,
    ) -> Result<()> {
        let MatmulParams { n_rows, n_in4, n_weight_rows, .. } = params;
        let variants = self.gpu.variants.get();
        let groups = |tile| [n_weight_rows.div_ceil(tile), n_rows.div_ceil(tile), 1];
        if groups(MATMUL_TILE).iter().any(|n| *n > MAX_GRID) {
            let (got, max) = (n_rows.max(n_weight_rows).into(), u64::from(MAX_GRID * MATMUL_TILE));
            return Err(Error::OutOfRange { what: "rows of a linear layer".into(), got, max });
        }
        let work = u64::from(n_rows) * u64::from(n_weight_rows) * u64::from(n_in4) * 4;
        let is_quantized = matches!(layout, Layout::Q8 | Layout::Q4);
        if is_quantized && variants.has(KernelVariant::Int8Products) {
            let [values, scales] = self.quantized(x)?;
            storage[0] = values;
            storage.push(scales);
            let MatmulParams { out_col, out_stride, activation, has_bias, .. } = params;
            let n_groups = n_in4 * 4 / GROUP as u32;
            let params = MatmulInt8Params {
                n_rows,
                n_groups,
                n_weight_rows,
                out_col,
                out_stride,
                activation,
                has_bias,
            };
            let variant = Variant::of_layout(Kernel::MatmulInt8, layout);
            self.push(variant, storage, params, groups(MATMUL_TILE), work);
            return Ok(());
        }
        let [wide_x, wide_y, _] = groups(MATMUL_WIDE_TILE);
        let is_wide = variants.has(KernelVariant::WideTiles) && wide_x * wide_y >= MIN_WIDE_GROUPS;
        let (kernel, tile) = match self.gpu.kernels {
            _ if is_wide => (Kernel::MatmulWide, MATMUL_WIDE_TILE),
            KernelSet::Hardware => (Kernel::Matmul, MATMUL_TILE),
            KernelSet::Software => (Kernel::MatmulReg, MATMUL_TILE),
        };
        self.push(Variant::of_layout(kernel, layout), storage, params, groups(tile), work);
        Ok(())
    }

    /// Values and scales of `x` in 8 bits, computed once for all layers that read it.
    fn quantized(&mut self, x: BufferId) -> Result<[Rc<GpuBuffer>; 2]> {
        if let Some(known) = self.quantized.get(&x) {
            return Ok(known.clone());
        }
        let n = self.shape(x).len();
        let n_groups = n / GROUP;
        let made = [self.gpu.pool.take(n as u64)?, self.gpu.pool.take(8 * n_groups as u64)?];
        self.quantized.insert(x, made.clone());
        let [values, scales] = made.clone();
        let params = QuantizeRowsParams { n_groups: n_groups as u32 };
        let storage = vec![self.buffer(x), values, scales];
        self.push(Variant::plain(Kernel::QuantizeRows), storage, params, flat(n_groups), n as u64);
        Ok(made)
    }
}
