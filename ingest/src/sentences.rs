//! Sentence boundaries.

use crate::Span;
use crate::text::{CodePoints, trimmed};

/// The sentences of `text`, in order, without surrounding blanks; together they hold every
/// character that is not blank.
///
/// A sentence ends at `.` `!` `?` `…` before a blank, at `。` `！` `？` and their kind anywhere, at a
/// blank line, and where a line is a heading, a list item or a table row. Abbreviations, initials,
/// ordinals and decimals do not end one. Other line breaks are blanks: text is often wrapped.
///
/// ```
/// use ingest::{sentences, slice};
///
/// let text = "Dr. Ruiz paid 3.50 dollars. \"Too much!\" she said.";
/// let found: Vec<&str> = sentences(text).iter().map(|&s| slice(text, s)).collect();
/// assert_eq!(found, ["Dr. Ruiz paid 3.50 dollars.", "\"Too much!\" she said."]);
/// ```
pub fn sentences(text: &str) -> Vec<Span> {
    let mut chars = CodePoints::new(text);
    byte_sentences(text, 0, text.len())
        .into_iter()
        .map(|(start, end)| Span::new(chars.at(start), chars.at(end)))
        .collect()
}

/// The sentences of `text[from..to]` as byte ranges of `text`.
pub(crate) fn byte_sentences(text: &str, from: usize, to: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = from;
    let mut push = |end: usize| {
        let (from, to) = trimmed(text, start, end);
        if from < to {
            found.push((from, to));
        }
        start = end;
    };
    let mut at = from;
    while let Some(c) = text[at..to].chars().next() {
        let next = at + c.len_utf8();
        at = match c {
            '\n' => {
                if line_ends_sentence(&text[from..to], at - from) {
                    push(next);
                }
                next
            }
            _ if is_terminal(c) => {
                let end = run_end(text, next, to);
                if ends_sentence(&text[from..to], at - from, end - from, c) {
                    push(end);
                }
                end
            }
            _ => next,
        };
    }
    push(to);
    found
}

fn is_terminal(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…') || is_unspaced_terminal(c)
}

/// Ends a sentence without a blank after it: CJK full stops, Indic dandas, Arabic marks, ...
fn is_unspaced_terminal(c: char) -> bool {
    matches!(
        c,
        '。' | '！'
            | '？'
            | '｡'
            | '．'
            | '؟'
            | '۔'
            | '।'
            | '॥'
            | '։'
            | '။'
            | '។'
            | '‼'
            | '⁇'
            | '⁈'
            | '⁉'
    )
}

/// The end of further terminals and closing quotes and brackets from `at`.
fn run_end(text: &str, at: usize, to: usize) -> usize {
    let rest = &text[at..to];
    let n = rest
        .find(|c: char| {
            !is_terminal(c)
                && !matches!(
                    c,
                    '"' | '\''
                        | '”'
                        | '’'
                        | '»'
                        | ')'
                        | ']'
                        | '」'
                        | '』'
                        | '）'
                        | '】'
                        | '》'
                        | '*'
                        | '_'
                        | '`'
                )
        })
        .unwrap_or(rest.len());
    // French sets a blank before its closing mark; in German the same mark opens, without one.
    let after = &rest[n..];
    let closed = after.trim_start_matches([' ', '\u{a0}', '\u{202f}']);
    if closed.len() < after.len()
        && let Some(beyond) = closed.strip_prefix('»')
        && beyond.chars().next().is_none_or(char::is_whitespace)
    {
        return to - beyond.len();
    }
    at + n
}

