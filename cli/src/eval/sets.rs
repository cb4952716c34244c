//! Where the documents and questions of an evaluation are: one set, or a folder of several.

use std::fs;
use std::path::{Path, PathBuf};

use ingest::ChunkPolicy;

use crate::args::Corpus;
use crate::error::{AtPath, Error, Result};

/// Documents with questions about them.
#[derive(Debug, Clone)]
pub struct Set {
    /// Its folder's name; empty where there is only one set.
    pub name: String,
    /// Folder, or a single document.
    pub docs: PathBuf,
    pub questions: PathBuf,
    /// Where the embedded documents are kept.
    pub kb: Option<String>,
    /// How the documents are cut.
    pub policy: ChunkPolicy,
}

const QUESTIONS: &str = "questions.jsonl";

/// The set that the command line names, or one for each folder that holds questions.
///
/// # Errors
/// When there are no questions anywhere.
pub fn of(corpus: &Corpus) -> Result<Vec<Set>> {
    let root = &corpus.docs;
    let usual = ChunkPolicy::default();
    let policy = ChunkPolicy {
        target_tokens: corpus.target_tokens.unwrap_or(usual.target_tokens),
        min_tokens: corpus.min_tokens.unwrap_or(usual.min_tokens),
        ..usual
    };
    let one = |name: &str, folder: &Path, questions: PathBuf, kb: Option<String>| {
        // A corpus may keep its questions beside a folder `docs`.
        let docs = folder.join("docs");
        let docs = if docs.is_dir() { docs } else { folder.to_owned() };
        Set { name: name.to_owned(), docs, questions, kb, policy }
    };
    if let Some(questions) = &corpus.questions {
        return Ok(vec![one("", root, questions.clone(), corpus.kb.clone())]);
    }
    if root.join(QUESTIONS).is_file() {
        return Ok(vec![one("", root, root.join(QUESTIONS), corpus.kb.clone())]);
    }
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .at(root)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()
        .at(root)?;
    folders.retain(|folder| folder.join(QUESTIONS).is_file());
    folders.sort();
    if folders.is_empty() {
        let root = root.display();
        return Err(Error::Usage(format!("name the questions with --questions; {root} has no {QUESTIONS}")));
    }
    let set = |folder: &PathBuf| {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let kb = corpus.kb.as_ref().map(|kb| format!("{kb}-{name}"));
        one(&name, folder, folder.join(QUESTIONS), kb)
    };
    Ok(folders.iter().map(set).collect())
}

/// The only set.
///
/// # Errors
/// When the folder holds several.
pub fn only(corpus: &Corpus) -> Result<Set> {
    match of(corpus)?.as_slice() {
        [set] => Ok(set.clone()),
        sets => {
            let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
            Err(Error::Usage(format!("name one of the sets: {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_named_or_lie_beside_the_documents() {
        let root = tempfile::tempdir().unwrap();
        let corpus = |docs: &Path| Corpus {
            docs: docs.to_owned(),
            questions: None,
            kb: Some("kb".into()),
            limit: None,
            report: None,
            target_tokens: None,
            min_tokens: None,
            json: false,
        };
        assert!(of(&corpus(root.path())).unwrap_err().to_string().contains("--questions"));
        for folder in ["b", "a/docs"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for folder in ["a", "b"] {
            fs::write(root.path().join(folder).join(QUESTIONS), "").unwrap();
        }
        let sets = of(&corpus(root.path())).unwrap();
        let found: Vec<_> = sets.iter().map(|s| (s.name.as_str(), s.kb.as_deref().unwrap())).collect();
        assert_eq!(found, [("a", "kb-a"), ("b", "kb-b")]);
        assert!(sets[0].docs.ends_with("a/docs") && sets[1].docs.ends_with("b"));
        assert!(only(&corpus(root.path())).unwrap_err().to_string().contains("a, b"));
        assert_eq!(only(&corpus(&root.path().join("a"))).unwrap().kb.as_deref(), Some("kb"));
    }
}
