//! A decoder: token embedding, layers of attention and feed-forward blocks, and the output matrix. What a
//! family changes is in its [`DecoderConfig`]; the blocks are in `layers.rs`.
//!
//! Shapes: `T` = tokens of this pass, `D` = d_model, `F` = d_ffn, `H` = heads, `G` = key and value
//! heads, `E` = head_dim, `V` = n_vocab, `S` = tokens that an encoder reads.

use crate::config::DecoderConfig;
use crate::error::{Error, Result};
use crate::gpu_steps::RecordedStep;
use crate::layers::{Attention, Cached, CrossAttention, FeedForward, Norm};
use crate::tensors::{Loader, Part};
use runtime::{Activation, KvCache, Layout, Recorder, Runtime, Tensor, Weight, Weights};
use std::collections::HashSet;

/// The weights, and the forward pass.
pub(crate) struct Decoder {
    config: DecoderConfig,
    embedding: Weight,         // [V, D]
    positions: Option<Weight>, // [n_ctx_train, D]
    encoder: Option<Encoder>,
    layers: Vec<Layer>,
    norm: Norm,
    head: Weight, // [V, D]; the embedding itself where the two are tied
}

pub(crate) struct Layer {
    attention_norm: Norm,
    attention: Attention,
    post_attention_norm: Option<Norm>,
    cross: Option<(Norm, CrossAttention)>,
    ffn_norm: Norm,
    ffn: FeedForward,
    post_ffn_norm: Option<Norm>,
}

/// What reads the prompt of a model that has an encoder.
struct Encoder {
    layers: Vec<Layer>,
    norm: Norm,
}

