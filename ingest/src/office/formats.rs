//! How a workbook shows its numbers: dates, percentages and plain numbers.

use crate::xml::{Node, Xml};
use std::collections::HashMap;

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Date,
    Percent,
}

/// The formats of a workbook's cell styles.
#[derive(Default)]
pub(super) struct Formats {
    by_style: Vec<Format>,
    /// Days are counted from 1904 instead of 1900.
    pub(super) is_1904: bool,
}

/// Workbooks may have 65,490 cell styles.
const MAX_STYLES: usize = 1 << 17;

impl Formats {
    pub(super) fn parse(source: &str) -> Self {
        let mut codes: HashMap<u32, String> = HashMap::new();
        let mut by_style = Vec::new();
        let mut is_in_cells = false;
        for node in Xml::new(source) {
            match node {
                Node::Open(e) => match e.name() {
                    "numFmt" => {
                        let id = e.attr("numFmtId").and_then(|id| id.parse().ok());
                        codes.extend(id.zip(e.attr("formatCode")));
                    }
                    "cellXfs" => is_in_cells = true,
                    "xf" if is_in_cells && by_style.len() < MAX_STYLES => {
                        let id = e.attr("numFmtId").and_then(|id| id.parse().ok()).unwrap_or(0);
                        by_style.push(codes.get(&id).map_or_else(|| built_in(id), |code| by_code(code)));
                    }
                    _ => {}
                },
                Node::Close(name) if name == "cellXfs" => is_in_cells = false,
                _ => {}
            }
        }
        Self { by_style, is_1904: false }
    }

    /// A number as the cell shows it; text that is no number stays.
    pub(super) fn show(&self, number: &str, style: usize) -> String {
        show_as(number, self.by_style.get(style).copied().unwrap_or(Format::Plain), self.is_1904)
    }
}

/// A number as a chart shows it by a format's code; text that is no number stays.
pub(super) fn show_by_code(number: &str, code: &str) -> String {
    show_as(number, by_code(code), false)
}

fn show_as(number: &str, format: Format, is_1904: bool) -> String {
    let Ok(value) = number.trim().parse::<f64>() else { return number.to_owned() };
    match format {
        Format::Plain => plain(value),
        Format::Percent => format!("{}%", plain(value * 100.0)),
        Format::Date => date(value, is_1904).unwrap_or_else(|| plain(value)),
    }
}

/// The formats that need no code (ECMA-376, part 1, 18.8.30).
fn built_in(id: u32) -> Format {
    match id {
        9 | 10 => Format::Percent,
        14..=22 | 27..=36 | 45..=47 | 50..=58 => Format::Date,
        _ => Format::Plain,
    }
}

/// What a code such as `yyyy\-mm\-dd` or `0.0%` is for, quoted words and colours left out.
fn by_code(code: &str) -> Format {
    let mut letters = String::new();
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => drop(chars.by_ref().find(|&c| c == '"')),
            '\\' | '_' | '*' => drop(chars.next()),
            '[' => {
                let inside: String = chars.by_ref().take_while(|&c| c != ']').collect();
                // Hours, minutes or seconds beyond a day; everything else is a colour or a condition.
                if ["h", "hh", "m", "mm", "s", "ss"].contains(&inside.to_lowercase().as_str()) {
                    letters.push('h');
                }
            }
            c => letters.extend(c.to_lowercase()),
        }
    }
    if letters.contains('%') {
        Format::Percent
    } else if !letters.contains("general") && letters.contains(['y', 'm', 'd', 'h', 's']) {
        Format::Date
    } else {
        Format::Plain
    }
}

/// 15 significant digits, as many as a workbook shows.
pub(crate) fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    if (1e-6..1e15).contains(&rounded.abs()) { rounded.to_string() } else { format!("{rounded:e}") }
}

/// A day number with its fraction as `2024-01-31 12:30:00`, whole days and mere times shortened.
fn date(value: f64, is_1904: bool) -> Option<String> {
    // Up to the year 9999.
    if !(0.0..2_958_466.0).contains(&value) {
        return None;
    }
    let n_seconds = (value * 86_400.0).round() as i64;
    let (days, seconds) = (n_seconds / 86_400, n_seconds % 86_400);
    let time = match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (h, m, 0) => format!("{h:02}:{m:02}"),
        (h, m, s) => format!("{h:02}:{m:02}:{s:02}"),
    };
    if days == 0 && !is_1904 {
        return Some(time);
    }
    // Day 60 of the 1900 system is the 29th of February 1900, which never was.
    let since_1900 = if is_1904 { days + 1_462 } else { days + i64::from(days < 60) };
    let date = civil(since_1900 - 25_569);
    Some(if seconds == 0 { date } else { format!("{date} {time}") })
}

/// Days since 1970-01-01 as a date of the Gregorian calendar (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
fn civil(days: i64) -> String {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_the_workbook() {
        for (value, want) in
            [(0.1 + 0.2, "0.3"), (1.0, "1"), (-1234567.5, "-1234567.5"), (1e20, "1e20"), (1.5e-9, "1.5e-9")]
        {
            assert_eq!(plain(value), want);
        }
    }

    #[test]
    fn dates_and_times() {
        for (value, is_1904, want) in [
            (45322.0, false, Some("2024-01-31")),
            (45322.520833333336, false, Some("2024-01-31 12:30")),
            (0.25, false, Some("06:00")),
            (1.0, false, Some("1900-01-01")),
            (61.0, false, Some("1900-03-01")),
            (43860.0, true, Some("2024-01-31")),
            (-1.0, false, None),
            (f64::NAN, false, None),
        ] {
            assert_eq!(date(value, is_1904).as_deref(), want, "{value}");
        }
    }

    #[test]
    fn codes() {
        for (code, want) in [
            ("yyyy\\-mm\\-dd", Format::Date),
            ("[h]:mm", Format::Date),
            ("0.00%", Format::Percent),
            ("#,##0.00 \"days\"", Format::Plain),
            ("[Red]0", Format::Plain),
            ("General", Format::Plain),
            ("0.00E+00", Format::Plain),
        ] {
            assert_eq!(by_code(code), want, "{code}");
        }
    }
}
