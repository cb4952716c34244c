//! Tokens of content streams and character maps: PostScript syntax, as far as PDF uses it.

/// One token. Anything malformed is skipped or read as far as it goes; there are no errors.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Number(f64),
    /// A name without its slash, escapes resolved.
    Name(Vec<u8>),
    /// A literal or hexadecimal string.
    Text(Vec<u8>),
    ArrayStart,
    ArrayEnd,
    DictStart,
    DictEnd,
    /// An operator or any other bare word.
    Word(&'a [u8]),
}

#[derive(Clone)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The offset after the last token.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Skips the data of an inline image, from after `ID` to after `EI`.
    pub(super) fn skip_inline_image(&mut self) {
        let rest = &self.bytes[self.at..];
        let is_end = |i: usize| {
            rest[i] == b'E'
                && rest.get(i + 1) == Some(&b'I')
                && (i == 0 || is_blank(rest[i - 1]))
                && rest.get(i + 2).is_none_or(|&b| is_blank(b))
                // Image data can hold the same bytes; text after them is plain ASCII.
                && rest[i + 2..].iter().take(12).all(|&b| b < 0x80 && (b >= 0x20 || is_blank(b)))
        };
        let end = (0..rest.len()).find(|&i| is_end(i)).map_or(rest.len(), |i| i + 2);
        self.at += end;
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b) = self.peek() {
            if b == b'%' {
                while self.peek().is_some_and(|b| b != b'\n' && b != b'\r') {
                    self.at += 1;
                }
            } else if is_blank(b) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    fn regular(&mut self) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(|b| !is_blank(b) && !is_delimiter(b)) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    fn name(&mut self) -> Vec<u8> {
        let raw = self.regular();
        let mut name = Vec::with_capacity(raw.len());
        let mut i = 0;
        while i < raw.len() {
            let hex = (raw[i] == b'#').then(|| raw.get(i + 1..i + 3)).flatten().and_then(hex_byte);
            name.push(hex.unwrap_or(raw[i]));
            i += if hex.is_some() { 3 } else { 1 };
        }
        name
    }

    fn literal(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut depth = 1;
        while let Some(b) = self.peek() {
            self.at += 1;
            match b {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => {
                    self.escape(&mut text);
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            text.push(b);
        }
        text
    }

    fn escape(&mut self, text: &mut Vec<u8>) {
        let Some(b) = self.peek() else { return };
        self.at += 1;
        match b {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'\r' => self.at += usize::from(self.peek() == Some(b'\n')),
            b'\n' => {}
            b'0'..=b'7' => {
                let mut code = u32::from(b - b'0');
                for _ in 0..2 {
                    if let Some(d @ b'0'..=b'7') = self.peek() {
                        code = code * 8 + u32::from(d - b'0');
                        self.at += 1;
                    }
                }
                text.push(code as u8);
            }
            other => text.push(other),
        }
    }

    fn hexadecimal(&mut self) -> Vec<u8> {
        let mut digits = Vec::new();
        while let Some(b) = self.peek() {
            self.at += 1;
            if b == b'>' {
                break;
            }
            digits.extend((b as char).to_digit(16));
        }
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair.get(1).copied().unwrap_or(0)) as u8).collect()
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.skip_blanks();
            let b = self.peek()?;
            if !is_delimiter(b) {
                let word = self.regular();
                return Some(number(word).map_or(Token::Word(word), Token::Number));
            }
            self.at += 1;
            let is_double = self.peek() == Some(b);
            return Some(match b {
                b'/' => Token::Name(self.name()),
                b'(' => Token::Text(self.literal()),
                b'[' => Token::ArrayStart,
                b']' => Token::ArrayEnd,
                b'<' if is_double => {
                    self.at += 1;
                    Token::DictStart
                }
                b'<' => Token::Text(self.hexadecimal()),
                b'>' if is_double => {
                    self.at += 1;
                    Token::DictEnd
                }
                // Braces and stray closing marks.
                _ => continue,
            });
        }
    }
}

pub(super) fn is_blank(b: u8) -> bool {
    matches!(b, 0 | b'\t' | b'\n' | 12 | b'\r' | b' ')
}

fn is_delimiter(b: u8) -> bool {
    matches!(b, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    let digit = |b: u8| (b as char).to_digit(16);
    Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)
}

/// A number, tolerating what writers get wrong: `--5`, `5-3`, `.`, `1.2.3`.
fn number(word: &[u8]) -> Option<f64> {
    let first = *word.first()?;
    if !matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.') {
        return None;
    }
    let unsigned = word.iter().position(|b| !matches!(b, b'+' | b'-')).unwrap_or(word.len());
    let digits = &word[unsigned..];
    let mut n_points = 0;
    let end = digits
        .iter()
        .position(|&b| {
            n_points += usize::from(b == b'.');
            !(b.is_ascii_digit() || b == b'.' && n_points == 1)
        })
        .unwrap_or(digits.len());
    if end == 0 && unsigned < word.len() {
        return None;
    }
    let value: f64 = std::str::from_utf8(&digits[..end]).ok()?.parse().unwrap_or(0.0);
    Some(if first == b'-' { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let source = b"/F#311 -.5 Tf [(a\\(b\\051(c)\\101) -20<4 1 4>]TJ % comment\n<</A 1>> T* --7 1e ' }";
        let got: Vec<Token> = Lexer::new(source).collect();
        let want = vec![
            Token::Name(b"F11".to_vec()),
            Token::Number(-0.5),
            Token::Word(b"Tf"),
            Token::ArrayStart,
            Token::Text(b"a(b)(c)A".to_vec()),
            Token::Number(-20.0),
            Token::Text(b"A@".to_vec()),
            Token::ArrayEnd,
            Token::Word(b"TJ"),
            Token::DictStart,
            Token::Name(b"A".to_vec()),
            Token::Number(1.0),
            Token::DictEnd,
            Token::Word(b"T*"),
            Token::Number(-7.0),
            Token::Number(1.0),
            Token::Word(b"'"),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn any_bytes_end() {
        for source in [&b"(open"[..], b"<41", b"/", b"\\", b"((((", b"<<<<", b")>]}"] {
            assert!(Lexer::new(source).count() <= 4);
        }
    }

    #[test]
    fn inline_images_are_skipped() {
        let mut lexer = Lexer::new(b"ID \xff\xfe EI\x90 (no) EI Q (yes)");
        assert_eq!(lexer.next(), Some(Token::Word(b"ID")));
        lexer.skip_inline_image();
        assert_eq!(lexer.next(), Some(Token::Word(b"Q")));
    }
}
