//! Llama (Touvron et al., 2023; grouped queries as in Ainslie et al., 2023): a decoder with RMS
//! normalisation before each block, rotary positions, and a SwiGLU feed-forward block.
//!
//! Shapes: `T` = tokens of this pass, `D` = d_model, `F` = d_ffn, `H` = heads, `G` = key and value
//! heads, `E` = head_dim, `V` = n_vocab.

use crate::config::{Form, LlamaConfig};
use crate::error::Result;
use crate::gpu_steps::RecordedStep;
use runtime::{
    Activation, CausalAttention, KvCache, Layout, Recorder, Rope, RopeStyle, Runtime, Tensor, Weight,
    WeightFormat, Weights,
};
use std::collections::HashSet;

/// The weights, and the forward pass.
pub(crate) struct Llama {
    config: LlamaConfig,
    embedding: Weight, // [V, D]
    layers: Vec<Layer>,
    norm: Weight, // [D]
    head: Weight, // [V, D]; the embedding itself where the two are tied
}

struct Layer {
    attention_norm: Weight, // [D]
    query: Weight,          // [H * E, D]
    key: Weight,            // [G * E, D]
    value: Weight,          // [G * E, D]
    attention: Weight,      // [D, H * E]
    ffn_norm: Weight,       // [D]
    gate: Weight,           // [F, D]
    up: Weight,             // [F, D]
    down: Weight,           // [D, F]
}

