//! safetensors: 8 bytes with the header's length, a JSON header, then the tensors without gaps
//! (<https://github.com/huggingface/safetensors#format>). All numbers are little-endian.

use safetensors::tensor::{Dtype, Metadata};

use super::{DType, Header, MAX_TENSORS, MetaValue, ReadAt, TensorInfo};
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
        let dtype = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => {
                header.unsupported.insert(name, format!("{other:?}"));
                continue;
            }
        };
        let (start, end) = info.data_offsets;
        let (offset, n_bytes) = (data_start + start as u64, (end - start) as u64);
        header.tensors.insert(name, TensorInfo { shape: info.shape.clone(), dtype, n_bytes, offset });
    }
    for (key, text) in metadata.metadata().iter().flatten() {
        header.meta.insert(key.clone(), MetaValue::Text(text.clone()));
    }
    Ok(header)
}
