//! Byte ranges with a role, on their way to becoming [`Block`]s.

use crate::text::{CodePoints, trimmed};
use crate::{Block, BlockKind, Document, Span};

/// A block as the parsers see it: bytes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteBlock {
    pub(crate) kind: BlockKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Makes blocks ascending, disjoint, trimmed and complete: afterwards every character of `text`
/// that is not blank lies in exactly one block.
///
/// Text between blocks joins a neighbour if it is only punctuation (a quote mark, a rule), and
/// becomes a paragraph if it has words (link definitions, text the parser gave no role).
pub(crate) fn complete(text: &str, mut blocks: Vec<ByteBlock>) -> Vec<ByteBlock> {
    blocks.retain(|b| b.start < b.end && b.end <= text.len());
    blocks.sort_by_key(|b| (b.start, b.end));
    let mut done: Vec<ByteBlock> = Vec::with_capacity(blocks.len());
    let mut at = 0;
    for mut block in blocks {
        block.start = block.start.max(at);
        if block.start >= block.end {
            continue;
        }
        (block.start, block.end) = trimmed(text, block.start, block.end);
        if block.start == block.end {
            continue;
        }
        fill_gap(text, &mut done, at, Some(&mut block));
        at = block.end;
        done.push(block);
    }
    fill_gap(text, &mut done, at, None);
    done
}

/// Gives the text from `at` to the start of `next` (or to the end) to a block.
fn fill_gap(text: &str, done: &mut Vec<ByteBlock>, at: usize, next: Option<&mut ByteBlock>) {
    let gap_end = next.as_ref().map_or(text.len(), |b| b.start);
    let (start, end) = trimmed(text, at, gap_end);
    if start == end {
        return;
    }
    let has_words = text[start..end].chars().any(char::is_alphanumeric);
    match (done.last_mut(), next) {
        (_, Some(next)) if !has_words && !text[end..gap_end].contains('\n') => next.start = start,
        (Some(last), _) if !has_words => last.end = end,
        (None, Some(next)) if !has_words => next.start = start,
        _ => done.push(ByteBlock { kind: BlockKind::Paragraph, start, end }),
    }
}

/// Turns byte blocks, ascending and disjoint, into blocks with code points and pages.
pub(crate) fn to_blocks(text: &str, blocks: &[ByteBlock], page_starts: &[u32]) -> Vec<Block> {
    let mut chars = CodePoints::new(text);
    blocks
        .iter()
        .map(|b| {
            let span = Span::new(chars.at(b.start), chars.at(b.end));
            let n_before = page_starts.partition_point(|&start| start <= span.start);
            let page = (!page_starts.is_empty()).then_some(n_before.max(1) as u32);
            Block { kind: b.kind, span, page }
        })
        .collect()
}

/// The blocks of a document in bytes again, made complete.
pub(crate) fn of_document(doc: &Document) -> Vec<ByteBlock> {
    let mut sorted: Vec<&Block> = doc.blocks.iter().collect();
    sorted.sort_by_key(|b| b.span);
    let (mut starts, mut ends) = (CodePoints::new(&doc.text), CodePoints::new(&doc.text));
    let mut max_end = 0;
    let blocks = sorted
        .into_iter()
        .map(|b| {
            // Ends ascend in every document made here; one made elsewhere may hold anything.
            max_end = b.span.end.max(max_end);
            ByteBlock { kind: b.kind, start: starts.byte_at(b.span.start), end: ends.byte_at(max_end) }
        })
        .collect();
    complete(&doc.text, blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, given: &[(usize, usize)], want: &[&str]) {
        let given =
            given.iter().map(|&(start, end)| ByteBlock { kind: BlockKind::Paragraph, start, end }).collect();
        let got: Vec<&str> = complete(text, given).iter().map(|b| &text[b.start..b.end]).collect();
        assert_eq!(got, want, "{text:?}");
    }

    #[test]
    fn gaps_and_overlaps_are_mended() {
        check("", &[], &[]);
        check("  ", &[(0, 2)], &[]);
        check("one two", &[], &["one two"]);
        check("one\n\ntwo", &[(0, 4)], &["one", "two"]);
        check("> one\n> two", &[(2, 5), (8, 11)], &["> one", "> two"]);
        check("one\n\n---\n\ntwo", &[(0, 3), (10, 13)], &["one\n\n---", "two"]);
        check("---\n\ntwo", &[(5, 8)], &["---\n\ntwo"]);
        check("one two", &[(0, 5), (3, 7)], &["one t", "wo"]);
        check("one two", &[(4, 7), (0, 99)], &["one", "two"]);
    }
}