impl Layer {
    /// `x: [T, D]` -> `[T, D]`; `source` has keys and values of what an encoder has read, and how many.
    fn forward(
        &self,
        rec: &mut Recorder<'_>,
        mut x: Tensor,
        past: Cached<'_>,
        source: Option<(&KvCache, &KvCache, usize)>,
    ) -> Result<Tensor> {
        let h = self.attention_norm.forward(rec, x)?;
        let h = self.attention.forward(rec, h, past)?; // [T, D]
        let h = normed(rec, h, self.post_attention_norm.as_ref())?;
        x = rec.add(x, h)?;

        if let Some((norm, cross)) = &self.cross {
            let (keys, values, n_source) = source.ok_or(Error::PromptEmpty)?;
            let h = norm.forward(rec, x)?;
            let h = cross.forward(rec, h, (keys, values), n_source)?; // [T, D]
            x = rec.add(x, h)?;
        }

        let h = self.ffn_norm.forward(rec, x)?;
        let h = self.ffn.forward(rec, h)?; // [T, D]
        let h = normed(rec, h, self.post_ffn_norm.as_ref())?;
        Ok(rec.add(x, h)?)
    }

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
    /// Per layer, keys and values of what an encoder has read.
    source: Vec<(KvCache, KvCache)>,
    /// Tokens that it has read; 0 before it has.
    pub(crate) n_source: usize,
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
        self.source.clear();
        self.n_source = 0;
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
        self.source.clear();
        self.n_source = 0;
        self.generation = rt.generation();
    }

    /// Positions there is room for.
    pub(crate) fn n_ctx(&self) -> usize {
        self.keys.first().map_or(0, KvCache::n_ctx)
    }

    /// Bytes of all caches.
    pub(crate) fn n_bytes(&self) -> u64 {
        let source = self.source.iter().flat_map(|(keys, values)| [keys, values]);
        self.caches().chain(source).map(KvCache::n_bytes).sum()
    }

    /// The caches of what was written, in an order that is the same for all states of a model.
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
        let encoder = match c.encoder {
            Some(encoder) => Some(Self::load_encoder(&loader.encoder(), &c, encoder.n_layers).await?),
            None => None,
        };
        let bias = match c.relative {
            Some(relative) => Some(loader.relative_bias(relative, c.n_ctx()).await?),
            None => None,
        };
        let layers = Vec::with_capacity(c.layers.len());
        let mut model = Self { config, embedding, positions, encoder, layers, norm, head };
        let mut kinds = HashSet::new();
        for i in 0..c.layers.len() {
            let mut layer = Self::load_layer(&loader, &c, i, bias.as_ref()).await?;
            if c.encoder.is_some() {
                let norm = loader.norm(Some(i), Part::CrossNorm, c.d_model).await?;
                layer.cross = Some((norm, CrossAttention::load(&loader, &c, i).await?));
            }
            let is_new = kinds.insert(layer.kind());
            model.layers.push(layer);
            if is_new {
                new_kind(&model).await?;
            }
        }
        Ok(model)
    }

    async fn load_encoder(loader: &Loader<'_>, c: &DecoderConfig, n_layers: usize) -> Result<Encoder> {
        let bias = match c.relative {
            Some(relative) => Some(loader.relative_bias(relative, c.n_ctx()).await?),
            None => None,
        };
        let mut layers = Vec::with_capacity(n_layers);
        for i in 0..n_layers {
            layers.push(Self::load_layer(loader, c, i, bias.as_ref()).await?);
        }
        Ok(Encoder { layers, norm: loader.norm(None, Part::Norm, c.d_model).await? })
    }

    async fn load_layer(
        loader: &Loader<'_>,
        c: &DecoderConfig,
        i: usize,
        bias: Option<&Weight>,
    ) -> Result<Layer> {
        let norm = async |part| loader.norm(Some(i), part, c.d_model).await;
        let post_norm = async |part| match c.has_post_norms {
            true => Ok::<_, Error>(Some(norm(part).await?)),
            false => Ok(None),
        };
        Ok(Layer {
            attention_norm: norm(Part::AttentionNorm).await?,
            attention: Attention::load(loader, c, i, bias).await?,
            post_attention_norm: post_norm(Part::PostAttentionNorm).await?,
            cross: None,
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
        let (source, ids, step) = (Vec::new(), Vec::new(), RecordedStep::default());
        Ok(State { keys, values, source, n_source: 0, n_past: 0, ids, generation, step })
    }

    /// Bytes of a state with room for `n_ctx` positions.
    pub(crate) fn state_bytes(&self, n_ctx: usize) -> u64 {
        2 * self.layers.len() as u64 * KvCache::bytes_for(n_ctx, self.config.d_kv())
    }

    /// Positions that there are embeddings for; as many as one likes where there are none.
    pub(crate) fn n_positions(&self) -> Option<usize> {
        self.positions.as_ref().map(Weight::n_rows)
    }

    /// Whether a recorded step can be replayed at other positions: not where these are looked up, or are
    /// distances.
    pub(crate) fn is_replayable(&self) -> bool {
        self.positions.is_none() && self.encoder.is_none()
    }

    /// The token that texts begin with, of a model whose prompt is read by an encoder.
    pub(crate) fn start_token(&self) -> Option<u32> {
        self.config.encoder.map(|encoder| encoder.start_token)
    }

    /// Has the encoder read `ids: [S]`, for all that is written in `state`.
    pub(crate) async fn read(&self, rt: &Runtime, state: &mut State, ids: &[u32]) -> Result<()> {
        let Some(encoder) = &self.encoder else { return Ok(()) };
        let width = self.config.d_kv();
        // One layer after the other has its keys and values here.
        let (keys, values) = (rt.kv_cache(ids.len(), width).await?, rt.kv_cache(ids.len(), width).await?);
        state.source.clear();
        for _ in &self.layers {
            state.source.push((rt.kv_cache(ids.len(), width).await?, rt.kv_cache(ids.len(), width).await?));
        }
        let mut rec = rt.recorder();
        let mut x = rec.gather(&self.embedding, ids)?; // [S, D]
        for layer in &encoder.layers {
            let past = Cached { keys: &keys, values: &values, first_pos: 0, n_seen: Some(ids.len()) };
            x = layer.forward(&mut rec, x, past, None)?;
        }
        let encoded = encoder.norm.forward(&mut rec, x)?; // [S, D]
        for (layer, (keys, values)) in self.layers.iter().zip(&state.source) {
            if let Some((_, cross)) = &layer.cross {
                cross.remember(&mut rec, encoded, (keys, values))?;
            }
        }
        rec.run().await?;
        state.n_source = ids.len();
        Ok(())
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
        for (i, layer) in self.layers.iter().enumerate() {
            let (keys, values) = (&state.keys[i], &state.values[i]);
            let source = state.source.get(i).map(|(keys, values)| (keys, values, state.n_source));
            x = layer.forward(rec, x, Cached { keys, values, first_pos, n_seen: None }, source)?;
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
