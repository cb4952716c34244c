//! A package: parts, and the relations that say which part is what (ECMA-376, part 2).

use crate::archive::{Archive, Fault};
use crate::compose::About;
use crate::paths::resolve;
use crate::xml::{Node, Xml, characters};
use std::cell::Cell;

/// An archive whose files are parts.
pub(super) struct Package<'a> {
    archive: Archive<'a>,
    is_damaged: Cell<bool>,
}

/// A link from one part to another.
pub(super) struct Relation {
    pub(super) id: String,
    /// The last word of the type, for example `slide`.
    pub(super) kind: String,
    /// The part's path in the archive.
    pub(super) target: String,
}

impl<'a> Package<'a> {
    pub(super) fn new(archive: Archive<'a>) -> Self {
        let is_damaged = Cell::new(archive.is_damaged || archive.is_cut);
        Self { archive, is_damaged }
    }

    /// Whether something could not be read.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged.get()
    }

    /// A part that has to be there.
    pub(super) fn part(&self, path: &str) -> Result<String, Fault> {
        self.archive.read(path).map(characters)
    }

    /// A part that is of use if it is there.
    pub(super) fn optional(&self, path: &str) -> Option<String> {
        match self.part(path) {
            Ok(text) => Some(text),
            Err(Fault::Missing) => None,
            Err(_) => {
                self.is_damaged.set(true);
                None
            }
        }
    }

    /// Remembers if the stream ended early.
    pub(super) fn note(&self, xml: &Xml<'_>) {
        if xml.is_damaged() {
            self.is_damaged.set(true);
        }
    }

    /// The part that the package is about, or the one at its usual place.
    pub(super) fn main_part(&self, usual: &str) -> String {
        let relations = self.relations("");
        let main = relations.into_iter().find(|r| r.kind == "officeDocument");
        main.map(|r| r.target)
            .filter(|path| self.archive.find(path).is_some())
            .unwrap_or_else(|| usual.into())
    }

    /// Where a part links to.
    pub(super) fn relations(&self, path: &str) -> Vec<Relation> {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let at = if folder.is_empty() {
            format!("_rels/{file}.rels")
        } else {
            format!("{folder}/_rels/{file}.rels")
        };
        let Some(source) = self.optional(&at) else { return Vec::new() };
        let mut relations = Vec::new();
        for node in Xml::new(&source) {
            if let Node::Open(e) = node
                && e.name() == "Relationship"
                && e.attr("TargetMode").is_none_or(|mode| mode != "External")
                && let (Some(id), Some(kind), Some(target)) = (e.attr("Id"), e.attr("Type"), e.attr("Target"))
            {
                let kind = kind.rsplit('/').next().unwrap_or("").to_owned();
                relations.push(Relation { id, kind, target: resolve(folder, &target) });
            }
        }
        relations
    }

    /// The part of the first relation of a kind.
    pub(super) fn related(&self, relations: &[Relation], kind: &str) -> Option<String> {
        self.optional(&relations.iter().find(|r| r.kind == kind)?.target)
    }

    /// Title, authors and date.
    pub(super) fn about(&self) -> About {
        let mut about = About::default();
        let Some(source) = self.optional("docProps/core.xml") else { return about };
        let mut xml = Xml::new(&source);
        while let Some(node) = xml.next() {
            let Node::Open(e) = node else { continue };
            match e.name() {
                "title" => about.title = Some(xml.inner_text()),
                "creator" => {
                    about.authors = xml.inner_text().split(';').map(|a| a.trim().to_owned()).collect()
                }
                "created" => about.created = Some(xml.inner_text()),
                _ => {}
            }
        }
        // What libraries write where nobody gave a title or an author.
        about.title =
            about.title.filter(|t| !["Word Document", "PowerPoint Presentation"].contains(&t.as_str()));
        about.authors.retain(|a| !["python-docx", "openpyxl", "PptxGenJS"].contains(&a.as_str()));
        about
    }
}
