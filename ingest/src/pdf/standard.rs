//! What a reader must know by itself: names of glyphs, the encodings of ISO 32000-1 annex D, and
//! the widths of the 14 standard fonts. `fixtures/make/pdf_fonts.py` writes the files in `data`.

use encoding_rs::{MACINTOSH, WINDOWS_1252};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Where an encoding has no character.
const NONE: char = '\u{fffd}';

/// An encoding that fonts refer to by name, or that a standard font has built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Standard,
    MacExpert,
    Symbol,
    ZapfDingbats,
    WinAnsi,
    MacRoman,
}

impl Encoding {
    /// The encoding that a font dictionary names.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"StandardEncoding" => Some(Self::Standard),
            b"WinAnsiEncoding" => Some(Self::WinAnsi),
            b"MacRomanEncoding" => Some(Self::MacRoman),
            b"MacExpertEncoding" => Some(Self::MacExpert),
            _ => None,
        }
    }

    /// The character of a code.
    pub(super) fn char(self, code: u8) -> Option<char> {
        static TABLES: LazyLock<Vec<Vec<char>>> = LazyLock::new(|| {
            include_str!("data/encodings.txt").lines().map(|l| l.chars().collect()).collect()
        });
        let row = match self {
            // Annex D, note 3: codes without a character are bullets.
            Self::WinAnsi if code > 126 => return by_library(WINDOWS_1252, code).or(Some('•')),
            Self::WinAnsi => return by_library(WINDOWS_1252, code),
            Self::MacRoman => return by_library(MACINTOSH, code),
            Self::Standard => 0,
            Self::MacExpert => 1,
            Self::Symbol => 2,
            Self::ZapfDingbats => 3,
        };
        let c = TABLES.get(row)?.get(usize::from(code).checked_sub(32)?)?;
        Some(*c).filter(|&c| c != NONE)
    }
}

fn by_library(encoding: &'static encoding_rs::Encoding, code: u8) -> Option<char> {
    let bytes = [code];
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes)?;
    text.chars().next().filter(|c| !c.is_control())
}

/// The text that a glyph is named after: by Adobe's list, by its code point (`uni20AC`, `u1F600`),
/// or by the parts of a ligature (`f_i`); what follows a period is a variant's name.
pub(super) fn text_of_glyph(name: &[u8]) -> Option<String> {
    static NAMES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
        include_str!("data/glyph_names.txt").lines().filter_map(|line| line.split_once(' ')).collect()
    });
    let name = std::str::from_utf8(name).ok()?;
    if let Some(text) = NAMES.get(name) {
        return Some((*text).to_owned());
    }
    let stem = name.split('.').next().filter(|stem| !stem.is_empty())?;
    let parts: Option<String> = stem
        .split('_')
        .map(|part| NAMES.get(part).map(|text| (*text).to_owned()).or_else(|| by_code_point(part)))
        .collect();
    parts.filter(|text| !text.is_empty())
}

fn by_code_point(name: &str) -> Option<String> {
    if let Some(digits) =
        name.strip_prefix("uni").filter(|d| d.len() >= 4 && d.len() % 4 == 0 && d.is_ascii())
    {
        let units: Option<Vec<u16>> = (0..digits.len())
            .step_by(4)
            .map(|at| u16::from_str_radix(&digits[at..at + 4], 16).ok())
            .collect();
        return String::from_utf16(&units?).ok();
    }
    let digits = name.strip_prefix('u').filter(|d| (4..=6).contains(&d.len()))?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?).map(String::from)
}

/// One of the standard fonts, or the one that stands in for a font without widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandardFont {
    /// All characters are 600 wide.
    Courier,
    Symbol,
    ZapfDingbats,
    /// A column of the table of widths.
    Text(usize),
}

