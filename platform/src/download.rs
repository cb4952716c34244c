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
    /// `Network` when the connection breaks, or stalls for [`MAX_STALL_MS`].
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let next = self.body.next().await;
        next.map_err(|reason| Error::Network { url: self.url.clone(), reason })
    }
}

/// Asks for `url`, from byte `start` on where the server can do that (`Range: bytes=start-`).
///
/// # Errors
/// `Http` for every answer but 200 and 206 (416 when `start` is at or past the end of the file),
/// `Network` when there is no answer, or a range that was not asked for.
pub async fn fetch(url: &str, start: u64) -> Result<Download> {
    let network = |reason: String| Error::Network { url: url.to_owned(), reason };
    let head = os::net::request(url, start).await.map_err(network)?;
    let resumed = match head.status {
        200 => false,
        206 if start > 0 => true,
        status => {
            return Err(Error::Http { url: url.to_owned(), status });
        }
    };
    let total_bytes = if resumed {
        let range = head.content_range.as_deref().unwrap_or_default();
        let (first, total) = parse_content_range(range)
            .ok_or_else(|| network(format!("its range {range:?} cannot be read")))?;
        if first != start {
            return Err(network(format!("it sent bytes from {first} instead of {start}")));
        }
        total
    } else {
        head.content_length
    };
    Ok(Download { status: head.status, total_bytes, resumed, url: url.to_owned(), body: head.body })
}

/// What the two systems report of an answer.
pub(crate) struct Head {
    pub status: u16,
    /// The length of the body, unless it travels compressed.
    pub content_length: Option<u64>,
    pub content_range: Option<String>,
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
