//! A folder and the documents that came from it: what was added, changed, moved and deleted there.
//!
//! A plan is made first, by names and hashes alone, and changes nothing; deletions are only mirrored
//! when that is asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vectordb::{DocumentId, DocumentInfo};

use crate::library::Library;
use crate::{Error, Result};

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderFile {
    /// Path below the folder, with `/` between its parts.
    pub path: String,
    /// SHA-256 of its bytes; `None` when they cannot be read now: its document is left as it is.
    pub sha256: Option<[u8; 32]>,
    /// Its size.
    pub n_bytes: u64,
}

/// What has to be done for the knowledge base to agree with a folder. Names are those of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPlan {
    /// Files to read that are new.
    pub added: Vec<String>,
    /// Files to read whose content changed.
    pub changed: Vec<String>,
    /// Files that only have another name now: the old one and the new one.
    pub moved: Vec<(String, String)>,
    /// Files that say the same as another document; they are not read.
    pub duplicates: Vec<String>,
    /// Documents whose file is gone.
    pub gone: Vec<String>,
    /// Files that are as they were.
    pub n_unchanged: usize,
}

impl SyncPlan {
    /// Whether the knowledge base agrees with the folder.
    pub fn is_empty(&self) -> bool {
        let Self { added, changed, moved, duplicates: _, gone, n_unchanged: _ } = self;
        added.is_empty() && changed.is_empty() && moved.is_empty() && gone.is_empty()
    }
}

impl Library {
    /// Compares a folder with the documents that came from it, whose names begin with `folder/`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn plan_sync(&self, folder: &str, files: &[FolderFile]) -> Result<SyncPlan> {
        Ok(plan(&self.documents()?, folder, files))
    }

    /// Does what a plan says about documents that are stored: moved ones get their new names, and
    /// with `delete_gone` those whose files are gone are removed. Gives how many were removed. The
    /// files to be read are put into the queue or added by the caller.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn apply_sync(&mut self, plan: &SyncPlan, delete_gone: bool) -> Result<usize> {
        for (old, new) in &plan.moved {
            if let Some(id) = self.db.document_id(old) {
                self.db.rename_document(id, new)?;
            }
        }
        if !delete_gone {
            return Ok(0);
        }
        let gone: Vec<DocumentId> = plan.gone.iter().filter_map(|name| self.db.document_id(name)).collect();
        self.db.remove_documents(&gone).map_err(Error::from)
    }
}

fn plan(documents: &[DocumentInfo], folder: &str, files: &[FolderFile]) -> SyncPlan {
    let name = |file: &FolderFile| format!("{folder}/{}", file.path);
    let names: BTreeSet<String> = files.iter().map(name).collect();
    let by_name: BTreeMap<&str, &DocumentInfo> =
        documents.iter().map(|info| (info.name.as_str(), info)).collect();
    let within = format!("{folder}/");
    // A document may be of a file itself or of an archive, whose members have names below its own.
    let is_of = |document: &str, file: &str| {
        document.strip_prefix(file).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let file_of = |document: &str| names.iter().find(|file| is_of(document, file));
    let mut gone: BTreeMap<&str, &DocumentInfo> = documents
        .iter()
        .filter(|info| info.name.starts_with(&within) && file_of(&info.name).is_none())
        .map(|info| (info.name.as_str(), info))
        .collect();
    let mut plan = SyncPlan::default();
    for file in files {
        let name = name(file);
        let Some(sha256) = file.sha256 else { continue };
        let is_same = |info: &DocumentInfo| info.sha256 == sha256 && info.n_bytes == file.n_bytes;
        let below = format!("{name}/");
        let members = || documents.iter().filter(|info| info.name.starts_with(&below));
        let stored = by_name.get(name.as_str()).copied().or_else(|| members().next());
        if let Some(stored) = stored {
            match stored.sha256 == sha256 {
                true => plan.n_unchanged += 1,
                false => plan.changed.push(name),
            }
        } else if let Some(old) = gone.values().find(|info| is_same(info)).map(|info| info.name.as_str()) {
            gone.remove(old);
            plan.moved.push((old.to_owned(), name));
        } else if documents.iter().any(is_same) {
            plan.duplicates.push(name);
        } else {
            plan.added.push(name);
        }
    }
    plan.gone = gone.into_keys().map(str::to_owned).collect();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(id: u64, name: &str, hash: u8) -> DocumentInfo {
        DocumentInfo {
            id: DocumentId(id),
            name: name.into(),
            kind: "text".into(),
            title: None,
            sha256: [hash; 32],
            n_bytes: 10,
            added_unix_ms: 0,
            n_chars: 10,
            n_pages: 0,
            n_chunks: 1,
            warnings: vec![],
            collection: None,
            tags: vec![],
            about: vectordb::About::default(),
        }
    }

    fn file(path: &str, hash: u8) -> FolderFile {
        FolderFile { path: path.into(), sha256: Some([hash; 32]), n_bytes: 10 }
    }

    #[test]
    fn a_plan_tells_what_changed_in_a_folder() {
        let member = DocumentInfo { n_bytes: 3, ..document(6, "notes/all.zip/inner.md", 6) };
        let documents = [
            document(1, "notes/same.md", 1),
            document(2, "notes/changed.md", 2),
            document(3, "notes/gone.md", 3),
            document(4, "notes/old name.md", 4),
            document(5, "elsewhere/other.md", 5),
            member,
        ];
        let files = [
            file("same.md", 1),
            file("changed.md", 22),
            file("sub/new name.md", 4),
            file("new.md", 7),
            file("copy.md", 5),
            file("all.zip", 6),
        ];
        let got = plan(&documents, "notes", &files);
        let expected = SyncPlan {
            added: vec!["notes/new.md".into()],
            changed: vec!["notes/changed.md".into()],
            moved: vec![("notes/old name.md".into(), "notes/sub/new name.md".into())],
            duplicates: vec!["notes/copy.md".into()],
            gone: vec!["notes/gone.md".into()],
            n_unchanged: 2,
        };
        assert_eq!(got, expected);
        assert!(plan(&documents[..1], "notes", &files[..1]).is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_read_now_is_not_gone() {
        let documents = [document(1, "notes/a.md", 1), document(2, "notes/all.zip/inner.md", 2)];
        let unread = ["a.md", "all.zip", "new.md"].map(|path| FolderFile { sha256: None, ..file(path, 0) });
        assert!(plan(&documents, "notes", &unread).is_empty());
        let copy = [unread[0].clone(), file("copy.md", 1)];
        let got = plan(&documents[..1], "notes", &copy);
        assert_eq!((got.duplicates, got.moved), (vec!["notes/copy.md".to_owned()], vec![]));
    }

    #[test]
    fn a_document_of_two_equal_files_stays_when_one_of_them_goes() {
        let documents = [document(1, "notes/a.md", 1)];
        let got = plan(&documents, "notes", &[file("b.md", 1)]);
        assert_eq!(got.moved, [("notes/a.md".to_owned(), "notes/b.md".to_owned())]);
        assert!(got.gone.is_empty() && got.added.is_empty());
    }
}
