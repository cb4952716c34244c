//! Characters into lines, by where they stand.

use super::glyphs::Glyph;
use super::outline::Heading;
use crate::text::is_right_to_left;
use std::ops::Range;

/// A blank this wide, in font sizes, parts words; usual spaces are .25 to .33, in tightly set lines half of that,
/// kerning below .1.
const MIN_WORD_GAP: f64 = 0.13;
/// A blank this wide parts columns or table cells.
const MIN_CELL_GAP: f64 = 2.0;
/// Characters this far above or below the baseline still belong to the line: sub- and superscripts.
const MAX_BASE_SHIFT: f64 = 0.45;
/// What is filled into a form stands this far above or below its label at most: it has a box around it.
const MAX_FIELD_SHIFT: f64 = 0.7;
/// A step back by more than this starts a new line; less is kerning or an accent.
const MAX_STEP_BACK: f64 = 0.9;

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) angle: i16,
    pub(super) base: f64,
    pub(super) size: f64,
    pub(super) cells: Vec<Cell>,
    /// Set where the outline names the line.
    pub(super) heading: Option<Heading>,
}

/// A part of a line without wide gaps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) text: String,
}

impl Line {
    pub(super) fn from(&self) -> f64 {
        self.cells.iter().map(|c| c.from).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn to(&self) -> f64 {
        self.cells.iter().map(|c| c.to).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The cells' texts with tabs between.
    pub(super) fn text(&self) -> String {
        self.cells.iter().map(|c| c.text.as_str()).collect::<Vec<_>>().join("\t")
    }
}

/// The lines of a page in reading order; the glyphs of `fields` are what was filled into its form.
pub(super) fn lines(glyphs: &[Glyph], fields: Range<usize>) -> Vec<Line> {
    let mut lines = written(glyphs[..fields.start].iter().chain(&glyphs[fields.end..]));
    if is_shuffled(&lines) {
        lines = sorted(lines);
    }
    let mut lines = columns_apart(lines);
    for field in written(&glyphs[fields]) {
        fill_in(&mut lines, field);
    }
    lines
}

/// Lines in the order in which they are written.
fn written<'a>(glyphs: impl IntoIterator<Item = &'a Glyph>) -> Vec<Line> {
    let mut builder = Builder::default();
    for glyph in glyphs {
        builder.add(glyph);
    }
    builder.end_line();
    builder.lines
}

/// Puts what was filled in behind what stands to the left of it, which says what it is, or else below the nearest line
/// above.
fn fill_in(lines: &mut Vec<Line>, field: Line) {
    let below = |line: &Line| line.base - field.base;
    let of_angle = || lines.iter().enumerate().filter(|(_, line)| line.angle == field.angle);
    // The line, the cell of its label, and where that ends.
    let labels =
        of_angle().filter(|(_, line)| below(line).abs() < line.size.max(field.size) * MAX_FIELD_SHIFT);
    let labels =
        labels.flat_map(|(i, line)| line.cells.iter().enumerate().map(move |(n, cell)| (i, n, cell.to)));
    let to_the_left = labels.filter(|(_, _, to)| *to < field.from() + field.size * MAX_STEP_BACK);
    if let Some((i, n, _)) = to_the_left.max_by(|a, b| a.2.total_cmp(&b.2)) {
        lines[i].cells.splice(n + 1..n + 1, field.cells);
        return join_near_cells(&mut lines[i]);
    }
    let above = of_angle()
        .filter(|(_, line)| below(line) > 0.0)
        .min_by(|(_, a), (_, b)| below(a).total_cmp(&below(b)))
        .map_or(0, |(i, _)| i + 1);
    lines.insert(above, field);
}

#[derive(Default)]
struct Builder {
    lines: Vec<Line>,
    open: Option<Open>,
}

/// The line being filled.
struct Open {
    line: Line,
    /// Start and end of the last character.
    last_from: f64,
    last_to: f64,
    blank_due: bool,
    /// Right-to-left text whose characters come in reading order.
    goes_left: bool,
    goes_right: bool,
    /// Right-to-left characters of one glyph, which are in reading order in any case: cell and bytes.
    clusters: Vec<(usize, Range<usize>)>,
}

impl Builder {
    fn add(&mut self, glyph: &Glyph) {
        let Some(step) = self.open.as_ref().and_then(|open| open.step_to(glyph)) else {
            if !glyph.text.is_empty() {
                self.end_line();
                self.open = Some(Open::new(glyph));
            }
            return;
        };
        let open = self.open.as_mut().expect("there is a step from it");
        open.push(glyph, step);
    }

