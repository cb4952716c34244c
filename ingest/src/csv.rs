//! Comma-separated values (RFC 4180), whatever the separator is.

use crate::table::MAX_CELLS;

const SEPARATORS: [char; 4] = ['\t', ';', ',', '|'];
/// Lines that are looked at to find the separator.
const MAX_SNIFF_LINES: usize = 50;

/// Rows of cells, and whether some were left out.
pub(crate) struct Sheet {
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) is_cut: bool,
}

/// Reads a table. Cells in quotes may hold separators, quotes (doubled) and line breaks.
pub(crate) fn parse(text: &str) -> Sheet {
    // Excel tells the separator in a line of its own.
    let told = text.lines().next().and_then(|line| line.strip_prefix("sep=")?.trim_end().chars().next());
    let (text, separator) = match told {
        Some(separator) => (text.split_once('\n').map_or("", |(_, rest)| rest), separator),
        None => (text, separator_of(text).unwrap_or(',')),
    };
    let mut rows = Vec::new();
    let (mut row, mut cell) = (Vec::new(), String::new());
    let (mut n_cells, mut is_quoted) = (0, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                is_quoted = true;
            }
            c if is_quoted => cell.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c if c == separator => {
                row.push(std::mem::take(&mut cell));
                n_cells += 1;
                if n_cells >= MAX_CELLS {
                    rows.push(row);
                    return Sheet { rows, is_cut: true };
                }
            }
            c => cell.push(c),
        }
    }
    row.push(cell);
    rows.push(row);
    Sheet { rows, is_cut: false }
}

/// The separator that stands equally often in each of the first lines; `None` if none does.
pub(crate) fn separator_of(text: &str) -> Option<char> {
    let best = SEPARATORS.map(|separator| {
        let counts: Vec<usize> = lines(text).map(|line| count(line, separator)).collect();
        let usual = median(&counts);
        let n_usual = counts.iter().filter(|&&n| n == usual).count();
        // Nine of ten lines agree: a note above the table, or a line break within quotes.
        let agrees = usual > 0 && n_usual * 10 >= counts.len() * 9;
        (if agrees { usual } else { 0 }, separator)
    });
    let (n, separator) = best.into_iter().max_by_key(|&(n, _)| n)?;
    (n > 0).then_some(separator).or_else(|| {
        // Nothing agrees: what the first line is divided by.
        let first = lines(text).next()?;
        SEPARATORS.into_iter().filter(|&s| count(first, s) > 0).max_by_key(|&s| count(first, s))
    })
}

/// Whether text of which nothing else is known is a table: many lines, all divided alike.
pub(crate) fn looks_like_table(text: &str) -> bool {
    // The last line may be cut.
    let all: Vec<&str> = lines(text).collect();
    let whole =
        if text.ends_with('\n') { all.as_slice() } else { all.split_last().map_or(&[][..], |(_, l)| l) };
    let alike = |separator: char, min: usize| {
        let n = whole.first().map_or(0, |line| count(line, separator));
        n >= min && whole.iter().all(|line| count(line, separator) == n)
    };
    // Prose has commas, hardly ever the same number in each line, and no tabs.
    whole.len() >= 4 && (alike('\t', 1) || alike(';', 2) || alike(',', 2))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty()).take(MAX_SNIFF_LINES)
}

/// How often the separator stands outside of quotes.
fn count(line: &str, separator: char) -> usize {
    let mut is_quoted = false;
    line.chars()
        .filter(|&c| {
            is_quoted ^= c == '"';
            c == separator && !is_quoted
        })
        .count()
}

fn median(counts: &[usize]) -> usize {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_quotes() {
        for (text, want) in [
            ("a,b\n1,\"x, \"\"y\"\"\nz\"\r\n", "[[\"a\", \"b\"], [\"1\", \"x, \\\"y\\\"\\nz\"], [\"\"]]"),
            ("a;b\n1,5;2", "[[\"a\", \"b\"], [\"1,5\", \"2\"]]"),
            ("a\tb\n1\t2", "[[\"a\", \"b\"], [\"1\", \"2\"]]"),
            ("sep=|\na|b,c", "[[\"a\", \"b,c\"]]"),
            ("one\ntwo", "[[\"one\"], [\"two\"]]"),
            ("5\" pipe,2", "[[\"5\\\" pipe\", \"2\"]]"),
            ("\"open, and", "[[\"open, and\"]]"),
        ] {
            assert_eq!(format!("{:?}", parse(text).rows), want);
        }
    }

    #[test]
    fn tables_are_told_from_prose() {
        for (text, want) in [
            ("a,b,c\n1,2,3\n4,5,6\n7,8,9\n", true),
            ("a\tb\n1\t2\n3\t4\n5\t6\n7\t", true),
            ("One, two, three.\nFour, five.\nSix.\nSeven, eight, nine.\n", false),
            ("a,b,c\n1,2,3\n", false),
            ("", false),
        ] {
            assert_eq!(looks_like_table(text), want, "{text}");
        }
    }
}
