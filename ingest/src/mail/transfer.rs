//! Transfer encodings (RFC 2045, 6.7 and 6.8), read leniently.

/// Base64; characters outside of the alphabet are passed over.
pub(super) fn base64(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0u32, 0);
    for &c in text {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = (bits << 6) | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
            bits &= (1 << n_bits) - 1;
        }
    }
    bytes
}

/// Quoted-printable; a `=` that encodes nothing stays.
pub(super) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let after = &text[at + 1..];
        if c != b'=' {
            bytes.push(c);
            at += 1;
        } else if let Some(code) = after.get(..2).and_then(hex) {
            bytes.push(code);
            at += 3;
        } else if after.starts_with(b"\n") {
            at += 2;
        } else if after.starts_with(b"\r\n") {
            at += 3;
        } else {
            bytes.push(c);
            at += 1;
        }
    }
    bytes
}

/// Two hexadecimal digits.
pub(super) fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    Some((digit(*digits.first()?)? * 16 + digit(*digits.get(1)?)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_undone() {
        for (text, want) in [("SGVs\r\nbG8=", "Hello"), ("SGVsbG8", "Hello"), ("", ""), ("*", "")] {
            assert_eq!(base64(text.as_bytes()), want.as_bytes());
        }
        for (text, want) in [("gr=C3=B6=\r\n=C3=9Fer", "größer"), ("a=b =\n=", "a=b ="), ("1=3D1", "1=1")] {
            assert_eq!(quoted_printable(text.as_bytes()), want.as_bytes());
        }
    }
}