    fn end_line(&mut self) {
        let Some(open) = self.open.take() else { return };
        let mut line = open.line;
        if !open.goes_left {
            for (cell_idx, bytes) in open.clusters {
                let text = &mut line.cells[cell_idx].text;
                let reversed: String = text[bytes.clone()].chars().rev().collect();
                text.replace_range(bytes, &reversed);
            }
            for cell in &mut line.cells {
                if cell.text.chars().any(is_right_to_left) {
                    cell.text = visual_to_logical(&cell.text);
                }
            }
            if line.cells.iter().all(|c| c.text.chars().any(is_right_to_left)) {
                line.cells.reverse();
            }
        }
        self.lines.push(line);
    }
}

/// How a character continues a line.
#[derive(Clone, Copy)]
struct Step {
    /// The blank between, in font sizes.
    gap: f64,
    goes_left: bool,
}

impl Open {
    fn new(glyph: &Glyph) -> Self {
        let cell =
            Cell { from: glyph.from.min(glyph.to), to: glyph.to.max(glyph.from), text: glyph.text.clone() };
        let mut open = Self {
            line: Line {
                angle: glyph.angle,
                base: glyph.base,
                size: glyph.size,
                cells: vec![cell],
                heading: None,
            },
            last_from: glyph.from,
            last_to: glyph.to,
            blank_due: false,
            goes_left: false,
            goes_right: false,
            clusters: Vec::new(),
        };
        open.note_cluster(glyph);
        open
    }

    /// Remembers the glyph just added if it stands for several right-to-left characters. One that stands for words
    /// has them in reading order, and so has its line.
    fn note_cluster(&mut self, glyph: &Glyph) {
        let n_right_to_left = glyph.text.chars().filter(|&c| is_right_to_left(c)).count();
        if n_right_to_left > 0 {
            let is_other = |c: char| c.is_whitespace() || c.is_alphanumeric() && !is_right_to_left(c);
            self.goes_left |= glyph.text.chars().any(is_other);
        }
        if n_right_to_left > 1 {
            let cell_idx = self.line.cells.len() - 1;
            let end = self.line.cells[cell_idx].text.len();
            self.clusters.push((cell_idx, end - glyph.text.len()..end));
        }
    }

    fn last_char(&self) -> char {
        self.line.cells.last().and_then(|c| c.text.chars().next_back()).unwrap_or(' ')
    }

    fn step_to(&self, glyph: &Glyph) -> Option<Step> {
        let size = self.line.size.max(glyph.size);
        if glyph.angle != self.line.angle || (glyph.base - self.line.base).abs() > size * MAX_BASE_SHIFT {
            return None;
        }
        let gap = (glyph.from - self.last_to) / size;
        if gap > -MAX_STEP_BACK {
            return Some(Step { gap, goes_left: false });
        }
        let first = glyph.text.chars().next();
        let is_rtl = first.map_or(self.goes_left, is_right_to_left)
            || (self.goes_left && first.is_some_and(|c| !c.is_alphanumeric()));
        let gap = (self.last_from - glyph.to) / size;
        (is_rtl
            && !self.goes_right
            && is_right_to_left(self.last_char()) | self.goes_left
            && gap > -MAX_STEP_BACK)
            .then_some(Step { gap, goes_left: true })
    }

