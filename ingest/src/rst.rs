//! reStructuredText: the text stays verbatim, this only says where blocks are.

use crate::BlockKind;
use crate::blocks::ByteBlock;

/// A simple table whose end is not found within so many lines is a paragraph's worth.
const MAX_TABLE_LINES: usize = 200;

/// The title and the blocks of a text, ascending.
pub(crate) fn parse(text: &str) -> (Option<String>, Vec<ByteBlock>) {
    let lines = Lines::new(text);
    let mut walk = Walk { lines: &lines, adornments: Vec::new(), blocks: Vec::new(), title: None };
    let mut at = 0;
    while at < lines.len() {
        at = walk.block(at).max(at + 1);
    }
    (walk.title, walk.blocks)
}

/// A heading's words, without the lines under and over it.
pub(crate) fn plain_heading(source: &str) -> String {
    let words = source.lines().map(str::trim).filter(|line| adornment(line).is_none());
    words.collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The character of a line that is only one punctuation character, repeated.
fn adornment(line: &str) -> Option<char> {
    let line = line.trim_end();
    let first = line.chars().next().filter(char::is_ascii_punctuation)?;
    (line.len() >= 2 && line.chars().all(|c| c == first)).then_some(first)
}

/// The lines of a text with where they start.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1));
        Self { text, starts: starts.filter(|&start| start < text.len()).collect() }
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }

    /// The line without its end; past the last one, an empty one.
    fn get(&self, line: usize) -> &'a str {
        self.text[self.start(line)..self.start(line + 1)].trim_end()
    }

    fn indent(&self, line: usize) -> usize {
        let line = self.get(line);
        line.len() - line.trim_start().len()
    }

    /// The first line from `from` on that is not blank and indented by less than `indent`.
    fn end_of_indented(&self, from: usize, indent: usize) -> usize {
        let is_outside = |&line: &usize| !self.get(line).is_empty() && self.indent(line) < indent;
        (from..self.len()).find(is_outside).unwrap_or(self.len())
    }

    /// The first blank line from `from` on.
    fn end_of_paragraph(&self, from: usize) -> usize {
        (from..self.len()).find(|&line| self.get(line).is_empty()).unwrap_or(self.len())
    }
}

struct Walk<'a> {
    lines: &'a Lines<'a>,
    /// Characters of headings and whether a line is over them too, in the order of their levels.
    adornments: Vec<(char, bool)>,
    blocks: Vec<ByteBlock>,
    title: Option<String>,
}

impl Walk<'_> {
    /// Takes the block that starts at a line; the line after it comes back.
    fn block(&mut self, at: usize) -> usize {
        let lines = self.lines;
        let line = lines.get(at);
        if line.is_empty() {
            return at + 1;
        }
        if let Some(end) = self.heading(at) {
            return end;
        }
        let trimmed = line.trim_start();
        let indent = lines.indent(at);
        if let Some(directive) = trimmed.strip_prefix(".. ") {
            let is_code = ["code", "code-block", "sourcecode", "parsed-literal", "literalinclude", "math"]
                .iter()
                .any(|name| directive.strip_prefix(name).is_some_and(|rest| rest.starts_with("::")));
            let is_table = ["csv-table::", "list-table::"].iter().any(|name| directive.starts_with(name));
            if is_code || is_table {
                let end = lines.end_of_indented(at + 1, indent + 1);
                return self.take(if is_code { BlockKind::Code } else { BlockKind::Table }, at, end);
            }
        }
        if trimmed.starts_with("+-") || trimmed.starts_with("+=") || is_simple_rule(trimmed) {
            return self.take(BlockKind::Table, at, self.end_of_table(at));
        }
        if is_item(trimmed) {
            // Up to the next item, or what is not indented any more.
            let end = (at + 1..lines.end_of_paragraph(at))
                .find(|&line| is_item(lines.get(line).trim_start()))
                .unwrap_or_else(|| lines.end_of_paragraph(at));
            return self.take(BlockKind::ListItem, at, end);
        }
        let end = (at + 1..lines.end_of_paragraph(at))
            .find(|&line| self.heading_level(line).is_some())
            .unwrap_or_else(|| lines.end_of_paragraph(at));
        self.take(BlockKind::Paragraph, at, end);
        if lines.get(end.max(1) - 1).ends_with("::") {
            return self.literal(end, indent);
        }
        end
    }

    /// The literal block that a paragraph ending in `::` announces.
    fn literal(&mut self, from: usize, indent: usize) -> usize {
        let lines = self.lines;
        let start = (from..lines.len()).find(|&line| !lines.get(line).is_empty()).unwrap_or(lines.len());
        if lines.indent(start) <= indent {
            return from;
        }
        self.take(BlockKind::Code, start, lines.end_of_indented(start, indent + 1))
    }

    fn take(&mut self, kind: BlockKind, at: usize, end: usize) -> usize {
        let (start, end_byte) = (self.lines.start(at), self.lines.start(end));
        self.blocks.push(ByteBlock { kind, start, end: end_byte });
        end
    }

    fn heading(&mut self, at: usize) -> Option<usize> {
        let (adornment, n_lines) = self.heading_level(at)?;
        let known = self.adornments.iter().position(|&known| known == adornment);
        let level = known.unwrap_or_else(|| {
            self.adornments.push(adornment);
            self.adornments.len() - 1
        });
        let level = level.min(5) as u8 + 1;
        let words = plain_heading(&self.lines.text[self.lines.start(at)..self.lines.start(at + n_lines)]);
        self.title.get_or_insert(words);
        Some(self.take(BlockKind::Heading { level }, at, at + n_lines))
    }

    /// What marks the heading at a line, and how many lines it has.
    fn heading_level(&self, at: usize) -> Option<((char, bool), usize)> {
        let lines = self.lines;
        let n_chars = |line: usize| lines.get(line).chars().count();
        let (first, second, third) = (lines.get(at), lines.get(at + 1), lines.get(at + 2));
        if let Some(c) = adornment(first)
            && adornment(third) == Some(c)
            && !second.trim().is_empty()
            && adornment(second).is_none()
            && n_chars(at) >= n_chars(at + 1).min(4)
        {
            return Some(((c, true), 3));
        }
        let is_text = !first.is_empty() && !first.starts_with(' ') && adornment(first).is_none();
        let c = adornment(second).filter(|_| is_text && n_chars(at + 1) >= n_chars(at).min(4))?;
        // Within a paragraph nothing is underlined.
        let is_first = at == 0 || lines.get(at - 1).is_empty() || adornment(lines.get(at - 1)).is_some();
        is_first.then_some(((c, false), 2))
    }

    /// Grid tables end with the paragraph; simple ones with their last rule before a blank line.
    fn end_of_table(&self, at: usize) -> usize {
        let lines = self.lines;
        if lines.get(at).trim_start().starts_with('+') {
            return lines.end_of_paragraph(at);
        }
        let is_last =
            |&line: &usize| is_simple_rule(lines.get(line).trim_start()) && lines.get(line + 1).is_empty();
        let candidates = at + 1..lines.len().min(at + MAX_TABLE_LINES);
        candidates.into_iter().find(is_last).map_or_else(|| lines.end_of_paragraph(at), |line| line + 1)
    }
}

