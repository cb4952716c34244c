//! XLSX: a heading for each sheet, a table for each group of rows without a blank row between, then what is drawn
//! on the sheet and noted on its cells.

use super::formats::Formats;
use super::package::{Package, Relation};
use super::shapes::{Place, shapes_of};
use crate::WarningCode;
use crate::archive::Fault;
use crate::compose::Composer;
use crate::table::MAX_CELLS;
use crate::xml::{Element, Node, Xml};

/// As many different texts as cells.
const MAX_STRINGS: usize = MAX_CELLS;

pub(super) fn read(package: &Package<'_>, composer: &mut Composer<'_>) -> Result<(), Fault> {
    let path = package.main_part("xl/workbook.xml");
    let source = package.part(&path)?;
    let relations = package.relations(&path);
    let mut formats = Formats::parse(&package.related(&relations, "styles").unwrap_or_default());
    let strings = shared_strings(package, &package.related(&relations, "sharedStrings").unwrap_or_default());
    let mut n_cells_left = MAX_CELLS;
    let mut n_hidden_sheets = 0;
    let mut has_hidden_cells = false;
    for node in Xml::new(&source) {
        let Node::Open(e) = node else { continue };
        match e.name() {
            "workbookPr" => formats.is_1904 = is_true(e.attr("date1904")),
            "sheet" if e.attr("state").is_some_and(|state| state != "visible") => n_hidden_sheets += 1,
            "sheet" => {
                let id = e.prefixed_attr("r:id").unwrap_or_default();
                let Some(relation) = relations.iter().find(|r| r.id == id && r.kind == "worksheet") else {
                    continue;
                };
                let Some(sheet) = package.optional(&relation.target) else { continue };
                composer.heading(1, &e.attr("name").unwrap_or_default());
                let book = Book { formats: &formats, strings: &strings };
                let mut reader = Sheet::new(&book, composer, &mut n_cells_left);
                reader.read(package, &sheet);
                has_hidden_cells |= reader.has_hidden_cells;
                let sheet_relations = package.relations(&relation.target);
                write_drawing(package, &sheet_relations, composer);
                write_comments(package, &sheet_relations, composer);
            }
            _ => {}
        }
    }
    if n_hidden_sheets > 0 {
        composer.warn(WarningCode::Hidden, format!("hidden sheets were left out ({n_hidden_sheets})"));
    }
    if has_hidden_cells {
        composer.warn(WarningCode::Hidden, "hidden or filtered rows and columns were left out".to_owned());
    }
    if n_cells_left == 0 {
        let message = format!("only the first {MAX_CELLS} cells were read; split it to have the rest");
        composer.warn(WarningCode::Truncated, message);
    }
    Ok(())
}

fn is_true(value: Option<String>) -> bool {
    matches!(value.as_deref(), Some("1" | "true"))
}

/// The texts that cells refer to by number, without phonetic hints.
fn shared_strings(package: &Package<'_>, source: &str) -> Vec<String> {
    let mut strings: Vec<String> = Vec::new();
    let mut xml = Xml::new(source);
    while let Some(node) = xml.next()
        && strings.len() < MAX_STRINGS
    {
        let Node::Open(e) = node else { continue };
        match e.name() {
            "si" => strings.push(String::new()),
            "rPh" => xml.skip_element(),
            "t" => {
                let text = xml.inner_text();
                if let Some(last) = strings.last_mut() {
                    last.push_str(&text);
                }
            }
            _ => {}
        }
    }
    package.note(&xml);
    strings
}

struct Book<'a> {
    formats: &'a Formats,
    strings: &'a [String],
}

/// The cell that is open.
#[derive(Default)]
struct Cell {
    column: u32,
    kind: String,
    style: usize,
    value: String,
}

struct Sheet<'a, 'c> {
    book: &'a Book<'a>,
    composer: &'a mut Composer<'c>,
    n_cells_left: &'a mut usize,
    hidden_columns: Vec<(u32, u32)>,
    has_hidden_cells: bool,
    /// Rows since the last blank one: columns with their texts.
    rows: Vec<Vec<(u32, String)>>,
    n_chars: usize,
    row_number: u32,
    is_row_hidden: bool,
    row: Vec<(u32, String)>,
    /// Where a cell stands that does not say so.
    next_column: u32,
    cell: Cell,
}

impl<'a, 'c> Sheet<'a, 'c> {
    fn new(book: &'a Book<'a>, composer: &'a mut Composer<'c>, n_cells_left: &'a mut usize) -> Self {
        Self {
            book,
            composer,
            n_cells_left,
            hidden_columns: Vec::new(),
            has_hidden_cells: false,
            rows: Vec::new(),
            n_chars: 0,
            row_number: 0,
            is_row_hidden: false,
            row: Vec::new(),
            next_column: 0,
            cell: Cell::default(),
        }
    }

    fn read(&mut self, package: &Package<'_>, source: &str) {
        let mut xml = Xml::new(source);
        while let Some(node) = xml.next()
            && *self.n_cells_left > 0
            && !self.composer.is_full()
        {
            match node {
                Node::Open(e) if e.name() == "rPh" => xml.skip_element(),
                Node::Open(e) if matches!(e.name(), "v" | "t") => self.cell.value += &xml.inner_text(),
                Node::Open(e) => self.open(&e),
                Node::Close(name) if name == "c" => self.end_cell(),
                Node::Close(name) if name == "row" => self.end_row(),
                _ => {}
            }
        }
        package.note(&xml);
        self.end_row();
        self.end_table();
    }

