//! DOCX: paragraphs, lists, tables, charts, diagrams, notes and comments in the order of the text.

use super::figures::{self, Figure};
use super::package::Package;
use super::styles::{Lists, Role, Styles};
use crate::BlockKind;
use crate::archive::Fault;
use crate::compose::Composer;
use crate::xml::{Element, Node, Xml};
use std::collections::HashMap;

pub(super) fn read(package: &Package<'_>, composer: &mut Composer<'_>) -> Result<(), Fault> {
    let path = package.main_part("word/document.xml");
    let source = package.part(&path)?;
    let relations = package.relations(&path);
    let related = |kind: &str| package.related(&relations, kind).unwrap_or_default();
    let mut notes = HashMap::new();
    for kind in ["footnote", "endnote", "comment"] {
        notes_of(&related(&format!("{kind}s")), kind, &mut notes);
    }
    let mut reader = Reader {
        composer,
        styles: Styles::parse(&related("styles")),
        lists: Lists::parse(&related("numbering")),
        notes,
        paragraphs: Vec::new(),
        tables: Vec::new(),
        refers_to: Vec::new(),
        figures: Vec::new(),
        run: Run::default(),
    };
    let mut xml = Xml::new(&source);
    while let Some(node) = xml.next() {
        match node {
            Node::Open(e) if is_unread(e.name()) => xml.skip_element(),
            Node::Open(e) => match figures::shown_by(package, &relations, &e) {
                Some(figure) => reader.figures.push(figure),
                None => reader.open(&e),
            },
            Node::Close(name) => reader.close(&name),
            Node::Text(text) => reader.text(&text),
        }
        if reader.composer.is_full() {
            break;
        }
    }
    reader.rest();
    package.note(&xml);
    Ok(())
}

/// Deleted and moved text, former properties, field codes, and second versions of drawings.
fn is_unread(name: &str) -> bool {
    matches!(
        name,
        "del"
            | "moveFrom"
            | "delText"
            | "instrText"
            | "delInstrText"
            | "Fallback"
            | "fldData"
            | "binData"
            | "pPrChange"
            | "rPrChange"
            | "tblPrChange"
            | "trPrChange"
            | "tcPrChange"
            | "sectPrChange"
            | "tblGridChange"
            | "numberingChange"
            | "tabs"
    )
}

/// The run that is open.
#[derive(Default)]
struct Run {
    is_open: bool,
    is_hidden: bool,
    /// Within `t`, where text is text.
    takes_text: bool,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    style: String,
    outline: Option<u8>,
    list: Option<(String, u8)>,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    cell: String,
}

struct Reader<'a, 'c> {
    composer: &'a mut Composer<'c>,
    styles: Styles,
    lists: Lists,
    /// By kind and id.
    notes: HashMap<(String, String), String>,
    /// Open ones; a text box opens one within another.
    paragraphs: Vec<Paragraph>,
    tables: Vec<Table>,
    /// Notes that the open paragraph or table refers to.
    refers_to: Vec<(String, String)>,
    /// What the open paragraph or table shows.
    figures: Vec<Figure>,
    run: Run,
}