/// A rule of a simple table: two or more columns of `=`.
fn is_simple_rule(line: &str) -> bool {
    let mut columns = line.split(' ').filter(|column| !column.is_empty());
    columns.clone().count() > 1 && columns.all(|column| column.len() > 1 && column.bytes().all(|b| b == b'='))
}

/// A bullet, a number or a field.
fn is_item(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == '#');
    let is_numbered = rest.len() < line.len() && (rest.starts_with(". ") || rest.starts_with(") "));
    is_numbered || ["- ", "* ", "+ ", "• "].iter().any(|mark| line.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::complete;
    use BlockKind::{Code, Heading, ListItem, Paragraph, Table};

    fn check(text: &str, want: &[(BlockKind, &str)]) {
        let blocks = complete(text, parse(text).1);
        let got: Vec<_> = blocks.iter().map(|b| (b.kind, &text[b.start..b.end])).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn headings_by_the_order_of_their_marks() {
        check(
            "====\nTop\n====\n\nOne\n===\ntext\n\nTwo\n---\n\nThree\n=====\n",
            &[
                (Heading { level: 1 }, "====\nTop\n===="),
                (Heading { level: 2 }, "One\n==="),
                (Paragraph, "text"),
                (Heading { level: 3 }, "Two\n---"),
                (Heading { level: 2 }, "Three\n====="),
            ],
        );
        assert_eq!(parse("Über uns\n********\n").0.as_deref(), Some("Über uns"));
        check(
            "a line\nanother\n\n----\n\nend",
            &[(Paragraph, "a line\nanother"), (Paragraph, "----"), (Paragraph, "end")],
        );
    }

    #[test]
    fn lists_code_and_tables() {
        check(
            "- one\n- two\n  more\n\n1. first\n",
            &[(ListItem, "- one"), (ListItem, "- two\n  more"), (ListItem, "1. first")],
        );
        check(
            "Run::\n\n   make\n\n   make install\n\nThen go.",
            &[(Paragraph, "Run::"), (Code, "make\n\n   make install"), (Paragraph, "Then go.")],
        );
        check(
            ".. code-block:: python\n\n   a = 1\n\nb\n\n.. note:: mind",
            &[(Code, ".. code-block:: python\n\n   a = 1"), (Paragraph, "b"), (Paragraph, ".. note:: mind")],
        );
        check(
            "=== ===\na   b\n=== ===\n1   2\n\n3   4\n=== ===\n\n+--+\n|x |\n+--+\n",
            &[(Table, "=== ===\na   b\n=== ===\n1   2\n\n3   4\n=== ==="), (Table, "+--+\n|x |\n+--+")],
        );
    }
}
