//! What a decoder is made of. Each family's file (`families/`) fills this in from GGUF metadata or from
//! Hugging Face's JSON, once: what a value of these types says is supported.

use crate::error::{Error, Result};
use runtime::{Activation, RopeScaling, RopeStyle};

/// Positions of a session, however many the model was trained for: three passages, a question and an
/// answer need about 1,200; 2,048 take 94 MB for a model with 30 layers of 3 heads of 64.
pub(crate) const MAX_N_CTX: usize = 2048;

/// Which names and which order of rows a weight file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// llama.cpp's.
    Gguf,
    /// Hugging Face's: as the model was trained.
    HuggingFace,
}

/// How Hugging Face's files name a family's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// As in Llama.
    Llama,
    /// As in Llama, with norms before and after each block.
    Gemma,
    /// As in GPT-2, whose matrices are stored `[n_in, n_out]`.
    Gpt2,
    /// As in T5, whose layers are numbered by block.
    T5,
}

/// Architecture of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DecoderConfig {
    pub(crate) form: Form,
    pub(crate) names: Names,
    pub(crate) d_model: usize,
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) d_ffn: usize,
    pub(crate) n_vocab: usize,
    /// Positions it was trained for.
    pub(crate) n_ctx_train: usize,
    /// What differs between layers; as many as there are.
    pub(crate) layers: Vec<LayerConfig>,
    pub(crate) norm: NormKind,
    /// Queries and keys are normalised head by head.
    pub(crate) has_head_norms: bool,
    /// Blocks' outputs are normalised, too, before they are added.
    pub(crate) has_post_norms: bool,
    /// Query, key and value are one matrix in the file, and so are gate and up.
    pub(crate) is_fused: bool,
    pub(crate) biases: Biases,
    pub(crate) ffn: FfnKind,
    pub(crate) rope_style: RopeStyle,
    /// Factor on attention's scores.
    pub(crate) attention_scale: f32,
    /// Attention's scores stay below it.
    pub(crate) attention_cap: Option<f32>,
    /// Logits stay below it.
    pub(crate) logit_cap: Option<f32>,
    pub(crate) embedding_scale: Option<f32>,
    /// Positions have embeddings of their own, which are added to the tokens'.
    pub(crate) has_position_embedding: bool,
    /// The output matrix is the token embedding.
    pub(crate) is_tied: bool,
    /// Scores have a bias by distance.
    pub(crate) relative: Option<RelativeConfig>,
    /// The prompt is read by an encoder.
    pub(crate) encoder: Option<EncoderConfig>,
}

/// Biases on scores by the distance from query to key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelativeConfig {
    pub(crate) n_buckets: usize,
    /// Distances from here on are alike.
    pub(crate) max_distance: usize,
}

/// What reads the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncoderConfig {
    pub(crate) n_layers: usize,
    /// The token that each text begins with, before what is written.
    pub(crate) start_token: u32,
}

/// What differs between layers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerConfig {
    /// Rotation of queries and keys; none where the layer knows no positions, or learned ones.
    pub(crate) rope: Option<RopeConfig>,
    /// Positions that attention sees at most.
    pub(crate) window: Option<usize>,
}

/// Rotary positions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RopeConfig {
    pub(crate) base: f32,
    pub(crate) scaling: Option<RopeScaling>,
}

/// How rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NormKind {
    /// By their root mean square; `plus` is added to the stored factors.
    Rms { eps: f32, plus: f32 },
    /// By mean and variance, with a bias.
    Layer { eps: f32 },
}

/// The feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FfnKind {
    /// `down(act(gate(x)) * up(x))` (Shazeer, 2020).
    Gated(Activation),
    /// `down(act(up(x)))`
    Plain(Activation),
}

/// Which layers have biases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Biases {
    /// Query, key and value.
    pub(crate) qkv: bool,
    /// The output of attention.
    pub(crate) attention: bool,
    /// All of the feed-forward block.
    pub(crate) ffn: bool,
}

impl DecoderConfig {
    /// Positions of a session at most.
    pub(crate) fn n_ctx(&self) -> usize {
        self.n_ctx_train.min(MAX_N_CTX)
    }

    /// Elements of all query heads.
    pub(crate) fn d_query(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Elements of all key heads, and of all value heads.
    pub(crate) fn d_kv(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }

    /// The same without what cannot be; `file` is named in the error.
    pub(crate) fn checked(self, file: &'static str) -> Result<Self> {
        let refuse = |key: &str, reason: String| Err(Error::Setting { file, key: key.into(), reason });
        if self.n_vocab == 0 {
            return refuse("vocab_size", "the token embedding is missing".into());
        }
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            let reason = format!("{} key heads do not divide {} heads", self.n_kv_heads, self.n_heads);
            return refuse("num_key_value_heads", reason);
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return refuse("head_dim", format!("{} is not a positive even number", self.head_dim));
        }
        let (NormKind::Rms { eps, .. } | NormKind::Layer { eps }) = self.norm;
        let ropes = || self.layers.iter().filter_map(|layer| layer.rope.as_ref());
        if !ropes().all(|rope| rope.base > 0.0) || eps.is_nan() || eps < 0.0 {
            return refuse("rope_theta, rms_norm_eps", "they must be positive numbers".into());
        }
        if let Some(n_pairs) = ropes()
            .filter_map(|rope| Some(rope.scaling.as_ref()?.n_pairs()))
            .find(|n| *n != self.head_dim / 2)
        {
            let reason = format!("it has {n_pairs} factors for heads of {}", self.head_dim);
            return refuse("rope_scaling", reason);
        }
        let caps = [self.attention_cap, self.logit_cap, Some(self.attention_scale), self.embedding_scale];
        if !caps.into_iter().flatten().all(|x| x > 0.0 && x.is_finite()) {
            return refuse("soft caps and scales", "they must be positive numbers".into());
        }
        if self.encoder.is_some_and(|encoder| encoder.start_token as usize >= self.n_vocab) {
            return refuse("decoder_start_token_id", "it is no token".into());
        }
        if self.layers.iter().any(|layer| layer.window == Some(0)) {
            return refuse("sliding_window", "0 positions".into());
        }
        Ok(self)
    }
}
