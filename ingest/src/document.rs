//! The plain data that leaves this crate: documents, blocks, spans, warnings and refusals.

use serde::{Deserialize, Serialize};

/// A range `start..end` of Unicode code points of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// First code point.
    pub start: u32,
    /// One past the last code point.
    pub end: u32,
}

impl Span {
    /// The span `start..end`.
    pub fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// Number of code points; 0 when the ends are in the wrong order.
    pub fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Whether the span holds no code point.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// Portable Document Format.
    Pdf,
    /// Markdown (CommonMark with tables and front matter).
    Markdown,
    /// HTML or XHTML.
    Html,
    /// Word document (Office Open XML).
    Docx,
    /// PowerPoint presentation (Office Open XML).
    Pptx,
    /// Excel workbook (Office Open XML).
    Xlsx,
    /// OpenDocument text.
    Odt,
    /// OpenDocument spreadsheet.
    Ods,
    /// OpenDocument presentation.
    Odp,
    /// EPUB book.
    Epub,
    /// reStructuredText.
    Rst,
    /// Comma-separated values, or values separated by tabs, semicolons or bars.
    Csv,
    /// JSON.
    Json,
    /// A JSON value on each line.
    JsonLines,
    /// Source code, markup or settings.
    Code,
    /// SubRip or WebVTT subtitles.
    Subtitles,
    /// One e-mail.
    Email,
    /// A mailbox of e-mails (mbox).
    Mailbox,
    /// Any other text.
    PlainText,
}

impl Kind {
    /// The name used in databases and JSON, such as `pdf`, `markdown` or `text`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Xlsx => "xlsx",
            Self::Odt => "odt",
            Self::Ods => "ods",
            Self::Odp => "odp",
            Self::Epub => "epub",
            Self::Rst => "rst",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Code => "code",
            Self::Subtitles => "subtitles",
            Self::Email => "email",
            Self::Mailbox => "mailbox",
            Self::PlainText => "text",
        }
    }
}

/// A document's text and its structure. All spans count code points of `text`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What the file was.
    pub kind: Kind,
    /// The title the file gives itself, if any.
    pub title: Option<String>,
    /// The authors the file names; a letter's sender.
    #[serde(default)]
    pub authors: Vec<String>,
    /// When it was written, as the file says it; usually ISO 8601.
    #[serde(default)]
    pub created: Option<String>,
    /// The extracted text. For Markdown, reStructuredText, source code and plain text it is the
    /// decoded file, verbatim.
    pub text: String,
    /// Blocks in reading order; they neither overlap nor nest, and each lies within `text`.
    pub blocks: Vec<Block>,
    /// Code point at which page `i + 1` starts, non-decreasing; empty if the document has no pages.
    pub page_starts: Vec<u32>,
}

impl Document {
    /// The 1-based page that holds the code point `at`, or `None` if the document has no pages.
    pub fn page_at(&self, at: u32) -> Option<u32> {
        let n_before = self.page_starts.partition_point(|&start| start <= at);
        (!self.page_starts.is_empty()).then_some(n_before.max(1) as u32)
    }
}

/// A paragraph, heading, list item, table or code block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Where it stands, without surrounding blanks.
    pub span: Span,
    /// The 1-based page of its first code point, if the document has pages.
    pub page: Option<u32>,
}

/// The role of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockKind {
    /// A heading; level 1 is the highest, 6 the lowest.
    Heading {
        /// 1 to 6.
        level: u8,
    },
    /// Running text.
    Paragraph,
    /// One item of a list, without the items nested in it.
    ListItem,
    /// A whole table.
    Table,
    /// A code block with its fences.
    Code,
    /// What somebody wrote on a page afterwards.
    Comment,
    /// A running title or page number, which is no part of any passage.
    PageFurniture,
}

/// Something that was lost or guessed while reading a document that was read all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What kind of thing.
    pub code: WarningCode,
    /// One sentence for the user.
    pub message: String,
}

/// The kinds of [`Warning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WarningCode {
    /// A page could not be read and is missing from the text.
    PageLost,
    /// Pages without text, probably images.
    PagesWithoutText,
    /// The text was cut at a limit.
    Truncated,
    /// The character encoding was guessed or did not fit everywhere.
    Encoding,
    /// Something that an ordinary view of the document does not show was left out.
    Hidden,
    /// A damaged file was read as far as possible.
    Damaged,
}

/// Why a file gave no document. Each message names the file and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file holds no bytes, or only blanks.
    #[error("{name} is empty; choose a file that contains text")]
    Empty {
        /// The file's name.
        name: String,
    },
    /// The file is larger than the limit.
    #[error("{name} has {n_bytes} bytes, more than the limit of {max_bytes}; split it and add the parts")]
    TooLarge {
        /// The file's name.
        name: String,
        /// Its size.
        n_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// The content is of no supported kind.
    #[error("{name} looks like {looks_like}, which cannot be read; {supported}")]
    UnknownKind {
        /// The file's name.
        name: String,
        /// What the content looks like, for example "a ZIP archive".
        looks_like: String,
        /// What can be read.
        supported: String,
    },
    /// The document is encrypted and no password was given.
    #[error("{name} is protected by a password; give the password, or save the file without one")]
    PasswordNeeded {
        /// The file's name.
        name: String,
    },
    /// The given password does not open the document.
    #[error("the password for {name} is wrong; try another one")]
    WrongPassword {
        /// The file's name.
        name: String,
    },
    /// The file is too damaged, or uses something unsupported.
    #[error("{name} cannot be read: {reason}; open it in another program and save it anew")]
    Unreadable {
        /// The file's name.
        name: String,
        /// What went wrong.
        reason: String,
    },
    /// Its reader was stopped, or ended without a document.
    #[error("{name} was given up: {reason}; split it, or open it in another program and save it anew")]
    GivenUp {
        /// The file's name.
        name: String,
        /// What happened.
        reason: String,
    },
    /// The document has pages but no text on them.
    #[error(
        "{name} contains no text, probably because it was scanned; run text recognition (OCR) on it first"
    )]
    NoText {
        /// The file's name.
        name: String,
    },
}
