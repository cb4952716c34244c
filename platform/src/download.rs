//! Downloads that can be resumed.

use crate::{Error, Result, os};

/// A download that brings no byte for this long counts as broken.
pub const MAX_STALL_MS: u32 = 60_000;

/// A download under way. Dropping it ends the transfer.
#[derive(Debug)]
pub struct Download {
    /// The HTTP status: 200, or 206 for a resumed one.
    pub status: u16,
    /// The length of the whole file where the server tells it, whatever the start was.
    pub total_bytes: Option<u64>,
    /// Whether the bytes begin at the `start` that was asked for; else they begin at 0.
    pub resumed: bool,
    url: String,
    body: os::net::Body,
}

impl Download {
    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// `Network` when the connection breaks, or stalls for [`Asked::stall_ms`].
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let next = self.body.next().await;
        next.map_err(|reason| Error::Network { url: self.url.clone(), reason })
    }
}

/// Asks for `url`, from byte `start` on where the server can do that (`Range: bytes=start-`).
///
/// # Errors
/// `Http` for every answer but 200 and 206 (416 when `start` is at or past the end of the file),
/// `Busy` for 429 and 503, `Network` when there is no answer, or a range that was not asked for.
pub async fn fetch(url: &str, start: u64) -> Result<Download> {
    Asked { start, ..Asked::new(url) }.fetch().await
}

/// Which bytes of which address, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The address.
    pub url: &'a str,
    /// The first byte.
    pub start: u64,
    /// The byte after the last one; `None` asks for all there are.
    pub end: Option<u64>,
    /// What brings no byte for this long counts as broken.
    pub stall_ms: u32,
}

impl<'a> Asked<'a> {
    /// The whole of `url`, with the usual patience.
    pub fn new(url: &'a str) -> Self {
        Self { url, start: 0, end: None, stall_ms: MAX_STALL_MS }
    }

    /// The header that asks for a part.
    pub(crate) fn range(&self) -> Option<String> {
        match self.end {
            Some(end) => Some(format!("bytes={}-{}", self.start, end.saturating_sub(1))),
            None if self.start > 0 => Some(format!("bytes={}-", self.start)),
            None => None,
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// As [`fetch`].
    pub async fn fetch(&self) -> Result<Download> {
        let url = self.url.to_owned();
        let head = match os::net::request(self).await {
            Ok(head) => head,
            Err(reason) => return Err(Error::Network { url, reason }),
        };
        let resumed = match head.status {
            200 => false,
            206 if self.range().is_some() => true,
            status @ (429 | 503) => {
                let wait_s = head.retry_after.and_then(|text| text.trim().parse().ok());
                return Err(Error::Busy { url, status, wait_s });
            }
            status => return Err(Error::Http { url, status }),
        };
        let total_bytes = match (resumed, head.content_range) {
            (false, _) => head.content_length,
            (true, range) => match total_of(&range.unwrap_or_default(), self.start) {
                Ok(total_bytes) => total_bytes,
                Err(reason) => return Err(Error::Network { url, reason }),
            },
        };
        Ok(Download { status: head.status, total_bytes, resumed, url, body: head.body })
    }
}

/// The length that a `Content-Range` tells, if it begins where it should.
fn total_of(range: &str, start: u64) -> std::result::Result<Option<u64>, String> {
    let (first, total) =
        parse_content_range(range).ok_or_else(|| format!("its range {range:?} cannot be read"))?;
    if first == start { Ok(total) } else { Err(format!("it sent bytes from {first} instead of {start}")) }
}

pub(crate) fn stalled(stall_ms: u32) -> String {
    format!("nothing arrived for {} seconds", stall_ms.div_ceil(1000))
}

/// What the two systems report of an answer.
pub(crate) struct Head {
    pub status: u16,
    /// The length of the body, unless it travels compressed.
    pub content_length: Option<u64>,
    pub content_range: Option<String>,
    pub retry_after: Option<String>,
    pub body: os::net::Body,
}

/// `bytes 5-9/10` gives (5, Some(10)); `bytes 5-9/*` gives (5, None).
fn parse_content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse::<u64>().ok()?);
    let total = match total.trim() {
        "*" => None,
        digits => Some(digits.parse().ok()?),
    };
    let in_order = first <= last && total.is_none_or(|total| last < total);
    in_order.then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::parse_content_range;

    #[test]
    fn content_ranges() {
        for (value, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes 0-0/1", Some((0, Some(1)))),
            ("bytes 5-10/10", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("", None),
        ] {
            assert_eq!(parse_content_range(value), expected, "{value}");
        }
    }
}
