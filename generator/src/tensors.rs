//! Where a decoder's parts are in its file.

use crate::config::{DecoderConfig, Form, Names, NormKind, RelativeConfig};
use crate::error::{Error, Result};
use crate::layers::{Linear, Norm};
use runtime::{Runtime, TensorView, Weight, WeightFormat, Weights};
use std::ops::Range;

/// A part of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Embedding,
    Positions,
    Head,
    Norm,
    AttentionNorm,
    Query,
    Key,
    Value,
    /// All three in one.
    Qkv,
    QueryNorm,
    KeyNorm,
    Attention,
    PostAttentionNorm,
    FfnNorm,
    Gate,
    Up,
    /// Both in one.
    GateUp,
    Down,
    PostFfnNorm,
    /// Biases by distance; the first layer's are for all.
    RelativeBias,
    CrossNorm,
    CrossQuery,
    CrossKey,
    CrossValue,
    Cross,
}

impl Part {
    fn gguf(self) -> &'static str {
        match self {
            Self::Embedding => "token_embd",
            Self::Positions => "position_embd",
            Self::Head => "output",
            Self::Norm => "output_norm",
            Self::AttentionNorm => "attn_norm",
            Self::Query => "attn_q",
            Self::Key => "attn_k",
            Self::Value => "attn_v",
            Self::Qkv => "attn_qkv",
            Self::QueryNorm => "attn_q_norm",
            Self::KeyNorm => "attn_k_norm",
            Self::Attention => "attn_output",
            Self::PostAttentionNorm => "post_attention_norm",
            Self::FfnNorm => "ffn_norm",
            Self::Gate => "ffn_gate",
            Self::Up | Self::GateUp => "ffn_up",
            Self::Down => "ffn_down",
            Self::PostFfnNorm => "post_ffw_norm",
            Self::RelativeBias => "attn_rel_b",
            Self::CrossNorm => "cross_attn_norm",
            Self::CrossQuery => "cross_attn_q",
            Self::CrossKey => "cross_attn_k",
            Self::CrossValue => "cross_attn_v",
            Self::Cross => "cross_attn_o",
        }
    }

    fn hugging_face(self, names: Names) -> &'static str {
        match self {
            Self::Embedding => "embed_tokens",
            Self::Positions => "embed_positions",
            Self::Head => "lm_head",
            Self::Norm => "norm",
            Self::AttentionNorm => "input_layernorm",
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Qkv => "self_attn.qkv_proj",
            Self::QueryNorm => "self_attn.q_norm",
            Self::KeyNorm => "self_attn.k_norm",
            Self::Attention => "self_attn.o_proj",
            Self::PostAttentionNorm => "post_attention_layernorm",
            Self::FfnNorm if names == Names::Gemma => "pre_feedforward_layernorm",
            Self::FfnNorm => "post_attention_layernorm",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::GateUp => "mlp.gate_up_proj",
            Self::Down => "mlp.down_proj",
            Self::PostFfnNorm => "post_feedforward_layernorm",
            // Of other families.
            other => other.t5(Side::Decoder),
        }
    }

    /// T5 numbers what a block consists of.
    fn t5(self, side: Side) -> &'static str {
        let is_encoder = side == Side::Encoder;
        match self {
            Self::Embedding => "shared",
            Self::Norm => "final_layer_norm",
            Self::AttentionNorm => "layer.0.layer_norm",
            Self::Query => "layer.0.SelfAttention.q",
            Self::Key => "layer.0.SelfAttention.k",
            Self::Value => "layer.0.SelfAttention.v",
            Self::Attention => "layer.0.SelfAttention.o",
            Self::RelativeBias => "layer.0.SelfAttention.relative_attention_bias",
            Self::CrossNorm => "layer.1.layer_norm",
            Self::CrossQuery => "layer.1.EncDecAttention.q",
            Self::CrossKey => "layer.1.EncDecAttention.k",
            Self::CrossValue => "layer.1.EncDecAttention.v",
            Self::Cross => "layer.1.EncDecAttention.o",
            Self::FfnNorm if is_encoder => "layer.1.layer_norm",
            Self::FfnNorm => "layer.2.layer_norm",
            Self::Gate if is_encoder => "layer.1.DenseReluDense.wi_0",
            Self::Gate => "layer.2.DenseReluDense.wi_0",
            Self::Up if is_encoder => "layer.1.DenseReluDense.wi_1",
            Self::Up => "layer.2.DenseReluDense.wi_1",
            Self::Down if is_encoder => "layer.1.DenseReluDense.wo",
            Self::Down => "layer.2.DenseReluDense.wo",
            other => other.gguf(),
        }
    }

    /// GPT-2 has fewer parts; the others are not asked for.
    fn gpt2(self) -> &'static str {
        match self {
            Self::Embedding => "wte",
            Self::Positions => "wpe",
            Self::Norm => "ln_f",
            Self::AttentionNorm => "ln_1",
            Self::Qkv => "attn.c_attn",
            Self::Attention => "attn.c_proj",
            Self::FfnNorm => "ln_2",
            Self::Up => "mlp.c_fc",
            Self::Down => "mlp.c_proj",
            other => other.hugging_face(Names::Llama),
        }
    }
}

/// Which half of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Decoder,
    Encoder,
}

