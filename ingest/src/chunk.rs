//! Documents into passages.

use crate::blocks::{self, ByteBlock};
use crate::text::CodePoints;
use crate::{BlockKind, Document, Kind, Span, markdown, rst};
use serde::{Deserialize, Serialize};
use std::ops::Range;

mod split;

use split::{Piece, Splitter};

/// How large chunks are, in tokens of the embedder.
///
/// A chunk counts together with the headings that are prefixed to it when it is embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPolicy {
    /// A chunk is closed when the next block would take it past this.
    pub target_tokens: u32,
    /// No chunk has more.
    pub max_tokens: u32,
    /// Smaller chunks are merged with a neighbour of the same section where they fit.
    pub min_tokens: u32,
}

impl Default for ChunkPolicy {
    /// 200 tokens is where retrieval peaks for small embedders; 240 leaves room for special tokens
    /// in a context of 256.
    fn default() -> Self {
        Self { target_tokens: 200, max_tokens: 240, min_tokens: 50 }
    }
}

/// A passage of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where it stands in [`Document::text`].
    pub span: Span,
    /// The 1-based page of its first code point, if the document has pages.
    pub page: Option<u32>,
    /// The headings above its first text that is no heading, outermost first.
    pub heading_path: Vec<String>,
    /// The raw slice of [`Document::text`].
    pub text: String,
}

impl Chunk {
    /// The text to embed: the document's title and the headings above, then the raw text.
    ///
    /// A heading that the raw text starts with is not said twice. The line above the text has at
    /// most 160 characters; the innermost headings are kept. Words that a hyphen parts at the end of
    /// a line are whole.
    pub fn embedding_text(&self, title: &str) -> String {
        let prefix = prefix_line(title, &self.heading_path, &self.text);
        let text = with_whole_words(&self.text);
        if prefix.is_empty() { text } else { format!("{prefix}\n{text}") }
    }

    /// Where spans of [`Chunk::text`], which count its code points, stand in [`Chunk::embedding_text`], in
    /// bytes.
    pub fn places_in_embedding_text(&self, title: &str, spans: &[Span]) -> Vec<Range<usize>> {
        let prefix = prefix_line(title, &self.heading_path, &self.text);
        let n_before = if prefix.is_empty() { 0 } else { prefix.len() + 1 };
        let partings = partings(&self.text);
        let starts: Vec<usize> = self.text.char_indices().map(|(at, _)| at).collect();
        let place = |code_point: u32| {
            let at = starts.get(code_point as usize).copied().unwrap_or(self.text.len());
            let n_left_out: usize =
                partings.iter().map(|part| part.end.min(at).saturating_sub(part.start)).sum();
            n_before + at - n_left_out
        };
        spans.iter().map(|span| place(span.start)..place(span.end)).collect()
    }
}

/// The text without the hyphens and line breaks within words. Compounds lose theirs, too.
pub fn with_whole_words(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut at = 0;
    for part in partings(text) {
        whole.push_str(&text[at..part.start]);
        at = part.end;
    }
    whole.push_str(&text[at..]);
    whole
}

/// Where hyphens and line breaks part words, ascending.
fn partings(text: &str) -> Vec<Range<usize>> {
    let hyphens = text.match_indices(['-', '\u{2010}']).map(|(at, hyphen)| at..at + hyphen.len());
    let parting = |hyphen: Range<usize>| {
        let next = text[hyphen.end..].strip_prefix('\n')?;
        let is_parted = text[..hyphen.start].chars().next_back().is_some_and(char::is_lowercase)
            && next.chars().next().is_some_and(char::is_lowercase);
        is_parted.then_some(hyphen.start..hyphen.end + 1)
    };
    hyphens.filter_map(parting).collect()
}

/// 160 characters are about 40 tokens, a fifth of a chunk.
const MAX_PREFIX_CHARS: usize = 160;