impl Reader<'_, '_> {
    fn open(&mut self, e: &Element) {
        let value = || e.attr("val").unwrap_or_default();
        match e.name() {
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => self.tables.push(Table::default()),
            "r" => self.run = Run { is_open: true, ..Run::default() },
            "t" => self.run.takes_text = true,
            "vanish" | "webHidden" if self.run.is_open => {
                self.run.is_hidden = !matches!(value().as_str(), "0" | "false" | "off");
            }
            "tab" | "ptab" if self.run.is_open => self.push("\t"),
            "br" | "cr" if self.run.is_open => self.push("\n"),
            "noBreakHyphen" => self.push("-"),
            "footnoteReference" => self.refer("footnote", e),
            "endnoteReference" => self.refer("endnote", e),
            "commentReference" => self.refer("comment", e),
            name => {
                let Some(paragraph) = self.paragraphs.last_mut() else { return };
                match name {
                    "pStyle" => paragraph.style = value(),
                    "outlineLvl" => paragraph.outline = value().parse().ok(),
                    "numId" => paragraph.list.get_or_insert_default().0 = value(),
                    "ilvl" => paragraph.list.get_or_insert_default().1 = value().parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.run.takes_text = false,
            "r" => self.run = Run::default(),
            "p" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.end_paragraph(paragraph);
                }
            }
            "tc" => {
                if let Some(table) = self.tables.last_mut() {
                    table.row.push(std::mem::take(&mut table.cell));
                }
            }
            "tr" => {
                if let Some(table) = self.tables.last_mut() {
                    table.rows.push(std::mem::take(&mut table.row));
                }
            }
            "tbl" => {
                if let Some(table) = self.tables.pop() {
                    self.end_table(&table);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.run.takes_text {
            self.push(text);
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut().filter(|_| !self.run.is_hidden) {
            paragraph.text.push_str(text);
        }
    }

    fn refer(&mut self, kind: &str, e: &Element) {
        if !self.run.is_hidden {
            self.refers_to.push((kind.to_owned(), e.attr("id").unwrap_or_default()));
        }
    }

    fn end_paragraph(&mut self, paragraph: Paragraph) {
        if let Some(table) = self.tables.last_mut() {
            if !table.cell.is_empty() && !paragraph.text.is_empty() {
                table.cell.push('\n');
            }
            table.cell.push_str(&paragraph.text);
            return;
        }
        if !paragraph.text.trim().is_empty() {
            self.write(&paragraph);
        }
        self.write_belongings();
    }

    fn write(&mut self, paragraph: &Paragraph) {
        let outline = paragraph.outline.filter(|&level| level < 9).map(|level| Role::Heading(level + 1));
        let style = self.styles.role(&paragraph.style);
        let list = paragraph.list.as_ref().or_else(|| self.styles.list(&paragraph.style));
        match outline.unwrap_or(style) {
            Role::Title => self.composer.heading(1, &paragraph.text),
            Role::Heading(level) => self.composer.heading(level, &paragraph.text),
            Role::Code => self.composer.block(BlockKind::Code, &paragraph.text),
            role => match list.filter(|(id, _)| !id.is_empty() && id != "0") {
                Some((id, level)) => {
                    let item = format!("{}{}", self.lists.mark(id, *level), paragraph.text.trim());
                    self.composer.block(BlockKind::ListItem, &item);
                }
                None if role == Role::ListItem => self.composer.item(&paragraph.text),
                None => self.composer.paragraph(&paragraph.text),
            },
        }
    }

    fn end_table(&mut self, table: &Table) {
        match self.tables.last_mut() {
            // A table within a cell becomes words of that cell.
            Some(outer) => {
                for cell in table.rows.iter().flatten() {
                    outer.cell.push('\n');
                    outer.cell.push_str(cell);
                }
            }
            None => {
                self.composer.table(&table.rows);
                self.write_belongings();
            }
        }
    }

    /// Writes what the paragraph or table that ends shows and refers to.
    fn write_belongings(&mut self) {
        for figure in std::mem::take(&mut self.figures) {
            figure.write(self.composer);
        }
        for key in std::mem::take(&mut self.refers_to) {
            // Each once, however often it is referred to.
            if let Some(note) = self.notes.remove(&key) {
                self.composer.paragraph(&note);
            }
        }
    }

    /// What a file that was cut off leaves open.
    fn rest(&mut self) {
        while let Some(paragraph) = self.paragraphs.pop() {
            self.end_paragraph(paragraph);
        }
        while let Some(mut table) = self.tables.pop() {
            let cell = std::mem::take(&mut table.cell);
            table.row.push(cell);
            let row = std::mem::take(&mut table.row);
            table.rows.push(row);
            self.end_table(&table);
        }
    }
}

/// The texts of footnotes, endnotes or comments; comments with the name of who wrote them.
fn notes_of(source: &str, kind: &str, notes: &mut HashMap<(String, String), String>) {
    let mut xml = Xml::new(source);
    let mut open: Option<(String, String)> = None;
    let mut takes_text = false;
    while let Some(node) = xml.next() {
        match node {
            Node::Open(e) if is_unread(e.name()) => xml.skip_element(),
            Node::Open(e) if e.name() == kind => {
                // Separators between text and notes have a type.
                let is_note = e.attr("type").is_none_or(|t| t == "normal");
                let author = e.attr("author").filter(|a| !a.is_empty());
                let start = author.map(|author| format!("{author}:")).unwrap_or_default();
                open = e.attr("id").filter(|_| is_note).map(|id| (id, start));
            }
            Node::Open(e) => {
                takes_text = e.name() == "t";
                if let Some((_, text)) = open.as_mut().filter(|_| e.name() == "p") {
                    text.push(' ');
                }
            }
            Node::Text(text) => {
                if let Some((_, note)) = open.as_mut().filter(|_| takes_text) {
                    note.push_str(&text);
                }
            }
            Node::Close(name) if name == kind => {
                let closed = open.take().map(|(id, text)| ((kind.to_owned(), id), text.trim().to_owned()));
                notes.extend(closed);
            }
            Node::Close(_) => takes_text = false,
        }
    }
}
