//! T5 (Raffel et al., 2020) in its version 1.1, as FLAN-T5 (Chung et al., 2022) has it: an encoder reads the
//! prompt, and a decoder that looks at what was read writes. Positions are biases on scores by distance, in
//! buckets that widen; scores have no scale; norms are RMS; the feed-forward block has a GELU gate.

use crate::config::{
    Biases, DecoderConfig, EncoderConfig, FfnKind, Form, LayerConfig, MAX_N_CTX, Names, NormKind,
    RelativeConfig,
};
use crate::error::Result;
use crate::settings::{Gguf, Json, unsupported};
use runtime::{Activation, RopeStyle};
use serde_json::Value;

/// Distances from which on all are alike, where a file does not say it.
const MAX_DISTANCE: usize = 128;

struct Sizes {
    d_model: usize,
    n_encoder_layers: usize,
    n_layers: usize,
    n_heads: usize,
    head_dim: usize,
    d_ffn: usize,
    n_vocab: usize,
    eps: f32,
    relative: RelativeConfig,
    start_token: u32,
}

pub(super) fn t5(file: &Json) -> Result<DecoderConfig> {
    // Version 1.0 has another block, and scales its output.
    file.only("feed_forward_proj", &["gated-gelu".into()], "gated-gelu")?;
    if file.get("feed_forward_proj").is_none() {
        return unsupported("feed_forward_proj", "relu", "gated-gelu (T5 1.1 and FLAN-T5)");
    }
    file.only("tie_word_embeddings", &[Value::from(false)], "false")?;
    let n_encoder_layers = file.size("num_layers")?;
    let start_token = file.number("decoder_start_token_id").unwrap_or(0.0) as u32;
    let config = decoder(Sizes {
        d_model: file.size("d_model")?,
        n_encoder_layers,
        n_layers: file.size_or("num_decoder_layers", n_encoder_layers)?,
        n_heads: file.size("num_heads")?,
        head_dim: file.size("d_kv")?,
        d_ffn: file.size("d_ff")?,
        n_vocab: file.size("vocab_size")?,
        eps: file.number("layer_norm_epsilon").unwrap_or(1e-6) as f32,
        relative: RelativeConfig {
            n_buckets: file.size_or("relative_attention_num_buckets", 32)?,
            max_distance: file.size_or("relative_attention_max_distance", MAX_DISTANCE)?,
        },
        start_token,
    });
    Ok(DecoderConfig { form: Form::HuggingFace, ..config })
}

pub(super) fn t5_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    let size = |key: &str| gguf.size(&gguf.own(key));
    if !gguf.has_tensor("dec.blk.0.ffn_gate.weight") {
        return unsupported("dec.blk.0.ffn_gate.weight", "missing", "T5 1.1 and FLAN-T5");
    }
    let embedding = gguf.weights.tensor_info("token_embd.weight").map(|info| info.shape.as_slice());
    let n_encoder_layers = size("block_count")?;
    let start_token = gguf.number(&gguf.own("decoder_start_token_id")).unwrap_or(0.0) as u32;
    let config = decoder(Sizes {
        d_model: size("embedding_length")?,
        n_encoder_layers,
        n_layers: gguf.size_or(&gguf.own("decoder_block_count"), n_encoder_layers)?,
        n_heads: size("attention.head_count")?,
        head_dim: size("attention.key_length")?,
        d_ffn: size("feed_forward_length")?,
        n_vocab: embedding.and_then(|shape| shape.first()).copied().unwrap_or(0),
        eps: gguf.number(&gguf.own("attention.layer_norm_rms_epsilon")).unwrap_or(1e-6) as f32,
        relative: RelativeConfig {
            n_buckets: size("attention.relative_buckets_count")?,
            max_distance: MAX_DISTANCE,
        },
        start_token,
    });
    let is_tied = !gguf.has_tensor("output.weight");
    Ok(DecoderConfig { form: Form::Gguf, is_tied, ..config })
}

fn decoder(s: Sizes) -> DecoderConfig {
    DecoderConfig {
        form: Form::HuggingFace,
        names: Names::T5,
        d_model: s.d_model,
        n_heads: s.n_heads,
        n_kv_heads: s.n_heads,
        head_dim: s.head_dim,
        d_ffn: s.d_ffn,
        n_vocab: s.n_vocab,
        // Distances know no end; what the model is good for depends on its training.
        n_ctx_train: MAX_N_CTX,
        layers: vec![LayerConfig { rope: None, window: None }; s.n_layers],
        norm: NormKind::Rms { eps: s.eps, plus: 0.0 },
        has_head_norms: false,
        has_post_norms: false,
        is_fused: false,
        biases: Biases::default(),
        ffn: FfnKind::Gated(Activation::GeluTanh),
        rope_style: RopeStyle::Half,
        attention_scale: 1.0,
        attention_cap: None,
        logit_cap: None,
        embedding_scale: None,
        has_position_embedding: false,
        is_tied: false,
        relative: Some(s.relative),
        encoder: Some(EncoderConfig { n_layers: s.n_encoder_layers, start_token: s.start_token }),
    }
}
