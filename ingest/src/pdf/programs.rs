//! What an embedded font program tells of its glyphs, where the file says nothing else of them.

use super::lexer::{Lexer, Token};
use super::standard::{Encoding, text_of_glyph};
use std::collections::HashMap;
use ttf_parser::{Face, GlyphId, PlatformId, cff};

/// The readable part of a Type 1 program, before its encrypted one.
const MAX_CLEAR_BYTES: usize = 64 << 10;
/// Where characters are that fonts have: the first planes, without the private areas.
const CHARS: [std::ops::Range<u32>; 3] = [0x20..0xe000, 0xf900..0xfffe, 0x1_d400..0x2_0000];

/// What the codes of a simple font mean to a Type 1 program (Adobe Type 1 Font Format, 2.3).
pub(super) fn type1(program: &[u8]) -> HashMap<u8, String> {
    let clear = &program[..program.len().min(MAX_CLEAR_BYTES)];
    let clear = clear.windows(5).position(|w| w == b"eexec").map_or(clear, |end| &clear[..end]);
    let Some(at) = clear.windows(9).position(|w| w == b"/Encoding") else { return HashMap::new() };
    let mut found = HashMap::new();
    let (mut code, mut is_dup) = (None, false);
    for token in Lexer::new(&clear[at + 9..]) {
        match token {
            Token::Word(b"StandardEncoding") => return of_encoding(Encoding::Standard),
            Token::Word(b"dup") => is_dup = true,
            Token::Number(n) if is_dup => code = (0.0..256.0).contains(&n).then_some(n as u8),
            Token::Name(name) => {
                if let (Some(code), Some(text)) = (code.take(), text_of_glyph(&name)) {
                    found.insert(code, text);
                }
                is_dup = false;
            }
            Token::Word(b"def" | b"readonly") => break,
            _ => {}
        }
    }
    found
}

/// What the codes of a simple font mean to a compact (CFF) program.
pub(super) fn compact(program: &[u8]) -> HashMap<u8, String> {
    let Some(table) = cff::Table::parse(program) else { return HashMap::new() };
    let text = |code: u8| text_of_glyph(table.glyph_name(table.glyph_index(code)?)?.as_bytes());
    (0..=255).filter_map(|code| Some((code, text(code)?))).collect()
}

/// What the codes of a simple font mean to a TrueType program.
pub(super) fn true_type(program: &[u8]) -> HashMap<u8, String> {
    let Ok(face) = Face::parse(program, 0) else { return HashMap::new() };
    let glyphs = Glyphs::of_face(&face);
    let Some(cmap) = face.tables().cmap else { return HashMap::new() };
    let text = |code: u8| {
        let glyph =
            cmap.subtables.into_iter().find_map(|table| match (table.platform_id, table.encoding_id) {
                // The codes of symbol fonts lie in a private area.
                (PlatformId::Windows, 0) => {
                    [0xf000, 0xf100, 0].iter().find_map(|base| table.glyph_index(base + u32::from(code)))
                }
                (PlatformId::Macintosh, 0) => table.glyph_index(u32::from(code)),
                _ => None,
            })?;
        let named = face.glyph_name(glyph).and_then(|name| text_of_glyph(name.as_bytes()));
        named.or_else(|| glyphs.text(glyph.0))
    };
    (0..=255).filter_map(|code| Some((code, text(code)?))).collect()
}

fn of_encoding(encoding: Encoding) -> HashMap<u8, String> {
    (0..=255).filter_map(|code| Some((code, encoding.char(code)?.to_string()))).collect()
}

/// What the glyphs of a program stand for, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Glyphs {
    chars: HashMap<u16, char>,
    names: HashMap<u16, String>,
}

impl Glyphs {
    /// Reads a TrueType, OpenType or compact program.
    pub(super) fn of_program(program: &[u8]) -> Self {
        if let Ok(face) = Face::parse(program, 0) {
            return Self::of_face(&face);
        }
        let Some(table) = cff::Table::parse(program) else { return Self::default() };
        let name = |glyph: u16| text_of_glyph(table.glyph_name(GlyphId(glyph))?.as_bytes());
        let names = (0..table.number_of_glyphs()).filter_map(|glyph| Some((glyph, name(glyph)?))).collect();
        Self { chars: HashMap::new(), names }
    }

    fn of_face(face: &Face) -> Self {
        let mut found = Self::default();
        let tables = face.tables().cmap.map(|cmap| cmap.subtables);
        for table in tables.into_iter().flatten().filter(|table| table.is_unicode()) {
            // Not by the table's own list of characters, which may claim billions.
            for code in CHARS.into_iter().flatten() {
                if let (Some(glyph), Some(c)) = (table.glyph_index(code), char::from_u32(code))
                    && glyph.0 != 0
                {
                    found.chars.entry(glyph.0).or_insert(c);
                }
            }
        }
        if found.chars.is_empty() {
            let name = |glyph: u16| text_of_glyph(face.glyph_name(GlyphId(glyph))?.as_bytes());
            found.names = (0..face.number_of_glyphs()).filter_map(|g| Some((g, name(g)?))).collect();
        }
        found
    }

    pub(super) fn text(&self, glyph: u16) -> Option<String> {
        self.chars.get(&glyph).map(char::to_string).or_else(|| self.names.get(&glyph).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type1_encodings() {
        let program = b"%!PS /Encoding 256 array 0 1 255 {1 index exch /.notdef put} for
            dup 65 /eacute put dup 66 /f_i put dup 300 /a put readonly def dup 67 /C put eexec";
        let mut found: Vec<_> = type1(program).into_iter().collect();
        found.sort();
        assert_eq!(found, [(65, "é".to_owned()), (66, "fi".to_owned())]);
        assert_eq!(type1(b"/Encoding StandardEncoding def")[&b'\''], "’");
        assert!(type1(b"no font").is_empty());
    }

    #[test]
    fn broken_programs_mean_nothing() {
        for program in [&b""[..], b"\0\x01\0\0\0\x04", b"\x01\0\x04\x01", &[0xff; 300]] {
            assert!(compact(program).is_empty() && true_type(program).is_empty());
            assert_eq!(Glyphs::of_program(program).text(3), None);
        }
    }
}
