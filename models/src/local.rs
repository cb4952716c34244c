//! Small files of the store's own: what an imported model is made of.

use crate::catalog::ModelEntry;
use crate::error::{AtPath, Error, Result};
use platform::{File, OpenMode};
use serde::Serialize;

/// Beside the files of an imported model: its [`ModelEntry`]. It is written last, so that a model that
/// was taken in by half is none.
pub(crate) const ENTRY: &str = "model.json";
/// A list of files is some kilobytes.
const MAX_ENTRY_BYTES: u64 = 16 << 20;

/// The imported model of that name.
pub(crate) async fn read(folder: &str, id: &str) -> Result<Option<ModelEntry>> {
    if !is_name(id) {
        return Ok(None);
    }
    let path = format!("{folder}/{id}/{ENTRY}");
    let Some(bytes) = read_small(&path).await? else { return Ok(None) };
    let entry: ModelEntry = serde_json::from_slice(&bytes)
        .map_err(|e| Error::Damaged { path: path.clone(), reason: e.to_string() })?;
    let is_sound = entry.id == id && entry.files.iter().all(|file| is_name(&file.name));
    let reason = "it names files that cannot be the model's".into();
    if is_sound { Ok(Some(entry)) } else { Err(Error::Damaged { path, reason }) }
}

/// A small file in memory; `None` where there is none.
pub(crate) async fn read_small(path: &str) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path, OpenMode::Read).await {
        Err(platform::Error::NotFound { .. }) => return Ok(None),
        other => other.at(path)?,
    };
    let mut bytes = vec![0; file.len().at(path)?.min(MAX_ENTRY_BYTES) as usize];
    let read = file.read_at(&mut bytes, 0);
    file.close();
    read.at(path)?;
    Ok(Some(bytes))
}

/// Writes a small file, which has its name only when it is whole.
pub(crate) async fn write_json(path: &str, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec_pretty(value).expect("a list of texts and numbers");
    let part = format!("{path}.part");
    let file = File::open(&part, OpenMode::Create).await.at(&part)?;
    let written = file.write_at(&json, 0).and_then(|()| file.sync());
    file.close();
    written.at(&part)?;
    platform::rename(&part, path).await.at(path)
}

/// Whether a word can be the name of a file or folder of the store.
pub(crate) fn is_name(word: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !word.is_empty() && word.bytes().all(fits) && !word.starts_with('.') && !word.ends_with(".part")
}

/// A name for a model, made of what a file or folder is called.
pub fn name_of(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let name = name.trim_matches(['.', '-']).to_owned();
    if is_name(&name) { name } else { "model".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for name in ["a", "Qwen2.5-0.5B_x", "model.gguf"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "a/b", "a\\b", "ü", "half.part", "a b"] {
            assert!(!is_name(name), "{name}");
        }
        for (text, name) in [("My Model (1)", "My-Model--1"), ("../x", "x"), ("ü", "model"), ("a", "a")] {
            assert_eq!(name_of(text), name);
        }
    }
}
