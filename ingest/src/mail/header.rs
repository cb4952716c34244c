//! Values of headers: encoded words (RFC 2047), parameters (RFC 2231) and dates (RFC 5322).

use super::transfer::{base64, hex, quoted_printable};
use encoding_rs::{Encoding, UTF_8};

/// Names in lower case with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, String)>);

/// A value of more pieces is damaged.
const MAX_PIECES: usize = 100;

impl Parameters {
    /// The value of a parameter, which may be in pieces (`name*0`, `name*1`) and may tell its
    /// characters' encoding (`name*`).
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let find = |key: &str| self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        if let Some(value) = find(&format!("{name}*")) {
            return Some(unescaped(value));
        }
        if let Some(value) = find(name) {
            return Some(decoded(value));
        }
        let mut joined = String::new();
        let mut is_escaped = false;
        for i in 0..MAX_PIECES {
            let escaped = find(&format!("{name}*{i}*"));
            is_escaped |= escaped.is_some();
            match escaped.or_else(|| find(&format!("{name}*{i}"))) {
                Some(piece) => joined.push_str(piece),
                None => break,
            }
        }
        if joined.is_empty() {
            return None;
        }
        Some(if is_escaped { unescaped(&joined) } else { decoded(&joined) })
    }
}

/// `charset'language'text` with `%20` and the like.
fn unescaped(value: &str) -> String {
    let mut parts = value.splitn(3, '\'');
    let (charset, text) = match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(text)) => (charset, text),
        _ => ("utf-8", value),
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, after)) = rest.split_first() {
        match after.get(..2).filter(|_| b == b'%').and_then(hex) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(b);
                rest = after;
            }
        }
    }
    in_charset(charset, &bytes)
}

fn in_charset(label: &str, bytes: &[u8]) -> String {
    let encoding = Encoding::for_label(label.as_bytes()).unwrap_or(UTF_8);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// The main value in lower case and its parameters.
pub(super) fn parameters(value: &str) -> (String, Parameters) {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut is_quoted = false;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => piece.extend(chars.next()),
            ';' if !is_quoted => pieces.push(std::mem::take(&mut piece)),
            c => piece.push(c),
        }
    }
    pieces.push(piece);
    let mut pieces = pieces.into_iter();
    let main = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
    let named = pieces.take(MAX_PIECES).filter_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    });
    (main, Parameters(named.collect()))
}

/// A value with its encoded words (`=?utf-8?Q?gr=C3=B6=C3=9Fer?=`) decoded. Blanks between two of
/// them are none, and a character may be cut by their border.
pub(super) fn decoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    // Bytes of words of one charset that follow each other.
    let mut pending: Option<(String, Vec<u8>)> = None;
    let mut rest = value;
    while let Some(at) = rest.find("=?") {
        let Some((charset, bytes, after)) = encoded_word(&rest[at + 2..]) else {
            flush(&mut text, &mut pending);
            text.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        };
        let between = &rest[..at];
        if !between.trim().is_empty() || pending.is_none() {
            flush(&mut text, &mut pending);
            text.push_str(between);
        }
        if pending.as_ref().is_some_and(|(open, _)| !open.eq_ignore_ascii_case(charset)) {
            flush(&mut text, &mut pending);
        }
        pending.get_or_insert_with(|| (charset.to_owned(), Vec::new())).1.extend_from_slice(&bytes);
        rest = after;
    }
    flush(&mut text, &mut pending);
    text.push_str(rest);
    text
}

fn flush(text: &mut String, pending: &mut Option<(String, Vec<u8>)>) {
    if let Some((charset, bytes)) = pending.take() {
        text.push_str(&in_charset(&charset, &bytes));
    }
}

/// Charset, bytes and what follows, of `utf-8?Q?text?=`.
fn encoded_word(word: &str) -> Option<(&str, Vec<u8>, &str)> {
    let (charset, rest) = word.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (text, after) = rest.split_once("?=")?;
    // A language may follow the charset.
    let charset = charset.split('*').next().unwrap_or(charset);
    let bytes = match encoding {
        "B" | "b" => base64(text.as_bytes()),
        "Q" | "q" => quoted_printable(text.replace('_', " ").as_bytes()),
        _ => return None,
    };
    (!charset.contains(char::is_whitespace)).then_some((charset, bytes, after))
}

/// `Wed, 31 Jan 2024 12:00:00 +0000` as `2024-01-31T12:00:00+0000`.
pub(super) fn iso_date(date: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let date = date.rsplit_once(", ").map_or(date, |(_, rest)| rest);
    let mut words = date.split_whitespace();
    let day: u8 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = words.next()?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|m| month.starts_with(m))? + 1;
    let year: u16 = words.next()?.parse().ok()?;
    let year = match year {
        0..50 => year + 2000,
        50..100 => year + 1900,
        _ => year,
    };
    let time = words.next().filter(|time| time.contains(':')).unwrap_or("00:00");
    let zone = words.next().filter(|zone| zone.starts_with(['+', '-'])).unwrap_or("");
    Some(format!("{year:04}-{month:02}-{day:02}T{time}{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words() {
        for (value, want) in [
            ("plain", "plain"),
            ("=?utf-8?Q?gr=C3=B6=C3=9Fer_als?= gedacht", "größer als gedacht"),
            ("=?utf-8?B?Z3LDtg==?= =?UTF-8?B?w59lcg==?=", "größer"),
            ("=?utf-8?B?Z3LD?=  =?utf-8?B?tsOfZXI=?= x", "größer x"),
            ("=?iso-8859-1*de?q?=FCber?=", "über"),
            ("a =? b ?= =?utf-8?X?y?=", "a =? b ?= =?utf-8?X?y?="),
        ] {
            assert_eq!(decoded(value), want);
        }
    }

    #[test]
    fn parameters_and_their_pieces() {
        let (main, all) =
            parameters("Text/Plain; charset=\"utf-8\"; name=\"a;\\\"b\"; x*0*=utf-8''gr%C3%B6; x*1=er");
        assert_eq!(main, "text/plain");
        for (name, want) in
            [("charset", Some("utf-8")), ("name", Some("a;\"b")), ("x", Some("gröer")), ("none", None)]
        {
            assert_eq!(all.get(name).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn dates() {
        for (date, want) in [
            ("Wed, 31 Jan 2024 12:00:00 +0000", Some("2024-01-31T12:00:00+0000")),
            ("1 Feb 99 06:30", Some("1999-02-01T06:30")),
            ("soon", None),
        ] {
            assert_eq!(iso_date(date).as_deref(), want);
        }
    }
}
