//! safetensors: 8 bytes with the header's length, a JSON header, then the tensors without gaps
//! (<https://github.com/huggingface/safetensors#format>). All numbers are little-endian.

use safetensors::tensor::{Dtype, Metadata};

use super::{BLOCKS_KEY, DType, Header, MAX_TENSORS, MetaValue, ReadAt, TensorInfo};
use crate::{Error, Result};

/// Longest header: 65,536 tensors of 256 bytes each.
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// Bytes of the length in front of the header.
const PREFIX_BYTES: u64 = 8;

pub(super) fn read_header(source: &dyn ReadAt, n_bytes: u64) -> Result<Header> {
    let mut prefix = [0; PREFIX_BYTES as usize];
    source.read_at(&mut prefix, 0)?;
    let header_bytes = u64::from_le_bytes(prefix);
    if header_bytes > MAX_HEADER_BYTES {
        return Err(Error::corrupt("it is neither GGUF nor safetensors, or its header is absurdly long"));
    }
    let data_start = PREFIX_BYTES + header_bytes;
    if data_start > n_bytes {
        return Err(Error::corrupt(format!("it ends within its header, at {n_bytes} of {data_start} bytes")));
    }
    let mut json = vec![0; header_bytes as usize];
    source.read_at(&mut json, PREFIX_BYTES)?;
    // The deserializer checks that the tensors follow each other without gaps or overlaps and that
    // every size is that of its shape and type.
    let metadata: Metadata = serde_json::from_slice(&json)
        .map_err(|e| Error::corrupt(format!("its header is no safetensors header: {e}")))?;
    let expected = data_start + metadata.data_len() as u64;
    if expected != n_bytes {
        return Err(Error::corrupt(format!("it has {n_bytes} bytes, its header promises {expected}")));
    }
    let tensors = metadata.tensors();
    if tensors.len() > MAX_TENSORS {
        return Err(Error::corrupt(format!("it claims {} tensors", tensors.len())));
    }
    let mut header = Header::default();
    for (name, info) in tensors {
        let mut shape = info.shape.clone();
        let dtype = match (info.dtype, blocks_of(&metadata, &name)) {
            (Dtype::U8, Some(dtype)) => {
                blocks_to_elements(&name, dtype, &mut shape)?;
                dtype
            }
            (Dtype::F32, _) => DType::F32,
            (Dtype::F16, _) => DType::F16,
            (Dtype::BF16, _) => DType::BF16,
            (other, _) => {
                header.unsupported.insert(name, format!("{other:?}"));
                continue;
            }
        };
        let (start, end) = info.data_offsets;
        let (offset, n_bytes) = (data_start + start as u64, (end - start) as u64);
        header.tensors.insert(name, TensorInfo { shape, dtype, n_bytes, offset, part: 0 });
    }
    for (key, text) in metadata.metadata().iter().flatten() {
        header.meta.insert(key.clone(), MetaValue::Text(text.clone()));
    }
    Ok(header)
}

/// The blocks that a tensor of bytes consists of, where the metadata says so (`quantize.rs`).
fn blocks_of(metadata: &Metadata, name: &str) -> Option<DType> {
    match metadata.metadata().as_ref()?.get(&format!("{BLOCKS_KEY}{name}"))?.as_str() {
        "Q8_0" => Some(DType::Q8_0),
        "Q4_1" => Some(DType::Q4_1),
        _ => None,
    }
}

/// From rows in bytes to rows in elements.
fn blocks_to_elements(name: &str, dtype: DType, shape: &mut [usize]) -> Result<()> {
    let width = match shape {
        [_, row_bytes] => dtype.row_elements(*row_bytes as u64),
        _ => None,
    };
    let (Some(width), Some(last)) = (width, shape.last_mut()) else {
        return Err(Error::corrupt(format!("the tensor `{name}` is no matrix of {dtype:?} blocks")));
    };
    *last = width;
    Ok(())
}
