//! OpenDocument (ISO/IEC 26300): text, spreadsheets and presentations; all are one tree of XML.
//!
//! As with Office Open XML, tracked deletions, hidden sheets, rows and columns are left out, notes and
//! comments follow their paragraph, headers and footers are not read.

mod tables;

use crate::archive::{Archive, Fault};
use crate::compose::{About, Composer};
use crate::xml::{Element, Node, Xml, characters};
use crate::{BlockKind, Document, Hint, Kind, Limits, Refusal, Warning, WarningCode};
use std::collections::HashSet;
use tables::Tables;

/// Reads a document of the given kind.
pub(crate) fn read(
    archive: &Archive<'_>,
    kind: Kind,
    hint: &Hint,
    limits: &Limits,
) -> Result<(Document, Vec<Warning>), Refusal> {
    let mut composer = Composer::new(hint, limits);
    let unreadable =
        |reason: &str| Refusal::Unreadable { name: hint.name.to_owned(), reason: reason.to_owned() };
    if let Ok(manifest) = archive.read("META-INF/manifest.xml").map(characters)
        && manifest.contains("encryption-data")
    {
        return Err(unreadable(Fault::Encrypted.reason()));
    }
    let source = archive.read("content.xml").map(characters).map_err(|fault| unreadable(fault.reason()))?;
    if let Ok(meta) = archive.read("meta.xml").map(characters) {
        composer.about = about(&meta);
    }
    let mut reader = Reader::new(&mut composer, kind);
    let styles = archive.read("styles.xml").map(characters).unwrap_or_default();
    for node in Xml::new(&styles) {
        if let Node::Open(e) = node
            && matches!(e.name(), "style" | "list-style" | "list-level-style-number" | "text-properties")
        {
            reader.open(&e);
        }
    }
    let mut xml = Xml::new(&source);
    while let Some(node) = xml.next() {
        match node {
            Node::Open(e) if is_unread(e.name()) || reader.is_hidden(&e) => xml.skip_element(),
            Node::Open(e) => reader.open(&e),
            Node::Close(name) => reader.close(&name),
            Node::Text(text) => reader.text(&text),
        }
        if reader.composer.is_full() {
            break;
        }
    }
    reader.rest();
    let has_hidden = reader.has_hidden || reader.tables.has_hidden;
    let is_cut = !reader.tables.has_room();
    if has_hidden {
        let message = "hidden slides, sheets, rows or columns were left out";
        composer.warn(WarningCode::Hidden, message.to_owned());
    }
    if is_cut {
        let message = format!("the tables of {} were read in part; split it to have the rest", hint.name);
        composer.warn(WarningCode::Truncated, message);
    }
    if archive.is_damaged || xml.is_damaged() {
        composer.warn_of_damage();
    }
    composer.finish(kind)
}

/// Deleted text, the names of fields and forms, and what is drawn instead of a missing object.
fn is_unread(name: &str) -> bool {
    matches!(
        name,
        "tracked-changes"
            | "sequence-decls"
            | "forms"
            | "binary-data"
            | "note-citation"
            | "page-number"
            | "page-count"
            | "scripts"
            | "ruby-text"
            | "table-of-content-source"
            | "index-title-template"
            | "calculation-settings"
            | "event-listeners"
            | "date-style"
            | "number-style"
            | "time-style"
            | "label-ranges"
    )
}

fn about(source: &str) -> About {
    let mut about = About::default();
    let mut xml = Xml::new(source);
    let mut last_author = None;
    while let Some(node) = xml.next() {
        let Node::Open(e) = node else { continue };
        match e.name() {
            "title" => about.title = Some(xml.inner_text()),
            "initial-creator" => about.authors = vec![xml.inner_text()],
            "creator" => last_author = Some(xml.inner_text()),
            "creation-date" => about.created = Some(xml.inner_text()),
            _ => {}
        }
    }
    if about.authors.is_empty() {
        about.authors.extend(last_author);
    }
    about
}

/// A paragraph or heading that is open.
struct Paragraph {
    text: String,
    heading: Option<u8>,
    is_code: bool,
    is_title: bool,
}

/// A list that is open.
#[derive(Default)]
struct List {
    is_numbered: bool,
    n_items: u32,
    /// The item's mark, until its first paragraph takes it.
    mark: Option<String>,
}

