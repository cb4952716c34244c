//! Qwen 2 and 2.5 (Yang et al., 2024): a Llama with biases at query, key and value. Qwen 3 (Yang et al.,
//! 2025) has none, and normalises queries and keys head by head instead.

use super::llama::{decoder_gguf, llama, windows};
use crate::config::{Biases, DecoderConfig};
use crate::error::Result;
use crate::settings::{Gguf, Json};

pub(super) fn qwen2(file: &Json) -> Result<DecoderConfig> {
    let mut config = llama(file)?;
    config.biases = Biases { qkv: true, ..Biases::default() };
    deep_windows(&mut config, file)?;
    Ok(config)
}

pub(super) fn qwen3(file: &Json) -> Result<DecoderConfig> {
    let mut config = llama(file)?;
    config.has_head_norms = true;
    deep_windows(&mut config, file)?;
    Ok(config)
}

/// The deeper layers may see a window, if the model is told to use it.
fn deep_windows(config: &mut DecoderConfig, file: &Json) -> Result<()> {
    let is_used = file.flag_or("use_sliding_window", false)?;
    let n_full = file.number("max_window_layers").unwrap_or(28.0) as usize;
    windows(config, file, |i| is_used && i >= n_full)
}

pub(super) fn qwen2_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    decoder_gguf(gguf)
}

pub(super) fn qwen3_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    Ok(DecoderConfig { has_head_norms: true, ..decoder_gguf(gguf)? })
}
