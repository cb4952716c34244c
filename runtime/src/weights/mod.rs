//! Weight files: safetensors and GGUF, read by range.

pub(crate) mod blocks;
mod dtype;
#[cfg(test)]
pub(crate) mod fixture;
mod gguf;
pub(crate) mod k_blocks;
mod read_at;
mod safetensors;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use dtype::DType;
pub use gguf::MetaValue;
pub use read_at::ReadAt;

use crate::{Error, Result};

/// Most tensors of one file: the largest published models have some thousands.
const MAX_TENSORS: usize = 1 << 16;

/// What a file says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Sizes, slowest first: `[n_out, n_in]` for a matrix.
    pub shape: Vec<usize>,
    /// Type of its elements.
    pub dtype: DType,
    /// Bytes in the file.
    pub n_bytes: u64,
    /// Where they start in the file.
    offset: u64,
}

/// A file's table of contents.
#[derive(Debug, Default)]
struct Header {
    tensors: BTreeMap<String, TensorInfo>,
    /// Sound tensors of types that there is no code for: name to type.
    unsupported: BTreeMap<String, String>,
    meta: BTreeMap<String, MetaValue>,
}

/// An opened weight file. Only its header is in memory; tensors are read when they are asked for.
/// Clones share it; the last one closes the file.
#[derive(Clone)]
pub struct Weights {
    opened: Rc<Opened>,
    model: Rc<str>,
}

struct Opened {
    source: Box<dyn ReadAt>,
    header: Header,
}

impl Weights {
    /// Reads and checks the header; the first bytes tell safetensors and GGUF apart.
    ///
    /// # Errors
    /// [`Error::CorruptWeights`] when the header contradicts itself or the file's length,
    /// [`Error::UnsupportedWeights`] for unknown versions, [`Error::Read`].
    pub fn open(source: Box<dyn ReadAt>) -> Result<Self> {
        let n_bytes = source.len()?;
        if n_bytes < 8 {
            return Err(Error::corrupt(format!("it has only {n_bytes} bytes")));
        }
        let mut magic = [0; 4];
        source.read_at(&mut magic, 0)?;
        let header = if &magic == gguf::MAGIC {
            gguf::read_header(source.as_ref(), n_bytes)?
        } else {
            safetensors::read_header(source.as_ref(), n_bytes)?
        };
        Ok(Self { opened: Rc::new(Opened { source, header }), model: "".into() })
    }

    /// The same file under the name of its model, by which its weights are counted.
    #[must_use]
    pub fn named(self, model: &str) -> Self {
        Self { model: model.into(), ..self }
    }

    /// The name of its model; empty where it was given none.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Names of all tensors of supported types, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.opened.header.tensors.keys().map(String::as_str)
    }

    /// Shape and type of a tensor.
    pub fn tensor_info(&self, name: &str) -> Option<&TensorInfo> {
        self.opened.header.tensors.get(name)
    }

    /// A value of the metadata: GGUF's keys, or the texts of safetensors' `__metadata__`.
    pub fn meta(&self, key: &str) -> Option<&MetaValue> {
        self.opened.header.meta.get(key)
    }

    /// A tensor's bytes as they stand in the file.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnsupportedWeights`], [`Error::Read`].
    pub fn read_bytes(&self, name: &str) -> Result<Vec<u8>> {
        let info = self.require(name)?;
        let mut bytes = vec![0; info.n_bytes as usize];
        self.opened.source.read_at(&mut bytes, info.offset)?;
        Ok(bytes)
    }

    /// A tensor's elements in f32, row-major.
    ///
    /// # Errors
    /// As [`Weights::read_bytes`].
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        Ok(blocks::to_f32(self.require(name)?.dtype, &self.read_bytes(name)?))
    }

    /// Shape and type of a tensor that must be there.
    pub(crate) fn require(&self, name: &str) -> Result<&TensorInfo> {
        self.opened.header.tensors.get(name).ok_or_else(|| match self.opened.header.unsupported.get(name) {
            Some(dtype) => Error::UnsupportedWeights { what: format!("the type {dtype} for `{name}`") },
            None => Error::MissingTensor { name: name.into() },
        })
    }

    /// Fills `piece` with a tensor's bytes from `offset` within the tensor on.
    pub(crate) fn read_piece(&self, info: &TensorInfo, offset: u64, piece: &mut [u8]) -> Result<()> {
        assert!(offset + piece.len() as u64 <= info.n_bytes, "a piece lies within its tensor");
        self.opened.source.read_at(piece, info.offset + offset)
    }
}
