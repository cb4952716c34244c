//! The blocks that decoders are made of. Letters of shapes are those of `decoder.rs`.

use crate::config::{DecoderConfig, FfnKind, NormKind, RopeConfig};
use crate::error::Result;
use crate::tensors::{Loader, Part};
use runtime::{Activation, CausalAttention, KvCache, Recorder, Rope, RopeStyle, Tensor, Weight};

/// `act(x * weight^T + bias)`
pub(crate) struct Linear {
    pub(crate) weight: Weight,       // [n_out, n_in]
    pub(crate) bias: Option<Weight>, // [n_out]
}

impl Linear {
    fn forward(&self, rec: &mut Recorder<'_>, x: Tensor, act: Activation) -> Result<Tensor> {
        Ok(rec.linear(x, &self.weight, self.bias.as_ref(), act)?)
    }
}

/// Normalisation of each row, or of each head.
pub(crate) struct Norm {
    pub(crate) kind: NormKind,
    pub(crate) gamma: Weight, // [D], or [E]
    /// There where it is a layer norm.
    pub(crate) beta: Option<Weight>, // [D]
}

impl Norm {
    pub(crate) fn forward(&self, rec: &mut Recorder<'_>, x: Tensor) -> Result<Tensor> {
        Ok(match (self.kind, &self.beta) {
            (NormKind::Layer { eps }, Some(beta)) => rec.layer_norm(x, &self.gamma, beta, eps)?,
            (NormKind::Rms { eps, .. } | NormKind::Layer { eps }, _) => rec.rms_norm(x, &self.gamma, eps)?,
        })
    }
}

/// What an attention block has of past positions, and where this pass begins.
pub(crate) struct Cached<'a> {
    pub(crate) keys: &'a KvCache,
    pub(crate) values: &'a KvCache,
    pub(crate) first_pos: usize,
    /// Positions that every row sees, where not those up to its own.
    pub(crate) n_seen: Option<usize>,
}

/// Grouped-query attention (Ainslie et al., 2023) over the positions so far.
pub(crate) struct Attention {
    query: Linear, // [H * E, D]
    key: Linear,   // [G * E, D]
    value: Linear, // [G * E, D]
    out: Linear,   // [D, H * E]
    query_norm: Option<Norm>,
    key_norm: Option<Norm>,
    pub(crate) rope: Option<RopeConfig>,
    style: RopeStyle,
    pub(crate) window: Option<usize>,
    soft_cap: Option<f32>,
    /// By distance, for every head.
    bias: Option<Weight>,
    scale: f32,
    n_kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    /// Of layer `i`; `bias` is what the model has of it.
    pub(crate) async fn load(
        loader: &Loader<'_>,
        c: &DecoderConfig,
        i: usize,
        bias: Option<&Weight>,
    ) -> Result<Self> {
        let (d, d_query, d_kv) = (c.d_model, c.d_query(), c.d_kv());
        let [query, key, value] = if c.is_fused {
            let all = [d_query + 2 * d_kv, d];
            let parts = [0..d_query, d_query..d_query + d_kv, d_query + d_kv..all[0]];
            let [query, key, value] = parts.map(|rows| loader.linear_rows(i, Part::Qkv, all, rows));
            [query.await?, key.await?, value.await?]
        } else {
            [
                loader.linear(i, Part::Query, [d_query, d]).await?,
                loader.linear(i, Part::Key, [d_kv, d]).await?,
                loader.linear(i, Part::Value, [d_kv, d]).await?,
            ]
        };
        let head_norm = async |part| match c.has_head_norms {
            true => Ok::<_, crate::Error>(Some(loader.norm(Some(i), part, c.head_dim).await?)),
            false => Ok(None),
        };
        // An encoder may have more layers; what they differ in is for decoders.
        let layer = c.layers.get(i);
        Ok(Self {
            query,
            key,
            value,
            out: loader.linear(i, Part::Attention, [d, d_query]).await?,
            query_norm: head_norm(Part::QueryNorm).await?,
            key_norm: head_norm(Part::KeyNorm).await?,
            rope: layer.and_then(|layer| layer.rope.clone()),
            style: c.rope_style,
            // A window that no session leaves is none.
            window: layer.and_then(|layer| layer.window).filter(|window| *window < c.n_ctx()),
            soft_cap: c.attention_cap,
            bias: bias.cloned(),
            scale: c.attention_scale,
            n_kv_heads: c.n_kv_heads,
            head_dim: c.head_dim,
        })
    }

    /// `h: [T, D]` -> `[T, D]`
    pub(crate) fn forward(&self, rec: &mut Recorder<'_>, h: Tensor, past: Cached<'_>) -> Result<Tensor> {
        let Cached { keys, values, first_pos, n_seen } = past;
        let q = self.query.forward(rec, h, Activation::None)?; // [T, H * E]
        let k = self.key.forward(rec, h, Activation::None)?; // [T, G * E]
        let v = self.value.forward(rec, h, Activation::None)?; // [T, G * E]
        let q = self.placed(rec, q, self.query_norm.as_ref(), first_pos)?;
        let k = self.placed(rec, k, self.key_norm.as_ref(), first_pos)?;
        rec.kv_append(keys, k, first_pos)?;
        rec.kv_append(values, v, first_pos)?;
        let (n_kv_heads, scale) = (self.n_kv_heads, self.scale);
        let (window, soft_cap) = (self.window, self.soft_cap);
        let bias = self.bias.as_ref();
        let past =
            CausalAttention { keys, values, first_pos, n_kv_heads, scale, window, soft_cap, n_seen, bias };
        let heads = rec.attention_causal(q, past)?; // [T, H * E]
        self.out.forward(rec, heads, Activation::None)
    }

