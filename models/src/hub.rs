//! Models of the hub that are known to work here, with what their own files leave out.

use crate::catalog::ModelKind;
use serde::Serialize;

/// A model whose files are in no catalog: they are pinned when they are first fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HubModel {
    /// Short name; also the name of its folder.
    pub id: &'static str,
    /// What it is for.
    pub kind: ModelKind,
    /// Hugging Face repository, `owner/name`.
    pub hub_repo: &'static str,
    /// SPDX expression.
    pub licence: &'static str,
    /// About the size of its weights.
    pub megabytes: u32,
    /// What an embedding model's own files often leave out.
    #[serde(skip)]
    pub defaults: EmbeddingDefaults,
}

/// Prompts, and dimensions to cut vectors to, as the model's card gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmbeddingDefaults {
    /// Text before a question.
    pub query: &'static str,
    /// Text before a passage.
    pub passage: &'static str,
    /// Dimensions that its vectors were trained to be cut to.
    pub cuts: &'static [usize],
}

impl HubModel {
    /// All of them.
    pub fn all() -> &'static [Self] {
        MODELS
    }

    /// The model of that id or repository; capitals do not count.
    pub fn get(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|m| m.id.eq_ignore_ascii_case(name) || m.hub_repo.eq_ignore_ascii_case(name))
    }
}

const PLAIN: EmbeddingDefaults = EmbeddingDefaults { query: "", passage: "", cuts: &[] };
const E5: EmbeddingDefaults = EmbeddingDefaults { query: "query: ", passage: "passage: ", cuts: &[] };
/// BGE, and those that were trained like it.
const REPRESENT: EmbeddingDefaults = EmbeddingDefaults {
    query: "Represent this sentence for searching relevant passages: ",
    passage: "",
    cuts: &[],
};
const ARCTIC_V1_5: EmbeddingDefaults = EmbeddingDefaults { cuts: &[256], ..REPRESENT };
const ARCTIC_V2: EmbeddingDefaults = EmbeddingDefaults { query: "query: ", passage: "", cuts: &[256] };
const MXBAI: EmbeddingDefaults = EmbeddingDefaults { cuts: &[64, 128, 256, 512, 768], ..REPRESENT };

const fn embedder(
    id: &'static str,
    hub_repo: &'static str,
    licence: &'static str,
    megabytes: u32,
    defaults: EmbeddingDefaults,
) -> HubModel {
    HubModel { id, kind: ModelKind::Embedder, hub_repo, licence, megabytes, defaults }
}

const fn reranker(
    id: &'static str,
    hub_repo: &'static str,
    licence: &'static str,
    megabytes: u32,
) -> HubModel {
    HubModel { id, kind: ModelKind::Reranker, hub_repo, licence, megabytes, defaults: PLAIN }
}

const fn generator(
    id: &'static str,
    hub_repo: &'static str,
    licence: &'static str,
    megabytes: u32,
) -> HubModel {
    HubModel { id, kind: ModelKind::Generator, hub_repo, licence, megabytes, defaults: PLAIN }
}

#[rustfmt::skip]
const MODELS: &[HubModel] = &[
    embedder("all-MiniLM-L12-v2", "sentence-transformers/all-MiniLM-L12-v2", "Apache-2.0", 133, PLAIN),
    embedder("multi-qa-MiniLM-L6-cos-v1", "sentence-transformers/multi-qa-MiniLM-L6-cos-v1", "Apache-2.0", 91, PLAIN),
    embedder("paraphrase-multilingual-MiniLM-L12-v2", "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", "Apache-2.0", 471, PLAIN),
    embedder("bge-small-en-v1.5", "BAAI/bge-small-en-v1.5", "MIT", 133, REPRESENT),
    embedder("bge-base-en-v1.5", "BAAI/bge-base-en-v1.5", "MIT", 438, REPRESENT),
    embedder("bge-large-en-v1.5", "BAAI/bge-large-en-v1.5", "MIT", 1341, REPRESENT),
    embedder("e5-small-v2", "intfloat/e5-small-v2", "MIT", 133, E5),
    embedder("e5-base-v2", "intfloat/e5-base-v2", "MIT", 438, E5),
    embedder("e5-large-v2", "intfloat/e5-large-v2", "MIT", 1341, E5),
    embedder("multilingual-e5-small", "intfloat/multilingual-e5-small", "MIT", 471, E5),
    embedder("multilingual-e5-base", "intfloat/multilingual-e5-base", "MIT", 1112, E5),
    embedder("multilingual-e5-large", "intfloat/multilingual-e5-large", "MIT", 2240, E5),
    embedder("gte-small", "thenlper/gte-small", "MIT", 67, PLAIN),
    embedder("gte-base", "thenlper/gte-base", "MIT", 219, PLAIN),
    embedder("gte-large", "thenlper/gte-large", "MIT", 670, PLAIN),
    embedder("snowflake-arctic-embed-xs", "Snowflake/snowflake-arctic-embed-xs", "Apache-2.0", 90, REPRESENT),
    embedder("snowflake-arctic-embed-s", "Snowflake/snowflake-arctic-embed-s", "Apache-2.0", 133, REPRESENT),
    embedder("snowflake-arctic-embed-m", "Snowflake/snowflake-arctic-embed-m", "Apache-2.0", 436, REPRESENT),
    embedder("snowflake-arctic-embed-m-v1.5", "Snowflake/snowflake-arctic-embed-m-v1.5", "Apache-2.0", 436, ARCTIC_V1_5),
    embedder("snowflake-arctic-embed-l", "Snowflake/snowflake-arctic-embed-l", "Apache-2.0", 1337, REPRESENT),
    embedder("snowflake-arctic-embed-l-v2.0", "Snowflake/snowflake-arctic-embed-l-v2.0", "Apache-2.0", 2271, ARCTIC_V2),
    embedder("mxbai-embed-large-v1", "mixedbread-ai/mxbai-embed-large-v1", "Apache-2.0", 670, MXBAI),
    reranker("ms-marco-MiniLM-L6-v2", "cross-encoder/ms-marco-MiniLM-L6-v2", "Apache-2.0", 91),
    reranker("ms-marco-MiniLM-L12-v2", "cross-encoder/ms-marco-MiniLM-L12-v2", "Apache-2.0", 133),
    reranker("bge-reranker-base", "BAAI/bge-reranker-base", "MIT", 1112),
    reranker("bge-reranker-large", "BAAI/bge-reranker-large", "MIT", 2239),
    reranker("bge-reranker-v2-m3", "BAAI/bge-reranker-v2-m3", "Apache-2.0", 2271),
    generator("SmolLM2-360M-Instruct-GGUF", "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", "Apache-2.0", 386),
    generator("SmolLM2-1.7B-Instruct-GGUF", "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", "Apache-2.0", 1056),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_found_by_id_and_repository() {
        for model in HubModel::all() {
            assert_eq!(HubModel::get(&model.id.to_uppercase()), Some(model));
            assert_eq!(HubModel::get(model.hub_repo), Some(model), "two of one name");
            assert_eq!(
                model.hub_repo.rsplit('/').next(),
                Some(model.id),
                "a folder has the repository's name"
            );
            assert!(crate::Catalog::builtin().get(model.id).is_none(), "{}", model.id);
        }
        assert_eq!(HubModel::get("E5-small-v2").map(|m| m.defaults.query), Some("query: "));
        assert_eq!(HubModel::get("e5"), None);
    }
}
