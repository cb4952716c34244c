//! EPUB (3.3 and 2): the pages of the spine in order, each as the HTML it is.

use crate::archive::{Archive, Fault};
use crate::compose::{About, Composer};
use crate::paths::{resolve, unescaped};
use crate::xml::{Node, Xml, characters};
use crate::{Document, Hint, Kind, Limits, Refusal, Warning, html};
use std::collections::HashMap;

/// A page of a book is at most some megabytes; its tree takes tens of bytes per byte.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// Reads a book.
pub(crate) fn read(
    archive: &Archive<'_>,
    hint: &Hint,
    limits: &Limits,
) -> Result<(Document, Vec<Warning>), Refusal> {
    let mut composer = Composer::new(hint, limits);
    let refuse = |reason: &str| Refusal::Unreadable { name: hint.name.to_owned(), reason: reason.to_owned() };
    let path = package_path(archive).ok_or_else(|| refuse("it does not say where its contents are"))?;
    let source = archive.read(&path).map(characters).map_err(|fault| refuse(fault.reason()))?;
    let package = Package::parse(&source, &path);
    let mut n_lost = 0;
    for page in package.pages() {
        if composer.is_full() {
            break;
        }
        match archive.read(page) {
            Ok(bytes) if bytes.len() <= MAX_PAGE_BYTES && looks_like_markup(&bytes) => {
                let page = html::parse(&characters(bytes));
                composer.append(&page.text, &page.blocks);
            }
            Err(Fault::TooLarge) => return Err(refuse(Fault::TooLarge.reason())),
            _ => n_lost += 1,
        }
    }
    composer.about = package.about;
    if n_lost > 0 && composer.is_empty() && archive.find("META-INF/encryption.xml").is_some() {
        return Err(refuse("it is protected against copying (DRM)"));
    }
    if n_lost > 0 || archive.is_damaged {
        composer.warn_of_damage();
    }
    composer.finish(Kind::Epub)
}

fn looks_like_markup(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(1024)].contains(&b'<')
}

/// The package document, as `META-INF/container.xml` names it.
fn package_path(archive: &Archive<'_>) -> Option<String> {
    let named = archive.read("META-INF/container.xml").map(characters).ok().and_then(|source| {
        Xml::new(&source).find_map(|node| match node {
            Node::Open(e) if e.name() == "rootfile" => e.attr("full-path"),
            _ => None,
        })
    });
    let there = || archive.members().find(|m| m.name.ends_with(".opf")).map(|m| m.name.clone());
    named.filter(|path| archive.find(path).is_some()).or_else(there)
}

/// The package document: what the book is called, and what is in it.
#[derive(Default)]
struct Package {
    about: About,
    /// Paths and whether they are the table of contents, by id.
    items: HashMap<String, (String, bool)>,
    spine: Vec<String>,
}

impl Package {
    fn parse(source: &str, path: &str) -> Self {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut package = Self::default();
        let mut xml = Xml::new(source);
        while let Some(node) = xml.next() {
            let Node::Open(e) = node else { continue };
            match e.name() {
                // Further titles are subtitles.
                "title" if package.about.title.is_none() => package.about.title = Some(xml.inner_text()),
                "creator" => package.about.authors.push(xml.inner_text()),
                "date" if package.about.created.is_none() => package.about.created = Some(xml.inner_text()),
                "item" => {
                    let is_contents = e.attr("properties").is_some_and(|p| p.split(' ').any(|p| p == "nav"));
                    if let (Some(id), Some(href)) = (e.attr("id"), e.attr("href")) {
                        package.items.insert(id, (resolve(folder, &unescaped(&href)), is_contents));
                    }
                }
                "itemref" => package.spine.extend(e.attr("idref")),
                _ => {}
            }
        }
        package
    }

    /// The paths of the pages, without the table of contents.
    fn pages(&self) -> impl Iterator<Item = &str> {
        let items = self.spine.iter().filter_map(|id| self.items.get(id));
        items.filter(|(_, is_contents)| !is_contents).map(|(path, _)| path.as_str())
    }
}
