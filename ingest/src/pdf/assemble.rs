//! The lines of all pages into one text with blocks.

use super::furniture::Parts;
use super::lines::Line;
use crate::BlockKind;
use crate::blocks::ByteBlock;
use std::collections::BTreeMap;

/// Text this much larger than the body is a heading.
const MIN_HEADING_RATIO: f64 = 1.12;
/// Headings are short.
const MAX_HEADING_LINES: usize = 3;
const MAX_HEADING_CHARS: usize = 200;
/// Text this much smaller than the body at the end of a page is a note.
const MAX_NOTE_RATIO: f64 = 0.93;
/// Fewer rows side by side are not yet a table.
const MIN_TABLE_ROWS: usize = 3;

/// The text of a document in the making.
pub(super) struct Assembled {
    pub(super) text: String,
    pub(super) blocks: Vec<ByteBlock>,
    /// Byte at which each page starts.
    pub(super) page_starts: Vec<usize>,
    /// The first heading of the highest level on the first page.
    pub(super) heading: Option<String>,
}

/// Joins pages: lines end with a line break, blocks and pages with a blank line.
///
/// A paragraph that goes on from one page to the next is one block; footnotes and what repeats on
/// pages come after it. Comments follow the text of their page.
pub(super) fn assemble(pages: Vec<Parts>, comments: &[Vec<String>]) -> Assembled {
    let levels = HeadingLevels::of(pages.iter().flat_map(|page| &page.body));
    let mut writer = Writer {
        done: Assembled { text: String::new(), blocks: Vec::new(), page_starts: Vec::new(), heading: None },
        levels,
        due: Vec::new(),
    };
    for (page_idx, page) in pages.iter().enumerate() {
        let next = pages.get(page_idx + 1).map_or(&[][..], |page| &page.body);
        writer.page(page, comments.get(page_idx).map_or(&[][..], Vec::as_slice), next);
    }
    writer.done
}

struct Writer {
    done: Assembled,
    levels: HeadingLevels,
    /// What comes after the open paragraph, because it goes on on the next page.
    due: Vec<(BlockKind, String)>,
}

impl Writer {
    fn page(&mut self, page: &Parts, comments: &[String], next: &[Line]) {
        let mut groups = groups(&page.body);
        let head = page.head.iter().map(|line| (BlockKind::PageFurniture, line.text()));
        let goes_on = !self.due.is_empty();
        if goes_on {
            // The first group goes on with the paragraph before; what was put off comes after it.
            self.done.text.push('\n');
            self.done.page_starts.push(self.done.text.len());
            let group = groups.remove(0);
            push_lines(&mut self.done.text, group.lines);
            if let Some(block) = self.done.blocks.last_mut() {
                block.end = self.done.text.len();
            }
            let due: Vec<_> = std::mem::take(&mut self.due).into_iter().chain(head).collect();
            due.into_iter().for_each(|(kind, text)| self.block(kind, &text));
        } else {
            self.break_before(!page.body.is_empty() || !page.head.is_empty() || !page.foot.is_empty());
            self.done.page_starts.push(self.done.text.len());
            head.for_each(|(kind, text)| self.block(kind, &text));
        }
        let n_notes = groups.iter().rev().take_while(|group| self.levels.is_note(group)).count();
        let n_body = groups.len() - n_notes;
        let runs_on = !(goes_on && n_body == 0)
            && groups[..n_body].last().is_some_and(|last| self.levels.runs_on(last, next));
        let mut after: Vec<(BlockKind, String)> = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            let kind = self.levels.kind(group);
            let mut text = String::new();
            push_lines(&mut text, group.lines);
            if i < n_body {
                self.block(kind, &text);
            } else {
                after.push((kind, text));
            }
        }
        after.extend(comments.iter().map(|text| (BlockKind::Comment, text.clone())));
        after.extend(page.foot.iter().map(|line| (BlockKind::PageFurniture, line.text())));
        if runs_on {
            self.due = after;
            // Something is due, so that the next page knows that it goes on.
            self.due.push((BlockKind::Paragraph, String::new()));
        } else {
            after.into_iter().for_each(|(kind, text)| self.block(kind, &text));
        }
    }

    fn break_before(&mut self, is_wanted: bool) {
        if is_wanted && !self.done.text.is_empty() && !self.done.text.ends_with("\n\n") {
            self.done.text.push_str("\n\n");
        }
    }

    fn block(&mut self, kind: BlockKind, text: &str) {
        if text.is_empty() {
            return;
        }
        self.break_before(true);
        let start = self.done.text.len();
        self.done.text.push_str(text);
        let is_first_page = self.done.page_starts.len() <= 1;
        if is_first_page && kind == (BlockKind::Heading { level: 1 }) && self.done.heading.is_none() {
            self.done.heading = Some(text.replace(['\n', '\t'], " "));
        }
        self.done.blocks.push(ByteBlock { kind, start, end: self.done.text.len() });
    }
}

