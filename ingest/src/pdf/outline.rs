//! The outline (bookmarks) of a file, which names its headings (ISO 32000-1, 12.3.3).

use super::info::decode_text;
use super::lines::Line;
use super::streams::{get, get_dict, resolve};
use pdf_extract::{Dictionary, Document, Object, ObjectId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Entries of the largest handbooks.
const MAX_ENTRIES: usize = 20_000;
const MAX_DEPTH: u8 = 16;
/// Named places, and the nodes of the tree that holds them.
const MAX_NAMES: usize = 100_000;
/// Entries that lead to one page; indexes are no outlines.
const MAX_PAGE_ENTRIES: usize = 200;
/// A heading goes over this many lines at most.
const MAX_LINES: usize = 4;
/// What may stand before a title in the text, without blanks and marks: `Chapter 12`, `Appendix A.3`.
const MAX_NUMBER_CHARS: usize = 14;

/// An entry of the outline.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    title: String,
    /// 1 is the highest.
    level: u8,
    page_idx: usize,
}

/// The outline's entries that lead to pages, given by their objects in order.
pub(super) fn read(doc: &Document, pages: &[Option<ObjectId>]) -> Vec<Entry> {
    let Ok(catalog) = doc.catalog() else { return Vec::new() };
    let Some(root) = get_dict(doc, catalog, b"Outlines") else { return Vec::new() };
    let page_of = pages.iter().enumerate().filter_map(|(i, id)| Some(((*id)?, i))).collect();
    let mut reader = Reader { doc, catalog, page_of, names: None, seen: HashSet::new(), entries: Vec::new() };
    reader.level(root, 1);
    reader.entries
}

struct Reader<'a> {
    doc: &'a Document,
    catalog: &'a Dictionary,
    page_of: HashMap<ObjectId, usize>,
    names: Option<HashMap<Vec<u8>, &'a Object>>,
    seen: HashSet<ObjectId>,
    entries: Vec<Entry>,
}

impl<'a> Reader<'a> {
    /// The entries below `parent`.
    fn level(&mut self, parent: &'a Dictionary, level: u8) {
        let mut next = parent.get(b"First").ok();
        while let Some(Object::Reference(id)) = next {
            if !self.seen.insert(*id) || self.seen.len() > MAX_ENTRIES {
                return;
            }
            let Some(Object::Dictionary(item)) = self.doc.get_object(*id).ok() else { return };
            if let (Some(Object::String(title, _)), Some(page_idx)) =
                (get(self.doc, item, b"Title"), self.page_idx(item))
            {
                self.entries.push(Entry { title: decode_text(title), level: level.min(6), page_idx });
            }
            if level < MAX_DEPTH {
                self.level(item, level + 1);
            }
            next = item.get(b"Next").ok();
        }
    }

    fn page_idx(&mut self, item: &'a Dictionary) -> Option<usize> {
        let doc = self.doc;
        let by_action = || get(doc, get_dict(doc, item, b"A")?, b"D");
        let mut place = get(doc, item, b"Dest").or_else(by_action)?;
        if let Object::Name(name) | Object::String(name, _) = place {
            let names = self.names.get_or_insert_with(|| names(doc, self.catalog));
            place = names.get(name.as_slice())?;
        }
        if let Object::Dictionary(dict) = place {
            place = get(doc, dict, b"D")?;
        }
        let Object::Array(place) = place else { return None };
        match place.first()? {
            Object::Reference(id) => self.page_of.get(id).copied(),
            Object::Integer(n) => usize::try_from(*n).ok().filter(|&n| n < self.page_of.len()),
            _ => None,
        }
    }
}

/// The named places of a file, of either kind.
fn names<'a>(doc: &'a Document, catalog: &'a Dictionary) -> HashMap<Vec<u8>, &'a Object> {
    let mut found = HashMap::new();
    if let Some(dests) = get_dict(doc, catalog, b"Dests") {
        found.extend(dests.iter().take(MAX_NAMES).map(|(name, place)| (name.clone(), resolve(doc, place))));
    }
    let tree = get_dict(doc, catalog, b"Names").and_then(|names| get_dict(doc, names, b"Dests"));
    let mut due: Vec<&Dictionary> = tree.into_iter().collect();
    let mut n_nodes = 0;
    while let Some(node) = due.pop() {
        n_nodes += 1;
        if n_nodes > MAX_NAMES || found.len() > MAX_NAMES {
            break;
        }
        if let Some(Object::Array(kids)) = get(doc, node, b"Kids") {
            let n_room = MAX_NAMES.saturating_sub(due.len());
            due.extend(kids.iter().take(n_room).filter_map(|kid| resolve(doc, kid).as_dict().ok()));
        }
        if let Some(Object::Array(pairs)) = get(doc, node, b"Names") {
            for pair in pairs.chunks_exact(2).take(MAX_NAMES) {
                if let Object::String(name, _) = resolve(doc, &pair[0]) {
                    found.insert(name.clone(), resolve(doc, &pair[1]));
                }
            }
        }
    }
    found
}

