//! `catalog.toml`, as the build left it.

use crate::catalog::{FileEntry, MAIN, ModelEntry, ModelKind, PythonPackage};
use crate::hub::{About, EmbeddingDefaults, HubModel};
use serde::Deserialize;
use std::sync::LazyLock;

/// One model.
#[derive(Deserialize)]
pub(crate) struct Listed {
    pub id: String,
    kind: ModelKind,
    hub_repo: String,
    /// The commit of the repository, where one is named.
    revision: Option<String>,
    licence: String,
    #[serde(flatten)]
    pub about: About,
    #[serde(flatten)]
    defaults: EmbeddingDefaults,
    /// What is pinned; none for a model that is pinned when it is first fetched.
    #[serde(default)]
    files: Vec<ListedFile>,
    python_package: Option<PythonPackage>,
}

#[derive(Deserialize)]
struct ListedFile {
    name: String,
    /// Where it is not the same.
    hub_path: Option<String>,
    n_bytes: u64,
    sha256: String,
}

/// All models, in the order of the list.
pub(crate) fn all() -> &'static [Listed] {
    static ALL: LazyLock<Vec<Listed>> = LazyLock::new(|| {
        let json = include_str!(concat!(env!("OUT_DIR"), "/catalog.json"));
        serde_json::from_str(json).expect("catalog.toml has the fields that are asked for")
    });
    &ALL
}

impl Listed {
    /// As the catalog has it, if its files are known.
    pub fn entry(&self) -> Option<ModelEntry> {
        let file = |file: &ListedFile| FileEntry {
            hub_path: file.hub_path.clone().unwrap_or_else(|| file.name.clone()),
            name: file.name.clone(),
            n_bytes: file.n_bytes,
            sha256: file.sha256.clone(),
        };
        (!self.files.is_empty()).then(|| ModelEntry {
            id: self.id.clone(),
            kind: self.kind,
            files: self.files.iter().map(file).collect(),
            hub_repo: self.hub_repo.clone(),
            revision: self.revision.clone().unwrap_or_else(|| MAIN.into()),
            python_package: self.python_package.clone(),
            licence: self.licence.clone(),
        })
    }

    /// As the hub has it, if its files are not known.
    pub fn of_the_hub(&self) -> Option<HubModel> {
        self.files.is_empty().then(|| HubModel {
            id: self.id.clone(),
            kind: self.kind,
            hub_repo: self.hub_repo.clone(),
            licence: self.licence.clone(),
            megabytes: self.about.sizes.get(self.about.quantisation()).copied().unwrap_or_default(),
            about: self.about.clone(),
            defaults: self.defaults.clone(),
        })
    }
}
