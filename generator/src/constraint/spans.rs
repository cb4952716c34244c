//! Rows of whole words of given texts.

use super::grammar::{Grammar, Node};
use super::refused;
use crate::error::Result;

/// Bytes of all texts together: the passages that a prompt has room for, many times over.
const MAX_BYTES: usize = 1 << 18;

/// A row of words of one of the texts, as they stand there.
pub(super) fn grammar(texts: &[String]) -> Result<Grammar> {
    if texts.iter().map(String::len).sum::<usize>() > MAX_BYTES {
        return Err(refused("the texts", format!("they have more than {MAX_BYTES} bytes")));
    }
    let mut grammar = Grammar::new();
    let mut starts = Vec::new();
    for text in texts {
        let mut next = Grammar::RETURN;
        let mut after: Option<char> = None;
        for (at, c) in text.char_indices().rev() {
            let before = text[..at].chars().next_back();
            if is_border(Some(c), after) && next != Grammar::RETURN && !c.is_whitespace() {
                next = grammar.add(Node::Split(vec![next, Grammar::RETURN]))?;
            }
            next = grammar.literal(c.encode_utf8(&mut [0; 4]).as_bytes(), next)?;
            if is_border(before, Some(c)) && !c.is_whitespace() {
                starts.push(next);
            }
            after = Some(c);
        }
    }
    if starts.is_empty() {
        return Err(refused("the texts", "there is no word in them"));
    }
    let start = grammar.any_of(starts)?;
    grammar.set_rule(0, start);
    Ok(grammar)
}

/// Whether a word may begin or end between two characters.
fn is_border(before: Option<char>, after: Option<char>) -> bool {
    let is_inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric());
    !(is_inside(before) && is_inside(after))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use crate::Constraint;

    #[test]
    fn rows_of_words_fit_as_they_stand() {
        let texts = ["Green tea, at 80 °C.".to_owned(), "La théière est là.".to_owned()];
        check(
            &Constraint::Spans(texts.to_vec()),
            &["Green", "Green tea", "tea, at 80 °C.", "°C", "théière est", "là.", "Green tea, at 80 °C."],
            &["", "Gree", "reen", "tea ", " tea", "tea at", "Green théière", "th", "80 °C. La"],
        );
        assert!(Constraint::Spans(vec![" \n".into()]).check().is_err());
        assert!(Constraint::Spans(vec![]).check().is_err());
        assert!(Constraint::Spans(vec!["a".repeat(300_000)]).check().is_err());
    }
}