/// Whether the terminal `c` at `at`, whose run ends at `end`, ends a sentence.
fn ends_sentence(text: &str, at: usize, end: usize, c: char) -> bool {
    if is_unspaced_terminal(c) {
        return true;
    }
    let rest = &text[end..];
    let Some(after) = rest.chars().next() else {
        return true;
    };
    // A CJK letter after a Western full stop needs no blank either.
    if !after.is_whitespace() && !is_cjk(after) {
        return false;
    }
    let next = rest.trim_start();
    let opened = next.trim_start_matches(['"', '\'', '“', '‘', '«', '(', '[', '*', '_', '¿', '¡']);
    let Some(first) = opened.chars().next() else {
        return true;
    };
    if first.is_lowercase() {
        // "Stop!" he cried: the quotation does not end the sentence.
        return false;
    }
    let run = &text[at..end];
    if c != '.' || run.starts_with("..") {
        return true;
    }
    !is_abbreviation(&text[..at], opened)
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// Whether the full stop after `before` belongs to an abbreviation, an initial or a number that is
/// followed by `next`.
fn is_abbreviation(before: &str, next: &str) -> bool {
    let word_start = before
        .char_indices()
        .rev()
        .find(|&(_, c)| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '“' | '‘' | '«' | '—'))
        .map_or(0, |(i, c)| i + c.len_utf8());
    let word = &before[word_start..];
    let lower = word.to_lowercase();
    let n_letters = word.chars().count();
    if n_letters == 0 {
        return false;
    }
    if NEVER_LAST.contains(&lower.as_str()) {
        return true;
    }
    let next_word: &str = next.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    let starts_sentence = STARTERS.contains(&next_word);
    if SOMETIMES_LAST.contains(&lower.as_str()) {
        return !starts_sentence;
    }
    // "J. K. Rowling", "U.S. Army"; but "vitamin C. The ..." ends.
    let is_initials = word.split('.').all(|p| {
        let mut letters = p.chars();
        letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
    });
    if is_initials && n_letters > 1 {
        return !starts_sentence;
    }
    if n_letters == 1 && word.chars().all(char::is_uppercase) {
        return !starts_sentence;
    }
    // "1. First" at the start of a line; "am 3. Oktober".
    let is_number = n_letters <= 3 && word.chars().all(|c| c.is_ascii_digit());
    let at_line_start = before[..word_start].trim_end_matches([' ', '\t']).is_empty()
        || before[..word_start].trim_end_matches([' ', '\t']).ends_with('\n');
    is_number && (at_line_start || MONTHS.contains(&next_word))
}

/// Abbreviations that a name or a number follows.
const NEVER_LAST: [&str; 47] = [
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "st", "sr", "sra", "mme", "mlle", "gen", "col", "capt",
    "lt", "sgt", "cmdr", "adm", "sen", "rep", "gov", "pres", "fr", "hr", "vs", "cf", "e.g", "i.e", "z.b",
    "d.h", "p.ej", "viz", "fig", "figs", "eq", "eqs", "sec", "ch", "art", "vol", "nr", "pp", "ca", "approx",
    "al", "op",
];

/// Abbreviations that may end a sentence: then the next word must be a usual first word.
const SOMETIMES_LAST: [&str; 36] = [
    "jr", "inc", "ltd", "co", "corp", "bros", "etc", "no", "p", "a.m", "p.m", "u.s", "u.k", "u.n", "ph.d",
    "b.c", "a.d", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mt",
    "ft", "ave", "blvd", "dept", "usw", "bzw",
];

/// Words that start sentences and hardly ever follow an initial or an abbreviation.
const STARTERS: [&str; 52] = [
    "The", "A", "An", "This", "That", "These", "Those", "He", "She", "It", "They", "We", "You", "I", "In",
    "On", "At", "By", "For", "From", "With", "As", "But", "And", "However", "His", "Her", "Its", "Their",
    "Our", "My", "There", "When", "While", "After", "Before", "If", "Since", "Although", "Because", "During",
    "What", "Who", "How", "Why", "Some", "Many", "Most", "Both", "Each", "To", "Then",
];

const MONTHS: [&str; 24] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
    "Jänner",
    "January",
    "February",
    "March",
    "May",
    "June",
    "July",
    "October",
    "December",
    "Jahrhundert",
    "Jh",
    "Auflage",
];

