//! The parts of HTTP's headers that decide what is sent.

use std::ops::Range;

/// What isolates the page from other sites, which lets it use threads and exact clocks.
pub(crate) const ISOLATION: &str =
    concat!("Cross-Origin-Opener-Policy: same-origin\r\n", "Cross-Origin-Embedder-Policy: require-corp\r\n",);

/// What every answer carries.
pub(crate) const ALWAYS: &str = concat!(
    "Cross-Origin-Resource-Policy: same-origin\r\n",
    "X-Content-Type-Options: nosniff\r\n",
    "Referrer-Policy: no-referrer\r\n",
    "Cache-Control: no-cache\r\n",
);

/// The policy of the page. It lets the page run its own scripts and wasm, and connect to this server, to the
/// model hub with its file servers and to a mirror of it: documents cannot leave through it. Styles set on
/// elements by script count as inline.
pub(crate) fn policy(mirror: Option<&str>) -> String {
    let mirror = mirror.map_or(String::new(), |origin| format!(" {origin}"));
    format!(
        "Content-Security-Policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
         style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; \
         connect-src 'self' https://huggingface.co https://*.huggingface.co https://*.hf.co{mirror}; \
         worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'\r\n"
    )
}

/// The origin of an address; `None` where it is none, or could end the header.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    let is_host = !host.is_empty() && host.chars().all(fits);
    (matches!(scheme, "http" | "https") && is_host).then(|| format!("{scheme}://{host}"))
}

/// Codings a file may lie beside itself in, best first: coding and extension.
const CODINGS: [(&str, &str); 2] = [("br", "br"), ("gzip", "gz")];

/// The codings of `Accept-Encoding` (in lower case) that the client takes, best first.
pub(crate) fn accepted_codings(accept_encoding: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    CODINGS.into_iter().filter(|(coding, _)| {
        accept_encoding.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let is_it = parts.next() == Some(coding);
            let is_refused = parts
                .filter_map(|part| part.strip_prefix("q="))
                .any(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
            is_it && !is_refused
        })
    })
}

/// Whether the value of `If-None-Match` names this tag, which includes its quotes.
pub(crate) fn names_tag(if_none_match: &str, tag: &str) -> bool {
    if_none_match
        .split(',')
        .map(str::trim)
        .any(|candidate| candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == tag)
}

/// What a `Range` header means for a file of `n_bytes`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range, several of them, or one that cannot be read.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads `bytes=5-9`, `bytes=5-` and `bytes=-5`.
pub(crate) fn wanted(range: Option<&str>, n_bytes: u64) -> Wanted {
    let ends = range.and_then(|r| r.strip_prefix("bytes=")).and_then(|r| r.split_once('-'));
    let Some((first, last)) = ends else {
        return Wanted::Whole;
    };
    let part = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(n_bytes),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..n_bytes,
        (Err(_), Ok(n_last)) if first.trim().is_empty() => n_bytes.saturating_sub(n_last)..n_bytes,
        _ => return Wanted::Whole,
    };
    if part.start < part.end { Wanted::Part(part) } else { Wanted::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        assert_eq!(origin_of("https://a.example:8/b?c").as_deref(), Some("https://a.example:8"));
        for bad in ["", "a.example", "ftp://a", "https://", "https://a b", "https://a; script-src *"] {
            assert_eq!(origin_of(bad), None, "{bad}");
        }
        assert!(policy(Some("https://m.example")).contains("*.hf.co https://m.example; worker-src"));
    }

    #[test]
    fn ranges() {
        for (range, expected) in [
            (None, Wanted::Whole),
            (Some("bytes=2-4"), Wanted::Part(2..5)),
            (Some("bytes=2-"), Wanted::Part(2..10)),
            (Some("bytes=-3"), Wanted::Part(7..10)),
            (Some("bytes=-30"), Wanted::Part(0..10)),
            (Some("bytes=0-99"), Wanted::Part(0..10)),
            (Some("bytes=9-18446744073709551615"), Wanted::Part(9..10)),
            (Some("bytes=10-"), Wanted::Unsatisfiable),
            (Some("bytes=12-20"), Wanted::Unsatisfiable),
            (Some("bytes=-0"), Wanted::Unsatisfiable),
            (Some("bytes=4-2"), Wanted::Whole),
            (Some("bytes=0-1,3-4"), Wanted::Whole),
            (Some("bytes=x-"), Wanted::Whole),
            (Some("items=1-2"), Wanted::Whole),
        ] {
            assert_eq!(wanted(range, 10), expected, "{range:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn codings() {
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", vec!["br", "gzip"]),
            ("gzip;q=1.0, br;q=0", vec!["gzip"]),
            ("br;q=0.5", vec!["br"]),
            ("brotli", vec![]),
            ("", vec![]),
        ] {
            let codings: Vec<_> = accepted_codings(accept).map(|(coding, _)| coding).collect();
            assert_eq!(codings, expected, "{accept}");
        }
    }

    #[test]
    fn tags() {
        for value in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(names_tag(value, "\"a\""), "{value}");
        }
        for value in ["a", "\"b\"", ""] {
            assert!(!names_tag(value, "\"a\""), "{value}");
        }
    }
}
