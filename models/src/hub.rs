//! Models of the hub that are known to work here, with what their own files leave out.

use crate::catalog::ModelKind;
use crate::listed::{self, Listed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A model whose files are in no catalog: they are pinned when they are first fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HubModel {
    /// Short name; also the name of its folder.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// Hugging Face repository, `owner/name`.
    pub hub_repo: String,
    /// SPDX expression.
    pub licence: String,
    /// About the size of the weights that are fetched.
    pub megabytes: u32,
    /// What it is like.
    #[serde(flatten)]
    pub about: About,
    /// What an embedding model's own files often leave out.
    #[serde(skip)]
    pub defaults: EmbeddingDefaults,
}

/// What is known of a model before its files are here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Its architecture, as `config.json` or GGUF name it.
    pub family: String,
    /// Tokens that it was trained to read at once.
    pub context: u32,
    /// Weights, in millions.
    pub parameters: f64,
    /// Elements that a generator keeps of each token it has read.
    #[serde(default)]
    pub cache: u64,
    /// Megabytes of the weights in each quantisation that the repository has.
    pub sizes: BTreeMap<String, u32>,
}

/// Prompts, and dimensions to cut vectors to, as the model's card gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EmbeddingDefaults {
    /// Text before a question.
    pub query: String,
    /// Text before a passage.
    pub passage: String,
    /// Dimensions that its vectors were trained to be cut to.
    pub cuts: Vec<usize>,
}

/// Which of the files of a repository with several quantisations is taken, best first: what is small and loses
/// little, then what is larger.
pub(crate) const QUANTISATIONS: [&str; 8] =
    ["q4_k_m", "q4_1", "q4_0", "q5_k_m", "q6_k", "q8_0", "f16", "f32"];
/// Quantisations that tiers hold as they are; all others become 8 bits with a scale for 32 of them.
const HELD: [&str; 5] = ["q4_0", "q4_1", "q8_0", "f16", "f32"];
/// Tokens of a text at most, and bytes of an element of a cache, as `generator` has them.
const CACHE_TOKENS: u64 = 2048;
const CACHE_ELEMENT_BYTES: u64 = 4;
/// Room to compute.
const WORKING_BYTES: u64 = 48 << 20;

impl About {
    /// What is known of a model of the catalog or of the hub.
    pub fn get(id: &str) -> Option<&'static Self> {
        listed::all().iter().find(|model| model.id.eq_ignore_ascii_case(id)).map(|model| &model.about)
    }

    /// The quantisation that is fetched.
    pub fn quantisation(&self) -> &str {
        let taken = QUANTISATIONS.into_iter().find(|name| self.sizes.contains_key(*name));
        taken.or(self.sizes.keys().next().map(String::as_str)).unwrap_or_default()
    }

    /// About the bytes that it takes at work: weights as tiers hold them, the caches of a text, room to compute.
    /// Once its files are here a forecast is exact.
    pub fn memory_bytes(&self) -> u64 {
        let quantisation = self.quantisation();
        let megabytes = self.sizes.get(quantisation).copied().unwrap_or_default();
        let weight_bytes = match HELD.contains(&quantisation) {
            true => u64::from(megabytes) * 1_000_000,
            false => (self.parameters * 1e6 * 34.0 / 32.0) as u64,
        };
        let n_tokens = u64::from(self.context).min(CACHE_TOKENS);
        weight_bytes + self.cache * n_tokens * CACHE_ELEMENT_BYTES + WORKING_BYTES
    }
}

impl HubModel {
    /// All of them.
    pub fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<HubModel>> =
            LazyLock::new(|| listed::all().iter().filter_map(Listed::of_the_hub).collect());
        &ALL
    }

    /// The model of that id or repository; capitals do not count.
    pub fn get(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|m| m.id.eq_ignore_ascii_case(name) || m.hub_repo.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_found_by_id_and_repository() {
        for model in HubModel::all() {
            assert_eq!(HubModel::get(&model.id.to_uppercase()), Some(model));
            assert_eq!(HubModel::get(&model.hub_repo), Some(model), "two of one name");
            assert_eq!(
                model.hub_repo.rsplit('/').next(),
                Some(model.id.as_str()),
                "a folder has the repository's name"
            );
            assert!(crate::Catalog::builtin().get(&model.id).is_none(), "{}", model.id);
        }
        assert_eq!(HubModel::get("E5-small-v2").map(|m| m.defaults.query.as_str()), Some("query: "));
        assert_eq!(HubModel::get("e5"), None);
    }

    #[test]
    fn the_smallest_that_loses_little_is_taken_and_forecast() {
        let about = |id: &str| About::get(id).unwrap();
        let tiny = about("tinyllama-1.1b-chat-v1.0-gguf");
        assert_eq!(tiny.quantisation(), "q4_k_m");
        assert_eq!(about("Qwen3-0.6B-GGUF").quantisation(), "q8_0");
        // 8 bits and a scale for each of 1,100 million weights, 92 MB of caches, 50 MB of room.
        assert_eq!(tiny.memory_bytes() / 1_000_000, 1_311);
        // Weights that stay as they are.
        assert_eq!(about("smollm2-135m-instruct-q4_1").memory_bytes() / 1_000_000, 242);
        for model in HubModel::all() {
            assert!(
                model.megabytes > 0 && model.about.memory_bytes() > u64::from(model.megabytes) * 1_000_000
            );
            assert_eq!(model.kind == ModelKind::Generator, model.about.cache > 0, "{}", model.id);
        }
    }
}
