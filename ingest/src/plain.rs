//! Plain text: paragraphs are what blank lines separate.

use crate::BlockKind;
use crate::blocks::ByteBlock;

/// The paragraphs of a text, ascending.
pub(crate) fn parse(text: &str) -> Vec<ByteBlock> {
    let mut blocks = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            if let Some(start) = start.take() {
                blocks.push(ByteBlock { kind: BlockKind::Paragraph, start, end: at });
            }
        } else {
            start.get_or_insert(at);
        }
        at += line.len();
    }
    if let Some(start) = start {
        blocks.push(ByteBlock { kind: BlockKind::Paragraph, start, end: at });
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_separate_paragraphs() {
        for (text, want) in [
            ("", vec![]),
            ("one\ntwo\n \t\r\nthree", vec!["one\ntwo\n", "three"]),
            ("\r\n\r\none\r\n\r\n", vec!["one\r\n"]),
        ] {
            let got: Vec<&str> = parse(text).iter().map(|b| &text[b.start..b.end]).collect();
            assert_eq!(got, want);
        }
    }
}
