//! The files of one model, whole and ready to be read.

use crate::error::{AtPath, Error, Result};
use crate::hash::hex;
use platform::{File, OpenMode};
use sha2::{Digest, Sha256};

/// Pieces of a large file that its fingerprint is made of, evenly spread: 64 reads take a millisecond,
/// where hashing 100 MB at each start would take a quarter of a second, and training changes every tensor.
const FINGERPRINT_PIECES: u64 = 64;
const FINGERPRINT_PIECE_BYTES: u64 = 4096;

/// The files of one model, whole and ready to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    id: String,
    revision: String,
    /// (name, path)
    files: Vec<(String, String)>,
}

impl ModelFiles {
    pub(crate) fn new(id: &str, revision: &str, files: Vec<(String, String)>) -> Self {
        Self { id: id.into(), revision: revision.into(), files }
    }

    /// Every file of a folder and of the folders in it (`1_Pooling/config.json`), taken as they are: for
    /// models that are in no catalog.
    ///
    /// # Errors
    /// [`Error::Storage`] when the folder cannot be listed.
    pub async fn from_folder(id: &str, folder: &str) -> Result<Self> {
        let mut files = Vec::new();
        for entry in platform::list(folder).await.at(folder)? {
            let path = format!("{folder}/{}", entry.name);
            if !entry.is_dir {
                files.push((entry.name, path));
                continue;
            }
            let inner = platform::list(&path).await.at(&path)?;
            let inner = inner.into_iter().filter(|e| !e.is_dir);
            files.extend(inner.map(|e| (format!("{}/{}", entry.name, e.name), format!("{path}/{}", e.name))));
        }
        let revision = fingerprint(&files).await?;
        Ok(Self::new(id, &revision, files))
    }

    /// A model that is all in one GGUF file, whatever its name is.
    ///
    /// # Errors
    /// [`Error::Storage`] when it cannot be read.
    pub async fn from_gguf(path: &str) -> Result<Self> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let files = vec![("model.gguf".to_owned(), path.to_owned())];
        let revision = fingerprint(&files).await?;
        Ok(Self::new(name.trim_end_matches(".gguf"), &revision, files))
    }

    /// The model's id in the catalog.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Changes whenever the weights do: the first digits of their SHA-256; those of a folder's fingerprint
    /// where the files are in no catalog.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether the model has a file of that name.
    pub fn has(&self, name: &str) -> bool {
        self.files.iter().any(|(n, _)| n == name)
    }

    /// The files' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// Sum of the files' sizes.
    ///
    /// # Errors
    /// [`Error::Storage`] when one cannot be opened.
    pub async fn n_bytes(&self) -> Result<u64> {
        let mut n_bytes = 0;
        for (_, path) in &self.files {
            let file = File::open(path, OpenMode::Read).await.at(path)?;
            n_bytes += file.len().at(path)?;
            file.close();
        }
        Ok(n_bytes)
    }

    /// Where the file is: a path natively, a path from the OPFS root in the browser.
    ///
    /// # Errors
    /// [`Error::Missing`] when the model has no file of that name.
    pub fn path(&self, name: &str) -> Result<&str> {
        let found = self.files.iter().find(|(n, _)| n == name);
        found.map(|(_, path)| path.as_str()).ok_or_else(|| Error::Missing {
            id: self.id.clone(),
            file: name.into(),
            folder: "its list of files".into(),
        })
    }

    /// The file, open for reading by range.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Storage`] when it cannot be opened.
    pub async fn file(&self, name: &str) -> Result<File> {
        let path = self.path(name)?;
        File::open(path, OpenMode::Read).await.at(path)
    }

    /// The whole file in memory: for configurations and tokenizers, not for weights.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Storage`] when it cannot be read.
    pub async fn read(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.file(name).await?;
        let len = file.len().at(file.path())?;
        let mut bytes = vec![0; len as usize];
        let read = file.read_at(&mut bytes, 0);
        let path = file.path().to_owned();
        file.close();
        read.at(&path)?;
        Ok(bytes)
    }
}

/// SHA-256, shortened, over names, lengths and pieces of all files.
async fn fingerprint(files: &[(String, String)]) -> Result<String> {
    let mut hasher = Sha256::new();
    for (name, path) in files {
        let file = File::open(path, OpenMode::Read).await.at(path)?;
        let len = file.len().at(path)?;
        hasher.update(name.as_bytes());
        hasher.update(len.to_le_bytes());
        let read = pieces(len).try_for_each(|(offset, n_bytes)| {
            let mut piece = vec![0; n_bytes as usize];
            file.read_at(&mut piece, offset)?;
            hasher.update(&piece);
            Ok(())
        });
        file.close();
        read.at(path)?;
    }
    Ok(hex(&hasher.finalize())[..12].to_owned())
}

/// (offset, length) of what is hashed of a file of `len` bytes: all of a small one.
fn pieces(len: u64) -> impl Iterator<Item = (u64, u64)> {
    let n_pieces = len.div_ceil(FINGERPRINT_PIECE_BYTES).min(FINGERPRINT_PIECES);
    let step = len.checked_div(n_pieces).unwrap_or(0).max(FINGERPRINT_PIECE_BYTES);
    (0..n_pieces).map(move |i| (i * step, FINGERPRINT_PIECE_BYTES.min(len - i * step)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_lie_within_the_file_and_cover_a_small_one() {
        assert_eq!(pieces(0).count(), 0);
        assert_eq!(pieces(5000).collect::<Vec<_>>(), [(0, 4096), (4096, 904)]);
        for len in [1, 4096, 4097, 262_144, 262_145, 90_868_376] {
            let all: Vec<_> = pieces(len).collect();
            assert!(all.len() <= 64 && all.iter().all(|(offset, n)| *n > 0 && offset + n <= len), "{len}");
        }
    }

    #[test]
    fn a_folder_with_other_weights_has_another_revision() {
        platform::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().to_str().unwrap();
            std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
            std::fs::write(folder.path().join("1_Pooling/config.json"), "{}").unwrap();
            std::fs::write(folder.path().join("model.safetensors"), vec![1; 9000]).unwrap();
            let first = ModelFiles::from_folder("m", path).await.unwrap();
            assert!(first.has("1_Pooling/config.json") && first.has("model.safetensors"));
            assert_eq!(first, ModelFiles::from_folder("m", path).await.unwrap());
            std::fs::write(folder.path().join("model.safetensors"), vec![2; 9000]).unwrap();
            assert_ne!(first.revision(), ModelFiles::from_folder("m", path).await.unwrap().revision());
            std::fs::write(folder.path().join("Tiny.Q4_1.gguf"), "GGUF").unwrap();
            let file = ModelFiles::from_gguf(&format!("{path}/Tiny.Q4_1.gguf")).await.unwrap();
            assert_eq!((file.id(), file.names().collect::<Vec<_>>()), ("Tiny.Q4_1", vec!["model.gguf"]));
            assert_eq!(file.read("model.gguf").await.unwrap(), b"GGUF");
        });
    }
}
