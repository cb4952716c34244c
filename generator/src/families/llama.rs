//! Llama (Touvron et al., 2023; grouped queries as in Ainslie et al., 2023): RMS normalisation before each
//! block, rotary positions, and a SwiGLU feed-forward block. Vicuna, TinyLlama and SmolLM2 are Llamas;
//! Mistral (Jiang et al., 2023) is one that sees a window, SmolLM3 one that turns nothing in every fourth
//! layer (Yang et al., 2025). The other families begin with what is here.

use crate::config::{Biases, DecoderConfig, FfnKind, Form, LayerConfig, Names, NormKind};
use crate::error::Result;
use crate::rope_scaling::{self, Head};
use crate::settings::{Gguf, Json, unsupported};
use runtime::{Activation, RopeStyle};
use serde_json::Value;

pub(super) fn llama(file: &Json) -> Result<DecoderConfig> {
    file.only("hidden_act", &["silu".into()], "silu")?;
    file.only("partial_rotary_factor", &[Value::from(1.0), Value::from(1)], "1.0")?;
    let (d_model, n_heads) = (file.size("hidden_size")?, file.size("num_attention_heads")?);
    let head_dim = file.size_or("head_dim", d_model / n_heads)?;
    let n_ctx_train = file.size("max_position_embeddings")?;
    let rope = rope_scaling::from_json(file, Head { dim: head_dim, n_ctx_train })?;
    let has_bias = file.flag_or("attention_bias", false)?;
    Ok(DecoderConfig {
        form: Form::HuggingFace,
        names: Names::Llama,
        d_model,
        n_heads,
        n_kv_heads: file.size_or("num_key_value_heads", n_heads)?,
        head_dim,
        d_ffn: file.size("intermediate_size")?,
        n_vocab: file.size("vocab_size")?,
        n_ctx_train,
        layers: vec![LayerConfig { rope: Some(rope), window: None }; file.size("num_hidden_layers")?],
        norm: NormKind::Rms { eps: file.number("rms_norm_eps").unwrap_or(1e-6) as f32, plus: 0.0 },
        has_head_norms: false,
        has_post_norms: false,
        is_fused: false,
        biases: Biases { qkv: has_bias, attention: has_bias, ffn: file.flag_or("mlp_bias", false)? },
        ffn: FfnKind::Gated(Activation::Silu),
        rope_style: RopeStyle::Half,
        attention_scale: 1.0 / (head_dim as f32).sqrt(),
        attention_cap: None,
        logit_cap: None,
        embedding_scale: None,
        has_position_embedding: false,
        is_tied: file.flag_or("tie_word_embeddings", false)?,
        relative: None,
        encoder: None,
    })
}

pub(super) fn mistral(file: &Json) -> Result<DecoderConfig> {
    let mut config = llama(file)?;
    windows(&mut config, file, |_| true)?;
    Ok(config)
}

pub(super) fn smollm3(file: &Json) -> Result<DecoderConfig> {
    let mut config = llama(file)?;
    windows(&mut config, file, |_| false)?;
    let every = file.size_or("no_rope_layer_interval", 4)?;
    let listed = file.get("no_rope_layers").and_then(Value::as_array);
    for (i, layer) in config.layers.iter_mut().enumerate() {
        let turns = match listed {
            Some(list) => list.get(i).and_then(Value::as_u64) == Some(1),
            None => (i + 1) % every != 0,
        };
        if !turns {
            layer.rope = None;
        }
    }
    config.is_tied = file.flag_or("tie_word_embeddings", true)?;
    Ok(config)
}