fn push_lines(text: &mut String, lines: &[Line]) {
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            text.push('\n');
        }
        text.push_str(&line.text());
    }
}

/// Lines that belong together.
struct Group<'a> {
    kind: BlockKind,
    lines: &'a [Line],
}

fn groups(lines: &[Line]) -> Vec<Group<'_>> {
    let spacing = usual_spacing(lines);
    let mut groups = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let n_rows = rest.iter().take_while(|l| l.cells.len() > 1 && l.heading.is_none()).count();
        let (kind, n) = if let Some(heading) = rest[0].heading {
            let n = rest.iter().take_while(|l| l.heading == Some(heading)).count();
            (BlockKind::Heading { level: heading.level }, n)
        } else if n_rows >= MIN_TABLE_ROWS {
            (BlockKind::Table, n_rows)
        } else {
            paragraph(rest, spacing)
        };
        let (group, after) = rest.split_at(n);
        groups.push(Group { kind, lines: group });
        rest = after;
    }
    groups
}

/// The kind of the block that starts with the first line, and its number of lines.
fn paragraph(lines: &[Line], spacing: f64) -> (BlockKind, usize) {
    let is_item = is_list_item(&lines[0].text());
    let mut right = lines[0].to();
    let mut n = 1;
    while n < lines.len() {
        let (last, next) = (&lines[n - 1], &lines[n]);
        let starts_table =
            lines[n..].iter().take(MIN_TABLE_ROWS).filter(|l| l.cells.len() > 1).count() == MIN_TABLE_ROWS;
        if starts_table
            || next.heading.is_some()
            || is_break(last, next, spacing)
            || is_new_paragraph(&lines[..n], next, right)
        {
            break;
        }
        right = right.max(next.to());
        n += 1;
    }
    (if is_item { BlockKind::ListItem } else { BlockKind::Paragraph }, n)
}

/// Whether space or type part two lines.
fn is_break(last: &Line, next: &Line, spacing: f64) -> bool {
    let size = last.size.max(next.size);
    let drop = (last.base - next.base) / size;
    let size_ratio = last.size.min(next.size) / size;
    last.angle != next.angle
        || size_ratio < 1.0 / MIN_HEADING_RATIO
        || drop > spacing * 1.3
        || drop < -0.5
        // A line that starts beyond the end of the one before stands beside it.
        || next.from() > last.to()
}

/// Whether words and indentation start a paragraph.
fn is_new_paragraph(block: &[Line], next: &Line, right: f64) -> bool {
    let last = &block[block.len() - 1];
    let size = last.size;
    let last_text = last.text();
    let is_ended = last_text.ends_with(['.', '!', '?', ':', '”', '"', '。', '！', '？']);
    let is_short = last.to() < right - size * 4.0;
    let is_indented = next.from() > last.from() + size * 0.8 && next.from() < last.from() + size * 5.0;
    is_list_item(&next.text())
        || (is_ended && is_short)
        || (is_ended && is_indented && !is_list_item(&block[0].text()))
}

