//! Blocks into pieces that fit a number of tokens.

use crate::BlockKind;
use crate::blocks::ByteBlock;
use crate::sentences::byte_sentences;
use crate::text::trimmed;

/// Bytes of the text, with their number of tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) n_tokens: u32,
}

/// Longer parts are not counted as a whole: no tokenizer needs over 32 bytes for a token on average.
const MAX_BYTES_PER_TOKEN: usize = 32;

pub(super) struct Splitter<'a> {
    pub(super) text: &'a str,
    pub(super) count_tokens: &'a dyn Fn(&str) -> u32,
}

impl Splitter<'_> {
    pub(super) fn count(&self, text: &str) -> u32 {
        (self.count_tokens)(text)
    }

    /// The block as one piece, unless it is plainly too long to be counted.
    pub(super) fn whole(&self, block: &ByteBlock, max: u32) -> Option<Piece> {
        self.piece(block.start, block.end, max)
    }

    fn piece(&self, start: usize, end: usize, max: u32) -> Option<Piece> {
        if end - start > max as usize * MAX_BYTES_PER_TOKEN {
            return None;
        }
        Some(Piece { start, end, n_tokens: self.count(&self.text[start..end]) })
    }

    /// Pieces of at most `max` tokens, the first of at most `first_max`, that hold all of the block
    /// but blanks: lines of tables and code, sentences of the rest, words of long sentences.
    pub(super) fn split(&self, block: &ByteBlock, first_max: u32, max: u32) -> Vec<Piece> {
        let parts = match block.kind {
            BlockKind::Table | BlockKind::Code => lines(self.text, block.start, block.end),
            _ => byte_sentences(self.text, block.start, block.end),
        };
        let mut pieces = Vec::with_capacity(parts.len());
        for (start, end) in parts {
            let max = if pieces.is_empty() { first_max } else { max };
            match self.piece(start, end, max) {
                Some(piece) if piece.n_tokens <= max => pieces.push(piece),
                _ => self.split_at_blanks(start, end, max, &mut pieces),
            }
        }
        pieces
    }

    /// Windows that end at a blank, or anywhere if there is none, each as long as fits.
    fn split_at_blanks(&self, start: usize, end: usize, max: u32, pieces: &mut Vec<Piece>) {
        // Four bytes per token are usual; the guess follows what was measured.
        let mut n_bytes = max as usize * 4;
        let mut at = start;
        while at < end {
            let (from, to) = self.window(at, end, n_bytes);
            if from == to {
                break;
            }
            let n_tokens = self.count(&self.text[from..to]);
            let is_single = self.text[from..to].chars().nth(1).is_none();
            if n_tokens <= max || is_single {
                pieces.push(Piece { start: from, end: to, n_tokens });
                at = to;
                if n_tokens * 2 < max {
                    n_bytes = n_bytes.saturating_mul(2).min(max as usize * MAX_BYTES_PER_TOKEN);
                }
            } else {
                // At least a tenth less each time, so that the work stays proportional to the text.
                let fitting = (to - from) * max as usize / n_tokens as usize;
                n_bytes = (fitting * 9 / 10).min((to - from) * 9 / 10).max(1);
            }
        }
    }

    /// About `n_bytes` from `at`, trimmed, at least one character unless only blanks are left.
    fn window(&self, at: usize, end: usize, n_bytes: usize) -> (usize, usize) {
        let rest = &self.text[at..end];
        let at = end - rest.trim_start().len();
        if end - at <= n_bytes {
            return trimmed(self.text, at, end);
        }
        let first_len = self.text[at..end].chars().next().map_or(0, char::len_utf8);
        let mut to = at + n_bytes.max(first_len);
        while !self.text.is_char_boundary(to) {
            to -= 1;
        }
        let window = &self.text[at..to];
        // A word is cut only if it fills the window.
        if let Some(blank) = window.rfind(char::is_whitespace) {
            to = at + blank;
        }
        trimmed(self.text, at, to)
    }
}

fn lines(text: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut at = start;
    text[start..end]
        .split_inclusive('\n')
        .map(|line| {
            at += line.len();
            // The indentation of code belongs to its line.
            let from = at - line.len();
            (from, from + line.trim_end().len())
        })
        .filter(|(from, to)| from < to)
        .collect()
}
