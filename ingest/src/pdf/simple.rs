//! Simple fonts: a byte is a code (ISO 32000-1, 9.6).

use super::fonts::{DEFAULT_WIDTH, name, numbers, texts_of_program, to_unicode};
use super::standard::{Encoding, StandardFont, text_of_glyph};
use super::streams::{get, get_dict, number, resolve};
use pdf_extract::{Dictionary, Document, Object};
use std::collections::HashMap;

/// More entries of an encoding than there are glyphs in a font say nothing new.
const MAX_GLYPHS: usize = 1 << 16;
/// The flag of fonts whose characters are not those of the standard Latin set.
const SYMBOLIC: i64 = 4;

/// What the 256 codes of a font mean, and how wide they are.
pub(super) struct Simple {
    texts: Vec<String>,
    /// In font sizes.
    widths: Vec<f64>,
    /// How high letters are, in font sizes.
    pub(super) height: f64,
}

impl Simple {
    /// Reads a font; what is decoded for it is taken from `n_bytes`.
    pub(super) fn new(doc: &Document, dict: &Dictionary, n_bytes: &mut usize) -> Self {
        let meanings = Meanings::new(doc, dict, n_bytes);
        let texts: Vec<String> = (0..=255).map(|code| meanings.text(code)).collect();
        if name(doc, dict, b"Subtype") == Some(b"Type3") {
            return drawn(doc, dict, texts);
        }
        let font = meanings.font;
        let width = |code: usize| {
            let first = texts[code].chars().next();
            first.and_then(|c| font.width(c)).unwrap_or(DEFAULT_WIDTH)
        };
        let widths = listed_widths(doc, dict, DEFAULT_WIDTH).unwrap_or_else(|| (0..256).map(width).collect());
        Self { texts, widths: widths.into_iter().map(|w| w / 1000.0).collect(), height: 1.0 }
    }

    /// Empty for a code that means nothing.
    pub(super) fn text(&self, code: u8) -> &str {
        &self.texts[usize::from(code)]
    }

    pub(super) fn width(&self, code: u8) -> f64 {
        self.widths[usize::from(code)]
    }
}

/// A font whose glyphs are content streams (Type 3), in a space of their own.
fn drawn(doc: &Document, dict: &Dictionary, texts: Vec<String>) -> Simple {
    let matrix = numbers(doc, dict, b"FontMatrix", 6).filter(|m| m.len() == 6 && m[0] != 0.0);
    let matrix = matrix.unwrap_or_else(|| vec![0.001, 0.0, 0.0, 0.001, 0.0, 0.0]);
    // In units of the font's own, in which nothing can be said of glyphs that it does not have.
    let widths = listed_widths(doc, dict, 0.0).unwrap_or_else(|| vec![0.0; 256]);
    let widths: Vec<f64> = widths.into_iter().map(|w| w * matrix[0].abs()).collect();
    let bounds = numbers(doc, dict, b"FontBBox", 4).filter(|b| b.len() == 4).unwrap_or_else(|| vec![0.0; 4]);
    let height = (bounds[3] - bounds[1]).abs() * matrix[3].abs();
    // Where no bounds are given: letters are about twice as high as they are wide.
    let listed: Vec<f64> = widths.iter().copied().filter(|&w| w > 0.0).collect();
    let mean = listed.iter().sum::<f64>() / listed.len().max(1) as f64;
    let height = if height > 0.0 { height } else { mean * 2.0 };
    // Bounds may be those of a drawing, or nonsense.
    let height = if mean > 0.0 { height.clamp(mean, mean * 4.0) } else { height };
    Simple { texts, widths, height: if height > 0.0 { height } else { 1.0 } }
}

/// Widths of the codes 0 to 255 in the font's units, or `None` if they are those of a standard font; `missing` for
/// codes that are not listed, unless the font says otherwise.
fn listed_widths(doc: &Document, dict: &Dictionary, missing: f64) -> Option<Vec<f64>> {
    let given = numbers(doc, dict, b"Widths", MAX_GLYPHS)?;
    let first = get(doc, dict, b"FirstChar").and_then(number).unwrap_or(0.0) as i64;
    let missing = get_dict(doc, dict, b"FontDescriptor")
        .and_then(|d| get(doc, d, b"MissingWidth"))
        .and_then(number)
        .filter(|&w| w > 0.0)
        .unwrap_or(missing);
    let mut widths = vec![missing; 256];
    for (i, width) in given.into_iter().enumerate() {
        if let Ok(code) = usize::try_from(first.saturating_add(i as i64))
            && code < 256
        {
            widths[code] = width;
        }
    }
    Some(widths)
}