/// The usual distance of baselines in font sizes, at least that of single-spaced text.
fn usual_spacing(lines: &[Line]) -> f64 {
    let mut drops: Vec<f64> = lines
        .windows(2)
        .map(|pair| (pair[0].base - pair[1].base) / pair[0].size.max(pair[1].size))
        .filter(|drop| (0.8..2.5).contains(drop))
        .collect();
    drops.sort_by(f64::total_cmp);
    drops.get(drops.len() / 2).copied().unwrap_or(1.2).max(1.15)
}

fn is_list_item(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with(['•', '▪', '‣', '●', '○', '◦', '■', '–', '⁃', '·']) {
        return true;
    }
    if text.starts_with("- ") || text.starts_with("* ") {
        return true;
    }
    let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=2).contains(&n_digits)
        && [". ", ") ", ".\t", ")\t"].iter().any(|mark| text[n_digits..].starts_with(mark))
}

/// Which font sizes head text, by how much larger than the body they are.
struct HeadingLevels {
    body_size: f64,
    /// Half points of font size to level.
    levels: BTreeMap<i64, u8>,
}

impl HeadingLevels {
    fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut n_chars: BTreeMap<i64, usize> = BTreeMap::new();
        for line in lines {
            *n_chars.entry(half_points(line.size)).or_default() += line.text().len();
        }
        let body = n_chars.iter().max_by_key(|&(_, n)| n).map_or(0, |(&size, _)| size);
        let body_size = body as f64 / 2.0;
        let larger = n_chars.keys().rev().filter(|&&s| s as f64 / 2.0 >= body_size * MIN_HEADING_RATIO);
        let levels = larger.enumerate().map(|(i, &size)| (size, (i + 1).min(6) as u8)).collect();
        Self { body_size, levels }
    }

    fn kind(&self, group: &Group) -> BlockKind {
        let lines = group.lines;
        if group.kind != BlockKind::Paragraph {
            return group.kind;
        }
        let size = lines[0].size;
        let n_chars: usize = lines.iter().map(|l| l.text().chars().count()).sum();
        let has_words = lines.iter().any(|l| l.text().chars().any(char::is_alphabetic));
        let is_heading = size >= self.body_size * MIN_HEADING_RATIO
            && lines.len() <= MAX_HEADING_LINES
            && (2..=MAX_HEADING_CHARS).contains(&n_chars)
            && has_words;
        match self.levels.get(&half_points(size)) {
            Some(&level) if is_heading => BlockKind::Heading { level },
            _ => BlockKind::Paragraph,
        }
    }

    fn is_note(&self, group: &Group) -> bool {
        group.kind != BlockKind::Table && group.lines.iter().all(|l| l.size < self.body_size * MAX_NOTE_RATIO)
    }

    /// Whether the last paragraph of a page goes on with the first line of the next.
    fn runs_on(&self, last: &Group, next: &[Line]) -> bool {
        let (Some(line), Some(next)) = (last.lines.last(), next.first()) else { return false };
        let (text, next_text) = (line.text(), next.text());
        let is_text = matches!(self.kind(last), BlockKind::Paragraph | BlockKind::ListItem);
        let is_open = !text.ends_with(['.', '!', '?', ':', '”', '"', '。', '！', '？', ')']);
        let goes_on = next_text.chars().next().is_some_and(char::is_lowercase);
        is_text
            && is_open
            && goes_on
            && next.heading.is_none()
            && next.cells.len() == 1
            && line.cells.len() == 1
            && !is_list_item(&next_text)
            && line.angle == next.angle
            && (line.size - next.size).abs() < line.size * 0.05
    }
}