impl StandardFont {
    /// The standard font that stands in for `base`.
    pub(super) fn for_name(base: &[u8]) -> Self {
        let base = String::from_utf8_lossy(base).to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| base.contains(word));
        if has(&["symbol"]) {
            return Self::Symbol;
        }
        if has(&["dingbats"]) {
            return Self::ZapfDingbats;
        }
        if has(&["courier", "mono", "consol", "typewriter"]) {
            return Self::Courier;
        }
        let is_bold = has(&["bold", "black", "heavy"]);
        let is_serif = !has(&["sans"]) && has(&["times", "serif", "roman", "garamond", "georgia"]);
        match (is_serif, is_bold, has(&["italic", "oblique"])) {
            (false, is_bold, _) => Self::Text(usize::from(is_bold)),
            (true, false, false) => Self::Text(2),
            (true, true, false) => Self::Text(3),
            (true, false, true) => Self::Text(4),
            (true, true, true) => Self::Text(5),
        }
    }

    /// The encoding that is built into it.
    pub(super) fn encoding(self) -> Encoding {
        match self {
            Self::Symbol => Encoding::Symbol,
            Self::ZapfDingbats => Encoding::ZapfDingbats,
            _ => Encoding::Standard,
        }
    }

    /// The width of a character in thousandths of the font size.
    pub(super) fn width(self, c: char) -> Option<f64> {
        static WIDTHS: LazyLock<HashMap<char, Vec<u16>>> = LazyLock::new(|| {
            let rows = include_str!("data/widths.txt").lines();
            rows.filter_map(|row| {
                let (c, widths) = (row.chars().next()?, row.get(row.chars().next()?.len_utf8()..)?);
                Some((c, widths.split_whitespace().filter_map(|w| w.parse().ok()).collect()))
            })
            .collect()
        });
        let column = match self {
            Self::Courier => return Some(600.0),
            Self::Symbol | Self::ZapfDingbats => 0,
            Self::Text(column) => column,
        };
        WIDTHS.get(&c)?.get(column).map(|&w| f64::from(w))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_have_names() {
        for (name, want) in [
            ("A", Some("A")),
            ("eacute", Some("é")),
            ("f_f_i", Some("ffi")),
            ("a.sc", Some("a")),
            ("uni20AC", Some("€")),
            ("uni00660069", Some("fi")),
            ("u1F600", Some("😀")),
            ("Delta_uni0041", Some("∆A")),
            (".notdef", None),
            ("g12", None),
            ("", None),
            ("uni€", None),
        ] {
            assert_eq!(text_of_glyph(name.as_bytes()).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn encodings() {
        let chars =
            |encoding: Encoding, codes: &[u8]| codes.iter().map(|&c| encoding.char(c)).collect::<Vec<_>>();
        assert_eq!(
            chars(Encoding::Standard, b"A'\xae\xff\x10"),
            [Some('A'), Some('’'), Some('ﬁ'), None, None]
        );
        assert_eq!(chars(Encoding::WinAnsi, b"\x80\xe9\x90\x10"), [Some('€'), Some('é'), Some('•'), None]);
        assert_eq!(chars(Encoding::MacRoman, b"\x8e"), [Some('é')]);
        assert_eq!(chars(Encoding::Symbol, b"a\xb7\xf0"), [Some('α'), Some('•'), None]);
        assert_eq!(chars(Encoding::ZapfDingbats, b"4"), [Some('✔')]);
    }

    #[test]
    fn widths() {
        for (name, c, want) in [
            ("Helvetica", 'A', Some(667.0)),
            ("ABCDEF+Arial-BoldMT", 'i', Some(278.0)),
            ("Times-Italic", 'A', Some(611.0)),
            ("CourierNew", 'ж', Some(600.0)),
            ("Symbol", 'α', Some(631.0)),
            ("Helvetica", ' ', Some(278.0)),
            ("Helvetica", 'ж', None),
        ] {
            assert_eq!(StandardFont::for_name(name.as_bytes()).width(c), want, "{name} {c}");
        }
    }
}
