//! Lines of all pages into one text with blocks.

use super::lines::Line;
use crate::BlockKind;
use crate::blocks::ByteBlock;
use std::collections::BTreeMap;

/// Text this much larger than the body is a heading.
const MIN_HEADING_RATIO: f64 = 1.12;
/// Headings are short.
const MAX_HEADING_LINES: usize = 3;
const MAX_HEADING_CHARS: usize = 200;
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
pub(super) fn assemble(pages: &[Vec<Line>]) -> Assembled {
    let levels = HeadingLevels::of(pages);
    let mut done =
        Assembled { text: String::new(), blocks: Vec::new(), page_starts: Vec::new(), heading: None };
    for (page_idx, lines) in pages.iter().enumerate() {
        let groups = groups(lines);
        if !done.text.is_empty() && !groups.is_empty() {
            done.text.push_str("\n\n");
        }
        done.page_starts.push(done.text.len());
        for (i, group) in groups.iter().enumerate() {
            if i > 0 {
                done.text.push_str("\n\n");
            }
            let kind = match group.kind {
                BlockKind::Paragraph => levels.kind(group.lines),
                other => other,
            };
            let start = done.text.len();
            for (i, line) in group.lines.iter().enumerate() {
                if i > 0 {
                    done.text.push('\n');
                }
                done.text.push_str(&line.text());
            }
            let end = done.text.len();
            if page_idx == 0 && kind == (BlockKind::Heading { level: 1 }) && done.heading.is_none() {
                done.heading = Some(done.text[start..end].replace(['\n', '\t'], " "));
            }
            done.blocks.push(ByteBlock { kind, start, end });
        }
    }
    done
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
        let n_rows = rest.iter().take_while(|l| l.cells.len() > 1).count();
        let (kind, n) =
            if n_rows >= MIN_TABLE_ROWS { (BlockKind::Table, n_rows) } else { paragraph(rest, spacing) };
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
        if starts_table || is_break(last, next, spacing) || is_new_paragraph(&lines[..n], next, right) {
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
    fn of(pages: &[Vec<Line>]) -> Self {
        let mut n_chars: BTreeMap<i64, usize> = BTreeMap::new();
        for line in pages.iter().flatten() {
            *n_chars.entry(half_points(line.size)).or_default() += line.text().len();
        }
        let body = n_chars.iter().max_by_key(|&(_, n)| n).map_or(0, |(&size, _)| size);
        let body_size = body as f64 / 2.0;
        let larger = n_chars.keys().rev().filter(|&&s| s as f64 / 2.0 >= body_size * MIN_HEADING_RATIO);
        let levels = larger.enumerate().map(|(i, &size)| (size, (i + 1).min(6) as u8)).collect();
        Self { body_size, levels }
    }

    fn kind(&self, lines: &[Line]) -> BlockKind {
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
                Line { angle: 0, base, size, cells }
            })
            .collect()
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
        let done = assemble(&[first, Vec::new(), second]);
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
