//! Tables as text: a line for each row, bars between cells.
//!
//! A table that will not fit into one passage has its column names repeated in every row
//! (`name: value | name: value`), so that a passage from its middle can still be understood.

/// A million cells are more than all but a few workbooks have; each takes some 60 bytes.
pub(crate) const MAX_CELLS: usize = 1 << 20;

/// Longer tables repeat their column names. Code points; a passage has about 1,000.
const MAX_PLAIN_CHARS: usize = 800;
/// Longer cells in the first row are no column names. Code points.
const MAX_NAME_CHARS: usize = 60;

/// The lines of a table, rows from top to bottom. Cells' own line breaks become blanks.
pub(crate) fn lines(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let rows: Vec<&Vec<String>> = rows.iter().filter(|row| row.iter().any(|c| !c.is_empty())).collect();
    let n_chars: usize = rows.iter().flat_map(|row| row.iter()).map(|cell| cell.len() + 3).sum();
    let names = rows.first().filter(|_| n_chars > MAX_PLAIN_CHARS && has_names(&rows));
    let mut text = String::with_capacity(n_chars);
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            text.push('\n');
        }
        match names {
            Some(names) if i > 0 => named(&mut text, names, row),
            _ => plain(&mut text, row),
        }
    }
    text
}

fn plain(text: &mut String, row: &[String]) {
    let n_used = row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
    for (i, cell) in row[..n_used].iter().enumerate() {
        if i > 0 {
            text.push_str(if cell.is_empty() { " |" } else { " | " });
        }
        text.push_str(cell);
    }
}

fn named(text: &mut String, names: &[String], row: &[String]) {
    let mut is_first = true;
    for (i, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
        if !is_first {
            text.push_str(" | ");
        }
        is_first = false;
        if let Some(name) = names.get(i).filter(|name| !name.is_empty()) {
            text.push_str(name);
            text.push_str(": ");
        }
        text.push_str(cell);
    }
}

/// Whether the first row names the columns: a short, different text for each, the first one may be
/// left out; numbers only if they are years.
fn has_names(rows: &[&Vec<String>]) -> bool {
    let [names, rest @ ..] = rows else { return false };
    let n_columns = rest.iter().map(|row| row.len()).max().unwrap_or(0);
    let is_name = |name: &String| {
        let is_year = name.parse::<u32>().is_ok_and(|year| (1800..2200).contains(&year));
        !name.is_empty()
            && name.chars().count() <= MAX_NAME_CHARS
            && (is_year || name.chars().any(char::is_alphabetic))
    };
    let mut known: Vec<&String> = names.iter().collect();
    known.sort();
    known.dedup();
    names.len() >= 2
        && n_columns <= names.len()
        && known.len() == names.len()
        && names.iter().enumerate().all(|(i, name)| is_name(name) || (i == 0 && name.is_empty()))
}

fn one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[&[&str]], want: &str) {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
        assert_eq!(lines(&rows), want);
    }

    #[test]
    fn small_tables_stand_as_they_are() {
        check(
            &[&["a", "b"], &["1", " two\nlines "], &["", ""], &["", "x", ""]],
            "a | b\n1 | two lines\n | x",
        );
        check(&[&["a", "", "c", ""]], "a | | c");
        check(&[], "");
    }

    #[test]
    fn long_tables_repeat_their_names() {
        let long = "word ".repeat(200);
        let long = long.trim();
        check(
            &[&["", "place", "2020"], &["x", long, "7"]],
            &format!(" | place | 2020\nx | place: {long} | 2020: 7"),
        );
        // Twice the same name, a number, or more cells than names: no names.
        check(&[&["a", "a"], &[long, "7"]], &format!("a | a\n{long} | 7"));
        check(&[&["a", "7"], &[long, "7"]], &format!("a | 7\n{long} | 7"));
        check(&[&["a", "b"], &[long, "7", "8"]], &format!("a | b\n{long} | 7 | 8"));
    }
}
