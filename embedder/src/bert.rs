//! BERT (Devlin et al., 2018): one transformer encoder over a ragged batch of token sequences.
//!
//! Shapes: `T` = tokens of all sequences together, `D` = d_model, `F` = d_ffn, `H` = heads.
//! Sequences stand one after another, with no padding between them: only attention and pooling see
//! where one ends.

use crate::config::BertConfig;
use crate::error::Result;
use runtime::{Activation, FullAttention, Recorder, Runtime, Tensor, Weight, WeightFormat, Weights};

/// The weights, and the forward pass.
pub(crate) struct Bert {
    config: BertConfig,
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

struct Embeddings {
    word: Weight,       // [n_vocab, D]
    position: Weight,   // [n_positions, D]
    token_type: Weight, // [n_token_types, D]
    norm: Norm,
}

struct Layer {
    query: Linear,     // D -> D
    key: Linear,       // D -> D
    value: Linear,     // D -> D
    attention: Linear, // D -> D
    attention_norm: Norm,
    up: Linear,   // D -> F
    down: Linear, // F -> D
    output_norm: Norm,
}

struct Linear {
    weight: Weight, // [n_out, n_in]
    bias: Weight,   // [n_out]
}

struct Norm {
    gamma: Weight, // [D]
    beta: Weight,  // [D]
}

impl Bert {
    /// Loads every tensor of the encoder, each by its own range of the file.
    pub(crate) async fn load(rt: &Runtime, weights: &Weights, config: BertConfig) -> Result<Self> {
        let loader = Loader { rt, weights, prefix: prefix(weights) };
        let (d, f) = (config.d_model, config.d_ffn);
        let embeddings = Embeddings {
            word: loader.tensor("embeddings.word_embeddings.weight", &[config.n_vocab, d]).await?,
            position: loader
                .tensor("embeddings.position_embeddings.weight", &[config.n_positions, d])
                .await?,
            token_type: loader
                .tensor("embeddings.token_type_embeddings.weight", &[config.n_token_types, d])
                .await?,
            norm: loader.norm("embeddings.LayerNorm", d).await?,
        };
        let mut layers = Vec::with_capacity(config.n_layers);
        for i in 0..config.n_layers {
            let name = |part: &str| format!("encoder.layer.{i}.{part}");
            layers.push(Layer {
                query: loader.linear(&name("attention.self.query"), d, d).await?,
                key: loader.linear(&name("attention.self.key"), d, d).await?,
                value: loader.linear(&name("attention.self.value"), d, d).await?,
                attention: loader.linear(&name("attention.output.dense"), d, d).await?,
                attention_norm: loader.norm(&name("attention.output.LayerNorm"), d).await?,
                up: loader.linear(&name("intermediate.dense"), d, f).await?,
                down: loader.linear(&name("output.dense"), f, d).await?,
                output_norm: loader.norm(&name("output.LayerNorm"), d).await?,
            });
        }
        Ok(Self { config, embeddings, layers })
    }

    /// States of the last layer `[T, D]`; `ids: [T]`, of which each sequence has `lengths[i]`.
    pub(crate) fn encode(&self, rec: &mut Recorder<'_>, ids: &[u32], lengths: &[u32]) -> Result<Tensor> {
        let eps = self.config.layer_norm_eps;
        let positions: Vec<u32> = lengths.iter().flat_map(|&n| 0..n).collect();
        let e = &self.embeddings;

        let word = rec.gather(&e.word, ids)?; // [T, D]
        let position = rec.gather(&e.position, &positions)?; // [T, D]
        let token_type = rec.gather(&e.token_type, &vec![0; ids.len()])?; // [T, D]
        let sum = rec.add(word, position)?;
        let sum = rec.add(sum, token_type)?;
        let mut x = e.norm.apply(rec, sum, eps)?;

        for layer in &self.layers {
            let q = layer.query.apply(rec, x, Activation::None)?; // [T, D] = [T, H * head_dim]
            let k = layer.key.apply(rec, x, Activation::None)?;
            let v = layer.value.apply(rec, x, Activation::None)?;
            let n_heads = self.config.n_heads;
            let scale = 1.0 / ((self.config.d_model / n_heads) as f32).sqrt();
            let heads = rec.attention_full(q, k, v, FullAttention { lengths, n_heads, scale })?;
            let attended = layer.attention.apply(rec, heads, Activation::None)?;
            let sum = rec.add(x, attended)?;
            x = layer.attention_norm.apply(rec, sum, eps)?;

            let inner = layer.up.apply(rec, x, Activation::Gelu)?; // [T, F]
            let outer = layer.down.apply(rec, inner, Activation::None)?; // [T, D]
            let sum = rec.add(x, outer)?;
            x = layer.output_norm.apply(rec, sum, eps)?;
        }
        Ok(x)
    }

