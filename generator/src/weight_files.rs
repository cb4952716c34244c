//! Which of a model's files hold its weights: one, or several parts.

use crate::error::{Error, Result};
use models::ModelFiles;
use runtime::{ReadAt, Weights};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

const GGUF: &str = "model.gguf";
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Most parts of one model: parts have at least some hundred MB.
const MAX_PARTS: usize = 256;

/// Opened weights, and what kind of files they are.
pub(crate) struct WeightFiles {
    pub(crate) weights: Weights,
    pub(crate) is_gguf: bool,
    /// The file that errors name.
    pub(crate) name: &'static str,
}

impl WeightFiles {
    /// Opens `model.gguf`, else safetensors whole or by their index, else what GGUF file there is under
    /// another name, whole or split.
    pub(crate) async fn open(files: &ModelFiles) -> Result<Self> {
        let (names, is_gguf, name) = if files.has(GGUF) {
            (vec![GGUF.to_owned()], true, GGUF)
        } else if files.has(WHOLE) {
            (vec![WHOLE.to_owned()], false, WHOLE)
        } else if files.has(INDEX) {
            (indexed(&files.read(INDEX).await?)?, false, INDEX)
        } else {
            let gguf = gguf_names(files)?;
            let is_gguf = !gguf.is_empty();
            // Where there is nothing, it is the usual file that is missing.
            (if is_gguf { gguf } else { vec![WHOLE.to_owned()] }, is_gguf, if is_gguf { GGUF } else { WHOLE })
        };
        let mut parts: Vec<Box<dyn ReadAt>> = Vec::with_capacity(names.len());
        for name in names {
            parts.push(Box::new(files.file(&name).await?));
        }
        let weights = Weights::open_parts(parts)?.named(files.id());
        Ok(Self { weights, is_gguf, name })
    }
}

/// Opens the weights of a model's files, whole or in parts, as [`Generator::load`](crate::Generator::load)
/// does.
///
/// # Errors
/// A missing or damaged file.
pub async fn open_weights(files: &ModelFiles) -> Result<Weights> {
    Ok(WeightFiles::open(files).await?.weights)
}

/// The files that an index names.
fn indexed(json: &[u8]) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let refuse = |key: &str, reason: String| Err(Error::Setting { file: INDEX, key: key.into(), reason });
    let index: Index = match serde_json::from_slice(json) {
        Ok(index) => index,
        Err(error) => return refuse("the whole file", error.to_string()),
    };
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if !(1..=MAX_PARTS).contains(&names.len()) {
        return refuse("weight_map", format!("it names {} files, not 1 to {MAX_PARTS}", names.len()));
    }
    Ok(names.into_iter().collect())
}

/// The only GGUF file, or all parts of the only split one, in their order.
fn gguf_names(files: &ModelFiles) -> Result<Vec<String>> {
    let mut names: Vec<String> =
        files.names().filter(|name| name.ends_with(".gguf")).map(Into::into).collect();
    // Parts are numbered with as many digits each, `-00001-of-00003.gguf`.
    names.sort();
    let stem = |name: &str| {
        let (start, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (stem, number) = start.rsplit_once('-')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(number) && is_number(count)).then(|| (stem.to_owned(), count.to_owned()))
    };
    let stems: BTreeSet<_> = names.iter().map(|name| stem(name)).collect();
    if names.len() > 1 && (stems.len() > 1 || stems.contains(&None)) {
        let reason = format!("several models are in the folder ({}); leave one", names.join(", "));
        return Err(Error::Setting { file: GGUF, key: "name".into(), reason });
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_its_parts() {
        let json = br#"{"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}}"#;
        assert_eq!(indexed(json).unwrap(), ["model-1.safetensors", "model-2.safetensors"]);
        for (json, reason) in [("{", "the whole file"), (r#"{"weight_map": {}}"#, "it names 0 files")] {
            let error = indexed(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_folder_has_one_gguf_model() {
        platform::block_on(async {
            let check = async |names: &[&str]| {
                let folder = tempfile::tempdir().unwrap();
                for name in names {
                    std::fs::write(folder.path().join(name), "x").unwrap();
                }
                gguf_names(&ModelFiles::from_folder("m", folder.path().to_str().unwrap()).await.unwrap())
            };
            assert_eq!(check(&["tiny.Q4_1.gguf", "config.json"]).await.unwrap(), ["tiny.Q4_1.gguf"]);
            let parts = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
            assert_eq!(check(&[parts[1], parts[0]]).await.unwrap(), parts);
            for wrong in [["a.gguf", "b.gguf"], ["m-1-of-2.gguf", "n-2-of-2.gguf"], [parts[0], "b.gguf"]] {
                let error = check(&wrong).await.unwrap_err().to_string();
                assert!(error.contains("several models"), "{error}");
            }
        });
    }
}
