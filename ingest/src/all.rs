//! Files that hold several documents: ZIP archives, and mail with its attachments.

use crate::archive::{Archive, Fault};
use crate::{Document, Hint, Limits, Refusal, Warning, ingest, mail, sniff};
use serde::{Deserialize, Serialize};

/// Archives within archives within archives are as deep as people pack.
const MAX_DEPTH: u32 = 3;

/// One document of a file, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The file's name, and after a slash the path within it.
    pub name: String,
    /// Its size, unpacked.
    pub n_bytes: u64,
    /// As [`ingest`] gives it.
    pub outcome: Result<(Document, Vec<Warning>), Refusal>,
}

/// Reads a file with all that is in it: the members of a ZIP archive, and of a mail the letter and the
/// files that came with it. Any other file gives one entry.
///
/// Members that only systems put there (folders' settings, resource forks) are left out. All that is
/// unpacked together is bounded by [`Limits::max_unpacked_bytes`].
///
/// ```
/// use ingest::{Hint, Limits, ingest_all};
///
/// let hint = Hint { name: "notes.txt", ..Hint::default() };
/// let entries = ingest_all(b"The lighthouse was built in 1862.", &hint, &Limits::default());
/// assert_eq!((entries.len(), entries[0].name.as_str()), (1, "notes.txt"));
/// assert!(entries[0].outcome.is_ok());
/// ```
pub fn ingest_all(bytes: &[u8], hint: &Hint, limits: &Limits) -> Vec<Entry> {
    let mut reader = Reader { limits: *limits, password: hint.password, entries: Vec::new() };
    reader.file(bytes, hint, 0);
    reader.entries
}

struct Reader<'a> {
    /// What is left of them.
    limits: Limits,
    password: Option<&'a str>,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    fn file(&mut self, bytes: &[u8], hint: &Hint, depth: u32) {
        let is_small = bytes.len() as u64 <= self.limits.max_bytes;
        let may_hold_files = is_small && sniff::is_zip(bytes) && depth < MAX_DEPTH;
        if may_hold_files
            && let Some(archive) = Archive::open(bytes, &self.limits)
            && sniff::archive_kind(&archive) == Err(sniff::ZIP)
        {
            return self.members(&archive, hint.name, depth);
        }
        let outcome = ingest(bytes, hint, &self.limits);
        if matches!(&outcome, Err(Refusal::Unreadable { reason, .. }) if reason == Fault::TooLarge.reason()) {
            self.halve_budget();
        }
        let is_mail = outcome.as_ref().is_ok_and(|(document, _)| document.kind == crate::Kind::Email);
        self.entries.push(Entry { name: hint.name.to_owned(), n_bytes: bytes.len() as u64, outcome });
        if is_mail && depth < MAX_DEPTH {
            for file in mail::attachments(bytes) {
                self.member(&file.bytes, &format!("{}/{}", hint.name, file.name), depth);
            }
        }
    }

    fn members(&mut self, archive: &Archive<'_>, name: &str, depth: u32) {
        let n_before = self.entries.len();
        for member in archive.members().filter(|member| !is_of_a_system(&member.name)) {
            let name = format!("{name}/{}", member.name);
            if self.limits.max_members == 0 {
                return self.refuse_rest(&name);
            }
            match archive.unpack(member) {
                Ok(bytes) => {
                    // What an archive within this one takes is taken from the same budget.
                    self.limits.max_unpacked_bytes = archive.n_left().min(self.limits.max_unpacked_bytes);
                    self.member(&bytes, &name, depth);
                }
                Err(fault) => {
                    if fault == Fault::TooLarge {
                        self.halve_budget();
                    }
                    let reason = fault.reason().to_owned();
                    self.refuse(Refusal::Unreadable { name: name.clone(), reason }, name);
                }
            }
        }
        if archive.is_cut {
            self.refuse_rest(name);
        }
        if self.entries.len() == n_before {
            self.refuse(Refusal::Empty { name: name.to_owned() }, name.to_owned());
        }
    }

    fn member(&mut self, bytes: &[u8], name: &str, depth: u32) {
        self.limits.max_members = self.limits.max_members.saturating_sub(1);
        let hint = Hint { name, mime: None, password: self.password };
        self.file(bytes, &hint, depth + 1);
    }

    fn refuse_rest(&mut self, name: &str) {
        let reason = "there are too many files in the archive, and this and further ones were left out";
        self.refuse(
            Refusal::Unreadable { name: name.to_owned(), reason: reason.to_owned() },
            name.to_owned(),
        );
    }

    /// A bomb took all it could; the next one gets less, so that all together take twice as much.
    fn halve_budget(&mut self) {
        self.limits.max_unpacked_bytes /= 2;
    }

    fn refuse(&mut self, refusal: Refusal, name: String) {
        self.entries.push(Entry { name, n_bytes: 0, outcome: Err(refusal) });
    }
}

/// What operating systems leave in folders.
fn is_of_a_system(path: &str) -> bool {
    let mut parts = path.split('/');
    let file = path.rsplit('/').next().unwrap_or(path);
    parts.any(|part| part == "__MACOSX" || (part.starts_with('.') && part.len() > 1))
        || ["Thumbs.db", "desktop.ini"].contains(&file)
}