    /// Elements of a vector.
    pub(crate) fn d_model(&self) -> usize {
        self.config.d_model
    }
}

impl Linear {
    fn apply(&self, rec: &mut Recorder<'_>, x: Tensor, act: Activation) -> Result<Tensor> {
        Ok(rec.linear(x, &self.weight, Some(&self.bias), act)?)
    }
}

impl Norm {
    fn apply(&self, rec: &mut Recorder<'_>, x: Tensor, eps: f32) -> Result<Tensor> {
        Ok(rec.layer_norm(x, &self.gamma, &self.beta, eps)?)
    }
}

/// Checkpoints of a task model carry the encoder's tensors under `bert.`.
fn prefix(weights: &Weights) -> &'static str {
    if weights.tensor_info("bert.embeddings.word_embeddings.weight").is_some() { "bert." } else { "" }
}

struct Loader<'a> {
    rt: &'a Runtime,
    weights: &'a Weights,
    prefix: &'static str,
}

impl Loader<'_> {
    async fn tensor(&self, name: &str, shape: &[usize]) -> Result<Weight> {
        let name = format!("{}{name}", self.prefix);
        Ok(self.rt.load_weight(self.weights, &name, shape, WeightFormat::F32).await?)
    }

    async fn linear(&self, name: &str, n_in: usize, n_out: usize) -> Result<Linear> {
        Ok(Linear {
            weight: self.tensor(&format!("{name}.weight"), &[n_out, n_in]).await?,
            bias: self.tensor(&format!("{name}.bias"), &[n_out]).await?,
        })
    }

    async fn norm(&self, name: &str, d: usize) -> Result<Norm> {
        Ok(Norm {
            gamma: self.tensor(&format!("{name}.weight"), &[d]).await?,
            beta: self.tensor(&format!("{name}.bias"), &[d]).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::{Options, Precision, TierChoice};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        rows: Vec<Row>,
    }

    /// What PyTorch transformers computes; `hidden` has the first three tokens' states.
    #[derive(Deserialize)]
    struct Row {
        text: String,
        ids: Vec<u32>,
        hidden: Vec<Vec<f32>>,
    }

    /// All texts in one ragged batch.
    async fn check(tier: TierChoice, precision: Precision, tolerance: f32) {
        let golden: Golden =
            serde_json::from_str(include_str!("../../fixtures/tiny/bert/golden.json")).unwrap();
        let config = BertConfig::parse(include_bytes!("../../fixtures/tiny/bert/config.json")).unwrap();
        let file: &'static [u8] = include_bytes!("../../fixtures/tiny/bert/model.safetensors");
        let rt = Runtime::open(&Options { tier, precision, ..Options::default() }).await.unwrap();
        let model = Bert::load(&rt, &Weights::open(Box::new(file)).unwrap(), config).await.unwrap();

        let ids: Vec<u32> = golden.rows.iter().flat_map(|row| row.ids.clone()).collect();
        let lengths: Vec<u32> = golden.rows.iter().map(|row| row.ids.len() as u32).collect();
        let mut rec = rt.recorder();
        let states = model.encode(&mut rec, &ids, &lengths).unwrap();
        let states = rec.read(&states).await.unwrap();
        let mut first_row = 0;
        for row in &golden.rows {
            for (i, expect) in row.hidden.iter().enumerate() {
                let got = &states[(first_row + i) * model.d_model()..][..model.d_model()];
                for (g, e) in got.iter().zip(expect) {
                    // The last normalisation makes every state a few units long.
                    assert!((g - e).abs() <= tolerance, "{:?} token {i}: {g}, not {e}", row.text);
                }
            }
            first_row += row.ids.len();
        }
    }

    #[test]
    fn hidden_states_on_the_cpu() {
        platform::block_on(check(TierChoice::Cpu, Precision::Exact, 2e-5));
    }

    // Eight products in a row, each off by some 5e-5 of its size, and states of a few units.
    #[test]
    fn hidden_states_on_the_cpu_in_whole_numbers() {
        platform::block_on(check(TierChoice::Cpu, Precision::Fast, 1e-3));
    }

    #[test]
    fn hidden_states_on_the_gpu() {
        platform::block_on(check(TierChoice::Gpu, Precision::Fast, 2e-4));
    }
}