    fn push(&mut self, glyph: &Glyph, step: Step) {
        if glyph.text.is_empty() {
            self.blank_due = true;
            // Blanks may be wider than drawn; only what is shown moves the line's end.
            (self.last_from, self.last_to) = (glyph.from, glyph.to);
            return;
        }
        self.goes_left |= step.goes_left;
        self.goes_right |= !step.goes_left && step.gap < MIN_CELL_GAP && is_right_to_left(self.last_char());
        let (from, to) = (glyph.from.min(glyph.to), glyph.to.max(glyph.from));
        if step.gap > MIN_CELL_GAP {
            self.line.cells.push(Cell { from, to, text: glyph.text.clone() });
        } else {
            let cell = self.line.cells.last_mut().expect("a line has a cell");
            if self.blank_due || step.gap > MIN_WORD_GAP {
                cell.text.push(' ');
            }
            cell.text.push_str(&glyph.text);
            (cell.from, cell.to) = (cell.from.min(from), cell.to.max(to));
        }
        self.note_cluster(glyph);
        self.blank_due = false;
        // Initials and superscripts must not make the line higher or lower than it is.
        if self.line.cells.len() == 1 && self.line.cells[0].text.chars().nth(3).is_none() {
            self.line.size = self.line.size.min(glyph.size).max(self.line.size * 0.5);
            self.line.base = glyph.base;
        }
        (self.last_from, self.last_to) = (glyph.from, glyph.to);
    }
}

/// Right-to-left text as it looks, from left to right, into reading order: all reversed, but
/// numbers and words of other scripts kept.
fn visual_to_logical(text: &str) -> String {
    let reversed: Vec<char> = text.chars().rev().collect();
    let mut logical = String::with_capacity(text.len());
    let mut i = 0;
    while i < reversed.len() {
        let is_ltr = |c: char| c.is_alphanumeric() && !is_right_to_left(c);
        if !is_ltr(reversed[i]) {
            logical.push(mirrored(reversed[i]));
            i += 1;
            continue;
        }
        // A run of other letters and digits, with single marks and blanks within.
        let mut end = i + 1;
        while end < reversed.len() {
            let joins = !is_right_to_left(reversed[end]) && reversed.get(end + 1).is_some_and(|&c| is_ltr(c));
            if !is_ltr(reversed[end]) && !joins {
                break;
            }
            end += 1;
        }
        logical.extend(reversed[i..end].iter().rev());
        i = end;
    }
    logical
}

fn mirrored(c: char) -> char {
    match c {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        '«' => '»',
        '»' => '«',
        _ => c,
    }
}

/// Whether lines jump upwards so often that the order in the file is not that of reading.
fn is_shuffled(lines: &[Line]) -> bool {
    let n_up = lines
        .windows(2)
        .filter(|pair| pair[0].angle == pair[1].angle && pair[1].base > pair[0].base + pair[0].size)
        .count();
    lines.len() > 8 && n_up * 4 > lines.len()
}

/// From top to bottom, with what stands on one baseline in one line.
fn sorted(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by(|a, b| a.angle.cmp(&b.angle).then(b.base.total_cmp(&a.base)));
    let mut merged: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        match merged.last_mut() {
            Some(last)
                if last.angle == line.angle
                    && (last.base - line.base).abs() < last.size.min(line.size) * MAX_BASE_SHIFT =>
            {
                last.cells.extend(line.cells);
            }
            _ => merged.push(line),
        }
    }
    for line in &mut merged {
        line.cells.sort_by(|a, b| a.from.total_cmp(&b.from));
        join_near_cells(line);
    }
    merged
}

fn join_near_cells(line: &mut Line) {
    let size = line.size;
    line.cells.dedup_by(|next, cell| {
        let gap = (next.from - cell.to) / size;
        if !(-MAX_STEP_BACK..=MIN_CELL_GAP).contains(&gap) {
            return false;
        }
        if gap > MIN_WORD_GAP {
            cell.text.push(' ');
        }
        cell.text.push_str(&next.text);
        cell.to = cell.to.max(next.to);
        true
    });
}

