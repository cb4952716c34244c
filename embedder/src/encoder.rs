//! Post-norm transformer encoders of BERT's make, over a ragged batch of token sequences.
//!
//! Shapes: `T` = tokens of all sequences together, `D` = d_model, `F` = d_ffn, `H` = heads.
//! Sequences stand one after another, with no padding between them: only attention and pooling see
//! where one ends.

use crate::checkpoint::{Checkpoint, Linear, Norm};
use crate::config::{EncoderConfig, Family};
use crate::error::Result;
use runtime::{Activation, FullAttention, Recorder, Runtime, Tensor, Tier, Weight};

/// The weights, and the forward pass.
pub(crate) struct Encoder {
    config: EncoderConfig,
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

struct Embeddings {
    word: Weight,               // [n_vocab, D]
    position: Weight,           // [n_positions, D]
    token_type: Option<Weight>, // [n_token_types, D]
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

/// A batch of token sequences.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// `[T]`
    pub(crate) ids: &'a [u32],
    /// `[T]`; `None` where all are 0.
    pub(crate) token_types: Option<&'a [u32]>,
    /// Tokens of each sequence.
    pub(crate) lengths: &'a [u32],
}

/// What the parts of a layer are called.
struct Names {
    layer: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    output_norm: &'static str,
}

const BERT_NAMES: Names = Names {
    layer: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    output_norm: "output.LayerNorm",
};

const DISTILBERT_NAMES: Names = Names {
    layer: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    output_norm: "output_layer_norm",
};

impl Encoder {
    /// What task models put before the names of the encoder's tensors.
    pub(crate) const PREFIXES: [&'static str; 3] = ["bert.", "roberta.", "distilbert."];

    /// Loads every tensor of the encoder, each by its own range of the file.
    pub(crate) async fn load(rt: &Runtime, from: &Checkpoint, config: EncoderConfig) -> Result<Self> {
        let d = config.d_model;
        let table = async |name: &str, n_rows: usize| {
            from.tensor(rt, &format!("embeddings.{name}_embeddings.weight"), &[n_rows, d]).await
        };
        let embeddings = Embeddings {
            word: table("word", config.n_vocab).await?,
            position: table("position", config.n_positions).await?,
            token_type: match config.n_token_types {
                0 => None,
                n_types => Some(table("token_type", n_types).await?),
            },
            norm: from.norm(rt, "embeddings.LayerNorm", d).await?,
        };
        let names = match config.family {
            Family::Bert | Family::Roberta => &BERT_NAMES,
            Family::DistilBert => &DISTILBERT_NAMES,
        };
        let mut layers = Vec::with_capacity(config.n_layers);
        for i in 0..config.n_layers {
            layers.push(Layer::load(rt, from, &config, names, i).await?);
        }
        Ok(Self { config, embeddings, layers })
    }

    /// States of the last layer `[T, D]`.
    pub(crate) fn encode(&self, rec: &mut Recorder<'_>, batch: Batch<'_>) -> Result<Tensor> {
        let eps = self.config.layer_norm_eps;
        let mut x = self.embed_tokens(rec, batch)?;
        for layer in &self.layers {
            let q = layer.query.apply(rec, x, Activation::None)?; // [T, D] = [T, H * head_dim]
            let k = layer.key.apply(rec, x, Activation::None)?;
            let v = layer.value.apply(rec, x, Activation::None)?;
            let n_heads = self.config.n_heads;
            let scale = 1.0 / ((self.config.d_model / n_heads) as f32).sqrt();
            let heads =
                rec.attention_full(q, k, v, FullAttention { lengths: batch.lengths, n_heads, scale })?;
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

    /// The sum of the tables' rows, normalised: `[T, D]`.
    fn embed_tokens(&self, rec: &mut Recorder<'_>, batch: Batch<'_>) -> Result<Tensor> {
        let e = &self.embeddings;
        let mut positions = Vec::with_capacity(batch.ids.len());
        let mut rest = batch.ids;
        for length in batch.lengths {
            let (ids, others) = rest.split_at(*length as usize);
            positions.extend(self.config.positions(ids));
            rest = others;
        }
        let word = rec.gather(&e.word, batch.ids)?; // [T, D]
        let position = rec.gather(&e.position, &positions)?; // [T, D]
        let mut sum = rec.add(word, position)?;
        if let Some(table) = &e.token_type {
            let zeros;
            let token_types = match batch.token_types {
                Some(token_types) => token_types,
                None => {
                    zeros = vec![0; batch.ids.len()];
                    &zeros
                }
            };
            let token_type = rec.gather(table, token_types)?; // [T, D]
            sum = rec.add(sum, token_type)?;
        }
        e.norm.apply(rec, sum, self.config.layer_norm_eps)
    }

    /// See [`EncoderConfig::max_batch_tokens`].
    pub(crate) fn max_batch_tokens(&self, tier: Tier) -> usize {
        self.config.max_batch_tokens(tier)
    }

    /// Width of the states.
    pub(crate) fn d_model(&self) -> usize {
        self.config.d_model
    }
}

impl Layer {
    async fn load(
        rt: &Runtime,
        from: &Checkpoint,
        config: &EncoderConfig,
        names: &Names,
        i: usize,
    ) -> Result<Self> {
        let (d, f) = (config.d_model, config.d_ffn);
        let name = |part: &str| format!("{}.{i}.{part}", names.layer);
        Ok(Self {
            query: from.linear(rt, &name(names.query), d, d).await?,
            key: from.linear(rt, &name(names.key), d, d).await?,
            value: from.linear(rt, &name(names.value), d, d).await?,
            attention: from.linear(rt, &name(names.attention), d, d).await?,
            attention_norm: from.norm(rt, &name(names.attention_norm), d).await?,
            up: from.linear(rt, &name(names.up), d, f).await?,
            down: from.linear(rt, &name(names.down), f, d).await?,
            output_norm: from.norm(rt, &name(names.output_norm), d).await?,
        })
    }
}

impl Linear {
    pub(crate) fn apply(&self, rec: &mut Recorder<'_>, x: Tensor, act: Activation) -> Result<Tensor> {
        Ok(rec.linear(x, &self.weight, Some(&self.bias), act)?)
    }
}

impl Norm {
    fn apply(&self, rec: &mut Recorder<'_>, x: Tensor, eps: f32) -> Result<Tensor> {
        Ok(rec.layer_norm(x, &self.gamma, &self.beta, eps)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::ModelFiles;
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
        let config = EncoderConfig::parse(include_bytes!("../../fixtures/tiny/bert/config.json")).unwrap();
        let folder = format!("{}/../fixtures/tiny/bert", env!("CARGO_MANIFEST_DIR"));
        let files = ModelFiles::from_folder("bert", &folder).await.unwrap();
        let checkpoint = Checkpoint::open(&files, &Encoder::PREFIXES).await.unwrap();
        let rt = Runtime::open(&Options { tier, precision, ..Options::default() }).await.unwrap();
        let model = Encoder::load(&rt, &checkpoint, config).await.unwrap();

        let ids: Vec<u32> = golden.rows.iter().flat_map(|row| row.ids.clone()).collect();
        let lengths: Vec<u32> = golden.rows.iter().map(|row| row.ids.len() as u32).collect();
        let mut rec = rt.recorder();
        let states =
            model.encode(&mut rec, Batch { ids: &ids, token_types: None, lengths: &lengths }).unwrap();
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