/// The sources that tell what codes mean, from the best to the last resort.
struct Meanings {
    font: StandardFont,
    to_unicode: super::cmap::CMap,
    named: HashMap<u8, String>,
    /// Glyphs that are drawn by hand are named by whim, often after their codes.
    is_drawn: bool,
    base: Option<Encoding>,
    program: HashMap<u8, String>,
    last_resort: Encoding,
}

impl Meanings {
    fn new(doc: &Document, dict: &Dictionary, n_bytes: &mut usize) -> Self {
        let font = StandardFont::for_name(name(doc, dict, b"BaseFont").unwrap_or(b"Helvetica"));
        let is_true_type = name(doc, dict, b"Subtype") == Some(b"TrueType");
        let descriptor = get_dict(doc, dict, b"FontDescriptor");
        let flags = descriptor.and_then(|d| get(doc, d, b"Flags")).and_then(number).unwrap_or(0.0) as i64;
        let base = match get(doc, dict, b"Encoding") {
            Some(Object::Name(base)) => Encoding::named(base),
            Some(Object::Dictionary(dict)) => name(doc, dict, b"BaseEncoding").and_then(Encoding::named),
            _ => None,
        };
        let to_unicode = to_unicode(doc, dict, n_bytes);
        // Symbol and the like have a Latin encoding only by mistake.
        let is_symbol = font.encoding() != Encoding::Standard && descriptor.is_none();
        let base = if is_symbol { Some(font.encoding()) } else { base };
        let needs_program =
            base.is_none() && (!is_true_type || flags & SYMBOLIC != 0 || !to_unicode.has_text());
        let program = needs_program.then(|| texts_of_program(doc, dict, n_bytes)).flatten();
        Self {
            font,
            to_unicode,
            named: differences(doc, dict),
            is_drawn: name(doc, dict, b"Subtype") == Some(b"Type3"),
            base,
            program: program.unwrap_or_default(),
            last_resort: if is_true_type { Encoding::WinAnsi } else { font.encoding() },
        }
    }

    fn text(&self, code: u8) -> String {
        let by_map = self.to_unicode.text(u32::from(code));
        by_map
            .or_else(|| self.named.get(&code).filter(|text| !self.is_drawn || is_written(text)).cloned())
            .or_else(|| self.base?.char(code).map(String::from))
            .or_else(|| self.program.get(&code).cloned())
            .or_else(|| self.last_resort.char(code).map(String::from))
            .unwrap_or_default()
    }
}

/// Whether a text is of letters, digits and common marks, rather than of figures.
fn is_written(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c < '\u{2100}')
}

/// Codes whose glyphs the encoding names.
fn differences(doc: &Document, font: &Dictionary) -> HashMap<u8, String> {
    let mut found = HashMap::new();
    let Some(encoding) = get_dict(doc, font, b"Encoding") else { return found };
    let Some(Object::Array(listed)) = get(doc, encoding, b"Differences") else { return found };
    let mut code = 0i64;
    for object in listed.iter().take(MAX_GLYPHS) {
        match resolve(doc, object) {
            Object::Name(glyph) => {
                // A code without a glyph shows nothing.
                let text = if glyph == b".notdef" { Some(String::new()) } else { text_of_glyph(glyph) };
                if let (Ok(code), Some(text)) = (u8::try_from(code), text) {
                    found.insert(code, text);
                }
                code = code.saturating_add(1);
            }
            other => code = number(other).map_or(code, |n| n as i64),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fonts of bitmaps, as `dvips` makes them, have units as large as points of a printer.
    #[test]
    fn a_font_drawn_by_hand_is_as_high_as_what_it_has() {
        let numbers = |all: &[i64]| Object::Array(all.iter().map(|&n| Object::Integer(n)).collect());
        let mut font = Dictionary::new();
        font.set("Subtype", Object::Name(b"Type3".to_vec()));
        font.set("FontMatrix", numbers(&[1, 0, 0, -1, 0, 0]));
        font.set("FontBBox", numbers(&[1, -25, 71, 75]));
        font.set("FirstChar", Object::Integer(97));
        font.set("Widths", numbers(&[54, 60]));
        let read = Simple::new(&Document::new(), &font, &mut 1000);
        assert_eq!((read.width(b'a'), read.width(b'b'), read.width(b'z')), (54.0, 60.0, 0.0));
        assert_eq!(read.height, 100.0);
    }
}