/// Fewer lines side by side are rather a table.
const MIN_COLUMN_LINES: usize = 5;
/// Lines of running text are longer; cells of a table are shorter.
const MIN_COLUMN_CHARS: usize = 25;

/// Lines further apart, in font sizes, end the columns.
const MAX_COLUMN_DROP: f64 = 1.8;

/// Two columns that are written line by line across are put one after the other.
fn columns_apart(lines: Vec<Line>) -> Vec<Line> {
    let mut apart = Vec::with_capacity(lines.len());
    let mut rest = lines.as_slice();
    while let Some(first) = rest.first() {
        let n = n_lines_in_columns(rest);
        let mut columns: [Vec<Line>; 2] = [Vec::new(), Vec::new()];
        for line in &rest[..n] {
            for (i, cell) in line.cells.iter().enumerate() {
                let column = if line.cells.len() == 1 { column_of(first, line) } else { Some(i) };
                let line = Line { cells: vec![cell.clone()], ..line.clone() };
                columns[column.unwrap_or(0)].push(line);
            }
        }
        let n_chars = |lines: &[Line]| lines.iter().map(|l| l.text().chars().count()).sum::<usize>();
        let is_prose =
            columns.iter().all(|c| c.len() >= MIN_COLUMN_LINES && n_chars(c) >= c.len() * MIN_COLUMN_CHARS);
        if is_prose {
            apart.extend(columns.into_iter().flatten());
        } else {
            apart.extend_from_slice(&rest[..n.max(1)]);
        }
        rest = &rest[n.max(1)..];
    }
    apart
}

/// How many lines stand in the same two columns as the first.
fn n_lines_in_columns(lines: &[Line]) -> usize {
    let first = &lines[0];
    let n_near = lines
        .windows(2)
        .take_while(|pair| {
            let drop = (pair[0].base - pair[1].base) / first.size;
            (-0.1..MAX_COLUMN_DROP).contains(&drop)
                && pair[1].size < first.size * 1.1
                && (is_beside(first, &pair[1]) || column_of(first, &pair[1]).is_some())
        })
        .count();
    if first.cells.len() == 2 { n_near + 1 } else { 0 }
}

/// Whether both lines have two cells, the second at the same place.
fn is_beside(first: &Line, line: &Line) -> bool {
    let [_, second] = first.cells.as_slice() else { return false };
    let [_, other] = line.cells.as_slice() else { return false };
    first.angle == line.angle && (second.from - other.from).abs() < first.size
}

