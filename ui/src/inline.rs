//! Markdown's inline marks, for showing a quote or an answer as prose. Only what occurs inside a
//! sentence: emphasis, code, links, escapes, and the marks a line may begin with. What is not
//! clearly a mark stays as it is, so that `2 * 3 * 4` and `snake_case` survive.

/// How a run of text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As the rest.
    Plain,
    /// `*so*` or `_so_`.
    Emphasis,
    /// `**so**` or `__so__`.
    Strong,
    /// Between backticks.
    Code,
}

/// The text in runs of one style, without the marks.
pub fn inline(text: &str) -> Vec<(Style, String)> {
    let mut runs: Vec<(Style, String)> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (style, words, next) = run_at(text, at);
        match runs.last_mut().filter(|last| last.0 == style) {
            Some(last) => last.1.push_str(&words),
            None if words.is_empty() => {}
            None => runs.push((style, words)),
        }
        at = next;
    }
    runs
}

/// A quote of Markdown without the marks its lines begin with: `> ` and `## `.
pub fn without_line_marks(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let quoted = line.trim_start().trim_start_matches('>');
        let heading = quoted.trim_start().trim_start_matches('#');
        let is_heading = heading.starts_with(' ') || heading.is_empty();
        let line = if is_heading { heading } else { quoted };
        line.trim_start()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The run that begins at byte `at`, and where the next one begins.
fn run_at(text: &str, at: usize) -> (Style, String, usize) {
    let rest = &text[at..];
    let mark = rest.find(['*', '_', '`', '[', '\\']).unwrap_or(rest.len());
    if mark > 0 {
        return (Style::Plain, rest[..mark].to_owned(), at + mark);
    }
    let found = match rest.as_bytes()[0] {
        b'\\' => escape(rest),
        b'`' => code(rest),
        b'[' => link(rest),
        _ => emphasis(text, at),
    };
    let (style, words, n_bytes) = found.unwrap_or_else(|| (Style::Plain, rest[..1].to_owned(), 1));
    (style, words, at + n_bytes)
}

type Run = (Style, String, usize);

fn escape(rest: &str) -> Option<Run> {
    let escaped = rest[1..].chars().next().filter(char::is_ascii_punctuation)?;
    Some((Style::Plain, escaped.to_string(), 2))
}

fn code(rest: &str) -> Option<Run> {
    let n_ticks = rest.len() - rest.trim_start_matches('`').len();
    let ticks = &rest[..n_ticks];
    let n_inside = rest[n_ticks..].find(ticks)?;
    let inside = rest[n_ticks..n_ticks + n_inside].trim();
    Some((Style::Code, inside.to_owned(), 2 * n_ticks + n_inside))
}

fn link(rest: &str) -> Option<Run> {
    let middle = rest.find("](")?;
    let label = &rest[1..middle];
    let end = rest[middle..].find(')')? + middle;
    (!label.contains('[') && !rest[middle..end].contains(char::is_whitespace))
        .then(|| (Style::Plain, plain(label), end + 1))
}

/// Emphasis opens after a blank or punctuation and before a word, and closes the other way round.
fn emphasis(text: &str, at: usize) -> Option<Run> {
    let rest = &text[at..];
    let mark = rest.chars().next()?;
    let n_marks = rest.len() - rest.trim_start_matches(mark).len();
    let style = match n_marks {
        1 => Style::Emphasis,
        2 | 3 => Style::Strong,
        _ => return None,
    };
    let before = text[..at].chars().next_back();
    let opens = !before.is_some_and(char::is_alphanumeric)
        && rest[n_marks..].chars().next().is_some_and(|c| !c.is_whitespace());
    let marks = &rest[..n_marks];
    if !opens {
        return None;
    }
    let mut from = n_marks;
    loop {
        let close = rest[from..].find(marks)? + from;
        let after = rest[close + n_marks..].chars().next();
        let inside = &rest[n_marks..close];
        let closes = !inside.is_empty()
            && !inside.ends_with(char::is_whitespace)
            && !after.is_some_and(|c| c.is_alphanumeric() || c == mark);
        if closes {
            return Some((style, plain(inside), close + n_marks));
        }
        from = close + n_marks;
    }
}

fn plain(text: &str) -> String {
    inline(text).into_iter().map(|(_, words)| words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let runs = inline(text).into_iter().map(|(style, words)| match style {
            Style::Plain => words,
            Style::Emphasis => format!("<i>{words}</i>"),
            Style::Strong => format!("<b>{words}</b>"),
            Style::Code => format!("<c>{words}</c>"),
        });
        runs.collect()
    }

    #[test]
    fn marks_become_styles_and_everything_else_stays() {
        for (text, expected) in [
            ("", ""),
            ("built in **1862** by *Ottilie Brandt*.", "built in <b>1862</b> by <i>Ottilie Brandt</i>."),
            ("__so__ and _so_", "<b>so</b> and <i>so</i>"),
            ("***both***", "<b>both</b>"),
            ("**a *b* c**", "<b>a b c</b>"),
            ("2 * 3 * 4 and 2*3*4", "2 * 3 * 4 and 2*3*4"),
            ("snake_case_name and __init__py", "snake_case_name and __init__py"),
            ("open **and never closed", "open **and never closed"),
            ("* item", "* item"),
            ("call `a_b * c` and ``x ` y``", "call <c>a_b * c</c> and <c>x ` y</c>"),
            ("see the [tide guide](tide-guide.html) now", "see the tide guide now"),
            ("[1] and [a] (b)", "[1] and [a] (b)"),
            (r"5 \* 3 and C:\temp", r"5 * 3 and C:\temp"),
            ("Größe **世界**! ****", "Größe <b>世界</b>! ****"),
            ("`", "`"),
            ("**", "**"),
        ] {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_lose_their_marks() {
        for (text, expected) in [
            ("> The light\n> shall not go out.", "The light\nshall not go out."),
            ("## Fees", "Fees"),
            ("#hashtag", "#hashtag"),
            ("plain\n  indented", "plain\nindented"),
            ("a > b", "a > b"),
        ] {
            assert_eq!(without_line_marks(text), expected, "{text}");
        }
    }
}
