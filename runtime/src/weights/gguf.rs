//! GGUF versions 2 and 3, little-endian
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use super::{DType, Header, MAX_TENSORS, ReadAt, TensorInfo};
use crate::{Error, Result};

/// First bytes of every GGUF file.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";
/// Most metadata entries; files have some dozens.
const MAX_META: u64 = 1 << 16;
/// Longest text, such as a chat template: 16 MiB.
const MAX_TEXT_BYTES: u64 = 16 << 20;
/// Longest array: 2^22, eight times the merges of the largest vocabularies (2^18 tokens).
const MAX_ARRAY: u64 = 1 << 22;
/// Dimensions of a tensor, as in ggml.
const MAX_DIMENSIONS: u32 = 4;
/// Where the metadata names no alignment.
const DEFAULT_ALIGNMENT: u64 = 32;
/// Largest alignment: a large page.
const MAX_ALIGNMENT: u64 = 1 << 21;
/// The header is read in pieces of this size.
const PIECE_BYTES: u64 = 64 << 10;

/// A value of a file's metadata. Integers and floats of all widths arrive in the widest one.
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

impl MetaValue {
    /// The number, if it is a whole one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::U64(n) => Some(*n),
            Self::I64(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The number, if it is a whole one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::I64(n) => Some(*n),
            Self::U64(n) => i64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::F64(x) => Some(*x),
            Self::U64(n) => Some(*n as f64),
            Self::I64(n) => Some(*n as f64),
            _ => None,
        }
    }

    /// The flag, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(flag) = self { Some(*flag) } else { None }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The values, if it is an array.
    pub fn as_array(&self) -> Option<&[MetaValue]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }
}

pub(super) fn read_header(source: &dyn ReadAt, n_bytes: u64) -> Result<Header> {
    let mut r = Reader { source, n_bytes, pos: MAGIC.len() as u64, piece: vec![], piece_start: 0 };
    let version = r.u32()?;
    if !(2..=3).contains(&version) {
        return Err(Error::UnsupportedWeights {
            what: format!("GGUF version {version} (2 and 3 are known)"),
        });
    }
    let n_tensors = r.count("tensors", MAX_TENSORS as u64, 1)?;
    let n_meta = r.count("metadata entries", MAX_META, 1)?;
    let mut header = Header::default();
    for _ in 0..n_meta {
        let key = r.text()?;
        let kind = r.u32()?;
        let value = r.value(kind, true)?;
        if header.meta.insert(key.clone(), value).is_some() {
            return Err(Error::corrupt(format!("the metadata `{key}` is there twice")));
        }
    }
    let alignment = alignment(&header)?;
    let entries: Vec<Entry> = (0..n_tensors).map(|_| r.entry()).collect::<Result<_>>()?;
    let data_start = r.pos.next_multiple_of(alignment);
    place_tensors(&mut header, entries, data_start..n_bytes, alignment)?;
    Ok(header)
}

fn alignment(header: &Header) -> Result<u64> {
    let Some(value) = header.meta.get("general.alignment") else { return Ok(DEFAULT_ALIGNMENT) };
    match value.as_u64() {
        Some(n) if n.is_power_of_two() && n <= MAX_ALIGNMENT => Ok(n),
        _ => Err(Error::corrupt(format!("its alignment is {value:?}"))),
    }
}

/// A tensor as the header lists it; the offset counts from the data section.
struct Entry {
    name: String,
    shape: Vec<usize>,
    kind: u32,
    offset: u64,
}

/// Checks that every tensor lies within `data` and that none overlaps another.
fn place_tensors(
    header: &mut Header,
    entries: Vec<Entry>,
    data: std::ops::Range<u64>,
    alignment: u64,
) -> Result<()> {
    let mut ranges = vec![];
    for Entry { name, shape, kind, offset } in entries {
        let start = data.start.checked_add(offset).filter(|_| offset % alignment == 0);
        let start =
            start.ok_or_else(|| Error::corrupt(format!("the tensor `{name}` has the offset {offset}")))?;
        if header.tensors.contains_key(&name) || header.unsupported.contains_key(&name) {
            return Err(Error::corrupt(format!("the tensor `{name}` is there twice")));
        }
        let Some(dtype) = dtype(kind) else {
            header.unsupported.insert(name, type_name(kind));
            continue;
        };
        let n_bytes = dtype.tensor_bytes(&shape)?;
        let end = start.checked_add(n_bytes).filter(|end| *end <= data.end);
        let end = end.ok_or_else(|| {
            Error::corrupt(format!("it ends at {} bytes, within or before the tensor `{name}`", data.end))
        })?;
        ranges.push((start, end, name.clone()));
        header.tensors.insert(name, TensorInfo { shape, dtype, n_bytes, offset: start, part: 0 });
    }
    ranges.sort();
    for pair in ranges.windows(2) {
        if pair[1].0 < pair[0].1 {
            return Err(Error::corrupt(format!("the tensors `{}` and `{}` overlap", pair[0].2, pair[1].2)));
        }
    }
    Ok(())
}