/// The column of `first` that a line of one cell stands in.
fn column_of(first: &Line, line: &Line) -> Option<usize> {
    let ([left, right], [cell]) = (first.cells.as_slice(), line.cells.as_slice()) else {
        return None;
    };
    if first.angle != line.angle {
        None
    } else if cell.from > right.from - first.size {
        Some(1)
    } else {
        (cell.from > left.from - first.size && cell.to < right.from).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters of half a font size from `x`, a blank for each space.
    fn glyphs(shown: &[(f64, f64, &str)]) -> Vec<Glyph> {
        let mut all = Vec::new();
        for &(x, base, text) in shown {
            for (i, c) in text.chars().enumerate() {
                let from = x + i as f64 * 5.0;
                let text = c.to_string().trim().to_owned();
                all.push(Glyph { angle: 0, from, to: from + 5.0, base, size: 10.0, text });
            }
        }
        all
    }

    fn check(shown: &[(f64, f64, &str)], want: &[&str]) {
        let got: Vec<String> = lines(&glyphs(shown), 0..0).iter().map(Line::text).collect();
        assert_eq!(got, want, "{shown:?}");
    }

    #[test]
    fn words_and_lines_come_from_positions() {
        check(&[(0.0, 100.0, "one two"), (0.0, 88.0, "three")], &["one two", "three"]);
        // Gaps part words, kerning does not; a wide gap parts cells.
        check(&[(0.0, 0.0, "ab"), (13.0, 0.0, "cd"), (23.5, 0.0, "e"), (60.0, 0.0, "f")], &["ab cde\tf"]);
        // Tightly set words.
        check(&[(0.0, 0.0, "ab"), (11.5, 0.0, "cd")], &["ab cd"]);
        // Superscripts stay on the line; the next line does not.
        check(&[(0.0, 100.0, "ten"), (15.0, 104.0, "2"), (20.0, 100.0, "m")], &["ten2m"]);
        check(&[(0.0, 100.0, "a"), (5.0, 95.0, "b")], &["a", "b"]);
    }

    #[test]
    fn right_to_left_text_comes_in_reading_order() {
        // Written as it looks.
        check(&[(0.0, 0.0, "ב א 12 (גד)")], &["(דג) 12 א ב"]);
        // A glyph of two characters has them in reading order.
        let glyph = |x: f64, text: &str| Glyph {
            angle: 0,
            from: x,
            to: x + 5.0,
            base: 0.0,
            size: 10.0,
            text: text.to_owned(),
        };
        let ligature = [glyph(0.0, "م"), glyph(5.0, "لا"), glyph(10.0, "س")];
        assert_eq!(lines(&ligature, 0..0).iter().map(Line::text).collect::<Vec<_>>(), ["سلام"]);
        // One that stands for words tells that the line is in reading order.
        let words = [glyph(0.0, "לום ab"), glyph(5.0, "c"), glyph(10.0, "עולם")];
        assert_eq!(lines(&words, 0..0).iter().map(Line::text).collect::<Vec<_>>(), ["לום abcעולם"]);
        // Written in reading order, each character to the left of the one before.
        let mut leftwards = Vec::new();
        for (i, c) in "שלום עולם".chars().enumerate() {
            let from = 100.0 - i as f64 * 5.0;
            let text = c.to_string().trim().to_owned();
            leftwards.push(Glyph { angle: 0, from, to: from + 5.0, base: 0.0, size: 10.0, text });
        }
        assert_eq!(lines(&leftwards, 0..0).iter().map(Line::text).collect::<Vec<_>>(), ["שלום עולם"]);
    }

    #[test]
    fn what_is_filled_into_a_form_stands_with_its_label() {
        let labels = glyphs(&[(0.0, 90.0, "name"), (200.0, 90.0, "town"), (0.0, 40.0, "notes")]);
        let filled = glyphs(&[
            (230.0, 88.0, "Bern"),
            (40.0, 88.0, "Ada"),
            (60.0, 40.0, "first"),
            (60.0, 28.0, "second"),
            (0.0, 120.0, "top"),
        ]);
        let (n_labels, all) = (labels.len(), [labels, filled].concat());
        let got: Vec<String> = lines(&all, n_labels..all.len()).iter().map(Line::text).collect();
        assert_eq!(got, ["top", "name Ada\ttown Bern", "notes\tfirst", "second"]);
    }

    #[test]
    fn columns_written_across_are_put_one_after_the_other() {
        let left = "left side of the page with text";
        let right = "right side of the page also so";
        let shown: Vec<(f64, f64, &str)> = (0..6)
            .flat_map(|i| [(0.0, -12.0 * f64::from(i), left), (200.0, -12.0 * f64::from(i), right)])
            .collect();
        check(&shown, &[[left; 6], [right; 6]].concat());
        let uneven = [shown, vec![(0.0, -72.0, left), (0.0, -110.0, "below")]].concat();
        check(&uneven, &[vec![left; 7], vec![right; 6], vec!["below"]].concat());
        // A table is not.
        check(&[(0.0, 0.0, "a"), (90.0, 0.0, "1"), (0.0, -12.0, "b"), (90.0, -12.0, "2")], &["a\t1", "b\t2"]);
    }

    #[test]
    fn shuffled_lines_are_sorted() {
        let shown: Vec<(f64, f64, &str)> = [3, 9, 1, 7, 5, 2, 8, 4, 6, 0]
            .iter()
            .map(|&i| (0.0, f64::from(i) * -12.0, &"abcdefghij"[i as usize..][..1]))
            .collect();
        check(&shown, &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    }
}
