//! Tables of all kinds of OpenDocument, within and without spreadsheets.

use crate::Kind;
use crate::compose::Composer;
use crate::table::MAX_CELLS;
use crate::xml::Element;

/// A row or cell that stands for more of its kind is written at most so often: real ones with
/// content repeat a few times, empty ones fill the sheet.
const MAX_REPEATS: usize = 256;
/// 64 MiB of cells' text: as much as a document's longest text.
const MAX_BYTES: usize = 64 << 20;
/// Longer cells and rows are not repeated: 256 times a row of 4 KiB is a mebibyte.
const MAX_REPEATED_BYTES: usize = 4 << 10;

/// A table that is open.
#[derive(Default)]
struct Table {
    name: String,
    /// Columns that are hidden, from 0 on.
    hidden_columns: Vec<bool>,
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    is_row_hidden: bool,
    n_row_repeats: usize,
    cell: String,
    n_cell_repeats: usize,
    is_in_cell: bool,
}

/// The tables that are open, outermost first.
#[derive(Default)]
pub(super) struct Tables {
    open: Vec<Table>,
    n_cells: usize,
    n_bytes: usize,
    /// Hidden rows or columns were left out.
    pub(super) has_hidden: bool,
}

impl Tables {
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn is_in_cell(&self) -> bool {
        self.open.last().is_some_and(|table| table.is_in_cell)
    }

    /// Adds a paragraph to the open cell.
    pub(super) fn push(&mut self, text: &str) {
        if let Some(table) = self.open.last_mut() {
            if !table.cell.is_empty() && !text.is_empty() {
                table.cell.push('\n');
            }
            table.cell.push_str(text);
        }
    }

    pub(super) fn open(&mut self, e: &Element) {
        let repeats = |name: &str| e.attr(name).and_then(|n| n.parse::<usize>().ok()).unwrap_or(1).max(1);
        let is_hidden = || e.attr("visibility").is_some_and(|v| v == "collapse" || v == "filter");
        match e.name() {
            "table" => {
                let name = e.attr("name").unwrap_or_default();
                self.open.push(Table { name, ..Table::default() });
            }
            name => {
                let has_room = self.has_room();
                let Some(table) = self.open.last_mut() else { return };
                match name {
                    "table-column" => {
                        let hidden = std::iter::repeat_n(
                            is_hidden(),
                            repeats("number-columns-repeated").min(MAX_REPEATS),
                        );
                        table.hidden_columns.extend(hidden.take_while(|_| has_room));
                    }
                    "table-row" => {
                        table.row.clear();
                        table.is_row_hidden = is_hidden();
                        table.n_row_repeats = repeats("number-rows-repeated").min(MAX_REPEATS);
                    }
                    "table-cell" | "covered-table-cell" => {
                        table.cell.clear();
                        table.is_in_cell = has_room;
                        table.n_cell_repeats = repeats("number-columns-repeated").min(MAX_REPEATS);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whether more cells are taken.
    pub(super) fn has_room(&self) -> bool {
        self.n_cells < MAX_CELLS && self.n_bytes < MAX_BYTES
    }

    pub(super) fn close(&mut self, name: &str) {
        let Some(table) = self.open.last_mut() else { return };
        match name {
            "table-cell" | "covered-table-cell" => {
                table.is_in_cell = false;
                let cell = std::mem::take(&mut table.cell);
                // Empty cells that fill a row are dropped when the row ends, by being the last.
                let n_repeats = if cell.len() > MAX_REPEATED_BYTES { 1 } else { table.n_cell_repeats.max(1) };
                self.n_cells += n_repeats;
                self.n_bytes += n_repeats * cell.len();
                table.row.extend(std::iter::repeat_n(cell, n_repeats));
            }
            "table-row" => {
                let mut row = std::mem::take(&mut table.row);
                if table.is_row_hidden {
                    self.has_hidden |= row.iter().any(|cell| !cell.is_empty());
                    return;
                }
                let is_shown = |i: usize| !table.hidden_columns.get(i).copied().unwrap_or(false);
                self.has_hidden |= row.iter().enumerate().any(|(i, cell)| !is_shown(i) && !cell.is_empty());
                let mut i = 0;
                row.retain(|_| {
                    i += 1;
                    is_shown(i - 1)
                });
                let n_used = row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
                row.truncate(n_used);
                let n_row_bytes: usize = row.iter().map(String::len).sum();
                let is_repeated = !row.is_empty() && n_row_bytes <= MAX_REPEATED_BYTES;
                // A row that was not begun has no number.
                let n_repeats = if is_repeated { table.n_row_repeats.max(1) } else { 1 };
                self.n_cells += (n_repeats - 1) * row.len();
                self.n_bytes += (n_repeats - 1) * n_row_bytes;
                table.rows.extend(std::iter::repeat_n(row, n_repeats));
            }
            _ => {}
        }
    }

    /// Ends the innermost table: its rows, unless they became part of an outer cell or were written.
    pub(super) fn close_table(
        &mut self,
        kind: Kind,
        composer: &mut Composer<'_>,
    ) -> Option<Vec<Vec<String>>> {
        let table = self.open.pop()?;
        if self.is_open() {
            for cell in table.rows.iter().flatten() {
                self.push(cell);
            }
            return None;
        }
        if kind != Kind::Ods {
            return Some(table.rows);
        }
        composer.heading(1, &table.name);
        for rows in table.rows.split(|row| row.is_empty()) {
            write_group(rows, composer);
        }
        None
    }
}

/// Writes rows without a blank one between. Those above a table that hold one text are captions.
fn write_group(rows: &[Vec<String>], composer: &mut Composer<'_>) {
    let filled = |row: &Vec<String>| row.iter().filter(|cell| !cell.is_empty()).count();
    let is_table = rows.iter().any(|row| filled(row) > 1);
    let n_captions = if is_table { rows.iter().take_while(|row| filled(row) == 1).count() } else { 0 };
    for caption in rows[..n_captions].iter().flatten() {
        composer.paragraph(caption);
    }
    let rows = &rows[n_captions..];
    // Sheets often start some columns to the right.
    let n_blank =
        rows.iter().map(|row| row.iter().take_while(|cell| cell.is_empty()).count()).min().unwrap_or(0);
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row[n_blank..].to_vec()).collect();
    composer.table(&rows);
}