/// Gives layers their windows: those that `layer_types` names, or where there is no such list those of
/// which `slides` says so, in a model that has a window.
pub(super) fn windows(config: &mut DecoderConfig, file: &Json, slides: impl Fn(usize) -> bool) -> Result<()> {
    let types = file.get("layer_types").and_then(Value::as_array);
    let has_window = file.get("sliding_window").is_some() && file.flag_or("use_sliding_window", true)?;
    for (i, layer) in config.layers.iter_mut().enumerate() {
        let is_sliding = match types.map(|types| types.get(i)) {
            None => has_window && slides(i),
            Some(Some(Value::String(kind))) if kind == "full_attention" => false,
            Some(Some(Value::String(kind))) if kind == "sliding_attention" => true,
            Some(other) => {
                let value = other.map_or("nothing".into(), Value::to_string);
                return unsupported("layer_types", &value, "full_attention, sliding_attention");
            }
        };
        if is_sliding {
            layer.window = Some(file.size("sliding_window")?);
        }
    }
    Ok(())
}

/// llama.cpp permutes the rows of Llama's query and key, so that pairs lie side by side.
pub(super) fn llama_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    Ok(DecoderConfig { rope_style: RopeStyle::Interleaved, ..decoder_gguf(gguf)? })
}

pub(super) fn smollm3_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    let mut config = llama_gguf(gguf)?;
    // The files do not say it.
    config.layers.iter_mut().skip(3).step_by(4).for_each(|layer| layer.rope = None);
    Ok(config)
}

/// A decoder like Llama whose rows of query and key are as the model was trained.
pub(super) fn decoder_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    let own = |key: &str| gguf.own(key);
    let (d_model, n_heads) = (gguf.size(&own("embedding_length"))?, gguf.size(&own("attention.head_count"))?);
    let head_dim = gguf.size_or(&own("attention.key_length"), d_model / n_heads)?;
    for key in ["attention.value_length", "rope.dimension_count"].map(own) {
        if gguf.size_or(&key, head_dim)? != head_dim {
            let value = gguf.size(&key)?.to_string();
            return unsupported(&key, &value, "the same as attention.key_length");
        }
    }
    let n_ctx_train = gguf.size(&own("context_length"))?;
    let rope = rope_scaling::from_gguf(gguf, Head { dim: head_dim, n_ctx_train })?;
    let embedding = gguf.weights.tensor_info("token_embd.weight").map(|info| info.shape.as_slice());
    let eps = gguf.number(&own("attention.layer_norm_rms_epsilon")).unwrap_or(1e-5) as f32;
    let has_bias = |name: &str| gguf.has_tensor(&format!("blk.0.{name}.bias"));
    Ok(DecoderConfig {
        form: Form::Gguf,
        names: Names::Llama,
        d_model,
        n_heads,
        n_kv_heads: gguf.size_or(&own("attention.head_count_kv"), n_heads)?,
        head_dim,
        d_ffn: gguf.size(&own("feed_forward_length"))?,
        n_vocab: embedding.and_then(|shape| shape.first()).copied().unwrap_or(0),
        n_ctx_train,
        layers: vec![LayerConfig { rope: Some(rope), window: None }; gguf.size(&own("block_count"))?],
        norm: NormKind::Rms { eps, plus: 0.0 },
        has_head_norms: false,
        has_post_norms: false,
        is_fused: false,
        biases: Biases {
            qkv: has_bias("attn_q") || has_bias("attn_qkv"),
            attention: has_bias("attn_output"),
            ffn: has_bias("ffn_up"),
        },
        ffn: FfnKind::Gated(Activation::Silu),
        rope_style: RopeStyle::Half,
        attention_scale: 1.0 / (head_dim as f32).sqrt(),
        attention_cap: None,
        logit_cap: None,
        embedding_scale: None,
        has_position_embedding: false,
        is_tied: !gguf.has_tensor("output.weight"),
        relative: None,
        encoder: None,
    })
}

/// Gives the layers of which `slides` says so the window of a GGUF file, if it has one.
pub(super) fn windows_gguf(
    config: &mut DecoderConfig,
    gguf: &Gguf<'_>,
    slides: impl Fn(usize) -> bool,
) -> Result<()> {
    let key = gguf.own("attention.sliding_window");
    if gguf.number(&key).is_none() {
        return Ok(());
    }
    let window = gguf.size(&key)?;
    let sliding = config.layers.iter_mut().enumerate().filter(|(i, _)| slides(*i));
    sliding.for_each(|(_, layer)| layer.window = Some(window));
    Ok(())
}
