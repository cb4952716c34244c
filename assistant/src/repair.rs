//! A damaged knowledge base: finding out, and rescuing what is readable. Neither needs a model.

use std::io::Write;

use platform::{File, OpenMode};
use serde::{Deserialize, Serialize};
use vectordb::{Exported, Loss, Salvage};

use crate::library::{Access, Library};
use crate::{Error, Result};

/// What a repair found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Where the repaired knowledge base is.
    pub path: String,
    /// Where the damaged one is, which was left as it was.
    pub damaged: String,
    /// Documents of which something is left.
    pub n_documents: u64,
    /// Their passages.
    pub n_chunks: u64,
    /// What is missing.
    pub losses: Vec<Loss>,
}

/// Reads all of a knowledge base and compares everything in it. Gives what contradicts, in
/// sentences; nothing for a good one. The file is only read.
///
/// # Errors
/// When it cannot even be opened.
pub async fn verify(path: &str) -> Result<Vec<String>> {
    Ok(vectordb::verify(File::open(path, OpenMode::Read).await?)?)
}

/// Writes all that is readable of the knowledge base `damaged`, whole or not, to the new file `out`.
///
/// # Errors
/// When `out` is there already, when nothing of a knowledge base is in `damaged`, or when a file
/// cannot be read or written.
pub async fn repair(damaged: &str, out: &str) -> Result<Repaired> {
    if platform::exists(out).await? {
        return Err(Error::AlreadyThere { path: out.to_owned() });
    }
    let salvage = Salvage::of(&File::open(damaged, OpenMode::Read).await?)?;
    let rebuilt = salvage.rebuild(File::open(out, OpenMode::ReadWrite).await?, None);
    let stats = match rebuilt.and_then(|db| db.stats()) {
        Ok(stats) => stats,
        Err(error) => {
            // Half a copy is of no use to anybody.
            platform::remove(out).await?;
            return Err(error.into());
        }
    };
    Ok(Repaired {
        path: out.to_owned(),
        damaged: damaged.to_owned(),
        n_documents: stats.n_documents,
        n_chunks: stats.n_chunks,
        losses: salvage.losses().to_vec(),
    })
}

/// As [`repair`]; the repaired knowledge base then takes the place of the damaged one, which is kept
/// beside it under a new name. For a page, whose user knows no files.
///
/// # Errors
/// As [`repair`].
pub async fn repair_in_place(path: &str) -> Result<Repaired> {
    let fresh = fresh_beside(path).await?;
    let mut repaired = repair(path, &fresh).await?;
    let mut n = 1;
    while platform::exists(&format!("{path}.damaged-{n}")).await? {
        n += 1;
    }
    repaired.damaged = format!("{path}.damaged-{n}");
    platform::rename(path, &repaired.damaged).await?;
    platform::rename(&fresh, path).await?;
    path.clone_into(&mut repaired.path);
    Ok(repaired)
}

/// Removes the damaged knowledge bases that [`repair_in_place`] has kept beside the one at `path`; gives how
/// many there were.
///
/// # Errors
/// When one cannot be removed.
pub async fn forget_damaged(path: &str) -> Result<usize> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let above = &path[..path.len() - name.len()];
    let mut n_removed = 0;
    for entry in platform::list(folder).await? {
        if entry.name.strip_prefix(name).is_some_and(|rest| rest.starts_with(".damaged-")) {
            platform::remove(&format!("{above}{}", entry.name)).await?;
            n_removed += 1;
        }
    }
    Ok(n_removed)
}

/// Exports all that is readable of a damaged knowledge base, which is left as it was. A whole copy
/// stands beside it meanwhile.
///
/// # Errors
/// As [`repair`], or when `out` cannot be written.
pub async fn rescue(path: &str, out: &mut dyn Write) -> Result<Exported> {
    let fresh = fresh_beside(path).await?;
    repair(path, &fresh).await?;
    let exported = export(&fresh, out).await;
    platform::remove(&fresh).await?;
    exported
}

async fn export(path: &str, out: &mut dyn Write) -> Result<Exported> {
    Library::open(path, Access::ReadOnly).await?.export(out).await
}

/// A name for a repaired copy that no file has.
async fn fresh_beside(path: &str) -> Result<String> {
    let fresh = format!("{path}.repaired");
    if platform::exists(&fresh).await? {
        // An earlier repair that was cut short.
        platform::remove(&fresh).await?;
    }
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vectordb::{Db, EmbedderTag, NewChunk, NewDocument};

    fn document(name: &str) -> NewDocument {
        let text = format!("{name} is a passage of its own.");
        let chunk = NewChunk {
            start: 0,
            end: text.chars().count() as u32,
            page: None,
            heading_path: Vec::new(),
            text: text.clone(),
            vector: vec![1.0, 0.0],
            sentences: vectordb::SentenceVectors::default(),
        };
        NewDocument {
            name: name.to_owned(),
            kind: "text".to_owned(),
            title: None,
            sha256: [1; 32],
            n_bytes: text.len() as u64,
            added_unix_ms: 0,
            text,
            page_starts: Vec::new(),
            warnings: Vec::new(),
            about: vectordb::About::default(),
            chunks: vec![chunk],
        }
    }

    fn tag() -> EmbedderTag {
        EmbedderTag {
            id: "tiny".into(),
            revision: String::new(),
            dimensions: 2,
            pooling: "mean".into(),
            prefix: String::new(),
        }
    }

    #[test]
    fn a_damaged_knowledge_base_is_repaired_where_it_is_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kb.footnote").display().to_string();
        let open = || platform::block_on(File::open(&path, OpenMode::ReadWrite)).unwrap();
        let mut db = Db::open(open(), &tag()).unwrap();
        for name in ["a.txt", "b.txt"] {
            db.put_document(&document(name)).unwrap();
        }
        drop(db);
        assert_eq!(platform::block_on(verify(&path)).unwrap(), [] as [String; 0]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[..4096].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        assert!(platform::block_on(verify(&path)).is_err());

        let mut saved = Vec::new();
        let exported = platform::block_on(rescue(&path, &mut saved)).unwrap();
        assert_eq!(exported.n_documents, 2);
        let mut other = Db::in_memory(&tag()).unwrap();
        assert_eq!(other.import(&mut &saved[..]).unwrap().n_added, 2);
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is only read");

        let repaired = platform::block_on(repair_in_place(&path)).unwrap();
        assert_eq!((repaired.n_documents, repaired.n_chunks, &repaired.path), (2, 2, &path));
        assert_eq!(std::fs::read(&repaired.damaged).unwrap(), bytes, "the damaged one is as it was");
        assert_eq!(platform::block_on(verify(&path)).unwrap(), [] as [String; 0]);
        assert_eq!(Db::open(open(), &tag()).unwrap().stats().unwrap().n_documents, 2);
        let again = platform::block_on(repair(&path, &repaired.damaged)).unwrap_err();
        assert!(again.to_string().contains("there already"), "{again}");
        assert_eq!(platform::block_on(forget_damaged(&path)).unwrap(), 1);
        assert!(!std::path::Path::new(&repaired.damaged).exists() && std::path::Path::new(&path).exists());
    }
}