/// ggml's numbers for the types that there is code for.
fn dtype(kind: u32) -> Option<DType> {
    Some(match kind {
        0 => DType::F32,
        1 => DType::F16,
        2 => DType::Q4_0,
        3 => DType::Q4_1,
        6 => DType::Q5_0,
        7 => DType::Q5_1,
        8 => DType::Q8_0,
        10 => DType::Q2_K,
        11 => DType::Q3_K,
        12 => DType::Q4_K,
        13 => DType::Q5_K,
        14 => DType::Q6_K,
        20 => DType::IQ4_NL,
        30 => DType::BF16,
        _ => return None,
    })
}

/// ggml's names for types that there is no code for.
fn type_name(kind: u32) -> String {
    let name = match kind {
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        29 => "IQ1_M",
        39 => "MXFP4",
        _ => return format!("number {kind}"),
    };
    name.into()
}

/// Reads the header front to back, in pieces.
struct Reader<'a> {
    source: &'a dyn ReadAt,
    n_bytes: u64,
    pos: u64,
    piece: Vec<u8>,
    piece_start: u64,
}

impl Reader<'_> {
    fn bytes(&mut self, buf: &mut [u8]) -> Result<()> {
        let n = buf.len() as u64;
        if n > self.n_bytes - self.pos {
            return Err(Error::corrupt(format!("it ends within its header, at {} bytes", self.n_bytes)));
        }
        let piece_end = self.piece_start + self.piece.len() as u64;
        if self.pos < self.piece_start || self.pos + n > piece_end {
            self.piece.resize(PIECE_BYTES.max(n).min(self.n_bytes - self.pos) as usize, 0);
            self.piece_start = self.pos;
            self.source.read_at(&mut self.piece, self.pos)?;
        }
        let at = (self.pos - self.piece_start) as usize;
        buf.copy_from_slice(&self.piece[at..at + buf.len()]);
        self.pos += n;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut buf = [0; N];
        self.bytes(&mut buf)?;
        Ok(buf)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things of at least `min_bytes` each that follow.
    fn count(&mut self, what: &str, max: u64, min_bytes: u64) -> Result<u64> {
        let n = self.u64()?;
        if n > max || n * min_bytes > self.n_bytes - self.pos {
            return Err(Error::corrupt(format!("it claims {n} {what}")));
        }
        Ok(n)
    }

    fn text(&mut self) -> Result<String> {
        let n = self.count("bytes of a text", MAX_TEXT_BYTES, 1)?;
        let mut bytes = vec![0; n as usize];
        self.bytes(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| Error::corrupt("a text in its header is not UTF-8"))
    }

    fn value(&mut self, kind: u32, may_be_array: bool) -> Result<MetaValue> {
        Ok(match kind {
            0 => MetaValue::U64(self.array::<1>()?[0].into()),
            1 => MetaValue::I64(i8::from_le_bytes(self.array()?).into()),
            2 => MetaValue::U64(u16::from_le_bytes(self.array()?).into()),
            3 => MetaValue::I64(i16::from_le_bytes(self.array()?).into()),
            4 => MetaValue::U64(self.u32()?.into()),
            5 => MetaValue::I64(i32::from_le_bytes(self.array()?).into()),
            6 => MetaValue::F64(f32::from_le_bytes(self.array()?).into()),
            7 => MetaValue::Bool(self.array::<1>()?[0] != 0),
            8 => MetaValue::Text(self.text()?),
            9 if may_be_array => {
                let kind = self.u32()?;
                let n = self.count("elements of an array", MAX_ARRAY, 1)?;
                MetaValue::Array((0..n).map(|_| self.value(kind, false)).collect::<Result<_>>()?)
            }
            10 => MetaValue::U64(self.u64()?),
            11 => MetaValue::I64(i64::from_le_bytes(self.array()?)),
            12 => MetaValue::F64(f64::from_le_bytes(self.array()?)),
            _ => return Err(Error::corrupt(format!("its metadata has a value of type {kind}"))),
        })
    }

    fn entry(&mut self) -> Result<Entry> {
        let name = self.text()?;
        let n_dimensions = self.u32()?;
        if n_dimensions > MAX_DIMENSIONS {
            return Err(Error::corrupt(format!("the tensor `{name}` has {n_dimensions} dimensions")));
        }
        // The file has the fastest dimension first.
        let mut shape = (0..n_dimensions).map(|_| self.u64()).collect::<Result<Vec<_>>>()?;
        shape.reverse();
        let sizes = shape.iter().map(|size| usize::try_from(*size).ok().filter(|size| *size > 0));
        let shape = sizes.collect::<Option<Vec<_>>>();
        let shape =
            shape.ok_or_else(|| Error::corrupt(format!("the tensor `{name}` has an impossible size")))?;
        Ok(Entry { name, shape, kind: self.u32()?, offset: self.u64()? })
    }
}
