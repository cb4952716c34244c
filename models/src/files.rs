//! The files of one model, whole and ready to be read.

use crate::error::{AtPath, Error, Result};
use platform::{File, OpenMode};

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

    /// Every file of a folder, taken as they are: for models that are in no catalog.
    ///
    /// # Errors
    /// [`Error::Storage`] when the folder cannot be listed.
    pub async fn from_folder(id: &str, folder: &str) -> Result<Self> {
        let entries = platform::list(folder).await.at(folder)?;
        let files = entries
            .into_iter()
            .filter(|e| !e.is_dir)
            .map(|e| {
                let path = format!("{folder}/{}", e.name);
                (e.name, path)
            })
            .collect();
        Ok(Self::new(id, "local", files))
    }

    /// The model's id in the catalog.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Changes whenever the weights do: the first digits of their SHA-256, or `local`.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether the model has a file of that name.
    pub fn has(&self, name: &str) -> bool {
        self.files.iter().any(|(n, _)| n == name)
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