    /// Queries or keys, normalised and turned to their positions.
    fn placed(
        &self,
        rec: &mut Recorder<'_>,
        x: Tensor,
        norm: Option<&Norm>,
        first_pos: usize,
    ) -> Result<Tensor> {
        let x = norm.map_or(Ok(x), |norm| norm.forward(rec, x))?;
        let Some(RopeConfig { base, scaling }) = &self.rope else { return Ok(x) };
        let (head_dim, base, style, scaling) = (self.head_dim, *base, self.style, scaling.clone());
        Ok(rec.rope(x, Rope { first_pos, head_dim, base, style, scaling })?)
    }

    pub(crate) fn matrices(&self) -> [&Weight; 4] {
        [&self.query.weight, &self.key.weight, &self.value.weight, &self.out.weight]
    }
}

/// Attention to what an encoder has read.
pub(crate) struct CrossAttention {
    query: Linear, // [H * E, D]
    key: Linear,   // [H * E, D]
    value: Linear, // [H * E, D]
    out: Linear,   // [D, H * E]
    scale: f32,
    n_heads: usize,
}

impl CrossAttention {
    /// Of layer `i`.
    pub(crate) async fn load(loader: &Loader<'_>, c: &DecoderConfig, i: usize) -> Result<Self> {
        let (d, d_query) = (c.d_model, c.d_query());
        Ok(Self {
            query: loader.linear(i, Part::CrossQuery, [d_query, d]).await?,
            key: loader.linear(i, Part::CrossKey, [d_query, d]).await?,
            value: loader.linear(i, Part::CrossValue, [d_query, d]).await?,
            out: loader.linear(i, Part::Cross, [d, d_query]).await?,
            scale: c.attention_scale,
            n_heads: c.n_heads,
        })
    }

    /// Keeps keys and values of what was read, `encoded: [S, D]`.
    pub(crate) fn remember(
        &self,
        rec: &mut Recorder<'_>,
        encoded: Tensor,
        (keys, values): (&KvCache, &KvCache),
    ) -> Result<()> {
        let k = self.key.forward(rec, encoded, Activation::None)?;
        let v = self.value.forward(rec, encoded, Activation::None)?;
        rec.kv_append(keys, k, 0)?;
        Ok(rec.kv_append(values, v, 0)?)
    }

    /// `h: [T, D]` -> `[T, D]`, with `n_source` positions of what was read.
    pub(crate) fn forward(
        &self,
        rec: &mut Recorder<'_>,
        h: Tensor,
        (keys, values): (&KvCache, &KvCache),
        n_source: usize,
    ) -> Result<Tensor> {
        let q = self.query.forward(rec, h, Activation::None)?;
        let (n_kv_heads, scale, n_seen) = (self.n_heads, self.scale, Some(n_source));
        let source = CausalAttention {
            keys,
            values,
            first_pos: 0,
            n_kv_heads,
            scale,
            window: None,
            soft_cap: None,
            n_seen,
            bias: None,
        };
        let heads = rec.attention_causal(q, source)?;
        self.out.forward(rec, heads, Activation::None)
    }
}

/// The feed-forward block.
pub(crate) struct FeedForward {
    gate: Option<Linear>, // [F, D]
    up: Linear,           // [F, D]
    down: Linear,         // [D, F]
    act: Activation,
}

impl FeedForward {
    /// Of layer `i`.
    pub(crate) async fn load(loader: &Loader<'_>, c: &DecoderConfig, i: usize) -> Result<Self> {
        let (d, f) = (c.d_model, c.d_ffn);
        let (gate, up, act) = match c.ffn {
            FfnKind::Gated(act) if c.is_fused => {
                let gate = loader.linear_rows(i, Part::GateUp, [2 * f, d], 0..f).await?;
                (Some(gate), loader.linear_rows(i, Part::GateUp, [2 * f, d], f..2 * f).await?, act)
            }
            FfnKind::Gated(act) => {
                let gate = loader.linear(i, Part::Gate, [f, d]).await?;
                (Some(gate), loader.linear(i, Part::Up, [f, d]).await?, act)
            }
            FfnKind::Plain(act) => (None, loader.linear(i, Part::Up, [f, d]).await?, act),
        };
        Ok(Self { gate, up, down: loader.linear(i, Part::Down, [d, f]).await?, act })
    }

    /// `h: [T, D]` -> `[T, D]`
    pub(crate) fn forward(&self, rec: &mut Recorder<'_>, h: Tensor) -> Result<Tensor> {
        let inner = match (&self.gate, self.act) {
            (Some(gate), Activation::Silu) => {
                let gate = gate.forward(rec, h, Activation::None)?; // [T, F]
                let up = self.up.forward(rec, h, Activation::None)?; // [T, F]
                rec.silu_mul(gate, up)?
            }
            (Some(gate), act) => {
                let gate = gate.forward(rec, h, act)?; // [T, F]
                let up = self.up.forward(rec, h, Activation::None)?; // [T, F]
                rec.mul(gate, up)?
            }
            (None, act) => self.up.forward(rec, h, act)?, // [T, F]
        };
        self.down.forward(rec, inner, Activation::None)
    }

    pub(crate) fn matrices(&self) -> impl Iterator<Item = &Weight> {
        let gate = self.gate.as_ref().map(|gate| &gate.weight);
        gate.into_iter().chain([&self.up.weight, &self.down.weight])
    }
}
