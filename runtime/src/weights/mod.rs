//! Weight files: safetensors and GGUF, read by range.

pub(crate) mod blocks;
mod dtype;
#[cfg(test)]
pub(crate) mod fixture;
mod gguf;
pub(crate) mod k_blocks;
mod quantize;
mod read_at;
mod safetensors;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use dtype::DType;
pub use gguf::MetaValue;
pub use quantize::{Bits, QuantizedTensor, quantize};
pub use read_at::ReadAt;

use crate::{Error, Result};

/// Metadata of our own safetensors: under this and a tensor's name stands the type of its blocks.
const BLOCKS_KEY: &str = "blocks.";

/// Most tensors of one file: the largest published models have some thousands.
const MAX_TENSORS: usize = 1 << 16;

/// Most files of one model: parts have at least some hundred MB.
const MAX_PARTS: usize = 256;

/// What a file says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Sizes, slowest first: `[n_out, n_in]` for a matrix.
    pub shape: Vec<usize>,
    /// Type of its elements.
    pub dtype: DType,
    /// Bytes in the file.
    pub n_bytes: u64,
    /// Where they start in their file.
    offset: u64,
    /// Which of several files that is.
    part: usize,
}

/// A file's table of contents.
#[derive(Debug, Default)]
struct Header {
    tensors: BTreeMap<String, TensorInfo>,
    /// Sound tensors of types that there is no code for: name to type.
    unsupported: BTreeMap<String, String>,
    meta: BTreeMap<String, MetaValue>,
}

impl Header {
    /// Takes the tensors of another file of the same model, and of the first one its metadata.
    fn join(&mut self, part: Self, part_idx: usize) -> Result<()> {
        if part_idx == 0 {
            self.meta = part.meta;
        }
        for (name, info) in part.tensors {
            if self.has(&name) {
                return Err(Error::corrupt(format!("two of its files have the tensor `{name}`")));
            }
            self.tensors.insert(name, TensorInfo { part: part_idx, ..info });
        }
        for (name, dtype) in part.unsupported {
            if self.has(&name) {
                return Err(Error::corrupt(format!("two of its files have the tensor `{name}`")));
            }
            self.unsupported.insert(name, dtype);
        }
        if self.tensors.len() + self.unsupported.len() > MAX_TENSORS {
            return Err(Error::corrupt(format!("it claims more than {MAX_TENSORS} tensors")));
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.unsupported.contains_key(name)
    }
}

/// Fails where a file that says of itself to be a part (`split.no` of `split.count`) is not this one.
fn check_split(header: &Header, idx: usize, n_parts: usize) -> Result<()> {
    let number = |key: &str| header.meta.get(key).and_then(MetaValue::as_u64);
    let Some(count) = number("split.count").filter(|count| *count > 1) else { return Ok(()) };
    if count != n_parts as u64 {
        return Err(Error::corrupt(format!("it is one of {count} parts, and {n_parts} are there")));
    }
    match number("split.no") {
        Some(no) if no == idx as u64 => Ok(()),
        no => Err(Error::corrupt(format!("part {idx} says that it is part {no:?} of {count}"))),
    }
}

/// An opened weight file, or several that make up one model. Only headers are in memory; tensors are read
/// when they are asked for. Clones share them; the last one closes the files.
#[derive(Clone)]
pub struct Weights {
    opened: Rc<Opened>,
    model: Rc<str>,
}

struct Opened {
    /// By [`TensorInfo::part`].
    parts: Vec<Box<dyn ReadAt>>,
    header: Header,
}

impl Weights {
    /// Reads and checks the header; the first bytes tell safetensors and GGUF apart.
    ///
    /// # Errors
    /// [`Error::CorruptWeights`] when the header contradicts itself or the file's length,
    /// [`Error::UnsupportedWeights`] for unknown versions, [`Error::Read`].
    pub fn open(source: Box<dyn ReadAt>) -> Result<Self> {
        Self::open_parts(vec![source])
    }

    /// As [`Self::open`], of a model in several files, in their order: the tensors of all, the metadata of
    /// the first.
    ///
    /// # Errors
    /// As [`Self::open`], also where two files have a tensor of the same name, and where those of a split
    /// GGUF file are not all there or not in their order.
    pub fn open_parts(parts: Vec<Box<dyn ReadAt>>) -> Result<Self> {
        if parts.is_empty() || parts.len() > MAX_PARTS {
            return Err(Error::corrupt(format!("it has {} files, not 1 to {MAX_PARTS}", parts.len())));
        }
        let mut header = Header::default();
        for (idx, source) in parts.iter().enumerate() {
            let part = Self::read_header(source.as_ref())?;
            check_split(&part, idx, parts.len())?;
            header.join(part, idx)?;
        }
        Ok(Self { opened: Rc::new(Opened { parts, header }), model: "".into() })
    }

    fn read_header(source: &dyn ReadAt) -> Result<Header> {
        let n_bytes = source.len()?;
        if n_bytes < 8 {
            return Err(Error::corrupt(format!("it has only {n_bytes} bytes")));
        }
        let mut magic = [0; 4];
        source.read_at(&mut magic, 0)?;
        if &magic == gguf::MAGIC {
            gguf::read_header(source, n_bytes)
        } else {
            safetensors::read_header(source, n_bytes)
        }
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
        self.opened.parts[info.part].read_at(&mut bytes, info.offset)?;
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
        self.opened.parts[info.part].read_at(piece, info.offset + offset)
    }
}