/// Whether the line break at byte `at` ends a sentence.
fn line_ends_sentence(text: &str, at: usize) -> bool {
    let line_start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let line = text[line_start..at].trim();
    let rest = &text[at + 1..];
    let next_line = rest.lines().next().unwrap_or("").trim();
    line.is_empty()
        || next_line.is_empty()
        || is_marked(next_line)
        || line.starts_with('#')
        || line.starts_with("```")
        || is_rule(line)
        || (line.starts_with('|') && line.ends_with('|'))
}

/// Whether a line starts a heading, a list item, a table row, a fence or is a rule.
fn is_marked(line: &str) -> bool {
    let after_hashes = line.trim_start_matches('#');
    if after_hashes.len() < line.len() {
        return after_hashes.starts_with(' ');
    }
    if line.starts_with("```") || line.starts_with("~~~") || is_rule(line) {
        return true;
    }
    if line.starts_with('|') || ["- ", "* ", "+ ", "• ", "– "].iter().any(|m| line.starts_with(m)) {
        return true;
    }
    let n_digits = line.bytes().take_while(u8::is_ascii_digit).count();
    (1..=3).contains(&n_digits) && [". ", ") "].iter().any(|m| line[n_digits..].starts_with(m))
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && (line.bytes().all(|b| b == b'-') || line.bytes().all(|b| b == b'='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slice;

    fn check(want: &[&str]) {
        for glue in [" ", "\n", "  \n "] {
            let text = want.join(glue);
            let got: Vec<&str> = sentences(&text).iter().map(|&s| slice(&text, s)).collect();
            assert_eq!(got, want);
        }
    }

    #[test]
    fn plain_sentences() {
        check(&["One two.", "Three four!", "Five?", "Six"]);
        check(&["It costs 3.14 dollars at example.com today.", "Version 1.2.3 is out."]);
        check(&["Wait...", "What?!", "No… maybe not…", "Yes."]);
        check(&["He said: \"Go!\"", "\"Now?\" she asked.", "(All of it.)", "Done."]);
        check(&["Il dit « Non. »", "Puis rien.", "¿Qué pasa?", "¡Nada!"]);
    }

    #[test]
    fn abbreviations_do_not_end_sentences() {
        check(&["Dr. Smith met Mrs. Jones, e.g. on Jan. 5 at 5 p.m. sharp.", "They left."]);
        check(&["J. K. Rowling and George W. Bush met in the U.S. Senate.", "The talk was short."]);
        check(&["He moved to the U.S.", "He liked it there."]);
        check(&["Acme Inc. Chief Bob Roe resigned.", "It was sold to Acme Inc.", "The price fell."]);
        check(&["Am 3. Oktober 1990 war es so weit.", "See Fig. 4 and Eq. 5."]);
        check(&["It was in 1862.", "Nobody came.", "She had 12.", "He had 7."]);
    }

    #[test]
    fn other_scripts() {
        for want in [
            vec!["今日は晴れです。", "明日は？", "「雨だ。」", "終わり"],
            vec!["यह पहला है।", "यह दूसरा है।"],
            vec!["هل هذا صحيح؟", "نعم."],
            vec!["这是第一句。", "这是第二句！", "End."],
        ] {
            let text = want.concat();
            let got: Vec<&str> = sentences(&text).iter().map(|&s| slice(&text, s)).collect();
            assert_eq!(got, want);
        }
    }

    #[test]
    fn lines_of_markdown() {
        let text = "# Title\nText that is\nwrapped. More\n\n- item one\n- item two\n  goes on\n1. first\n2. second\n| a | b |\n| c | d |\nlast";
        let got: Vec<&str> = sentences(text).iter().map(|&s| slice(text, s)).collect();
        assert_eq!(
            got,
            [
                "# Title",
                "Text that is\nwrapped.",
                "More",
                "- item one",
                "- item two\n  goes on",
                "1. first",
                "2. second",
                "| a | b |",
                "| c | d |",
                "last"
            ]
        );
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(sentences("").is_empty());
        assert!(sentences(" \n\t\n ").is_empty());
        assert_eq!(sentences(" . "), [Span::new(1, 2)]);
    }
}
