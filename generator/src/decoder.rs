//! A decoder: token embedding, layers of attention and feed-forward blocks, and the output matrix. What a
//! family changes is in its [`DecoderConfig`]; the blocks are in `layers.rs`.
//!
//! Shapes: `T` = tokens of this pass, `D` = d_model, `F` = d_ffn, `H` = heads, `G` = key and value
//! heads, `E` = head_dim, `V` = n_vocab.

use crate::config::DecoderConfig;
use crate::error::Result;
use crate::gpu_steps::RecordedStep;
use crate::layers::{Attention, Cached, FeedForward, Norm};
use crate::tensors::{Loader, Part};
use runtime::{Activation, KvCache, Layout, Recorder, Runtime, Tensor, Weight, Weights};
use std::collections::HashSet;

/// The weights, and the forward pass.
pub(crate) struct Decoder {
    config: DecoderConfig,
    embedding: Weight,         // [V, D]
    positions: Option<Weight>, // [n_ctx_train, D]
    layers: Vec<Layer>,
    norm: Norm,
    head: Weight, // [V, D]; the embedding itself where the two are tied
}

pub(crate) struct Layer {
    attention_norm: Norm,
    attention: Attention,
    post_attention_norm: Option<Norm>,
    ffn_norm: Norm,
    ffn: FeedForward,
    post_ffn_norm: Option<Norm>,
}

impl Layer {
    /// What decides which kernels run it: how its matrices are held, whether it turns, and whether it sees
    /// a window.
    fn kind(&self) -> (Vec<Layout>, bool, bool) {
        let matrices = self.attention.matrices().into_iter().chain(self.ffn.matrices());
        let Attention { rope, window, .. } = &self.attention;
        (matrices.map(Weight::layout).collect(), rope.is_some(), window.is_some())
    }
}

/// What one conversation has in memory: keys and values of every position so far. Clones share the
/// caches.
#[derive(Clone)]
pub(crate) struct State {
    /// Per layer, `[n_ctx, G * E]` each.
    keys: Vec<KvCache>,
    values: Vec<KvCache>,
    /// Positions in use.
    pub(crate) n_past: usize,
    /// Tokens of the first positions, as far as they ran in whole pieces of a prompt.
    pub(crate) ids: Vec<u32>,
    /// The device's [`Runtime::generation`] that all this was computed in.
    generation: u64,
    /// One token's pass on the GPU, which writes these caches.
    pub(crate) step: RecordedStep,
}

impl State {
    /// The same caches with only the first `n` positions in use, all of them of whole pieces.
    pub(crate) fn cut(mut self, n: usize) -> Self {
        debug_assert!(n <= self.ids.len());
        self.ids.truncate(n);
        self.n_past = n;
        self
    }

    /// Nothing of it is left when the device was replaced meanwhile.
    pub(crate) fn is_lost(&self, rt: &Runtime) -> bool {
        self.generation != rt.generation()
    }

    /// Begins anew on the device there is now.
    pub(crate) fn restart(&mut self, rt: &Runtime) {
        self.ids.clear();
        self.n_past = 0;
        self.generation = rt.generation();
    }

    /// Positions there is room for.
    pub(crate) fn n_ctx(&self) -> usize {
        self.keys.first().map_or(0, KvCache::n_ctx)
    }

    /// Bytes of all caches.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.caches().map(KvCache::n_bytes).sum()
    }

    /// All caches, in an order that is the same for all states of a model.
    pub(crate) fn caches(&self) -> impl Iterator<Item = &KvCache> {
        self.keys.iter().chain(&self.values)
    }

    /// Whether both are in the same caches.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.caches().zip(other.caches()).any(|(a, b)| a.is(b))
    }
}

impl Decoder {
    /// Loads every tensor, each by its own range of the file, in its own number format. What is not for
    /// one layer comes first, so that `new_kind` is told of a model that lacks the later layers, whenever it
    /// has got a layer that is of another kind than those before: it has the kernels compiled, which a
    /// browser does while the others load.
    pub(crate) async fn load(
        rt: &Runtime,
        weights: &Weights,
        config: DecoderConfig,
        new_kind: impl AsyncFn(&Self) -> Result<()>,
    ) -> Result<Self> {
        let c = config.clone();
        let loader = Loader::new(rt, weights, &c);
        let embedding = loader.matrix(None, Part::Embedding, [c.n_vocab, c.d_model]).await?;
        let positions = match c.has_position_embedding {
            true => Some(loader.matrix(None, Part::Positions, [c.n_ctx_train, c.d_model]).await?),
            false => None,
        };
        let head = match c.is_tied {
            true => embedding.clone(),
            false => loader.matrix(None, Part::Head, [c.n_vocab, c.d_model]).await?,
        };
        let norm = loader.norm(None, Part::Norm, c.d_model).await?;
        let layers = Vec::with_capacity(c.layers.len());
        let mut model = Self { config, embedding, positions, layers, norm, head };
        let mut kinds = HashSet::new();
        for i in 0..c.layers.len() {
            let layer = Self::load_layer(&loader, &c, i).await?;
            let is_new = kinds.insert(layer.kind());
            model.layers.push(layer);
            if is_new {
                new_kind(&model).await?;
            }
        }
        Ok(model)
    }

