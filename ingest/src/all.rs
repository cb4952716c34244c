//! Files that hold several documents: ZIP archives, and mail with its attachments.

use crate::archive::{Archive, Fault};
use crate::{Document, Hint, Kind, Limits, Refusal, Warning, ingest, mail, sniff};
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
    let mut entries = Vec::new();
    ingest_each(bytes, hint, limits, 0, &mut |told| {
        if let Told::Read(entry) = told {
            entries.push(entry);
        }
    });
    entries
}

/// What is told of a file while it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// A document is being read from now on.
    Begun {
        /// As it will be in its [`Entry`].
        name: String,
        /// Its size, unpacked.
        n_bytes: u64,
    },
    /// What became of it, or of something that is no document.
    Read(Entry),
}

/// [`ingest_all`], which tells each document as soon as it is read, and before that what is begun: what stops its
/// reader is known then, and another one goes on behind it. The first `n_known` entries are not made again.
pub fn ingest_each(bytes: &[u8], hint: &Hint, limits: &Limits, n_known: usize, tell: &mut dyn FnMut(Told)) {
    let mut reader = Reader { limits: *limits, password: hint.password, n_known, n_entries: 0, tell };
    reader.file(bytes, hint, 0);
}

struct Reader<'a> {
    /// What is left of them.
    limits: Limits,
    password: Option<&'a str>,
    n_known: usize,
    /// Those that are known, too.
    n_entries: usize,
    tell: &'a mut dyn FnMut(Told),
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
        let is_mail = is_small && depth < MAX_DEPTH && sniff::kind_of(bytes, hint) == Ok(Kind::Email);
        self.document(bytes, hint);
        if is_mail {
            for file in mail::attachments(bytes) {
                self.member(&file.bytes, &format!("{}/{}", hint.name, file.name), depth);
            }
        }
    }

    fn document(&mut self, bytes: &[u8], hint: &Hint) {
        let (name, n_bytes) = (hint.name.to_owned(), bytes.len() as u64);
        if self.n_entries < self.n_known {
            self.n_entries += 1;
            return;
        }
        (self.tell)(Told::Begun { name: name.clone(), n_bytes });
        let outcome = ingest(bytes, hint, &self.limits);
        if matches!(&outcome, Err(Refusal::Unreadable { reason, .. }) if reason == Fault::TooLarge.reason()) {
            self.halve_budget();
        }
        self.entry(Entry { name, n_bytes, outcome });
    }

    fn members(&mut self, archive: &Archive<'_>, name: &str, depth: u32) {
        let n_before = self.n_entries;
        for member in archive.members().filter(|member| !is_of_a_system(&member.name)) {
            let name = format!("{name}/{}", member.name);
            if self.limits.max_members == 0 {
                return self.refuse_rest(&name);
            }
            let n_left = archive.n_left();
            match archive.unpack(member) {
                Ok(bytes) => {
                    // What an archive within this one takes is taken from the same budget.
                    self.limits.max_unpacked_bytes = archive.n_left().min(self.limits.max_unpacked_bytes);
                    self.member(&bytes, &name, depth);
                }
                Err(fault) => {
                    if fault == Fault::TooLarge && archive.n_left() < n_left {
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
        if self.n_entries == n_before {
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
        self.entry(Entry { name, n_bytes: 0, outcome: Err(refusal) });
    }

    fn entry(&mut self, entry: Entry) {
        self.n_entries += 1;
        if self.n_entries > self.n_known {
            (self.tell)(Told::Read(entry));
        }
    }
}

/// What operating systems leave in folders.
fn is_of_a_system(path: &str) -> bool {
    let mut parts = path.split('/');
    let file = path.rsplit('/').next().unwrap_or(path);
    parts.any(|part| part == "__MACOSX" || (part.starts_with('.') && part.len() > 1))
        || ["Thumbs.db", "desktop.ini"].contains(&file)
}
