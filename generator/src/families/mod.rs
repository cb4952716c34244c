//! The families of decoders, one file each: what a family's paper changed, in the words of
//! [`DecoderConfig`].

mod gemma;
mod gpt2;
mod llama;
mod phi3;
mod qwen;
#[cfg(test)]
mod refusals;
mod t5;
#[cfg(test)]
mod tests;

use crate::config::DecoderConfig;
use crate::error::Result;
use crate::settings::{Gguf, Json, unsupported};
use runtime::Weights;

const JSON: &str = "llama, mistral, smollm3, qwen2, qwen3, phi3, gemma2, gemma3_text, gpt2, t5";
const GGUF: &str = "llama, smollm3, qwen2, qwen3, phi3, gemma2, gemma3, gpt2, t5";

/// From the bytes of `config.json`.
pub(crate) fn from_json(json: &[u8]) -> Result<DecoderConfig> {
    let file = Json::parse("config.json", json)?;
    let config = match file.text("model_type").unwrap_or("llama") {
        "llama" => llama::llama(&file)?,
        "mistral" => llama::mistral(&file)?,
        "smollm3" => llama::smollm3(&file)?,
        "qwen2" => qwen::qwen2(&file)?,
        "qwen3" => qwen::qwen3(&file)?,
        "phi3" => phi3::phi3(&file)?,
        "gemma2" => gemma::gemma2(&file)?,
        "gemma3_text" => gemma::gemma3(&file)?,
        "gpt2" => gpt2::gpt2(&file)?,
        "t5" => t5::t5(&file)?,
        other => return unsupported("model_type", &format!("{other:?}"), JSON),
    };
    config.checked("config.json")
}

/// From a GGUF file's metadata and tensors.
pub(crate) fn from_gguf(weights: &Weights) -> Result<DecoderConfig> {
    let gguf = Gguf::new(weights);
    if gguf.has_tensor("blk.0.ffn_gate_inp.weight") {
        return unsupported("tensor", "blk.0.ffn_gate_inp.weight", "models without experts");
    }
    let config = match gguf.architecture() {
        "llama" => llama::llama_gguf(&gguf)?,
        "smollm3" => llama::smollm3_gguf(&gguf)?,
        "qwen2" => qwen::qwen2_gguf(&gguf)?,
        "qwen3" => qwen::qwen3_gguf(&gguf)?,
        "phi3" => phi3::phi3_gguf(&gguf)?,
        "gemma2" => gemma::gemma2_gguf(&gguf)?,
        "gemma3" => gemma::gemma3_gguf(&gguf)?,
        "gpt2" => gpt2::gpt2_gguf(&gguf)?,
        "t5" => t5::t5_gguf(&gguf)?,
        other => return unsupported("general.architecture", other, GGUF),
    };
    config.checked("model.gguf")
}
