//! A checkpoint's tensors: one safetensors file, or several with an index.

use crate::error::{Error, Result};
use models::ModelFiles;
use runtime::{Runtime, Weight, WeightFormat, Weights};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Checkpoints that cannot be read without running what is in them.
const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
/// Most parts of one checkpoint: encoders have at most some GB, and parts are not small.
const MAX_PARTS: usize = 64;

/// An opened checkpoint. Only headers are in memory.
pub(crate) struct Checkpoint {
    parts: Vec<Weights>,
    prefix: &'static str,
}

/// `y = x * weight^T + bias`.
pub(crate) struct Linear {
    pub(crate) weight: Weight, // [n_out, n_in]
    pub(crate) bias: Weight,   // [n_out]
}

/// Parameters of a layer normalisation.
pub(crate) struct Norm {
    pub(crate) gamma: Weight, // [D]
    pub(crate) beta: Weight,  // [D]
}

impl Checkpoint {
    /// `prefixes` are what a task model puts before the names of its encoder's tensors.
    pub(crate) async fn open(files: &ModelFiles, prefixes: &[&'static str]) -> Result<Self> {
        let mut parts = Vec::new();
        for name in part_names(files).await? {
            parts.push(Weights::open(Box::new(files.file(&name).await?))?.named(files.id()));
        }
        let has = |prefix: &str| {
            let name = format!("{prefix}embeddings.word_embeddings.weight");
            parts.iter().any(|part| part.tensor_info(&name).is_some())
        };
        let prefix = prefixes.iter().copied().find(|prefix| has(prefix)).unwrap_or("");
        Ok(Self { parts, prefix })
    }

    /// What all its tensors take on the tier of `rt`.
    pub(crate) fn forecast(&self, rt: &Runtime) -> u64 {
        self.parts.iter().map(|part| rt.forecast_weights(part, WeightFormat::Native)).sum()
    }

    /// A tensor outside the encoder.
    pub(crate) async fn head(&self, rt: &Runtime, name: &str, shape: &[usize]) -> Result<Weight> {
        // The first part says that it is missing.
        let part = self.parts.iter().find(|part| part.tensor_info(name).is_some()).unwrap_or(&self.parts[0]);
        // Matrices in halves stay so; the kernels take vectors in f32 only.
        let format = if shape.len() == 1 { WeightFormat::F32 } else { WeightFormat::Native };
        Ok(rt.load_weight(part, name, shape, format).await?)
    }

    /// A linear layer outside the encoder.
    pub(crate) async fn head_linear(
        &self,
        rt: &Runtime,
        name: &str,
        n_in: usize,
        n_out: usize,
    ) -> Result<Linear> {
        Ok(Linear {
            weight: self.head(rt, &format!("{name}.weight"), &[n_out, n_in]).await?,
            bias: self.head(rt, &format!("{name}.bias"), &[n_out]).await?,
        })
    }

    /// A tensor of the encoder.
    pub(crate) async fn tensor(&self, rt: &Runtime, name: &str, shape: &[usize]) -> Result<Weight> {
        self.head(rt, &format!("{}{name}", self.prefix), shape).await
    }

    /// A linear layer of the encoder.
    pub(crate) async fn linear(&self, rt: &Runtime, name: &str, n_in: usize, n_out: usize) -> Result<Linear> {
        self.head_linear(rt, &format!("{}{name}", self.prefix), n_in, n_out).await
    }

    /// A normalisation of the encoder.
    pub(crate) async fn norm(&self, rt: &Runtime, name: &str, d: usize) -> Result<Norm> {
        // The spelling of the first BERT checkpoints.
        let old = format!("{}{name}.gamma", self.prefix);
        let is_old = self.parts.iter().any(|part| part.tensor_info(&old).is_some());
        let (gamma, beta) = if is_old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok(Norm {
            gamma: self.tensor(rt, &format!("{name}.{gamma}"), &[d]).await?,
            beta: self.tensor(rt, &format!("{name}.{beta}"), &[d]).await?,
        })
    }
}

async fn part_names(files: &ModelFiles) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    if !files.has(WHOLE) && files.has(INDEX) {
        let index: Index = crate::config::parse(INDEX, &files.read(INDEX).await?)?;
        let names: BTreeSet<String> = index.weight_map.into_values().collect();
        if (1..=MAX_PARTS).contains(&names.len()) {
            return Ok(names);
        }
        let reason = format!("it names {} files, not 1 to {MAX_PARTS}", names.len());
        return Err(Error::Setting { file: INDEX, key: "weight_map".into(), reason });
    }
    if let Some(file) = PICKLES.into_iter().find(|file| !files.has(WHOLE) && files.has(file)) {
        return Err(Error::Pickle { file });
    }
    Ok([WHOLE.to_owned()].into())
}
