//! What the styles and lists of a DOCX mean.

use crate::xml::{Element, Node, Xml};
use std::collections::{HashMap, HashSet};

/// Styles are based on styles; real ones at most five deep.
const MAX_BASES: usize = 16;

/// What paragraphs of a style are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    Heading(u8),
    Code,
    ListItem,
    Other,
}

#[derive(Default)]
struct Style {
    name: String,
    base: Option<String>,
    outline: Option<u8>,
    list: Option<(String, u8)>,
}

/// The styles by their ids.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

impl Styles {
    pub(super) fn parse(source: &str) -> Self {
        let mut styles = HashMap::new();
        let mut open: Option<(String, Style)> = None;
        for node in Xml::new(source) {
            match node {
                Node::Open(e) if e.name() == "style" => {
                    open = Some((e.attr("styleId").unwrap_or_default(), Style::default()));
                }
                Node::Open(e) => {
                    if let Some((_, style)) = &mut open {
                        style.element(&e);
                    }
                }
                Node::Close(name) if name == "style" => styles.extend(open.take()),
                _ => {}
            }
        }
        Self(styles)
    }

    /// What a style says, or the styles it is based on.
    pub(super) fn role(&self, id: &str) -> Role {
        self.chain(id).map(Style::role).find(|&role| role != Role::Other).unwrap_or(Role::Other)
    }

    /// The list and level of a style's paragraphs.
    pub(super) fn list(&self, id: &str) -> Option<&(String, u8)> {
        self.chain(id).find_map(|style| style.list.as_ref())
    }

    fn chain<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Style> {
        let first = self.0.get(id);
        std::iter::successors(first, |style| self.0.get(style.base.as_deref()?)).take(MAX_BASES)
    }
}

impl Style {
    fn element(&mut self, e: &Element) {
        let value = || e.attr("val").unwrap_or_default();
        match e.name() {
            "name" => self.name = value().to_lowercase(),
            "basedOn" => self.base = Some(value()),
            "outlineLvl" => self.outline = value().parse().ok(),
            "numId" => self.list.get_or_insert_default().0 = value(),
            "ilvl" => self.list.get_or_insert_default().1 = value().parse().unwrap_or(0),
            _ => {}
        }
    }

    fn role(&self) -> Role {
        let name = self.name.as_str();
        let level = name.strip_prefix("heading").and_then(|rest| rest.trim().parse::<u8>().ok());
        let outline = self.outline.filter(|&level| level < 9).map(|level| level + 1);
        match level.or(outline) {
            Some(level) => Role::Heading(level),
            None if name == "title" => Role::Title,
            None if ["source code", "html preformatted", "preformatted text", "plain code", "code"]
                .contains(&name) =>
            {
                Role::Code
            }
            None if name.starts_with("list bullet") || name.starts_with("list number") => Role::ListItem,
            None => Role::Other,
        }
    }
}

/// The lists: which levels are numbered, and how far each has counted.
#[derive(Default)]
pub(super) struct Lists {
    /// Abstract list by list.
    kinds: HashMap<String, String>,
    /// Levels of abstract lists that have bullets.
    bullets: HashSet<(String, u8)>,
    counts: HashMap<(String, u8), u32>,
}

impl Lists {
    pub(super) fn parse(source: &str) -> Self {
        let mut lists = Self::default();
        let (mut kind, mut list, mut level) = (String::new(), String::new(), 0);
        for node in Xml::new(source) {
            let Node::Open(e) = node else { continue };
            match e.name() {
                "abstractNum" => kind = e.attr("abstractNumId").unwrap_or_default(),
                "num" => list = e.attr("numId").unwrap_or_default(),
                "lvl" => level = e.attr("ilvl").and_then(|l| l.parse().ok()).unwrap_or(0),
                "numFmt" if matches!(e.attr("val").as_deref(), Some("bullet" | "none")) => {
                    lists.bullets.insert((kind.clone(), level));
                }
                "abstractNumId" => {
                    lists.kinds.insert(list.clone(), e.attr("val").unwrap_or_default());
                }
                _ => {}
            }
        }
        lists
    }

    /// What stands before the next item of a list: a dash, or its number.
    pub(super) fn mark(&mut self, list: &str, level: u8) -> String {
        let is_bullet = match self.kinds.get(list) {
            Some(kind) => self.bullets.contains(&(kind.clone(), level)),
            None => true,
        };
        self.counts.retain(|(other, deeper), _| other != list || *deeper <= level);
        if is_bullet {
            return "- ".to_owned();
        }
        let count = self.counts.entry((list.to_owned(), level)).or_insert(0);
        *count += 1;
        format!("{count}. ")
    }
}