/// Loads a decoder's parts by their names in its file.
pub(crate) struct Loader<'a> {
    rt: &'a Runtime,
    weights: &'a Weights,
    config: &'a DecoderConfig,
    /// What stands before the names of all tensors but those for both halves.
    prefix: &'static str,
    side: Side,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(rt: &'a Runtime, weights: &'a Weights, config: &'a DecoderConfig) -> Self {
        let prefix = match (config.form, config.names) {
            (Form::Gguf, Names::T5) => "dec.",
            (_, Names::T5) => "decoder.",
            (Form::Gguf, _) => "",
            // The first files were written without the head, and so without the body's name.
            (_, Names::Gpt2) if weights.tensor_info("wte.weight").is_some() => "",
            (_, Names::Gpt2) => "transformer.",
            (_, Names::Llama | Names::Gemma) => "model.",
        };
        Self { rt, weights, config, prefix, side: Side::Decoder }
    }

    /// The same for the encoder's parts.
    pub(crate) fn encoder(&self) -> Self {
        let prefix = if self.config.form == Form::Gguf { "enc." } else { "encoder." };
        Self { prefix, side: Side::Encoder, ..*self }
    }

    /// Biases of every head and distance below `span`, made of the learned ones.
    pub(crate) async fn relative_bias(&self, relative: RelativeConfig, span: usize) -> Result<Weight> {
        let (name, n_heads) = (self.name(Some(0), Part::RelativeBias, "weight"), self.config.n_heads);
        let shape = self.weights.tensor_info(&name).map(|info| info.shape.clone());
        if shape.as_ref().is_some_and(|shape| *shape != [relative.n_buckets, n_heads]) {
            let reason = format!("{name} is {shape:?}, not [{}, {n_heads}]", relative.n_buckets);
            let (file, key) = ("the weights", "relative_attention_num_buckets".into());
            return Err(Error::Setting { file, key, reason });
        }
        let buckets = self.weights.read_f32(&name)?;
        let biases = relative.biases(&buckets, n_heads, span, self.side == Side::Encoder);
        Ok(self.rt.weight_from_f32(&name, &[biases.len()], &biases).await?)
    }

    /// A matrix of this shape as the file has it.
    pub(crate) async fn matrix(&self, layer: Option<usize>, part: Part, shape: [usize; 2]) -> Result<Weight> {
        self.load(TensorView::whole(self.name(layer, part, "weight"), &shape)).await
    }

    /// A linear layer `[n_out, n_in]`, with a bias where the family has one.
    pub(crate) async fn linear(&self, layer: usize, part: Part, shape: [usize; 2]) -> Result<Linear> {
        self.linear_rows(layer, part, shape, 0..shape[0]).await
    }

    /// The outputs `rows` of such a layer.
    pub(crate) async fn linear_rows(
        &self,
        layer: usize,
        part: Part,
        shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Linear> {
        let is_whole = rows == (0..shape[0]);
        let cut = |view: TensorView| if is_whole { view } else { view.rows(rows.clone()) };
        let mut view = cut(TensorView::whole(self.name(Some(layer), part, "weight"), &shape));
        if (self.config.form, self.config.names) == (Form::HuggingFace, Names::Gpt2) {
            view = view.transposed();
        }
        let weight = self.load(view).await?;
        let bias = match self.has_bias(part) {
            true => Some(
                self.load(cut(TensorView::whole(self.name(Some(layer), part, "bias"), &shape[..1]))).await?,
            ),
            false => None,
        };
        Ok(Linear { weight, bias })
    }

    /// A normalisation of `width` elements.
    pub(crate) async fn norm(&self, layer: Option<usize>, part: Part, width: usize) -> Result<Norm> {
        let kind = self.config.norm;
        let view = TensorView::whole(self.name(layer, part, "weight"), &[width]);
        let (view, has_beta) = match kind {
            NormKind::Rms { plus, .. } => (view.plus(plus), false),
            NormKind::Layer { .. } => (view, true),
        };
        let beta = match has_beta {
            true => Some(self.load(TensorView::whole(self.name(layer, part, "bias"), &[width])).await?),
            false => None,
        };
        Ok(Norm { kind, gamma: self.load(view).await?, beta })
    }

    async fn load(&self, view: TensorView) -> Result<Weight> {
        // The kernels take vectors in f32 only.
        let format = if view.is_vector() { WeightFormat::F32 } else { WeightFormat::Native };
        Ok(self.rt.load_view(self.weights, view, format).await?)
    }

    fn has_bias(&self, part: Part) -> bool {
        let biases = self.config.biases;
        match part {
            Part::Query | Part::Key | Part::Value | Part::Qkv => biases.qkv,
            Part::Attention => biases.attention,
            _ => biases.ffn,
        }
    }

    /// The tensor's name in the file; `layer` for the parts that every layer has.
    fn name(&self, layer: Option<usize>, part: Part, kind: &str) -> String {
        let is_for_both = self.config.names == Names::T5 && part == Part::Embedding;
        let prefix = if part == Part::Head || is_for_both { "" } else { self.prefix };
        let (layers, part) = match (self.config.form, self.config.names) {
            (Form::Gguf, Names::T5) if part == Part::Attention => ("blk", "attn_o"),
            (Form::Gguf, _) => ("blk", part.gguf()),
            (Form::HuggingFace, Names::T5) if part != Part::Head => ("block", part.t5(self.side)),
            (Form::HuggingFace, Names::Gpt2) => ("h", part.gpt2()),
            (Form::HuggingFace, names) => ("layers", part.hugging_face(names)),
        };
        match layer {
            Some(i) => format!("{prefix}{layers}.{i}.{part}.{kind}"),
            None => format!("{prefix}{part}.{kind}"),
        }
    }
}
