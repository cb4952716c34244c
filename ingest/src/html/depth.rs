//! A bound on nesting, before the parser: its work grows with the number of open elements at each
//! tag, so that a small file of only start tags would take minutes.

use std::borrow::Cow;

/// Browsers stop at 512 as well.
const MAX_DEPTH: usize = 512;
/// How far up an end tag looks for its start tag.
const MAX_LOOK_UP: usize = 64;

/// The source without the start tags that would nest deeper.
pub(super) fn bounded(source: &str) -> Cow<'_, str> {
    let mut open: Vec<&str> = Vec::new();
    let mut kept = String::new();
    let mut n_copied = 0;
    let mut at = 0;
    while let Some(i) = source[at..].find('<') {
        let start = at + i;
        let rest = &source[start + 1..];
        at = start + 1;
        if let Some(comment) = rest.strip_prefix("!--") {
            at += 3 + comment.find("-->").unwrap_or(comment.len());
            continue;
        }
        let is_end = rest.starts_with('/');
        let name = tag_name(&rest[usize::from(is_end)..]);
        if name.is_empty() {
            continue;
        }
        if is_end {
            let recent = open.len().saturating_sub(MAX_LOOK_UP);
            if let Some(i) = open[recent..].iter().rposition(|o| o.eq_ignore_ascii_case(name)) {
                open.truncate(recent + i);
            }
        } else if !is_void(name) {
            if closes_itself(name) && open.last().is_some_and(|o| o.eq_ignore_ascii_case(name)) {
                open.pop();
            }
            if open.len() < MAX_DEPTH {
                open.push(name);
            } else {
                kept.push_str(&source[n_copied..start]);
                n_copied = start + rest.find('>').map_or(rest.len() + 1, |end| end + 2);
                at = n_copied;
            }
        }
    }
    if n_copied == 0 {
        return Cow::Borrowed(source);
    }
    kept.push_str(&source[n_copied..]);
    Cow::Owned(kept)
}

fn tag_name(source: &str) -> &str {
    let n = source.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(source.len());
    if source.starts_with(|c: char| c.is_ascii_alphabetic()) { &source[..n] } else { "" }
}

fn is_void(name: &str) -> bool {
    [
        "br", "img", "hr", "input", "meta", "link", "wbr", "col", "area", "base", "embed", "source", "track",
        "param",
    ]
    .iter()
    .any(|v| v.eq_ignore_ascii_case(name))
}

/// Elements whose end tag may be left out before the next one of their kind.
fn closes_itself(name: &str) -> bool {
    ["p", "li", "td", "th", "tr", "dt", "dd", "option"].iter().any(|v| v.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_deep_is_dropped() {
        let page = "<!-- <div> --><ul><li>a<br><li>b</ul><P>x<p>y</p>".repeat(1000);
        assert!(matches!(bounded(&page), Cow::Borrowed(_)));
        let deep = format!("{}x <b class=y>bold</b> z", "<div>".repeat(600));
        assert_eq!(bounded(&deep), format!("{}x bold</b> z", "<div>".repeat(512)));
        assert_eq!(bounded(&"<i>".repeat(513)), "<i>".repeat(512));
        for odd in ["<", "<!--", "</", "a < b", "<\u{e4}>", "</div></div>"] {
            assert_eq!(bounded(odd), odd);
        }
    }
}
