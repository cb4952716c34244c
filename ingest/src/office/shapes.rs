//! Shapes of slides and sheets (ECMA-376, DrawingML): text boxes, tables, and the charts and diagrams they show.

use super::figures::{self, Figure};
use super::package::{Package, Relation};
use crate::BlockKind;
use crate::compose::Composer;
use crate::xml::{Element, Node, Xml};

/// What a placeholder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A text box.
    Free,
    Title,
    /// The list of points.
    Body,
    /// Date, footer, number: not the slide's own words.
    Furniture,
}

/// The text of a slide, or of what is drawn on a sheet.
#[derive(Default)]
pub(super) struct Shapes {
    titles: Vec<String>,
    /// In the order of the file.
    body: Vec<Content>,
    pub(super) is_hidden: bool,
}

enum Content {
    Block(BlockKind, String),
    Table(Vec<Vec<String>>),
    Figure(Figure),
}

impl Shapes {
    pub(super) fn write(&self, composer: &mut Composer<'_>) {
        composer.heading(1, &self.titles.join(" "));
        self.write_body(composer);
    }

    /// Without the values of charts, which stand in the sheets that the charts are made from.
    pub(super) fn without_values(mut self) -> Self {
        for content in &mut self.body {
            if let Content::Figure(figure) = content {
                figure.leave_out_values();
            }
        }
        self
    }

    pub(super) fn write_body(&self, composer: &mut Composer<'_>) {
        for content in &self.body {
            match content {
                Content::Block(BlockKind::ListItem, text) => composer.item(text),
                Content::Block(kind, text) => composer.block(*kind, text),
                Content::Table(rows) => composer.table(rows),
                Content::Figure(figure) => figure.write(composer),
            }
        }
    }
}

/// The paragraph that is open.
#[derive(Default)]
struct Paragraph {
    text: String,
    has_bullet: Option<bool>,
    takes_text: bool,
}

/// The shapes of a slide or a drawing, whose body text is of the given place. Charts and diagrams are parts that
/// `relations` lead to.
pub(super) fn shapes_of(package: &Package<'_>, source: &str, relations: &[Relation], body: Place) -> Shapes {
    let mut reader = Reader {
        shapes: Shapes::default(),
        body,
        place: Place::Free,
        paragraph: Paragraph::default(),
        table: None,
    };
    let mut xml = Xml::new(source);
    while let Some(node) = xml.next() {
        match node {
            Node::Open(e) if e.name() == "Fallback" => xml.skip_element(),
            // The number of the slide, the date.
            Node::Open(e) if e.name() == "fld" => xml.skip_element(),
            Node::Open(e) => {
                let is_hidden = e.name() == "cNvPr" && is_true(e.attr("hidden"));
                if is_hidden {
                    reader.place = Place::Furniture;
                } else if let Some(figure) = figures::shown_by(package, relations, &e) {
                    reader.shapes.body.push(Content::Figure(figure));
                } else {
                    reader.open(&e);
                }
            }
            Node::Close(name) => reader.close(&name),
            Node::Text(text) if reader.paragraph.takes_text => reader.paragraph.text.push_str(&text),
            Node::Text(_) => {}
        }
    }
    package.note(&xml);
    reader.shapes
}

fn is_true(value: Option<String>) -> bool {
    matches!(value.as_deref(), Some("1" | "true"))
}

struct Reader {
    shapes: Shapes,
    body: Place,
    place: Place,
    paragraph: Paragraph,
    /// Rows, cells and the open cell of the open table.
    table: Option<(Vec<Vec<String>>, String)>,
}

impl Reader {
    fn open(&mut self, e: &Element) {
        match e.name() {
            "sld" => self.shapes.is_hidden = matches!(e.attr("show").as_deref(), Some("0" | "false")),
            "sp" | "graphicFrame" | "cxnSp" => self.place = Place::Free,
            "ph" if self.place == Place::Furniture => {}
            "ph" => {
                self.place = match e.attr("type").as_deref() {
                    Some("title" | "ctrTitle") => Place::Title,
                    Some("dt" | "ftr" | "sldNum" | "hdr" | "sldImg") => Place::Furniture,
                    Some("subTitle") => Place::Free,
                    _ => self.body,
                }
            }
            "tbl" => self.table = Some((Vec::new(), String::new())),
            "tr" => {
                if let Some((rows, _)) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            "p" => self.paragraph = Paragraph::default(),
            "buNone" => self.paragraph.has_bullet = Some(false),
            "buChar" | "buAutoNum" | "buBlip" => self.paragraph.has_bullet = Some(true),
            "t" => self.paragraph.takes_text = true,
            "br" => self.paragraph.text.push('\n'),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.paragraph.takes_text = false,
            "p" => self.end_paragraph(),
            "tc" => {
                if let Some((rows, cell)) = &mut self.table
                    && let Some(row) = rows.last_mut()
                {
                    row.push(std::mem::take(cell));
                }
            }
            "tbl" => {
                let table = self.table.take().map(|(rows, _)| Content::Table(rows));
                self.shapes.body.extend(table);
            }
            "sp" => self.place = Place::Free,
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let Paragraph { text, has_bullet, .. } = std::mem::take(&mut self.paragraph);
        if text.trim().is_empty() {
            return;
        }
        if let Some((_, cell)) = &mut self.table {
            if !cell.is_empty() {
                cell.push('\n');
            }
            cell.push_str(&text);
            return;
        }
        let is_item = has_bullet.unwrap_or(self.place == Place::Body);
        match self.place {
            Place::Title => self.shapes.titles.push(text),
            Place::Furniture => {}
            _ if is_item => self.shapes.body.push(Content::Block(BlockKind::ListItem, text)),
            _ => self.shapes.body.push(Content::Block(BlockKind::Paragraph, text)),
        }
    }
}
