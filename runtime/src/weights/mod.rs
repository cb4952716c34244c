//! Weight files: safetensors and GGUF, read by range.

pub(crate) mod blocks;

use std::collections::BTreeMap;

use crate::{Error, Result};

/// A source of bytes that is read by range.
pub trait ReadAt {
    /// Number of bytes.
    fn len(&self) -> Result<u64>;
    /// Fills `buf` from `offset` on; it is an error when the source ends before.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;
    /// Whether there are no bytes.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

impl ReadAt for platform::File {
    fn len(&self) -> Result<u64> {
        Ok(self.len()?)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        Ok(self.read_at(buf, offset)?)
    }
}

impl ReadAt for &[u8] {
    fn len(&self) -> Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.saturating_add(buf.len() as u64);
        let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| self.get(start..end));
        buf.copy_from_slice(bytes.ok_or_else(|| Error::corrupt("it ends too early"))?);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        ReadAt::read_at(&self.as_slice(), buf, offset)
    }
}

/// Type of a tensor's elements in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(non_camel_case_types, reason = "the names that GGUF gives its types")]
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
}

impl DType {
    /// Bytes of `n_elements` along a row.
    pub(crate) fn n_bytes(self, n_elements: u64) -> Result<u64> {
        let (block, n_bytes) = match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q8_0 => (32, 34),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
        };
        if n_elements % block != 0 {
            return Err(Error::corrupt(format!("{self:?} needs rows of a multiple of {block}, got {n_elements}")));
        }
        (n_elements / block).checked_mul(n_bytes).ok_or_else(|| Error::corrupt("a tensor's size overflows"))
    }
}

/// A value of a file's metadata.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetaValue {
    /// Any unsigned integer.
    U64(u64),
    /// Any signed integer.
    I64(i64),
    /// Any float.
    F64(f64),
    /// A flag.
    Bool(bool),
    /// A text.
    Text(String),
    /// Values of one type.
    Array(Vec<MetaValue>),
}

/// What a file says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Sizes, slowest first: `[n_out, n_in]` for a matrix.
    pub shape: Vec<usize>,
    /// Type of its elements.
    pub dtype: DType,
    /// Bytes in the file.
    pub n_bytes: u64,
    pub(crate) offset: u64,
}

/// An opened weight file.
pub struct Weights {
    source: Box<dyn ReadAt>,
    tensors: BTreeMap<String, TensorInfo>,
    meta: BTreeMap<String, MetaValue>,
}

impl Weights {
    /// Reads and checks the header; the format is told by the first bytes.
    pub fn open(source: Box<dyn ReadAt>) -> Result<Self> {
        Ok(Self { source, tensors: BTreeMap::new(), meta: BTreeMap::new() })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape and type of a tensor.
    pub fn tensor_info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// A value of the metadata.
    pub fn meta(&self, key: &str) -> Option<&MetaValue> {
        self.meta.get(key)
    }

    /// A tensor's bytes as they stand in the file.
    pub fn read_bytes(&self, name: &str) -> Result<Vec<u8>> {
        let info = self.tensor_info(name).ok_or_else(|| Error::MissingTensor { name: name.into() })?;
        let mut bytes = vec![0; info.n_bytes as usize];
        self.source.read_at(&mut bytes, info.offset)?;
        Ok(bytes)
    }

    /// A tensor's elements in f32, row-major.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let bytes = self.read_bytes(name)?;
        let dtype = self.tensors[name].dtype;
        Ok(blocks::to_f32(dtype, &bytes))
    }

    /// Some of a tensor's bytes, from `offset` within it.
    pub(crate) fn read_piece(&self, name: &str, offset: u64, piece: &mut [u8]) -> Result<()> {
        let info = self.tensor_info(name).ok_or_else(|| Error::MissingTensor { name: name.into() })?;
        assert!(offset + piece.len() as u64 <= info.n_bytes, "a piece lies within its tensor");
        self.source.read_at(piece, info.offset + offset)
    }
}
