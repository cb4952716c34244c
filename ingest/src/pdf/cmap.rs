//! Character maps: codes of a font to Unicode, and where codes end (Adobe technical note 5014).

use super::lexer::{Lexer, Token};
use std::collections::HashMap;

/// The biggest fonts have 65,536 glyphs; twice as many mappings may be said, some of them twice.
const MAX_MAPPINGS: usize = 1 << 17;

/// What a character map says.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct CMap {
    /// Code to text, for `bfchar` and `bfrange`.
    pub(super) unicode: HashMap<u32, String>,
    /// Number of bytes, first and last code.
    pub(super) codespaces: Vec<(usize, u32, u32)>,
    /// First code, last code, first glyph number, for `cidchar` and `cidrange`.
    pub(super) cids: Vec<(u32, u32, u32)>,
    /// Mappings made so far, the same code counted each time.
    n_mappings: usize,
}

impl CMap {
    /// Reads what is well-formed of `source`.
    pub(super) fn parse(source: &[u8]) -> Self {
        let mut map = Self::default();
        let mut operands: Vec<Operand> = Vec::new();
        let mut array: Option<Vec<Vec<u8>>> = None;
        for token in Lexer::new(source) {
            match token {
                Token::ArrayStart => array = Some(Vec::new()),
                Token::ArrayEnd => operands.extend(array.take().map(Operand::Array)),
                Token::Text(text) => match &mut array {
                    Some(array) => array.push(text),
                    None => operands.push(Operand::Text(text)),
                },
                Token::Number(n) => operands.push(Operand::Number(n as u32)),
                Token::Word(word) => {
                    map.section(word, &operands);
                    operands.clear();
                }
                _ => {}
            }
            if operands.len() > 4 * MAX_MAPPINGS {
                break;
            }
        }
        map
    }

    fn section(&mut self, end: &[u8], operands: &[Operand]) {
        use Operand::{Array, Number, Text};
        match end {
            b"endcodespacerange" => {
                for pair in operands.chunks_exact(2) {
                    if let [Text(low), Text(high)] = pair
                        && (1..=4).contains(&low.len())
                    {
                        self.codespaces.push((low.len(), code(low), code(high)));
                    }
                }
            }
            b"endbfchar" => {
                for pair in operands.chunks_exact(2) {
                    if let [Text(from), Text(to)] = pair {
                        self.insert(code(from), utf16(to));
                    }
                }
            }
            b"endbfrange" => {
                for triple in operands.chunks_exact(3) {
                    match triple {
                        [Text(low), Text(high), Text(to)] => self.range(code(low), code(high), to),
                        [Text(low), Text(_), Array(all)] => {
                            for (i, to) in all.iter().enumerate() {
                                self.insert(code(low).saturating_add(i as u32), utf16(to));
                            }
                        }
                        _ => {}
                    }
                }
            }
            b"endcidchar" => {
                for pair in operands.chunks_exact(2) {
                    if let [Text(from), Number(cid)] = pair {
                        self.cids.push((code(from), code(from), *cid));
                    }
                }
            }
            b"endcidrange" => {
                for triple in operands.chunks_exact(3) {
                    if let [Text(low), Text(high), Number(cid)] = triple {
                        self.cids.push((code(low), code(high), *cid));
                    }
                }
            }
            _ => {}
        }
    }

    /// Codes `low..=high` go to `to` with its last character counted up.
    fn range(&mut self, low: u32, high: u32, to: &[u8]) {
        let text = utf16(to);
        let Some(last) = text.chars().next_back() else { return };
        let stem = &text[..text.len() - last.len_utf8()];
        for (i, from) in (low..=high).enumerate() {
            if self.n_mappings >= MAX_MAPPINGS {
                break;
            }
            if let Some(c) = char::from_u32((last as u32).saturating_add(i as u32)) {
                self.insert(from, format!("{stem}{c}"));
            }
        }
    }

    fn insert(&mut self, code: u32, text: String) {
        if self.n_mappings < MAX_MAPPINGS {
            self.n_mappings += 1;
            self.unicode.insert(code, text);
        }
    }

    /// The glyph number of a code; codes without one are their own.
    pub(super) fn cid(&self, code: u32) -> u32 {
        self.cids
            .iter()
            .find(|&&(low, high, _)| (low..=high).contains(&code))
            .map_or(code, |&(low, _, cid)| cid.saturating_add(code - low))
    }
}

enum Operand {
    Text(Vec<u8>),
    Array(Vec<Vec<u8>>),
    Number(u32),
}

/// A code of up to four bytes, big-endian.
fn code(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |code, &b| code << 8 | u32::from(b))
}

/// UTF-16BE without what is no text; a single byte stands for itself.
fn utf16(bytes: &[u8]) -> String {
    if let [byte] = bytes {
        return char::from(*byte).to_string();
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).flatten().filter(|&c| c != '\0').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sections() {
        let map = CMap::parse(
            b"1 begincodespacerange <00> <80> <8140> <9ffc> endcodespacerange
              2 beginbfchar <0003> <0020> <0004> <00660069> endbfchar
              2 beginbfrange <0010> <0012> <0041> <0020> <0021> [<0061> <d83dde00>] endbfrange
              1 begincidrange <20> <7e> 1 endcidrange 1 begincidchar <81> 500 endcidchar",
        );
        let want = [(3, " "), (4, "fi"), (0x10, "A"), (0x11, "B"), (0x12, "C"), (0x20, "a"), (0x21, "😀")];
        assert_eq!(map.unicode, want.map(|(code, text)| (code, text.to_owned())).into());
        assert_eq!(map.codespaces, [(1, 0, 0x80), (2, 0x8140, 0x9ffc)]);
        assert_eq!([map.cid(0x21), map.cid(0x81), map.cid(0x7777)], [2, 500, 0x7777]);
    }

    #[test]
    fn huge_ranges_are_bounded() {
        let map = CMap::parse(b"1 beginbfrange <00000000> <ffffffff> <0000> endbfrange");
        assert!(map.unicode.len() <= MAX_MAPPINGS);
        assert_eq!(CMap::parse(b"beginbfrange <00> <> [ endbfrange <<>> ]]"), CMap::default());
    }
}
