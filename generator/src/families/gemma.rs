//! Gemma 2 (Gemma Team, 2024): embeddings scaled by the root of their width, a GELU gate, norms of `1 + w`
//! before and after each block, every other layer seeing a window, soft caps on scores and logits. Gemma 3
//! (Gemma Team, 2025) normalises queries and keys instead of capping scores, and gives five of six layers a
//! window and a rotation of their own.

use super::llama::{decoder_gguf, llama, windows, windows_gguf};
use crate::config::{DecoderConfig, FfnKind, Names, NormKind, RopeConfig};
use crate::error::Result;
use crate::rope_scaling::{self, Head};
use crate::settings::{Gguf, Json};
use runtime::Activation;

/// Rotation of the layers with a window, where a file does not say it.
const LOCAL_BASE: f64 = 10_000.0;

pub(super) fn gemma2(file: &Json) -> Result<DecoderConfig> {
    let mut config = gemma(file)?;
    config.attention_cap = file.number("attn_logit_softcapping").map(|cap| cap as f32);
    config.logit_cap = file.number("final_logit_softcapping").map(|cap| cap as f32);
    windows(&mut config, file, |i| i % 2 == 0)?;
    Ok(config)
}

pub(super) fn gemma3(file: &Json) -> Result<DecoderConfig> {
    file.only("use_bidirectional_attention", &[false.into()], "false")?;
    let mut config = gemma(file)?;
    config.has_head_norms = true;
    config.attention_cap = file.number("attn_logit_softcapping").map(|cap| cap as f32);
    config.logit_cap = file.number("final_logit_softcapping").map(|cap| cap as f32);
    let every = file.size_or("sliding_window_pattern", 6)?;
    windows(&mut config, file, |i| (i + 1) % every != 0)?;
    let head = Head { dim: config.head_dim, n_ctx_train: config.n_ctx_train };
    // The newer spelling has a rotation for each kind of layer, the older one a second base.
    let (global, local) = match file.object("rope_parameters") {
        Some(both) if both.get("full_attention").is_some() => {
            let of = |kind: &str| both.object(kind).map_or_else(|| both.refuse(kind, "it is missing"), Ok);
            let rope = |rope: Json, base: f64| {
                let base = rope.number("rope_theta").unwrap_or(base);
                let scaling = rope_scaling::scaling(&rope, file, base, head)?;
                Ok::<_, crate::Error>(RopeConfig { base: base as f32, scaling })
            };
            (rope(of("full_attention")?, 1e6)?, rope(of("sliding_attention")?, LOCAL_BASE)?)
        }
        _ => {
            let mut global = rope_scaling::from_json(file, head)?;
            if file.number("rope_theta").is_none() {
                global.base = 1e6;
            }
            let base = file.number("rope_local_base_freq").unwrap_or(LOCAL_BASE) as f32;
            (global, RopeConfig { base, scaling: None })
        }
    };
    rotations(&mut config, &global, &local);
    Ok(config)
}

/// What both have in common.
fn gemma(file: &Json) -> Result<DecoderConfig> {
    let mut config = llama_with_gelu(file)?;
    config.names = Names::Gemma;
    if let NormKind::Rms { plus, .. } = &mut config.norm {
        *plus = 1.0;
    }
    let scalar = file.number("query_pre_attn_scalar").unwrap_or(256.0) as f32;
    config.attention_scale = 1.0 / scalar.sqrt();
    config.is_tied = file.flag_or("tie_word_embeddings", true)?;
    gemma_blocks(&mut config);
    Ok(config)
}

fn llama_with_gelu(file: &Json) -> Result<DecoderConfig> {
    let key = if file.get("hidden_activation").is_some() { "hidden_activation" } else { "hidden_act" };
    file.only(key, &["gelu_pytorch_tanh".into()], "gelu_pytorch_tanh")?;
    llama(&file.without(&["hidden_act"]))
}

/// The activation, the norms after blocks and the scale of embeddings.
fn gemma_blocks(config: &mut DecoderConfig) {
    config.ffn = FfnKind::Gated(Activation::GeluTanh);
    config.has_post_norms = true;
    config.embedding_scale = Some((config.d_model as f32).sqrt());
}

fn rotations(config: &mut DecoderConfig, global: &RopeConfig, local: &RopeConfig) {
    for layer in &mut config.layers {
        layer.rope = Some(if layer.window.is_some() { local } else { global }.clone());
    }
}

pub(super) fn gemma2_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    let mut config = gemma_gguf(gguf, 46)?;
    let cap = |key: &str| gguf.number(&gguf.own(key)).map(|cap| cap as f32);
    config.attention_cap = cap("attn_logit_softcapping");
    config.logit_cap = cap("final_logit_softcapping");
    windows_gguf(&mut config, gguf, |i| i % 2 == 0)?;
    Ok(config)
}

pub(super) fn gemma3_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    let mut config = gemma_gguf(gguf, 62)?;
    config.has_head_norms = true;
    config.logit_cap = gguf.number(&gguf.own("final_logit_softcapping")).map(|cap| cap as f32);
    windows_gguf(&mut config, gguf, |i| (i + 1) % 6 != 0)?;
    let global = config.layers.first().and_then(|layer| layer.rope.clone());
    if let Some(global) = global {
        let base = gguf.number(&gguf.own("rope.freq_base_swa")).unwrap_or(LOCAL_BASE) as f32;
        rotations(&mut config, &global, &RopeConfig { base, scaling: None });
    }
    Ok(config)
}

/// llama.cpp has added the 1 to the norms already. It does not write the factor on scores; of all sizes
/// only 27B, which has `n_layers_27b` layers, takes another one than the root of a head.
fn gemma_gguf(gguf: &Gguf<'_>, n_layers_27b: usize) -> Result<DecoderConfig> {
    let mut config = decoder_gguf(gguf)?;
    gemma_blocks(&mut config);
    if config.layers.len() == n_layers_27b {
        config.attention_scale = 1.0 / ((config.d_model / config.n_heads) as f32).sqrt();
    }
    Ok(config)
}
