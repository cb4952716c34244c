//! What repeats from page to page: running titles and page numbers.

use super::lines::Line;
use std::collections::{HashMap, HashSet};

/// Lines at the top and at the bottom of a page that may repeat.
const MAX_ZONE_LINES: usize = 3;
/// Pages before and after on which a line must be found again: titles of left and right pages differ.
const REACH: usize = 4;
/// Other pages in reach that must have the line.
const MIN_REPEATS: usize = 2;
/// Larger lines, against the size of most text, are headings: those of slides do repeat.
const MAX_SIZE_RATIO: f64 = 1.1;
/// How far the baselines of repeated lines may differ, in font sizes.
const MAX_SHIFT: f64 = 0.6;

/// Parts of a page.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parts {
    pub(super) head: Vec<Line>,
    pub(super) body: Vec<Line>,
    pub(super) foot: Vec<Line>,
}

/// Parts the pages' lines into running titles with page numbers, and the rest.
pub(super) fn part(pages: Vec<Vec<Line>>) -> Vec<Parts> {
    let max_size = usual_size(&pages) * MAX_SIZE_RATIO;
    let zones: Vec<Vec<Candidate>> = pages.iter().map(|lines| candidates(lines, max_size)).collect();
    let offsets = number_offsets(&zones);
    let is_furniture = |page_idx: usize, candidate: &Candidate| {
        let is_numbered = candidate.number.is_some_and(|n| offsets.contains(&n.ahead_of(page_idx)));
        is_numbered || repeats(&zones, page_idx, candidate)
    };
    let mut parts = Vec::with_capacity(pages.len());
    for (page_idx, lines) in pages.into_iter().enumerate() {
        let mut found: HashMap<usize, bool> = HashMap::new();
        for candidate in zones[page_idx].iter().filter(|c| is_furniture(page_idx, c)) {
            found.insert(candidate.line_idx, candidate.is_head);
        }
        // A page of nothing else has its content there.
        if found.len() == lines.len() {
            found.clear();
        }
        let mut page = Parts::default();
        for (line_idx, line) in lines.into_iter().enumerate() {
            match found.get(&line_idx) {
                Some(true) => page.head.push(line),
                Some(false) => page.foot.push(line),
                None => page.body.push(line),
            }
        }
        parts.push(page);
    }
    parts
}

/// A line at the top or bottom of its page.
struct Candidate {
    line_idx: usize,
    is_head: bool,
    base: f64,
    size: f64,
    /// Its text with a mark for each number.
    pattern: String,
    /// The page number that the line consists of.
    number: Option<Number>,
}

/// A page number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number {
    value: i64,
    is_roman: bool,
}

impl Number {
    /// How much it is ahead of the count of pages; pages with Roman numbers are counted apart.
    fn ahead_of(self, page_idx: usize) -> (bool, i64) {
        (self.is_roman, self.value - page_idx as i64)
    }
}

/// The font size of most characters.
fn usual_size(pages: &[Vec<Line>]) -> f64 {
    let mut n_chars: HashMap<i64, usize> = HashMap::new();
    for line in pages.iter().flatten() {
        *n_chars.entry((line.size * 2.0).round() as i64).or_default() += line.text().len();
    }
    n_chars.into_iter().max_by_key(|&(size, n)| (n, size)).map_or(0.0, |(size, _)| size as f64 / 2.0)
}

fn candidates(lines: &[Line], max_size: f64) -> Vec<Candidate> {
    let mut order: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].angle == 0).collect();
    order.sort_by(|&a, &b| lines[b].base.total_cmp(&lines[a].base));
    let candidate = |line_idx: usize, is_head: bool| {
        let line = &lines[line_idx];
        let text = line.text();
        Candidate {
            line_idx,
            is_head,
            base: line.base,
            size: line.size,
            pattern: pattern(&text),
            number: page_number(&text),
        }
    };
    let n_head = MAX_ZONE_LINES.min(order.len().div_ceil(2));
    let n_foot = MAX_ZONE_LINES.min(order.len() - n_head);
    let head = order[..n_head].iter().map(|&i| candidate(i, true));
    let foot = order[order.len() - n_foot..].iter().map(|&i| candidate(i, false));
    head.chain(foot).filter(|c| c.size <= max_size).collect()
}

fn repeats(zones: &[Vec<Candidate>], page_idx: usize, candidate: &Candidate) -> bool {
    let is_same = |other: &Candidate| {
        other.is_head == candidate.is_head
            && other.pattern == candidate.pattern
            && (other.base - candidate.base).abs() < candidate.size * MAX_SHIFT
            && (other.size - candidate.size).abs() < candidate.size * 0.1
    };
    let near = page_idx.saturating_sub(REACH)..(page_idx + REACH + 1).min(zones.len());
    let n_found = near.filter(|&i| i != page_idx && zones[i].iter().any(is_same)).count();
    n_found >= MIN_REPEATS && !candidate.pattern.is_empty()
}

