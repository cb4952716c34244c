//! Character maps: codes of a font to Unicode, and where codes end (Adobe technical note 5014).

use super::lexer::{Lexer, Token};
use std::collections::HashMap;

/// The biggest fonts have 65,536 glyphs; twice as many mappings may be said, some of them twice.
const MAX_MAPPINGS: usize = 1 << 17;

/// Codespaces of one map; the predefined ones have ten at most.
const MAX_CODESPACES: usize = 256;
/// Characters one code means: the longest ligature there is has 18.
const MAX_TARGET_CHARS: usize = 32;

/// Codes that mean characters one after the other.
#[derive(Debug, Clone, PartialEq)]
struct Range {
    low: u32,
    high: u32,
    stem: String,
    /// The character after the stem for `low`.
    last: u32,
}

/// What a character map says.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct CMap {
    /// Code to text, for `bfchar` and the arrays of `bfrange`.
    unicode: HashMap<u32, String>,
    /// By first code.
    ranges: Vec<Range>,
    /// Number of bytes, first and last code: ascending, none touching another.
    codespaces: Vec<(usize, u32, u32)>,
    /// First code, last code, first glyph number, for `cidchar` and `cidrange`, by first code.
    cids: Vec<(u32, u32, u32)>,
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
        map.sort();
        map
    }

    /// Brings the lists in the order that look-ups need.
    fn sort(&mut self) {
        self.codespaces.sort_unstable();
        self.codespaces.dedup_by(|next, last| {
            let joins = next.0 == last.0 && next.1 <= last.2.saturating_add(1);
            last.2 = if joins { last.2.max(next.2) } else { last.2 };
            joins
        });
        // Of entries for one code, the last text and the first glyph number count.
        self.ranges.reverse();
        self.ranges.sort_by_key(|range| range.low);
        self.ranges.dedup_by_key(|range| range.low);
        self.cids.sort_by_key(|&(low, ..)| low);
        self.cids.dedup_by_key(|&mut (low, ..)| low);
    }

    fn section(&mut self, end: &[u8], operands: &[Operand]) {
        use Operand::{Array, Number, Text};
        match end {
            b"endcodespacerange" => {
                for pair in operands.chunks_exact(2) {
                    if let [Text(low), Text(high)] = pair
                        && (1..=4).contains(&low.len())
                        && self.codespaces.len() < MAX_CODESPACES
                    {
                        self.codespaces.push((low.len(), code(low), code(high)));
                    }
                }
            }
            b"endbfchar" => {
                for pair in operands.chunks_exact(2) {
                    if let [Text(from), Text(to)] = pair {
                        self.insert(code(from), to);
                    }
                }
            }
            b"endbfrange" => {
                for triple in operands.chunks_exact(3) {
                    match triple {
                        [Text(low), Text(high), Text(to)] => self.range(code(low), code(high), to),
                        [Text(low), Text(_), Array(all)] => {
                            for (i, to) in all.iter().enumerate() {
                                self.insert(code(low).saturating_add(i as u32), to);
                            }
                        }
                        _ => {}
                    }
                }
            }
            b"endcidchar" => {
                for pair in operands.chunks_exact(2) {
                    if let [Text(from), Number(cid)] = pair {
                        self.push_cids(code(from), code(from), *cid);
                    }
                }
            }
            b"endcidrange" => {
                for triple in operands.chunks_exact(3) {
                    if let [Text(low), Text(high), Number(cid)] = triple {
                        self.push_cids(code(low), code(high), *cid);
                    }
                }
            }
            _ => {}
        }
    }

    /// Codes `low..=high` go to `to` with its last character counted up.
    fn range(&mut self, low: u32, high: u32, to: &[u8]) {
        let text = utf16(to);
        let Some(last) = text.chars().next_back().filter(|_| says_something(&text)) else { return };
        if self.ranges.len() < MAX_MAPPINGS {
            let stem = text[..text.len() - last.len_utf8()].to_owned();
            self.ranges.push(Range { low, high, stem, last: u32::from(last) });
        }
    }

    fn push_cids(&mut self, low: u32, high: u32, cid: u32) {
        if self.cids.len() < MAX_MAPPINGS {
            self.cids.push((low, high, cid));
        }
    }

    /// Lets `code` mean a text; none is one, too: what is shown belongs to the text of a neighbour.
    fn insert(&mut self, code: u32, to: &[u8]) {
        let text = utf16(to);
        if self.unicode.len() < MAX_MAPPINGS && (to.is_empty() || says_something(&text)) {
            self.unicode.insert(code, text);
        }
    }

    /// What a code means; an empty text if it is said to mean nothing by itself.
    pub(super) fn text(&self, code: u32) -> Option<String> {
        if let Some(text) = self.unicode.get(&code) {
            return Some(text.clone());
        }
        let i = self.ranges.partition_point(|range| range.low <= code).checked_sub(1)?;
        let range = self.ranges.get(i).filter(|range| code <= range.high)?;
        let last = char::from_u32(range.last.checked_add(code - range.low)?)?;
        Some(format!("{}{last}", range.stem))
    }

    /// Whether any code means something.
    pub(super) fn has_text(&self) -> bool {
        !self.unicode.is_empty() || !self.ranges.is_empty()
    }

    /// The glyph number of a code; codes without one are their own.
    pub(super) fn cid(&self, code: u32) -> u32 {
        let i = self.cids.partition_point(|&(low, ..)| low <= code);
        match self.cids[..i].last() {
            Some(&(low, high, cid)) if code <= high => cid.saturating_add(code - low),
            _ => code,
        }
    }

    pub(super) fn has_codespaces(&self) -> bool {
        !self.codespaces.is_empty()
    }

    /// The shortest codes that lie in a codespace, with their numbers of bytes; a byte that starts
    /// none is skipped.
    pub(super) fn split(&self, text: &[u8]) -> Vec<(u32, usize)> {
        let mut codes = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let mut code = 0;
            let n_bytes = (1..=4.min(text.len() - at)).find(|&n| {
                code = code << 8 | u32::from(text[at + n - 1]);
                let i = self.codespaces.partition_point(|&(bytes, low, _)| (bytes, low) <= (n, code));
                self.codespaces[..i].last().is_some_and(|&(bytes, _, high)| bytes == n && code <= high)
            });
            codes.extend(n_bytes.map(|n| (code, n)));
            at += n_bytes.unwrap_or(1);
        }
        codes
    }
}

