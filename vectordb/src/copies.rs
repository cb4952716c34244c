//! Documents that are the same, or nearly.

use crate::load::Stored;
use crate::{Db, DocumentId, DocumentInfo, NearDuplicate, NewDocument, Result};

/// Documents that share more of their words than this are near-duplicates. Chapters of one book share at
/// most .58 and articles about different things far less; versions of a text that differ in every tenth
/// word .83, in every fifth .65.
pub const MIN_OVERLAP: f32 = 0.7;

impl Db {
    /// The stored document that came of the same file, under whatever name. The text is compared, too:
    /// documents of one archive share the archive's SHA-256.
    ///
    /// # Errors
    /// When a text cannot be read.
    pub fn same_document(&self, sha256: &[u8; 32], text: &str) -> Result<Option<DocumentInfo>> {
        let n_chars = text.chars().count() as u64;
        let stored = self.catalog.documents.values();
        for Stored { info, .. } in stored.filter(|s| s.info.sha256 == *sha256 && s.info.n_chars == n_chars) {
            if self.document(info.id)?.is_some_and(|document| document.text == text) {
                return Ok(Some(info.clone()));
            }
        }
        Ok(None)
    }

    /// The stored document that `new` is already: `older`, which has its name, or one under another.
    pub(crate) fn same_file(&self, new: &NewDocument, older: Option<&Stored>) -> Result<Option<Stored>> {
        if let Some(older) = older.filter(|older| older.info.sha256 == new.sha256) {
            return Ok(Some(older.clone()));
        }
        let same = self.same_document(&new.sha256, &new.text)?;
        Ok(same.and_then(|same| self.catalog.documents.get(&same.id).cloned()))
    }

    /// The documents that say nearly the same as this one, the nearest first: at least [`MIN_OVERLAP`]
    /// of their words are shared.
    pub fn near_duplicates(&self, id: DocumentId) -> Vec<NearDuplicate> {
        self.index().text.near_duplicates(id, MIN_OVERLAP)
    }
}