/// Title and headings on one line, without repetitions.
fn prefix_line(title: &str, path: &[String], text: &str) -> String {
    let first_line = text.lines().next().unwrap_or("");
    let mut parts: Vec<&str> = Vec::new();
    let mut n_chars = 0;
    // From the innermost outwards, as long as they fit.
    for part in path.iter().map(String::as_str).rev().chain([title]) {
        let part = part.trim();
        if part.is_empty() || parts.contains(&part) || first_line.contains(part) {
            continue;
        }
        n_chars += part.chars().count() + 3;
        if n_chars > MAX_PREFIX_CHARS {
            break;
        }
        parts.push(part);
    }
    parts.reverse();
    parts.join(" > ")
}

/// Cuts a document into chunks: in order, without overlap, covering all text that is neither blank
/// nor page furniture.
///
/// Blocks are kept whole where they fit, so that no table or code block is cut that fits into
/// `policy.max_tokens`; longer ones are cut at lines, paragraphs at sentence ends, then at blanks,
/// then anywhere. A heading stays with the text below it. `count_tokens` sees each part of the
/// text a small, constant number of times.
pub fn chunk(doc: &Document, policy: &ChunkPolicy, count_tokens: &dyn Fn(&str) -> u32) -> Vec<Chunk> {
    let blocks = blocks::of_document(doc);
    let mut packer = Packer {
        text: &doc.text,
        policy: *policy,
        splitter: Splitter { text: &doc.text, count_tokens },
        n_prefix_tokens: 0,
        open: Passage::default(),
        closed: Vec::new(),
    };
    let title = doc.title.as_deref().unwrap_or("");
    let mut path: Vec<(u8, String)> = Vec::new();
    for block in &blocks {
        if block.kind == BlockKind::PageFurniture {
            packer.interrupt();
            continue;
        }
        if let BlockKind::Heading { level } = block.kind {
            packer.end_section();
            path.retain(|&(above, _)| above < level);
            path.push((level, heading_words(doc.kind, &doc.text[block.start..block.end])));
            let names: Vec<String> = path.iter().map(|(_, name)| name.clone()).collect();
            packer.begin_section(title, names);
        }
        packer.add(block);
    }
    packer.end_section();
    packer.close();
    to_chunks(doc, packer.closed)
}