impl Layer {
    /// How its matrices are held.
    fn layouts(&self) -> [Layout; 7] {
        let matrices =
            [&self.query, &self.key, &self.value, &self.attention, &self.gate, &self.up, &self.down];
        matrices.map(Weight::layout)
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

impl Llama {
    /// Loads every tensor, each by its own range of the file, in its own number format. What is not for
    /// one layer comes first, so that `new_kind` is told of a model that lacks the later layers, whenever it
    /// has got a layer whose weights have other layouts than those before: it has the kernels compiled,
    /// which a browser does while the others load.
    pub(crate) async fn load(
        rt: &Runtime,
        weights: &Weights,
        config: LlamaConfig,
        new_kind: impl AsyncFn(&Self) -> Result<()>,
    ) -> Result<Self> {
        let c = config.clone();
        let (d, f) = (c.d_model, c.d_ffn);
        let (d_query, d_kv) = (c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim);
        let load =
            async |part, shape: &[usize]| load(rt, weights, &tensor_name(c.form, None, part), shape).await;
        let embedding = load(Part::Embedding, &[c.n_vocab, d]).await?;
        let head = if c.is_tied { embedding.clone() } else { load(Part::Head, &[c.n_vocab, d]).await? };
        let norm = load(Part::Norm, &[d]).await?;
        let mut model = Self { config, embedding, layers: Vec::with_capacity(c.n_layers), norm, head };
        let mut kinds = HashSet::new();
        for i in 0..c.n_layers {
            let load = async |part, shape: &[usize]| {
                self::load(rt, weights, &tensor_name(c.form, Some(i), part), shape).await
            };
            model.layers.push(Layer {
                attention_norm: load(Part::AttentionNorm, &[d]).await?,
                query: load(Part::Query, &[d_query, d]).await?,
                key: load(Part::Key, &[d_kv, d]).await?,
                value: load(Part::Value, &[d_kv, d]).await?,
                attention: load(Part::Attention, &[d, d_query]).await?,
                ffn_norm: load(Part::FfnNorm, &[d]).await?,
                gate: load(Part::Gate, &[f, d]).await?,
                up: load(Part::Up, &[f, d]).await?,
                down: load(Part::Down, &[d, f]).await?,
            });
            if kinds.insert(model.layers[i].layouts()) {
                new_kind(&model).await?;
            }
        }
        Ok(model)
    }

    /// An empty state with room for `n_ctx` positions.
    pub(crate) async fn new_state(&self, rt: &Runtime, n_ctx: usize) -> Result<State> {
        let width = self.config.n_kv_heads * self.config.head_dim;
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
        let width = self.config.n_kv_heads * self.config.head_dim;
        2 * self.layers.len() as u64 * KvCache::bytes_for(n_ctx, width)
    }

    /// Records a pass over `ids: [T]` at positions `state.n_past ..`; gives the last layer's output
    /// `[T, D]`. The caller adds `T` to `state.n_past` once the recording has run.
    pub(crate) fn forward(&self, rec: &mut Recorder<'_>, state: &State, ids: &[u32]) -> Result<Tensor> {
        let c = &self.config;
        let first_pos = state.n_past;
        let style = match c.form {
            Form::Gguf => RopeStyle::Interleaved,
            Form::HuggingFace => RopeStyle::Half,
        };
        let rope = Rope { first_pos, head_dim: c.head_dim, base: c.rope_base, style };
        let scale = 1.0 / (c.head_dim as f32).sqrt();

        let mut x = rec.gather(&self.embedding, ids)?; // [T, D]
        for (layer, (keys, values)) in self.layers.iter().zip(state.keys.iter().zip(&state.values)) {
            let h = rec.rms_norm(x, &layer.attention_norm, c.rms_norm_eps)?;
            let q = linear(rec, h, &layer.query)?; // [T, H * E]
            let k = linear(rec, h, &layer.key)?; // [T, G * E]
            let v = linear(rec, h, &layer.value)?; // [T, G * E]
            let q = rec.rope(q, rope)?;
            let k = rec.rope(k, rope)?;
            rec.kv_append(keys, k, first_pos)?;
            rec.kv_append(values, v, first_pos)?;
            let heads = rec.attention_causal(
                q,
                CausalAttention { keys, values, first_pos, n_kv_heads: c.n_kv_heads, scale },
            )?;
            let attended = linear(rec, heads, &layer.attention)?; // [T, D]
            x = rec.add(x, attended)?;

            let h = rec.rms_norm(x, &layer.ffn_norm, c.rms_norm_eps)?;
            let gate = linear(rec, h, &layer.gate)?; // [T, F]
            let up = linear(rec, h, &layer.up)?; // [T, F]
            let inner = rec.silu_mul(gate, up)?;
            let outer = linear(rec, inner, &layer.down)?; // [T, D]
            x = rec.add(x, outer)?;
        }
        Ok(x)
    }

    /// Logits of every row of `x: [n, D]` -> `[n, V]`.
    pub(crate) fn logits(&self, rec: &mut Recorder<'_>, x: Tensor) -> Result<Tensor> {
        let h = rec.rms_norm(x, &self.norm, self.config.rms_norm_eps)?;
        linear(rec, h, &self.head)
    }

    pub(crate) fn config(&self) -> &LlamaConfig {
        &self.config
    }
}

fn linear(rec: &mut Recorder<'_>, x: Tensor, weight: &Weight) -> Result<Tensor> {
    Ok(rec.linear(x, weight, None, Activation::None)?)
}

async fn load(rt: &Runtime, weights: &Weights, name: &str, shape: &[usize]) -> Result<Weight> {
    Ok(rt.load_weight(weights, name, shape, WeightFormat::Native).await?)
}

#[derive(Clone, Copy)]
enum Part {
    Embedding,
    Head,
    Norm,
    AttentionNorm,
    Query,
    Key,
    Value,
    Attention,
    FfnNorm,
    Gate,
    Up,
    Down,
}

/// The tensor's name in the file; `layer` for the parts that every layer has.
fn tensor_name(form: Form, layer: Option<usize>, part: Part) -> String {
    let (gguf, hugging_face) = match part {
        Part::Embedding => ("token_embd", "model.embed_tokens"),
        Part::Head => ("output", "lm_head"),
        Part::Norm => ("output_norm", "model.norm"),
        Part::AttentionNorm => ("attn_norm", "input_layernorm"),
        Part::Query => ("attn_q", "self_attn.q_proj"),
        Part::Key => ("attn_k", "self_attn.k_proj"),
        Part::Value => ("attn_v", "self_attn.v_proj"),
        Part::Attention => ("attn_output", "self_attn.o_proj"),
        Part::FfnNorm => ("ffn_norm", "post_attention_layernorm"),
        Part::Gate => ("ffn_gate", "mlp.gate_proj"),
        Part::Up => ("ffn_up", "mlp.up_proj"),
        Part::Down => ("ffn_down", "mlp.down_proj"),
    };
    match (form, layer) {
        (Form::Gguf, None) => format!("{gguf}.weight"),
        (Form::Gguf, Some(i)) => format!("blk.{i}.{gguf}.weight"),
        (Form::HuggingFace, None) => format!("{hugging_face}.weight"),
        (Form::HuggingFace, Some(i)) => format!("model.layers.{i}.{hugging_face}.weight"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::argmax;
    use runtime::{Options, Precision, TierChoice};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        rows: Vec<Row>,
    }

    /// What PyTorch transformers computes.
    #[derive(Deserialize)]
    struct Row {
        text: String,
        ids: Vec<u32>,
        last_logits: Vec<f32>,
        tokens: Vec<u32>,
    }

    async fn load_plain(rt: &Runtime, weights: &Weights, config: &[u8]) -> Llama {
        let config = LlamaConfig::from_json(config).unwrap();
        Llama::load(rt, weights, config, async |_: &Llama| Ok(())).await.unwrap()
    }

    async fn logits(rt: &Runtime, model: &Llama, state: &mut State, ids: &[u32]) -> Vec<f32> {
        let mut rec = rt.recorder();
        let states = model.forward(&mut rec, state, ids).unwrap();
        let last = rec.last_row(states).unwrap();
        let logits = model.logits(&mut rec, last).unwrap();
        state.n_past += ids.len();
        rec.read(&logits).await.unwrap()
    }

    /// Logits within `tolerance` of PyTorch's, whole prompt at once and in pieces, and its greedy tokens.
    async fn check(tier: TierChoice, weights: &'static [u8], config: &[u8], golden: &str, tolerance: f32) {
        let golden: Golden = serde_json::from_str(golden).unwrap();
        // The GPU tier does not ask for the precision.
        let rt = Runtime::open(&Options { tier, precision: Precision::Exact, ..Options::default() })
            .await
            .unwrap();
        let weights = Weights::open(Box::new(weights)).unwrap();
        let model = load_plain(&rt, &weights, config).await;
        for row in golden.rows {
            for piece in [row.ids.len(), 3] {
                let mut state = model.new_state(&rt, 64).await.unwrap();
                let mut got = Vec::new();
                for ids in row.ids.chunks(piece) {
                    got = logits(&rt, &model, &mut state, ids).await;
                }
                let largest = row.last_logits.iter().fold(0f32, |max, l| max.max(l.abs()));
                for (g, e) in got.iter().zip(&row.last_logits) {
                    assert!(
                        (g - e).abs() <= tolerance * largest,
                        "{:?} in pieces of {piece}: {g}, not {e}",
                        row.text
                    );
                }
                let mut tokens = Vec::new();
                for _ in &row.tokens {
                    tokens.push(argmax(&got).unwrap());
                    got = logits(&rt, &model, &mut state, &tokens[tokens.len() - 1..]).await;
                }
                assert_eq!(tokens, row.tokens, "{:?} in pieces of {piece}", row.text);
            }
        }
    }

    /// Ids that look like nothing in particular.
    fn some_ids(n: usize, n_vocab: usize) -> Vec<u32> {
        (0..n).map(|i| ((i * i * 31 + i * 17 + 5) % n_vocab) as u32).collect()
    }

    /// Logits after each of `lengths` first ids, on one tier: at once, and beginning with a copy of
    /// what another state has.
    async fn prefills(tier: TierChoice, ids: &[u32], lengths: &[usize]) -> Vec<[Vec<f32>; 2]> {
        // The GPU is compared with a CPU tier that computes in f32, as it does itself.
        let options = Options { tier, precision: Precision::Exact, ..Options::default() };
        let rt = Runtime::open(&options).await.unwrap();
        let file: &'static [u8] = include_bytes!("../../fixtures/tiny/llama_untied/model.safetensors");
        let config = include_bytes!("../../fixtures/tiny/llama_untied/config.json");
        let weights = Weights::open(Box::new(file)).unwrap();
        let model = load_plain(&rt, &weights, config).await;
        let mut rows = Vec::new();
        for &n in lengths {
            let mut whole = model.new_state(&rt, 256).await.unwrap();
            let at_once = logits(&rt, &model, &mut whole, &ids[..n]).await;
            let n_reused = n / 2;
            let mut copy = model.new_state(&rt, 300).await.unwrap();
            let pairs: Vec<_> = whole.caches().zip(copy.caches()).collect();
            rt.copy_caches(&pairs, n_reused).await.unwrap();
            copy.n_past = n_reused;
            let reused = logits(&rt, &model, &mut copy, &ids[n_reused..n]).await;
            rows.push([at_once, reused]);
        }
        rows
    }

    #[test]
    fn the_tiers_agree_on_prompts_of_every_length() {
        platform::block_on(async {
            let lengths = [1, 63, 64, 65, 200];
            let ids = some_ids(200, 256);
            let cpu = prefills(TierChoice::Cpu, &ids, &lengths).await;
            let gpu = prefills(TierChoice::Gpu, &ids, &lengths).await;
            for ((cpu, gpu), n) in cpu.iter().zip(&gpu).zip(lengths) {
                let expected = &cpu[0];
                let largest = expected.iter().fold(0f32, |max, l| max.max(l.abs()));
                for (name, got) in
                    [("the CPU, reused", &cpu[1]), ("the GPU", &gpu[0]), ("the GPU, reused", &gpu[1])]
                {
                    let error = got.iter().zip(expected).fold(0f32, |max, (g, e)| max.max((g - e).abs()));
                    // As for the golden logits of a GPU.
                    assert!(error <= 1e-4 * largest, "{name}, {n} tokens: {error} of {largest}");
                    assert_eq!(argmax(got).unwrap(), argmax(expected).unwrap(), "{name}, {n} tokens");
                }
            }
        });
    }

    macro_rules! tiny {
        ($folder:literal, $tier:expr, $tolerance:expr) => {
            platform::block_on(check(
                $tier,
                include_bytes!(concat!("../../fixtures/tiny/", $folder, "/model.safetensors")),
                include_bytes!(concat!("../../fixtures/tiny/", $folder, "/config.json")),
                include_str!(concat!("../../fixtures/tiny/", $folder, "/golden.json")),
                $tolerance,
            ))
        };
    }

    // 84 products of numbers near one per output and two layers: 1e-5 is a hundred roundings of f32.
    #[test]
    fn an_untied_llama_on_the_cpu() {
        tiny!("llama_untied", TierChoice::Cpu, 1e-5);
    }

    #[test]
    fn a_tied_llama_in_bfloat16_on_the_cpu() {
        tiny!("llama_tied", TierChoice::Cpu, 1e-5);
    }

    // A GPU may round, and compute sines and exponentials, a few units less exactly (WGSL section 15.7.4).
    #[test]
    fn an_untied_llama_on_the_gpu() {
        tiny!("llama_untied", TierChoice::Gpu, 1e-4);
    }

    #[test]
    fn a_tied_llama_in_bfloat16_on_the_gpu() {
        tiny!("llama_tied", TierChoice::Gpu, 1e-4);
    }
}