/// Marks the lines that are headings by the outline: on the entry's page, with its title.
pub(super) fn mark(entries: &[Entry], pages: &mut [Vec<Line>]) {
    let mut by_page: BTreeMap<usize, Vec<(usize, &Entry)>> = BTreeMap::new();
    for (entry_idx, entry) in entries.iter().enumerate() {
        let on_page = by_page.entry(entry.page_idx).or_default();
        if on_page.len() < MAX_PAGE_ENTRIES {
            on_page.push((entry_idx, entry));
        }
    }
    for (page_idx, entries) in by_page {
        let Some(lines) = pages.get_mut(page_idx) else { continue };
        let texts: Vec<String> = lines.iter().map(|line| letters(&line.text())).collect();
        for (entry_idx, entry) in entries {
            mark_one(entry, entry_idx, lines, &texts);
        }
    }
}

fn mark_one(entry: &Entry, entry_idx: usize, lines: &mut [Line], texts: &[String]) {
    let title = letters(&entry.title);
    if title.is_empty() {
        return;
    }
    let places =
        (0..lines.len()).filter_map(|at| Some((at, n_lines_of(&title, &lines[at..], &texts[at..])?)));
    // The largest of several is the heading; others are a table of contents or a running title.
    let best = places.max_by(|a, b| lines[a.0].size.total_cmp(&lines[b.0].size).then(b.0.cmp(&a.0)));
    if let Some((start, n)) = best {
        for line in &mut lines[start..start + n] {
            line.heading = Some(Heading { level: entry.level, entry_idx });
        }
    }
}

/// A line that an entry of the outline names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Heading {
    pub(super) level: u8,
    entry_idx: usize,
}

/// How many of the first lines make up the title, if they do; `texts` are their letters.
fn n_lines_of(title: &str, lines: &[Line], texts: &[String]) -> Option<usize> {
    let mut whole = String::new();
    for (i, (line, text)) in lines.iter().zip(texts).take(MAX_LINES).enumerate() {
        let is_too_long = whole.len() + text.len() > title.len() + MAX_NUMBER_CHARS;
        let is_of_a_size = (lines[0].size * 0.9..=lines[0].size * 1.1).contains(&line.size);
        if line.heading.is_some() || !is_of_a_size || is_too_long {
            return None;
        }
        whole += text;
        let is_number = |n: usize| n <= 2 || whole[..n].chars().any(char::is_numeric);
        if whole.strip_suffix(title).map(str::len).is_some_and(is_number) {
            return Some(i + 1);
        }
    }
    None
}

/// Letters and digits in small letters.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::super::lines::Cell;
    use super::*;

    #[test]
    fn headings_are_found_by_their_titles() {
        let line = |size: f64, text: &str| {
            let cell = Cell { from: 0.0, to: 100.0, text: text.to_owned() };
            Line { angle: 0, base: 0.0, size, cells: vec![cell], heading: None }
        };
        let mut pages = vec![
            vec![line(10.0, "1.2 Nets and boats ... 7"), line(10.0, "something else")],
            vec![
                line(10.0, "Nets and boats"),
                line(12.0, "1.2 Nets"),
                line(12.0, "and Boats"),
                line(10.0, "Nets and boats are dear."),
            ],
        ];
        let entry = |title: &str, page_idx: usize| Entry { title: title.to_owned(), level: 2, page_idx };
        mark(&[entry("Nets and Boats", 1), entry("Gone", 0), entry("", 0), entry("Late", 9)], &mut pages);
        let marked: Vec<bool> = pages.concat().iter().map(|line| line.heading.is_some()).collect();
        assert_eq!(marked, [false, false, false, true, true, false]);
    }
}