struct Reader<'a, 'c> {
    composer: &'a mut Composer<'c>,
    kind: Kind,
    /// The style whose properties are read.
    style: String,
    /// Styles of what is not shown.
    hidden_styles: HashSet<String>,
    has_hidden: bool,
    /// Styles of preformatted text.
    code_styles: HashSet<String>,
    /// Styles of numbered lists.
    numbered: HashSet<String>,
    list_style: String,
    paragraphs: Vec<Paragraph>,
    lists: Vec<List>,
    tables: Tables,
    /// Notes and comments, to be written after the paragraph or table they belong to.
    notes: Vec<String>,
    /// The open one.
    note: Option<String>,
    /// How many paragraphs were open when it began: text of theirs is not in it.
    n_outside: usize,
    /// Within the name of who wrote the note.
    note_author: bool,
    /// Within a title frame of a slide; within the notes of one.
    is_title: bool,
    is_notes: bool,
}

impl<'a, 'c> Reader<'a, 'c> {
    fn new(composer: &'a mut Composer<'c>, kind: Kind) -> Self {
        Self {
            composer,
            kind,
            style: String::new(),
            hidden_styles: HashSet::new(),
            has_hidden: false,
            code_styles: HashSet::new(),
            numbered: HashSet::new(),
            list_style: String::new(),
            paragraphs: Vec::new(),
            lists: Vec::new(),
            tables: Tables::default(),
            notes: Vec::new(),
            note: None,
            n_outside: 0,
            note_author: false,
            is_title: false,
            is_notes: false,
        }
    }

    /// Whether an element is not shown, by its style or by itself.
    fn is_hidden(&mut self, e: &Element) -> bool {
        let is_container = matches!(e.name(), "page" | "table");
        let is_hidden = match e.name() {
            "section" => e.attr("display").is_some_and(|display| display != "true"),
            "hidden-text" | "hidden-paragraph" => e.attr("is-hidden").as_deref() == Some("true"),
            "span" | "p" | "h" => self.has_hidden_style(e),
            _ => is_container && self.has_hidden_style(e),
        };
        if is_hidden && e.name() == "page" {
            self.composer.page();
        }
        self.has_hidden |= is_hidden && is_container;
        is_hidden
    }

    fn has_hidden_style(&self, e: &Element) -> bool {
        !self.hidden_styles.is_empty()
            && e.attr("style-name").is_some_and(|s| self.hidden_styles.contains(&s))
    }

    fn open(&mut self, e: &Element) {
        match e.name() {
            "p" | "h" => self.open_paragraph(e),
            "s" => {
                let n = e.attr("c").and_then(|n| n.parse().ok()).unwrap_or(1usize);
                self.push(&" ".repeat(n.min(MAX_SPACES)));
            }
            "tab" => self.push("\t"),
            "line-break" => self.push("\n"),
            "style" => {
                self.style = e.attr("name").unwrap_or_default();
                let parent = e.attr("parent-style-name").unwrap_or_default();
                if is_code_style(&parent) {
                    self.code_styles.insert(self.style.clone());
                }
            }
            "text-properties" | "table-properties" | "drawing-page-properties" => {
                let display = e.attr("display");
                if matches!(display.as_deref(), Some("none" | "false"))
                    || e.attr("visibility").as_deref() == Some("hidden")
                {
                    self.hidden_styles.insert(self.style.clone());
                }
            }
            "list-style" => self.list_style = e.attr("name").unwrap_or_default(),
            // The first level decides.
            "list-level-style-number" if e.attr("level").as_deref() == Some("1") => {
                self.numbered.insert(self.list_style.clone());
            }
            "list" => {
                let style = e.attr("style-name");
                let outer = self.lists.last().is_some_and(|list| list.is_numbered);
                let is_numbered = style.map_or(outer, |style| self.numbered.contains(&style));
                self.lists.push(List { is_numbered, ..List::default() });
            }
            "list-item" => {
                if let Some(list) = self.lists.last_mut() {
                    list.n_items += 1;
                    let n = list.n_items;
                    list.mark = Some(if list.is_numbered { format!("{n}. ") } else { "- ".to_owned() });
                }
            }
            "note" | "annotation" if self.note.is_none() => {
                self.note = Some(String::new());
                self.n_outside = self.paragraphs.len();
            }
            "creator" if self.note.is_some() => self.note_author = true,
            "page" if self.kind == Kind::Odp => self.composer.page(),
            "notes" => self.is_notes = true,
            "frame" => self.is_title = e.attr("class").is_some_and(|class| class == "title"),
            _ => self.tables.open(e),
        }
    }

