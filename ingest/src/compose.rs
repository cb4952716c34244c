//! The writer that parsers of structured formats share: blocks in, a document out.

use crate::blocks::{ByteBlock, complete, to_blocks};
use crate::text::CodePoints;
use crate::{BlockKind, Document, Hint, Kind, Limits, Refusal, Warning, WarningCode, table};

/// Longer "headings" are paragraphs that were given a large font. Code points.
const MAX_HEADING_CHARS: usize = 300;

/// What a file says about itself.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) title: Option<String>,
    pub(crate) authors: Vec<String>,
    /// As the file writes it, usually ISO 8601.
    pub(crate) created: Option<String>,
}

/// A document in the making.
pub(crate) struct Composer<'a> {
    hint: &'a Hint<'a>,
    limits: &'a Limits,
    text: String,
    blocks: Vec<ByteBlock>,
    page_starts: Vec<usize>,
    n_chars_left: usize,
    has_cut_pages: bool,
    pub(crate) about: About,
    pub(crate) warnings: Vec<Warning>,
}

impl<'a> Composer<'a> {
    pub(crate) fn new(hint: &'a Hint<'a>, limits: &'a Limits) -> Self {
        Self {
            hint,
            limits,
            text: String::new(),
            blocks: Vec::new(),
            page_starts: Vec::new(),
            n_chars_left: limits.max_text_chars as usize,
            has_cut_pages: false,
            about: About::default(),
            warnings: Vec::new(),
        }
    }

    /// Whether no more text is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.n_chars_left == 0 || self.has_cut_pages
    }

    /// Whether nothing was written yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Starts a page.
    pub(crate) fn page(&mut self) {
        if self.page_starts.len() >= self.limits.max_pages as usize {
            self.has_cut_pages = true;
        } else {
            self.page_starts.push(self.text.len());
        }
    }

    /// Writes a block, trimmed; nothing if it is blank. List items stand on lines of their own, and
    /// code that follows code continues it.
    pub(crate) fn block(&mut self, kind: BlockKind, text: &str) {
        let text =
            if kind == BlockKind::Code { text.trim_end().trim_start_matches('\n') } else { text.trim() };
        if text.trim().is_empty() || self.is_full() {
            return;
        }
        let is_long = matches!(kind, BlockKind::Heading { .. }) && text.chars().count() > MAX_HEADING_CHARS;
        let kind = if is_long { BlockKind::Paragraph } else { kind };
        let before = self.blocks.last().filter(|b| b.end > self.page_starts.last().copied().unwrap_or(0));
        let joins =
            before.is_some_and(|b| b.kind == kind) && matches!(kind, BlockKind::ListItem | BlockKind::Code);
        if !self.text.is_empty() {
            self.text.push_str(if joins { "\n" } else { "\n\n" });
        }
        let start = self.text.len();
        self.push(text);
        let end = self.text.len();
        match self.blocks.last_mut() {
            Some(last) if joins && kind == BlockKind::Code => last.end = end,
            _ => self.blocks.push(ByteBlock { kind, start, end }),
        }
    }

    pub(crate) fn heading(&mut self, level: u8, text: &str) {
        self.block(BlockKind::Heading { level: level.clamp(1, 6) }, text);
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        self.block(BlockKind::Paragraph, text);
    }

    /// Writes a list item with a dash.
    pub(crate) fn item(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.block(BlockKind::ListItem, &format!("- {}", text.trim()));
        }
    }

    /// Writes a table. A single cell is a frame around paragraphs.
    pub(crate) fn table(&mut self, rows: &[Vec<String>]) {
        if let [row] = rows
            && let [cell] = row.as_slice()
        {
            cell.split('\n').for_each(|line| self.paragraph(line));
            return;
        }
        self.block(BlockKind::Table, &table::lines(rows));
    }

    /// Appends text that has its blocks already; they count bytes of `text`.
    pub(crate) fn append(&mut self, text: &str, blocks: &[ByteBlock]) {
        if text.trim().is_empty() || self.is_full() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        let at = self.text.len();
        self.push(text);
        let end = self.text.len();
        let shifted = blocks.iter().map(|b| ByteBlock {
            kind: b.kind,
            start: (b.start + at).min(end),
            end: (b.end + at).min(end),
        });
        self.blocks.extend(shifted.filter(|b| b.start < b.end));
    }

    fn push(&mut self, text: &str) {
        let n_bytes = match text.char_indices().nth(self.n_chars_left) {
            Some((at, _)) => at,
            None => text.len(),
        };
        let part = &text[..n_bytes];
        self.n_chars_left -= part.chars().count();
        if n_bytes < text.len() {
            self.n_chars_left = 0;
        }
        self.text.push_str(part);
    }

    pub(crate) fn warn(&mut self, code: WarningCode, message: String) {
        self.warnings.push(Warning { code, message });
    }

    /// Warns that a part of the file could not be read.
    pub(crate) fn warn_of_damage(&mut self) {
        let message = format!("{} is damaged and was read as far as possible", self.hint.name);
        self.warn(WarningCode::Damaged, message);
    }

    /// The document, unless nothing was written.
    pub(crate) fn finish(mut self, kind: Kind) -> Result<(Document, Vec<Warning>), Refusal> {
        if self.text.is_empty() {
            return Err(Refusal::Empty { name: self.hint.name.to_owned() });
        }
        if self.is_full() {
            let message =
                format!("only the beginning of {} was read; split it to have the rest", self.hint.name);
            self.warn(WarningCode::Truncated, message);
        }
        let mut chars = CodePoints::new(&self.text);
        let page_starts: Vec<u32> = self.page_starts.iter().map(|&at| chars.at(at)).collect();
        let blocks = complete(&self.text, self.blocks);
        let heading = blocks.iter().find(|b| matches!(b.kind, BlockKind::Heading { .. }));
        let title = self.about.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
        let title = title.or_else(|| heading.map(|b| &self.text[b.start..b.end])).map(one_line);
        let blocks = to_blocks(&self.text, &blocks, &page_starts);
        let About { mut authors, created, .. } = self.about;
        authors.retain(|author| !author.trim().is_empty());
        let document = Document { kind, title, authors, created, text: self.text, blocks, page_starts };
        Ok((document, self.warnings))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