fn heading_words(kind: Kind, source: &str) -> String {
    match kind {
        Kind::Markdown => markdown::plain_heading(source),
        Kind::Rst => rst::plain_heading(source),
        _ => source.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn to_chunks(doc: &Document, passages: Vec<Passage>) -> Vec<Chunk> {
    let mut chars = CodePoints::new(&doc.text);
    passages
        .into_iter()
        .map(|passage| {
            let span = Span::new(chars.at(passage.start), chars.at(passage.end));
            Chunk {
                span,
                page: doc.page_at(span.start),
                heading_path: passage.path,
                text: doc.text[passage.start..passage.end].to_owned(),
            }
        })
        .collect()
}

/// A chunk in the making: bytes `start..end`.
#[derive(Debug, Clone, Default)]
struct Passage {
    start: usize,
    end: usize,
    /// Tokens of the pieces, an upper bound of those of the whole.
    n_tokens: u32,
    /// Only headings so far: it must not be closed before text has joined it.
    is_heading_only: bool,
    path: Vec<String>,
    /// Which section its text belongs to, to merge within one only.
    section: usize,
}

struct Packer<'a> {
    text: &'a str,
    policy: ChunkPolicy,
    splitter: Splitter<'a>,
    /// Tokens of the line that is prefixed to this section's chunks.
    n_prefix_tokens: u32,
    open: Passage,
    closed: Vec<Passage>,
}

impl Packer<'_> {
    /// The most tokens a chunk of this section may have without its prefix.
    fn max_tokens(&self) -> u32 {
        let max = self.policy.max_tokens.max(MIN_MAX_TOKENS);
        // However long the headings are, two thirds are left to the text.
        max - self.n_prefix_tokens.min(max / 3)
    }

    fn target_tokens(&self) -> u32 {
        let target = self.policy.target_tokens;
        (target - self.n_prefix_tokens.min(target / 3)).clamp(1, self.max_tokens())
    }

    fn begin_section(&mut self, title: &str, path: Vec<String>) {
        let prefix = prefix_line(title, &path, "");
        self.n_prefix_tokens = if prefix.is_empty() { 0 } else { self.splitter.count(&prefix) };
        self.open.section += 1;
        self.open.path = path;
    }

    /// Keeps what comes next apart: a chunk is one piece of the text.
    fn interrupt(&mut self) {
        self.close();
        self.open.section += 1;
    }

    /// Closes what is open, unless it is headings that wait for text.
    fn end_section(&mut self) {
        if !self.open.is_heading_only {
            self.close();
        }
    }

    fn add(&mut self, block: &ByteBlock) {
        let max = self.max_tokens();
        let is_heading = matches!(block.kind, BlockKind::Heading { .. });
        let whole = self.splitter.whole(block, max);
        // Headings must not stand alone because the text below them fits only without them.
        let room = if self.open.is_heading_only { max.saturating_sub(self.open.n_tokens) } else { max };
        match whole {
            Some(piece) if piece.n_tokens <= room => self.push(piece, is_heading),
            _ => {
                let room = room.max(max / 2);
                for piece in self.splitter.split(block, room, max) {
                    self.push(piece, is_heading);
                }
            }
        }
    }

    fn push(&mut self, piece: Piece, is_heading: bool) {
        let is_empty = self.open.start == self.open.end;
        if !is_empty {
            let n_together = self.open.n_tokens + piece.n_tokens;
            let limit = match self.open.is_heading_only || self.open.n_tokens < self.policy.min_tokens {
                true => self.max_tokens(),
                false => self.target_tokens(),
            };
            if n_together > limit {
                self.close();
            }
        }
        let open = &mut self.open;
        if open.start == open.end {
            open.start = piece.start;
            open.n_tokens = 0;
            open.is_heading_only = true;
        }
        open.end = piece.end;
        open.n_tokens += piece.n_tokens;
        open.is_heading_only &= is_heading;
    }

    /// Ends the open chunk; a small one joins the one before it in the same section if both fit.
    fn close(&mut self) {
        if self.open.start == self.open.end {
            return;
        }
        let max = self.max_tokens();
        let passage = self.open.clone();
        (self.open.start, self.open.end) = (passage.end, passage.end);
        (self.open.n_tokens, self.open.is_heading_only) = (0, false);
        if let Some(last) = self.closed.last()
            && last.section == passage.section
            && passage.n_tokens.min(last.n_tokens) < self.policy.min_tokens
            && last.n_tokens + passage.n_tokens <= max
        {
            // Two passages counted alone may have fewer tokens than together.
            let (start, end) = (last.start, passage.end);
            let n_tokens = self.splitter.count(&self.text[start..end]);
            if n_tokens <= max {
                let last = self.closed.last_mut().expect("it was there");
                (last.end, last.n_tokens) = (end, n_tokens);
                return;
            }
        }
        self.close_checked(passage, max);
    }

    /// Pieces counted alone may have fewer tokens than together; where that breaks the limit, the
    /// passage is cut once more.
    fn close_checked(&mut self, passage: Passage, max: u32) {
        let n_tokens = self.splitter.count(&self.text[passage.start..passage.end]);
        if n_tokens <= max {
            self.closed.push(Passage { n_tokens, ..passage });
            return;
        }
        let whole = ByteBlock { kind: BlockKind::Paragraph, start: passage.start, end: passage.end };
        for piece in self.splitter.split(&whole, max / 2, max) {
            let Piece { start, end, n_tokens } = piece;
            self.closed.push(Passage { start, end, n_tokens, ..passage.clone() });
        }
    }
}

/// Policies below this make no sense; counting special tokens alone may take two.
const MIN_MAX_TOKENS: u32 = 8;

#[cfg(test)]
mod tests;
