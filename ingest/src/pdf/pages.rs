//! The page tree, as far as it can be walked.

use super::streams::{get, get_dict, number, resolve};
use pdf_extract::{Dictionary, Document, Object, ObjectId};
use std::collections::HashSet;

/// Page trees are balanced by most writers; a list of nodes is deep by mistake or malice.
const MAX_TREE_DEPTH: usize = 64;

/// A page with what it inherits from the nodes above it.
pub(super) struct Page<'a> {
    /// The page's object, unless it stands within another.
    pub(super) id: Option<ObjectId>,
    pub(super) dict: &'a Dictionary,
    pub(super) resources: Option<&'a Dictionary>,
    /// Clockwise turns by 90 degrees, 0 to 3.
    pub(super) n_quarter_turns: u8,
}

/// The first `max_pages` pages in order; those without a tree if the tree has none.
pub(super) fn list(doc: &Document, max_pages: usize) -> Vec<Page<'_>> {
    let mut walk = Walk { doc, max_pages, seen: HashSet::new(), pages: Vec::new() };
    if let Ok(catalog) = doc.catalog()
        && let Ok(root) = catalog.get(b"Pages")
    {
        walk.node(root, Inherited::default(), 0);
    }
    if walk.pages.is_empty() {
        let orphans = doc.objects.iter().filter_map(|(id, o)| Some((*id, o.as_dict().ok()?)));
        for (id, dict) in orphans.filter(|(_, d)| d.has_type(b"Page")).take(max_pages) {
            let inherited = Inherited::default().with(doc, dict);
            walk.pages.push(inherited.page(Some(id), dict));
        }
    }
    walk.pages
}

#[derive(Clone, Copy, Default)]
struct Inherited<'a> {
    resources: Option<&'a Dictionary>,
    rotation: i64,
}

impl<'a> Inherited<'a> {
    fn with(self, doc: &'a Document, dict: &'a Dictionary) -> Self {
        let rotation = get(doc, dict, b"Rotate").and_then(number);
        Self {
            resources: get_dict(doc, dict, b"Resources").or(self.resources),
            rotation: rotation.map_or(self.rotation, |degrees| degrees as i64),
        }
    }

    fn page(self, id: Option<ObjectId>, dict: &'a Dictionary) -> Page<'a> {
        let n_quarter_turns = self.rotation.div_euclid(90).rem_euclid(4) as u8;
        Page { id, dict, resources: self.resources, n_quarter_turns }
    }
}

struct Walk<'a> {
    doc: &'a Document,
    max_pages: usize,
    seen: HashSet<ObjectId>,
    pages: Vec<Page<'a>>,
}

impl<'a> Walk<'a> {
    fn node(&mut self, object: &'a Object, above: Inherited<'a>, depth: usize) {
        if let Object::Reference(id) = object
            && !self.seen.insert(*id)
        {
            return;
        }
        let Object::Dictionary(dict) = resolve(self.doc, object) else { return };
        let inherited = above.with(self.doc, dict);
        let Some(Object::Array(kids)) = get(self.doc, dict, b"Kids") else {
            // Some writers forget the type of pages; only a node has kids.
            self.pages.push(inherited.page(object.as_reference().ok(), dict));
            return;
        };
        if depth == MAX_TREE_DEPTH {
            return;
        }
        for kid in kids {
            if self.pages.len() >= self.max_pages {
                return;
            }
            self.node(kid, inherited, depth + 1);
        }
    }
}
