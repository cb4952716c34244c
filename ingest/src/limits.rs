//! What the caller tells about a file, and how much of it may be read.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is known about a file besides its bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hint<'a> {
    /// The file's name, with or without folders; used in messages and where content is ambiguous.
    pub name: &'a str,
    /// The media type the sender claims; used only where content and name are ambiguous.
    pub mime: Option<&'a str>,
    /// Opens an encrypted document.
    pub password: Option<&'a str>,
}

/// Bounds on the work one file may cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Larger files are refused.
    pub max_bytes: u64,
    /// Further pages are left out, with a warning.
    pub max_pages: u32,
    /// Text is cut here, with a warning. Code points.
    pub max_text_chars: u32,
    /// Text of one page is cut here, with a warning. Code points.
    pub max_page_chars: u32,
    /// Files in an archive; further ones are left out, with a warning.
    pub max_members: u32,
    /// What all that is unpacked from one archive may take. A larger part is refused.
    pub max_unpacked_bytes: u64,
}

impl Limits {
    /// How long reading a file of as many bytes may take, for whoever has a clock and can stop the reader: this
    /// crate has none. A hundred times what ordinary files take.
    pub fn max_time(&self, n_bytes: u64) -> Duration {
        MAX_TIME + MAX_TIME_PER_MB * u32::try_from(n_bytes >> 20).unwrap_or(u32::MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: MAX_BYTES,
            max_pages: MAX_PAGES,
            max_text_chars: MAX_TEXT_CHARS,
            max_page_chars: MAX_PAGE_CHARS,
            max_members: MAX_MEMBERS,
            max_unpacked_bytes: MAX_UNPACKED_BYTES,
        }
    }
}

const MAX_TIME: Duration = Duration::from_secs(10);
const MAX_TIME_PER_MB: Duration = Duration::from_secs(2);
/// 256 MiB: a file and what is parsed from it must fit in a worker's memory several times over.
const MAX_BYTES: u64 = 256 << 20;
/// The longest books have some thousand pages.
const MAX_PAGES: u32 = 10_000;
/// 20 million code points: forty times a long novel, at most 80 MB.
const MAX_TEXT_CHARS: u32 = 20_000_000;
/// A dense newspaper page has 50,000 code points.
const MAX_PAGE_CHARS: u32 = 200_000;
/// The largest presentations and books have some thousand parts; an entry takes 100 bytes.
const MAX_MEMBERS: u32 = 20_000;
/// 512 MiB, twice the largest file: text and XML shrink to a tenth, but large files hold pictures.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;
