//! Phi-3 and 3.5 (Abdin et al., 2024): a Llama whose files keep query, key and value in one matrix, gate
//! and up in another; long texts by LongRoPE (Ding et al., 2024).

use super::llama::{decoder_gguf, llama, windows, windows_gguf};
use crate::config::DecoderConfig;
use crate::error::Result;
use crate::settings::{Gguf, Json};

pub(super) fn phi3(file: &Json) -> Result<DecoderConfig> {
    let mut config = llama(file)?;
    config.is_fused = true;
    windows(&mut config, file, |_| true)?;
    Ok(config)
}

pub(super) fn phi3_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    let mut config = decoder_gguf(gguf)?;
    config.is_fused = gguf.has_tensor("blk.0.attn_qkv.weight");
    windows_gguf(&mut config, gguf, |_| true)?;
    Ok(config)
}
