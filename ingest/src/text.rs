//! Code points and bytes.

use crate::Span;

/// The part of `text` within `span`, clamped to the text.
///
/// ```
/// let text = "größer";
/// assert_eq!(ingest::slice(text, ingest::Span::new(2, 4)), "öß");
/// assert_eq!(ingest::slice(text, ingest::Span::new(5, 99)), "r");
/// ```
pub fn slice(text: &str, span: Span) -> &str {
    let start = byte_of(text, span.start as usize);
    let end = start + byte_of(&text[start..], span.len() as usize);
    &text[start..end]
}

/// Byte offset of the `n`th code point, or the length if there are fewer.
fn byte_of(text: &str, n: usize) -> usize {
    if text.is_ascii() {
        return n.min(text.len());
    }
    text.char_indices().nth(n).map_or(text.len(), |(at, _)| at)
}

/// Turns ascending byte offsets into code points, in one pass over the text.
pub(crate) struct CodePoints<'a> {
    text: &'a str,
    byte: usize,
    n_chars: u32,
}

impl<'a> CodePoints<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, byte: 0, n_chars: 0 }
    }

    /// The number of code points before `byte`, which is a character border and not before an
    /// earlier argument.
    pub(crate) fn at(&mut self, byte: usize) -> u32 {
        debug_assert!(byte >= self.byte);
        self.n_chars += self.text[self.byte..byte].chars().count() as u32;
        self.byte = byte;
        self.n_chars
    }

    /// The byte offset of an ascending code point, clamped to the text.
    pub(crate) fn byte_at(&mut self, char_idx: u32) -> usize {
        while self.n_chars < char_idx {
            let Some(c) = self.text[self.byte..].chars().next() else {
                break;
            };
            self.byte += c.len_utf8();
            self.n_chars += 1;
        }
        self.byte
    }
}

/// `start..end` without blanks at either side; empty ranges end at `start`.
pub(crate) fn trimmed(text: &str, start: usize, end: usize) -> (usize, usize) {
    let part = &text[start..end];
    let left = part.len() - part.trim_start().len();
    (start + left, start + left + part.trim().len())
}

/// Cuts `text` after `max_chars` code points; true if something was lost.
pub(crate) fn truncate_chars(text: &mut String, max_chars: u32) -> bool {
    if text.len() <= max_chars as usize {
        return false;
    }
    let end = byte_of(text, max_chars as usize);
    let cut = end < text.len();
    text.truncate(end);
    cut
}

/// Letters of the scripts that are written from right to left.
pub(crate) fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{1e800}'..='\u{1efff}')
        && !matches!(c, '\u{660}'..='\u{66c}' | '\u{6f0}'..='\u{6f9}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_clamped_and_count_code_points() {
        let text = "aé漢🙂z";
        for (start, end, want) in
            [(0, 5, text), (1, 3, "é漢"), (3, 4, "🙂"), (4, 9, "z"), (7, 9, ""), (3, 2, "")]
        {
            assert_eq!(slice(text, Span { start, end }), want, "{start}..{end}");
        }
    }

    #[test]
    fn offsets_convert_in_both_directions() {
        let text = "aé漢🙂z";
        let (mut forth, mut back) = (CodePoints::new(text), CodePoints::new(text));
        for (char_idx, (byte, _)) in text.char_indices().enumerate() {
            assert_eq!(forth.at(byte), char_idx as u32);
            assert_eq!(back.byte_at(char_idx as u32), byte);
        }
        assert_eq!(back.byte_at(99), text.len());
    }

    #[test]
    fn truncation_counts_code_points() {
        let mut text = "äöü".to_owned();
        assert!(!truncate_chars(&mut text, 3));
        assert!(truncate_chars(&mut text, 2));
        assert_eq!(text, "äö");
    }
}
