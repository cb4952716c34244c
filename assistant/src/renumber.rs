//! The prompt numbers its sources in an order of its own; the reader sees footnotes.

/// Longest mark: `[999, 999, 999]`, with some room.
const MAX_MARK_BYTES: usize = 24;

/// Turns marks of the prompt's sources into marks of footnotes, in text that comes in pieces.
pub(crate) struct Renumber {
    /// Footnote of each source.
    footnotes: Vec<u32>,
    /// The end of the text, as long as it may be the beginning of a mark.
    held: String,
}

impl Renumber {
    /// Source `k` of the prompt, counted from 1, is footnote `footnotes[k - 1]`.
    pub(crate) fn new(footnotes: Vec<u32>) -> Self {
        Self { footnotes, held: String::new() }
    }

    /// The source that a footnote is in the prompt.
    pub(crate) fn source_of(&self, footnote: u32) -> Option<u32> {
        self.footnotes.iter().position(|&n| n == footnote).map(|at| at as u32 + 1)
    }

    /// Takes the next piece of text, and gives what is certain by now. The torn beginning of a mark
    /// that the text ends with is never given.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let held = std::mem::take(&mut self.held);
        let mut out = String::new();
        let mut rest = held.as_str();
        while let Some(open) = rest.find('[') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let inside = &rest[1..];
            let n_inside = inside.bytes().take_while(|b| b.is_ascii_digit() || b", ".contains(b)).count();
            match inside.as_bytes().get(n_inside) {
                None if rest.len() <= MAX_MARK_BYTES => {
                    self.held = rest.to_owned();
                    return out;
                }
                Some(b']') => {
                    out.push_str(&format!("[{}]", self.footnotes_in(&inside[..n_inside])));
                    rest = &inside[n_inside + 1..];
                }
                _ => {
                    out.push('[');
                    rest = inside;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// Numbers that are no source stay as they are: the check drops them.
    fn footnotes_in(&self, numbers: &str) -> String {
        let footnote = |number: &str| {
            let source: Option<usize> = number.trim().parse().ok();
            let footnote = source.and_then(|k| self.footnotes.get(k.checked_sub(1)?));
            footnote.map_or_else(|| number.trim().to_owned(), u32::to_string)
        };
        numbers.split(',').map(footnote).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: &str) {
        let mut renumber = Renumber::new(vec![2, 3, 1]);
        let text: String = pieces.iter().map(|piece| renumber.push(piece)).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn marks_become_footnotes_wherever_pieces_end() {
        check(&["Tea [1]. Ice [3][2]."], "Tea [2]. Ice [1][3].");
        check(&["Tea [", "1", "]", "."], "Tea [2].");
        check(&["Tea [1,", " 2]"], "Tea [2, 3]");
        check(&["a[i] ", "[x", "] [[1]"], "a[i] [x] [[2]");
        check(&["nothing [7] [0]"], "nothing [7] [0]");
        check(&["torn [1"], "torn ");
        let long = format!("[{}", "1".repeat(40));
        check(&[&long], &long);
    }

    #[test]
    fn a_footnote_has_its_source() {
        let renumber = Renumber::new(vec![2, 3, 1]);
        assert_eq!([1, 2, 3, 4].map(|n| renumber.source_of(n)), [Some(3), Some(1), Some(2), None]);
    }
}
