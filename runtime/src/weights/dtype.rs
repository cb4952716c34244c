//! Types of tensors in files.

use crate::{Error, Result};

/// Type of a tensor's elements in a file. The names are those of the formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(non_camel_case_types, reason = "the names are those of the formats")]
pub enum DType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// bfloat16.
    BF16,
    /// Groups of 32 8-bit integers with an f16 scale.
    Q8_0,
    /// Groups of 32 4-bit integers with an f16 scale, centred at 8.
    Q4_0,
    /// Groups of 32 4-bit integers with an f16 scale and minimum.
    Q4_1,
    /// Groups of 32 5-bit integers with an f16 scale, centred at 16.
    Q5_0,
    /// Groups of 32 5-bit integers with an f16 scale and minimum.
    Q5_1,
    /// Blocks of 256 2-bit integers, in groups of 16 with small scales and minimums.
    Q2_K,
    /// Blocks of 256 3-bit integers, in groups of 16 with small scales.
    Q3_K,
    /// Blocks of 256 4-bit integers, in groups of 32 with small scales and minimums.
    Q4_K,
    /// Blocks of 256 5-bit integers, in groups of 32 with small scales and minimums.
    Q5_K,
    /// Blocks of 256 6-bit integers, in groups of 16 with small scales.
    Q6_K,
    /// Groups of 32 of sixteen fixed numbers, closer to each other near zero, with an f16 scale.
    IQ4_NL,
}

impl DType {
    /// Elements and bytes of a block.
    fn block(self) -> (u64, u64) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q8_0 => (32, 34),
            Self::Q4_0 | Self::IQ4_NL => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q2_K => (256, 84),
            Self::Q3_K => (256, 110),
            Self::Q4_K => (256, 144),
            Self::Q5_K => (256, 176),
            Self::Q6_K => (256, 210),
        }
    }

    /// Bytes of one row of `width` elements.
    pub(crate) fn row_bytes(self, width: usize) -> Result<u64> {
        let (n_elements, n_bytes) = self.block();
        if !(width as u64).is_multiple_of(n_elements) {
            return Err(Error::corrupt(format!(
                "{self:?} needs rows of a multiple of {n_elements}, got {width}"
            )));
        }
        (width as u64 / n_elements)
            .checked_mul(n_bytes)
            .ok_or_else(|| Error::corrupt("a tensor's size overflows"))
    }

    /// Elements of a row of so many bytes; `None` where it is not made of whole blocks.
    pub(super) fn row_elements(self, row_bytes: u64) -> Option<usize> {
        let (n_elements, n_bytes) = self.block();
        let n_blocks = row_bytes.is_multiple_of(n_bytes).then_some(row_bytes / n_bytes)?;
        usize::try_from(n_blocks.checked_mul(n_elements)?).ok()
    }

    /// Bytes of a tensor; quantised types have blocks along the last dimension.
    pub(super) fn tensor_bytes(self, shape: &[usize]) -> Result<u64> {
        let (width, outer) = shape.split_last().unwrap_or((&1, &[]));
        let row_bytes = self.row_bytes(*width)?;
        let n_bytes = outer.iter().try_fold(row_bytes, |n, size| n.checked_mul(*size as u64));
        n_bytes.ok_or_else(|| Error::corrupt("a tensor's size overflows"))
    }
}
