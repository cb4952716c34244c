//! GPT-2 (Radford et al., 2019): learned positions, layer norms with biases before each block, a plain
//! GELU feed-forward block. Hugging Face's files have all matrices as `[n_in, n_out]`, because the first
//! code called them convolutions.

use crate::config::{Biases, DecoderConfig, FfnKind, Form, LayerConfig, Names, NormKind};
use crate::error::Result;
use crate::settings::{Gguf, Json};
use runtime::{Activation, RopeStyle};

/// Sizes that both kinds of files give.
struct Sizes {
    d_model: usize,
    n_layers: usize,
    n_heads: usize,
    d_ffn: usize,
    n_vocab: usize,
    n_ctx_train: usize,
    eps: f32,
}

pub(super) fn gpt2(file: &Json) -> Result<DecoderConfig> {
    file.only("activation_function", &["gelu_new".into(), "gelu_pytorch_tanh".into()], "gelu_new")?;
    file.only("scale_attn_weights", &[true.into()], "true")?;
    file.only("scale_attn_by_inverse_layer_idx", &[false.into()], "false")?;
    file.only("add_cross_attention", &[false.into()], "false")?;
    let d_model = file.size("n_embd")?;
    let config = decoder(Sizes {
        d_model,
        n_layers: file.size("n_layer")?,
        n_heads: file.size("n_head")?,
        d_ffn: file.size_or("n_inner", 4 * d_model)?,
        n_vocab: file.size("vocab_size")?,
        n_ctx_train: file.size("n_positions")?,
        eps: file.number("layer_norm_epsilon").unwrap_or(1e-5) as f32,
    });
    let is_tied = file.flag_or("tie_word_embeddings", true)?;
    Ok(DecoderConfig { form: Form::HuggingFace, is_tied, ..config })
}

pub(super) fn gpt2_gguf(gguf: &Gguf<'_>) -> Result<DecoderConfig> {
    let size = |key: &str| gguf.size(&gguf.own(key));
    let embedding = gguf.weights.tensor_info("token_embd.weight").map(|info| info.shape.as_slice());
    let config = decoder(Sizes {
        d_model: size("embedding_length")?,
        n_layers: size("block_count")?,
        n_heads: size("attention.head_count")?,
        d_ffn: size("feed_forward_length")?,
        n_vocab: embedding.and_then(|shape| shape.first()).copied().unwrap_or(0),
        n_ctx_train: size("context_length")?,
        eps: gguf.number(&gguf.own("attention.layer_norm_epsilon")).unwrap_or(1e-5) as f32,
    });
    let is_tied = !gguf.has_tensor("output.weight");
    Ok(DecoderConfig { form: Form::Gguf, is_tied, ..config })
}

fn decoder(s: Sizes) -> DecoderConfig {
    let head_dim = s.d_model / s.n_heads;
    DecoderConfig {
        form: Form::HuggingFace,
        names: Names::Gpt2,
        d_model: s.d_model,
        n_heads: s.n_heads,
        n_kv_heads: s.n_heads,
        head_dim,
        d_ffn: s.d_ffn,
        n_vocab: s.n_vocab,
        n_ctx_train: s.n_ctx_train,
        layers: vec![LayerConfig { rope: None, window: None }; s.n_layers],
        norm: NormKind::Layer { eps: s.eps },
        has_head_norms: false,
        has_post_norms: false,
        is_fused: true,
        biases: Biases { qkv: true, attention: true, ffn: true },
        ffn: FfnKind::Plain(Activation::GeluTanh),
        rope_style: RopeStyle::Half,
        attention_scale: 1.0 / (head_dim as f32).sqrt(),
        attention_cap: None,
        logit_cap: None,
        embedding_scale: None,
        has_position_embedding: true,
        is_tied: true,
        relative: None,
        encoder: None,
    }
}