    async fn load_layer(loader: &Loader<'_>, c: &DecoderConfig, i: usize) -> Result<Layer> {
        let norm = async |part| loader.norm(Some(i), part, c.d_model).await;
        let post_norm = async |part| match c.has_post_norms {
            true => Ok::<_, crate::Error>(Some(norm(part).await?)),
            false => Ok(None),
        };
        Ok(Layer {
            attention_norm: norm(Part::AttentionNorm).await?,
            attention: Attention::load(loader, c, i).await?,
            post_attention_norm: post_norm(Part::PostAttentionNorm).await?,
            ffn_norm: norm(Part::FfnNorm).await?,
            ffn: FeedForward::load(loader, c, i).await?,
            post_ffn_norm: post_norm(Part::PostFfnNorm).await?,
        })
    }

    /// An empty state with room for `n_ctx` positions.
    pub(crate) async fn new_state(&self, rt: &Runtime, n_ctx: usize) -> Result<State> {
        let width = self.config.d_kv();
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let generation = rt.generation();
        for _ in &self.layers {
            keys.push(rt.kv_cache(n_ctx, width).await?);
            values.push(rt.kv_cache(n_ctx, width).await?);
        }
        Ok(State { keys, values, n_past: 0, ids: Vec::new(), generation, step: RecordedStep::default() })
    }

    /// Bytes of a state with room for `n_ctx` positions.
    pub(crate) fn state_bytes(&self, n_ctx: usize) -> u64 {
        2 * self.layers.len() as u64 * KvCache::bytes_for(n_ctx, self.config.d_kv())
    }

    /// Positions that there are embeddings for; as many as one likes where there are none.
    pub(crate) fn n_positions(&self) -> Option<usize> {
        self.positions.as_ref().map(Weight::n_rows)
    }

    /// Whether a recorded step can be replayed at other positions: not where these are looked up.
    pub(crate) fn is_replayable(&self) -> bool {
        self.positions.is_none()
    }

    /// Records a pass over `ids: [T]` at positions `state.n_past ..`; gives the last layer's output
    /// `[T, D]`. The caller adds `T` to `state.n_past` once the recording has run.
    pub(crate) fn forward(&self, rec: &mut Recorder<'_>, state: &State, ids: &[u32]) -> Result<Tensor> {
        let first_pos = state.n_past;
        let mut x = rec.gather(&self.embedding, ids)?; // [T, D]
        if let Some(scale) = self.config.embedding_scale {
            x = rec.scale(x, scale)?;
        }
        if let Some(table) = &self.positions {
            let positions: Vec<u32> = (first_pos..first_pos + ids.len()).map(|pos| pos as u32).collect();
            let positions = rec.gather(table, &positions)?; // [T, D]
            x = rec.add(x, positions)?;
        }
        for (layer, (keys, values)) in self.layers.iter().zip(state.keys.iter().zip(&state.values)) {
            let h = layer.attention_norm.forward(rec, x)?;
            let h = layer.attention.forward(rec, h, Cached { keys, values, first_pos })?; // [T, D]
            let h = normed(rec, h, layer.post_attention_norm.as_ref())?;
            x = rec.add(x, h)?;

            let h = layer.ffn_norm.forward(rec, x)?;
            let h = layer.ffn.forward(rec, h)?; // [T, D]
            let h = normed(rec, h, layer.post_ffn_norm.as_ref())?;
            x = rec.add(x, h)?;
        }
        Ok(x)
    }

    /// Logits of every row of `x: [n, D]` -> `[n, V]`.
    pub(crate) fn logits(&self, rec: &mut Recorder<'_>, x: Tensor) -> Result<Tensor> {
        let h = self.norm.forward(rec, x)?;
        let logits = rec.linear(h, &self.head, None, Activation::None)?;
        Ok(match self.config.logit_cap {
            Some(cap) => rec.soft_cap(logits, cap)?,
            None => logits,
        })
    }

    pub(crate) fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Leaves the first `n` layers, and gives the others.
    #[cfg(test)]
    pub(crate) fn take_layers(&mut self, n: usize) -> Vec<Layer> {
        self.layers.split_off(n)
    }

    /// Takes such layers back.
    #[cfg(test)]
    pub(crate) fn give_layers(&mut self, layers: Vec<Layer>) {
        self.layers.extend(layers);
    }
}

fn normed(rec: &mut Recorder<'_>, h: Tensor, norm: Option<&Norm>) -> Result<Tensor> {
    norm.map_or(Ok(h), |norm| norm.forward(rec, h))
}