/// Whether a text is more than the marks that writers leave where they know none.
fn says_something(text: &str) -> bool {
    text.chars().any(|c| !matches!(c, '\u{fffd}'..='\u{ffff}'))
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

/// UTF-16BE without what is no text, cut where it is no longer one character; a single byte stands for itself.
fn utf16(bytes: &[u8]) -> String {
    if let [byte] = bytes {
        return char::from(*byte).to_string();
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).flatten().filter(|&c| c != '\0').take(MAX_TARGET_CHARS).collect()
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
        for (code, text) in want {
            assert_eq!(map.text(code).as_deref(), Some(text));
        }
        let unsaid = CMap::parse(b"3 beginbfchar <01> <> <02> <0000> <03> <fffd> endbfchar");
        assert_eq!([1, 2, 3].map(|code| unsaid.text(code)), [Some(String::new()), None, None]);
        assert_eq!([2, 5, 0x13, 0x22].map(|code| map.text(code)), [const { None }; 4]);
        assert_eq!(map.codespaces, [(1, 0, 0x80), (2, 0x8140, 0x9ffc)]);
        assert_eq!([map.cid(0x21), map.cid(0x81), map.cid(0x7777)], [2, 500, 0x7777]);
    }

    #[test]
    fn huge_ranges_are_bounded() {
        let map = CMap::parse(b"1 beginbfrange <00000000> <ffffffff> <0001> endbfrange");
        assert_eq!(map.text(0x40), Some("A".to_owned()));
        assert_eq!([map.text(0xd7ff), map.text(0xffff_ffff)], [None, None]);
        assert_eq!(CMap::parse(b"beginbfrange <00> <> [ endbfrange <<>> ]]"), CMap::default());
    }

    #[test]
    fn codes_split_by_codespaces() {
        let map = CMap::parse(
            b"begincodespacerange <00> <40> <41> <7f> <8140> <9ffc> <8180> <81ff> endcodespacerange",
        );
        assert_eq!(map.split(b"\x41\x81\x50\xff\x20\x81"), [(0x41, 1), (0x8150, 2), (0x20, 1)]);
        let mut many: String = (0..5000).map(|i| format!("<{i:06x}> <{i:06x}> ")).collect();
        many.insert_str(0, "begincodespacerange ");
        many += "endcodespacerange";
        assert!(CMap::parse(many.as_bytes()).codespaces.len() <= MAX_CODESPACES);
    }

    #[test]
    fn long_targets_are_cut() {
        let to = "0041".repeat(100_000);
        let map = CMap::parse(format!("beginbfchar <01> <{to}> endbfchar").as_bytes());
        assert_eq!(map.text(1), Some("A".repeat(MAX_TARGET_CHARS)));
    }
}
