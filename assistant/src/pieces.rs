//! What of a passage can be quoted: its sentences, and parts of overlong ones.

use ingest::Span;

/// Longer "sentences" (tables, listings, text without stops) are cut at line ends, then at words.
const MAX_QUOTE_CHARS: u32 = 500;
/// Shorter pieces are headings, list numbers, page numbers.
const MIN_QUOTE_CHARS: u32 = 12;

/// The pieces of a passage that can be quoted, with their places in it, in code points.
pub(crate) fn pieces(text: &str) -> Vec<(Span, &str)> {
    let mut pieces = Vec::new();
    for span in ingest::sentences(text) {
        if span.len() <= MAX_QUOTE_CHARS {
            pieces.push(span);
        } else {
            cut(ingest::slice(text, span), span.start, &mut pieces);
        }
    }
    let pieces = pieces.into_iter().map(|span| (span, ingest::slice(text, span)));
    pieces.filter(|(span, text)| span.len() >= MIN_QUOTE_CHARS && !is_heading(text)).collect()
}

fn is_heading(text: &str) -> bool {
    text.starts_with('#') && !text.contains('\n')
}

/// Cuts a long piece at line ends, and where lines are long too, before the last word that fits.
fn cut(long: &str, offset: u32, pieces: &mut Vec<Span>) {
    let mut start = offset;
    for line in long.split_inclusive('\n') {
        let chars: Vec<char> = line.chars().collect();
        let mut from = 0;
        while from < chars.len() {
            let mut to = chars.len().min(from + MAX_QUOTE_CHARS as usize);
            if to < chars.len() {
                let blank = chars[from..to].iter().rposition(|c| c.is_whitespace());
                to = blank.filter(|&at| at > 0).map_or(to, |at| from + at);
            }
            let piece = &chars[from..to];
            let lead = piece.iter().take_while(|c| c.is_whitespace()).count();
            let trail = piece[lead..].iter().rev().take_while(|c| c.is_whitespace()).count();
            let (a, b) = (start + (from + lead) as u32, start + (to - trail) as u32);
            if a < b {
                pieces.push(Span::new(a, b));
            }
            from = to;
        }
        start += chars.len() as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_exact_spans_of_bounded_length() {
        let row = "| é cell | another cell of a table without any stop |\n";
        let long_line = "word ".repeat(400);
        let text = format!("# Heading\n\nA short sentence here. {}\n\n{long_line}", row.repeat(20));
        let found = pieces(&text);
        assert!(found.len() > 20);
        for (span, piece) in &found {
            assert_eq!(ingest::slice(&text, *span), *piece);
            assert!(span.len() <= MAX_QUOTE_CHARS && piece.trim() == *piece, "{piece:?}");
        }
        let all: String = found.iter().map(|(_, piece)| *piece).collect();
        let n_words = all.matches("word").count();
        assert_eq!(n_words, 400, "nothing is lost");
    }
}