    fn open_paragraph(&mut self, e: &Element) {
        let style = e.attr("style-name").unwrap_or_default();
        let level = e.attr("outline-level").and_then(|level| level.parse().ok()).unwrap_or(1);
        self.paragraphs.push(Paragraph {
            text: String::new(),
            heading: (e.name() == "h").then_some(level),
            is_code: is_code_style(&style) || self.code_styles.contains(&style),
            is_title: style == "Title" || (self.is_title && !self.is_notes),
        });
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" | "h" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.end_paragraph(&paragraph);
                }
            }
            "list" => drop(self.lists.pop()),
            "note" | "annotation" => self.notes.extend(self.note.take().map(|note| note.trim().to_owned())),
            "creator" => self.note_author = false,
            "frame" => self.is_title = false,
            "notes" => self.is_notes = false,
            "table" => {
                if let Some(rows) = self.tables.close_table(self.kind, self.composer) {
                    self.composer.table(&rows);
                }
                if !self.tables.is_open() {
                    self.write_notes();
                }
            }
            _ => self.tables.close(name),
        }
    }

    fn text(&mut self, text: &str) {
        if self.note_author
            && let Some(note) = &mut self.note
        {
            note.push_str(text.trim());
            note.push_str(": ");
        } else if self.note.is_some() && self.paragraphs.len() <= self.n_outside {
            // The date of a comment, the initials of who wrote it.
        } else if let Some(paragraph) = self.paragraphs.last_mut() {
            // Line breaks and rows of blanks in the file are single blanks in the text.
            for c in text.chars() {
                match c {
                    ' ' | '\n' | '\t' | '\r' if paragraph.text.ends_with([' ', '\n', '\t']) => {}
                    '\n' | '\t' | '\r' => paragraph.text.push(' '),
                    c => paragraph.text.push(c),
                }
            }
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn end_paragraph(&mut self, paragraph: &Paragraph) {
        if let Some(note) = &mut self.note {
            if !note.is_empty() && !note.ends_with(' ') {
                note.push(' ');
            }
            note.push_str(paragraph.text.trim());
            return;
        }
        if self.tables.is_in_cell() {
            self.tables.push(&paragraph.text);
            return;
        }
        if paragraph.text.trim().is_empty() {
            return self.write_notes();
        }
        let mark = self.lists.last_mut().and_then(|list| list.mark.take());
        let is_point = self.kind == Kind::Odp && !self.lists.is_empty() && !self.is_notes;
        match (paragraph.heading, mark) {
            (Some(level), _) => self.composer.heading(level, &paragraph.text),
            _ if paragraph.is_title => self.composer.heading(1, &paragraph.text),
            _ if paragraph.is_code => self.composer.block(BlockKind::Code, &paragraph.text),
            (_, Some(mark)) => {
                self.composer.block(BlockKind::ListItem, &format!("{mark}{}", paragraph.text.trim()));
            }
            (_, None) if is_point => self.composer.item(&paragraph.text),
            _ => self.composer.paragraph(&paragraph.text),
        }
        self.write_notes();
    }

    fn write_notes(&mut self) {
        for note in std::mem::take(&mut self.notes) {
            self.composer.paragraph(&note);
        }
    }

    /// What a file that was cut off leaves open.
    fn rest(&mut self) {
        self.note = None;
        while let Some(paragraph) = self.paragraphs.pop() {
            self.end_paragraph(&paragraph);
        }
        while self.tables.is_open() {
            self.close("table");
        }
    }
}

/// More blanks in a row than this only draw.
const MAX_SPACES: usize = 80;

fn is_code_style(name: &str) -> bool {
    matches!(name, "Preformatted_20_Text" | "Source_20_Code" | "Source_Code")
}