/// What page numbers are ahead of the count of pages, where enough pages agree.
fn number_offsets(zones: &[Vec<Candidate>]) -> HashSet<(bool, i64)> {
    let mut n_pages: HashMap<(bool, i64), usize> = HashMap::new();
    for (page_idx, zone) in zones.iter().enumerate() {
        let offsets: HashSet<(bool, i64)> =
            zone.iter().filter_map(|c| Some(c.number?.ahead_of(page_idx))).collect();
        for offset in offsets {
            *n_pages.entry(offset).or_default() += 1;
        }
    }
    // On two pages of many, numbers agree by chance; Roman ones stand on a preface only.
    n_pages.retain(|&(is_roman, _), n| *n >= 2 && (is_roman || *n * 4 >= zones.len()));
    n_pages.into_keys().collect()
}

/// A line of words with each number replaced, in small letters.
fn pattern(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        if word.chars().any(|c| c.is_ascii_digit()) || roman(word).is_some() {
            "#".to_owned()
        } else {
            word.to_lowercase()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The number in a line that says nothing else: `7`, `- 7 -`, `Page 7`, `7 / 12`, `vii`.
fn page_number(text: &str) -> Option<Number> {
    let words: Vec<&str> = text
        .split(|c: char| {
            c.is_whitespace() || matches!(c, '-' | '–' | '—' | '|' | '[' | ']' | '(' | ')' | '.')
        })
        .filter(|word| !word.is_empty())
        .collect();
    let number = |word: &str| {
        let arabic = word.parse().ok().filter(|n: &i64| (0..100_000).contains(n));
        let value = arabic.or_else(|| roman(word))?;
        Some(Number { value, is_roman: arabic.is_none() })
    };
    match words.as_slice() {
        [one] => one.split_once('/').map_or_else(|| number(one), |(n, _)| number(n)),
        [n, "/" | "of" | "von" | "de" | "sur" | "di", _] => number(n),
        [name, n] | [name, n, _, _] if is_page_word(name) => number(n),
        _ => None,
    }
}

fn is_page_word(word: &str) -> bool {
    ["page", "seite", "página", "pagina", "pág", "p", "s", "стр", "страница", "strona", "sayfa"]
        .contains(&word.to_lowercase().as_str())
}

/// A Roman number of small value in one case.
fn roman(word: &str) -> Option<i64> {
    let is_one_case =
        word.chars().all(|c| c.is_ascii_lowercase()) || word.chars().all(|c| c.is_ascii_uppercase());
    if !is_one_case || word.is_empty() || word.len() > 8 {
        return None;
    }
    let mut values = Vec::new();
    for c in word.to_ascii_lowercase().chars() {
        values.push(match c {
            'i' => 1,
            'v' => 5,
            'x' => 10,
            'l' => 50,
            'c' => 100,
            _ => return None,
        });
    }
    let next = values.iter().skip(1).copied().chain([0]);
    Some(values.iter().zip(next).map(|(&v, next)| if v < next { -v } else { v }).sum())
}

#[cfg(test)]
mod tests {
    use super::super::lines::Cell;
    use super::*;

    fn page(texts: &[(f64, &str)]) -> Vec<Line> {
        texts
            .iter()
            .map(|&(base, text)| {
                let cell = Cell { from: 0.0, to: 100.0, text: text.to_owned() };
                Line { angle: 0, base, size: 10.0, cells: vec![cell], heading: None }
            })
            .collect()
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::text).collect()
    }

    #[test]
    fn running_titles_and_numbers_are_found() {
        let pages = (0..6)
            .map(|i| {
                let (title, number) =
                    (if i % 2 == 0 { "The Book" } else { "A Chapter" }, (i + 5).to_string());
                page(&[
                    (50.0, &number),
                    (700.0, &format!("Words of a page {}", "y".repeat(i))),
                    (650.0, &format!("and more of them {}", "z".repeat(i))),
                    (800.0, title),
                ])
            })
            .collect();
        let parts = part(pages);
        assert_eq!(texts(&parts[2].head), ["The Book"]);
        assert_eq!(texts(&parts[3].foot), ["8"]);
        assert_eq!(texts(&parts[5].body), ["Words of a page yyyyy", "and more of them zzzzz"]);
    }

    #[test]
    fn what_does_not_repeat_stays() {
        let parts = part(vec![
            page(&[(800.0, "Title"), (700.0, "In 1990"), (50.0, "1")]),
            page(&[(800.0, "Other words"), (700.0, "In 1991"), (50.0, "2")]),
        ]);
        assert_eq!(
            (texts(&parts[0].body), texts(&parts[1].foot)),
            (vec!["Title".into(), "In 1990".into()], vec!["2".into()])
        );
        let alone = part(vec![page(&[(800.0, "Title"), (50.0, "1")])]);
        assert_eq!(alone[0].body.len(), 2);
        let same = part((0..5).map(|_| page(&[(800.0, "CONFIDENTIAL")])).collect());
        assert_eq!(same[4].body.len(), 1, "a page is not emptied");
    }

    #[test]
    fn numbers_of_pages() {
        for (text, want) in [
            ("7", Some(7)),
            ("- 12 -", Some(12)),
            ("Page 3 of 10", Some(3)),
            ("Seite 4", Some(4)),
            ("5/10", Some(5)),
            ("5 / 10", Some(5)),
            ("xiv", Some(14)),
            ("mixed", None),
            ("In 1990", None),
            ("", None),
        ] {
            assert_eq!(page_number(text).map(|n| n.value), want, "{text}");
        }
    }
}