    fn open(&mut self, e: &Element) {
        let number = |name: &str| e.attr(name).and_then(|n| n.parse::<u32>().ok());
        match e.name() {
            "col" if is_true(e.attr("hidden")) => {
                let range = number("min").zip(number("max"));
                self.hidden_columns
                    .extend(range.map(|(min, max)| (min.saturating_sub(1), max.saturating_sub(1))));
            }
            "row" => {
                let row_number = number("r").unwrap_or(self.row_number.saturating_add(1));
                if row_number > self.row_number.saturating_add(1) {
                    self.end_table();
                }
                self.row_number = row_number;
                self.next_column = 0;
                self.is_row_hidden = is_true(e.attr("hidden"));
            }
            "c" => {
                let column = e.attr("r").and_then(|place| column_of(&place)).unwrap_or(self.next_column);
                self.next_column = column.saturating_add(1);
                self.cell = Cell {
                    column,
                    kind: e.attr("t").unwrap_or_default(),
                    style: e.attr("s").and_then(|s| s.parse().ok()).unwrap_or(0),
                    value: String::new(),
                };
            }
            _ => {}
        }
    }

    fn end_cell(&mut self) {
        let value = std::mem::take(&mut self.cell.value);
        let text = match self.cell.kind.as_str() {
            "s" => value
                .trim()
                .parse()
                .ok()
                .and_then(|i: usize| self.book.strings.get(i))
                .cloned()
                .unwrap_or_default(),
            "b" => if value.trim() == "1" { "TRUE" } else { "FALSE" }.to_owned(),
            "" | "n" => self.book.formats.show(&value, self.cell.style),
            _ => value,
        };
        if text.trim().is_empty() {
            return;
        }
        let column = self.cell.column;
        let is_column_hidden = self.hidden_columns.iter().any(|&(min, max)| (min..=max).contains(&column));
        if self.is_row_hidden || is_column_hidden {
            self.has_hidden_cells = true;
            return;
        }
        *self.n_cells_left = self.n_cells_left.saturating_sub(1);
        self.n_chars += text.len();
        self.row.push((column, text));
        if self.n_chars > MAX_TABLE_BYTES {
            self.end_row();
            self.end_table();
        }
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        if !row.is_empty() {
            self.rows.push(row);
        } else if !self.is_row_hidden {
            self.end_table();
        }
    }

    /// Writes the rows. Those above a table that hold one text each are captions.
    fn end_table(&mut self) {
        self.n_chars = 0;
        let rows = std::mem::take(&mut self.rows);
        let mut columns: Vec<u32> = rows.iter().flatten().map(|&(column, _)| column).collect();
        columns.sort_unstable();
        columns.dedup();
        let n_captions = match columns.len() {
            0 | 1 => 0,
            _ => rows.iter().take_while(|row| row.len() == 1).count(),
        };
        for (_, caption) in rows[..n_captions].iter().flatten() {
            self.composer.paragraph(caption);
        }
        let table: Vec<Vec<String>> = rows[n_captions..]
            .iter()
            .map(|row| {
                let mut cells = Vec::with_capacity(row.len());
                for (column, text) in row {
                    let at = columns.partition_point(|c| c < column).min(MAX_SPREAD);
                    if cells.len() <= at {
                        cells.resize(at, String::new());
                        cells.push(text.clone());
                    } else {
                        cells.push(text.clone());
                    }
                }
                cells
            })
            .collect();
        self.composer.table(&table);
    }
}

/// 32 MiB of cells are written before more are read.
const MAX_TABLE_BYTES: usize = 32 << 20;
/// Cells further to the right stand without the empty ones before them.
const MAX_SPREAD: usize = 256;

/// The column of a place such as `AB12`, counted from 0.
fn column_of(place: &str) -> Option<u32> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic).take(4);
    let column = letters.fold(0u32, |sum, b| sum * 26 + u32::from(b.to_ascii_uppercase() - b'A') + 1);
    column.checked_sub(1)
}

/// What is drawn on a sheet: text boxes, titles of charts, diagrams.
fn write_drawing(package: &Package<'_>, sheet: &[Relation], composer: &mut Composer<'_>) {
    let Some(drawing) = sheet.iter().find(|r| r.kind == "drawing") else { return };
    let Some(source) = package.optional(&drawing.target) else { return };
    let shapes = shapes_of(package, &source, &package.relations(&drawing.target), Place::Free);
    shapes.without_values().write_body(composer);
}

/// What is noted on cells, each after the place of its cell.
fn write_comments(package: &Package<'_>, sheet: &[Relation], composer: &mut Composer<'_>) {
    let Some(source) = package.related(sheet, "comments") else { return };
    let mut xml = Xml::new(&source);
    let mut note = String::new();
    while let Some(node) = xml.next() {
        match node {
            Node::Open(e) if e.name() == "comment" => {
                note = format!("{}: ", e.attr("ref").unwrap_or_default());
            }
            Node::Open(e) if e.name() == "t" => note += &xml.inner_text(),
            Node::Close(name) if name == "comment" => composer.paragraph(&note),
            _ => {}
        }
    }
    package.note(&xml);
}