fn half_points(size: f64) -> i64 {
    (size * 2.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::super::lines::Cell;
    use super::*;
    use BlockKind::{Heading, ListItem, Paragraph, Table};

    /// A page of lines: size, drop from the line above, indentation, text with tabs between cells.
    fn page(lines: &[(f64, f64, f64, &str)]) -> Vec<Line> {
        let mut base = 800.0;
        lines
            .iter()
            .map(|&(size, drop, from, text)| {
                base -= drop;
                let cells = text
                    .split('\t')
                    .enumerate()
                    .map(|(i, t)| {
                        let from = from + i as f64 * 100.0;
                        Cell { from, to: from + t.len() as f64 * size / 2.0, text: t.to_owned() }
                    })
                    .collect();
                Line { angle: 0, base, size, cells, heading: None }
            })
            .collect()
    }

    fn body(lines: Vec<Line>) -> Parts {
        Parts { body: lines, ..Parts::default() }
    }

    #[test]
    fn paragraphs_go_on_over_pages() {
        let long = "A paragraph of the body that fills the line";
        let mut first = body(page(&[
            (10.0, 0.0, 0.0, long),
            (10.0, 12.0, 0.0, "and is not ended at the"),
            (7.0, 40.0, 0.0, "1 A note."),
        ]));
        first.foot = page(&[(10.0, 0.0, 0.0, "7")]);
        let mut second = body(page(&[(10.0, 0.0, 0.0, "end of the page."), (10.0, 40.0, 0.0, "More.")]));
        second.head = page(&[(10.0, 0.0, 0.0, "The Book")]);
        let done = assemble(vec![first, second], &[vec!["A comment".to_owned()], Vec::new()]);
        let whole = format!("{long}\nand is not ended at the\nend of the page.");
        let got: Vec<_> = done.blocks.iter().map(|b| (b.kind, &done.text[b.start..b.end])).collect();
        let furniture = BlockKind::PageFurniture;
        assert_eq!(
            got,
            [
                (Paragraph, whole.as_str()),
                (Paragraph, "1 A note."),
                (BlockKind::Comment, "A comment"),
                (furniture, "7"),
                (furniture, "The Book"),
                (Paragraph, "More."),
            ]
        );
        assert!(done.text[done.page_starts[1]..].starts_with("end of the page."));
    }

    #[test]
    fn sizes_gaps_and_marks_make_blocks() {
        let first = page(&[
            (20.0, 0.0, 0.0, "The Title"),
            (10.0, 30.0, 0.0, "A first paragraph that fills the line"),
            (10.0, 12.0, 0.0, "and ends here."),
            (10.0, 12.0, 0.0, "A second one, because the first was done"),
            (10.0, 12.0, 10.0, "and this goes on although it is indented"),
            (14.0, 24.0, 0.0, "Section"),
            (10.0, 14.0, 0.0, "• item of a list"),
            (10.0, 12.0, 8.0, "that goes on"),
            (10.0, 12.0, 0.0, "2. another item"),
            (10.0, 30.0, 0.0, "name\tvalue"),
            (10.0, 12.0, 0.0, "a\t1"),
            (10.0, 12.0, 0.0, "b\t2"),
            (10.0, 12.0, 0.0, "after the table"),
        ]);
        let second = page(&[(10.0, 0.0, 0.0, "next page")]);
        let done = assemble(vec![body(first), body(Vec::new()), body(second)], &[]);
        let got: Vec<_> = done.blocks.iter().map(|b| (b.kind, &done.text[b.start..b.end])).collect();
        assert_eq!(
            got,
            [
                (Heading { level: 1 }, "The Title"),
                (Paragraph, "A first paragraph that fills the line\nand ends here."),
                (
                    Paragraph,
                    "A second one, because the first was done\nand this goes on although it is indented"
                ),
                (Heading { level: 2 }, "Section"),
                (ListItem, "• item of a list\nthat goes on"),
                (ListItem, "2. another item"),
                (Table, "name\tvalue\na\t1\nb\t2"),
                (Paragraph, "after the table"),
                (Paragraph, "next page"),
            ]
        );
        let starts: Vec<&str> = done.page_starts.iter().map(|&at| &done.text[at..]).collect();
        assert!(starts[0].starts_with("The Title"));
        assert_eq!(starts[2], "next page");
        assert_eq!(done.heading.as_deref(), Some("The Title"));
    }
}
