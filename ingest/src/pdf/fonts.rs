//! Fonts: how strings split into codes, what the codes mean, and how wide they are.

use super::cmap::CMap;
use super::collections;
use super::programs::{self, Glyphs};
use super::simple::Simple;
use super::streams::{decode, get, get_dict, number};
use super::widths::CidWidths;
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS};
use pdf_extract::{Dictionary, Document, Object, Stream};
use std::collections::HashMap;

/// Character maps list 65,536 codes of some 20 bytes at most.
const MAX_CMAP_BYTES: usize = 4 << 20;
/// Font programs of whole CJK fonts have 20 MB.
const MAX_PROGRAM_BYTES: usize = 32 << 20;
/// Widths of glyphs, in thousandths of the font size, where a font gives none.
pub(super) const DEFAULT_WIDTH: f64 = 500.0;

/// A character as a font shows it.
pub(super) struct Shown {
    /// Empty for codes that mean nothing.
    pub(super) text: String,
    /// In font sizes.
    pub(super) width: f64,
    /// A single byte 32, which word spacing applies to.
    pub(super) is_space: bool,
}

/// A font.
pub(super) struct Font<'a> {
    kind: FontKind<'a>,
    /// How high a font's letters are, in font sizes: 1 but for fonts that are drawn by hand.
    pub(super) height: f64,
}

enum FontKind<'a> {
    Simple(Simple),
    Composite(Box<Composite<'a>>),
}

impl<'a> Font<'a> {
    /// Reads a font; what is decoded for it is taken from `n_bytes`.
    pub(super) fn new(doc: &'a Document, dict: &'a Dictionary, n_bytes: &mut usize) -> Self {
        let is_composite = name(doc, dict, b"Subtype") == Some(b"Type0");
        let (kind, height) = if is_composite {
            (FontKind::Composite(Box::new(Composite::new(doc, dict, n_bytes))), 1.0)
        } else {
            let simple = Simple::new(doc, dict, n_bytes);
            let height = simple.height;
            (FontKind::Simple(simple), height)
        };
        Self { kind, height }
    }

    /// Calls `emit` with each character of a string. Font programs are decoded from `n_bytes`.
    pub(super) fn show(&mut self, string: &[u8], n_bytes: &mut usize, emit: &mut dyn FnMut(Shown)) {
        match &mut self.kind {
            FontKind::Simple(font) => {
                for &code in string {
                    let text = font.text(code).to_owned();
                    emit(Shown { text, width: font.width(code), is_space: code == 32 });
                }
            }
            FontKind::Composite(font) => {
                for (code, n) in font.split(string) {
                    let text = font.text(code, n_bytes);
                    emit(Shown { text, width: font.width(code) / 1000.0, is_space: code == 32 && n == 1 });
                }
            }
        }
    }

    /// Codes that were shown and mean nothing: their text is lost.
    pub(super) fn n_unknown(&self) -> usize {
        match &self.kind {
            FontKind::Simple(_) => 0,
            FontKind::Composite(font) => font.n_unknown,
        }
    }
}

/// How the strings of a composite font split.
enum Coding {
    TwoBytes,
    /// By the ranges of an embedded character map.
    Ranges(CMap),
    /// Codes of an encoding that is older than Unicode.
    Legacy(&'static Encoding),
    /// UTF-16, big-endian.
    Unicode,
}

struct Composite<'a> {
    doc: &'a Document,
    coding: Coding,
    to_unicode: CMap,
    widths: CidWidths,
    descendant: Option<&'a Dictionary>,
    /// Read when a code has no other meaning.
    program: Option<Program>,
    texts: HashMap<u32, String>,
    /// The character collection, such as `Japan1`.
    collection: String,
    /// Codes that were shown and mean nothing.
    n_unknown: usize,
}

/// An embedded font program, as far as it tells what its glyphs stand for.
struct Program {
    glyphs: Glyphs,
    /// Two bytes of glyph number for each character number; empty where they are the same.
    glyph_of_cid: Vec<u8>,
}

impl<'a> Composite<'a> {
    fn new(doc: &'a Document, dict: &'a Dictionary, n_bytes: &mut usize) -> Self {
        let descendant = match get(doc, dict, b"DescendantFonts") {
            Some(Object::Array(all)) => {
                all.first().and_then(|o| super::streams::resolve(doc, o).as_dict().ok())
            }
            _ => None,
        };
        Self {
            doc,
            coding: coding(doc, dict, n_bytes),
            to_unicode: to_unicode(doc, dict, n_bytes),
            widths: CidWidths::new(doc, dict),
            descendant,
            program: None,
            texts: HashMap::new(),
            collection: descendant.and_then(|d| collection(doc, d)).unwrap_or_default(),
            n_unknown: 0,
        }
    }

    /// Codes and their numbers of bytes.
    fn split(&self, text: &[u8]) -> Vec<(u32, usize)> {
        match &self.coding {
            Coding::TwoBytes => pairs(text).map(|code| (code, 2)).collect(),
            Coding::Ranges(map) => map.split(text),
            Coding::Legacy(encoding) => {
                let (text, _) = encoding.decode_without_bom_handling(text);
                text.chars().map(|c| (u32::from(c), if c.is_ascii() { 1 } else { 2 })).collect()
            }
            Coding::Unicode => {
                let units = pairs(text).map(|u| u as u16);
                char::decode_utf16(units).flatten().map(|c| (u32::from(c), 2)).collect()
            }
        }
    }

    fn width(&self, code: u32) -> f64 {
        match &self.coding {
            Coding::TwoBytes => self.widths.of(code),
            Coding::Ranges(map) => self.widths.of(map.cid(code)),
            // Their glyph numbers are in tables of their own; Latin letters are narrow.
            _ if code < 0x2000 => DEFAULT_WIDTH,
            _ => 1000.0,
        }
    }

    fn text(&mut self, code: u32, n_bytes: &mut usize) -> String {
        if let Some(text) = self.texts.get(&code) {
            return text.clone();
        }
        let text = self.to_unicode.text(code).or_else(|| {
            let cid = match &self.coding {
                Coding::Legacy(_) | Coding::Unicode => return char::from_u32(code).map(String::from),
                Coding::TwoBytes => code,
                Coding::Ranges(map) => map.cid(code),
            };
            collections::char(&self.collection, cid)
                .map(String::from)
                .or_else(|| self.text_by_program(cid, n_bytes))
        });
        self.n_unknown += usize::from(text.is_none());
        let text = text.unwrap_or_default();
        self.texts.insert(code, text.clone());
        text
    }

    fn text_by_program(&mut self, cid: u32, n_bytes: &mut usize) -> Option<String> {
        let (doc, descendant) = (self.doc, self.descendant?);
        let program = self.program.get_or_insert_with(|| Program::new(doc, descendant, n_bytes));
        let cid = usize::try_from(cid).ok()?;
        let glyph = match program.glyph_of_cid.get(cid * 2..cid * 2 + 2) {
            Some(pair) => u16::from_be_bytes([pair[0], pair[1]]),
            None if program.glyph_of_cid.is_empty() => u16::try_from(cid).ok()?,
            None => return None,
        };
        program.glyphs.text(glyph)
    }
}

impl Program {
    fn new(doc: &Document, descendant: &Dictionary, n_bytes: &mut usize) -> Self {
        let program = font_program(doc, descendant, n_bytes);
        let glyph_of_cid = match get(doc, descendant, b"CIDToGIDMap") {
            Some(Object::Stream(stream)) => decode_counted(doc, stream, n_bytes, MAX_CMAP_BYTES),
            _ => Vec::new(),
        };
        Self { glyphs: program.map(|p| Glyphs::of_program(&p.1)).unwrap_or_default(), glyph_of_cid }
    }
}

/// The embedded font program and the key it stands under.
pub(super) fn font_program(
    doc: &Document,
    font: &Dictionary,
    n_bytes: &mut usize,
) -> Option<(&'static str, Vec<u8>)> {
    let descriptor = get_dict(doc, font, b"FontDescriptor")?;
    ["FontFile", "FontFile2", "FontFile3"].into_iter().find_map(|key| {
        let Some(Object::Stream(stream)) = get(doc, descriptor, key.as_bytes()) else { return None };
        Some((key, decode_counted(doc, stream, n_bytes, MAX_PROGRAM_BYTES)))
    })
}

/// What the codes of a simple font mean to its embedded program.
pub(super) fn texts_of_program(
    doc: &Document,
    font: &Dictionary,
    n_bytes: &mut usize,
) -> Option<HashMap<u8, String>> {
    let (key, program) = font_program(doc, font, n_bytes)?;
    let texts = match key {
        "FontFile" => programs::type1(&program),
        "FontFile2" => programs::true_type(&program),
        _ => programs::compact(&program),
    };
    Some(texts).filter(|texts| !texts.is_empty())
}

/// The map from codes to Unicode, empty if there is none.
pub(super) fn to_unicode(doc: &Document, dict: &Dictionary, n_bytes: &mut usize) -> CMap {
    match get(doc, dict, b"ToUnicode") {
        Some(Object::Stream(stream)) => CMap::parse(&decode_counted(doc, stream, n_bytes, MAX_CMAP_BYTES)),
        _ => CMap::default(),
    }
}

/// A stream's data, taken from `n_bytes`.
fn decode_counted(doc: &Document, stream: &Stream, n_bytes: &mut usize, max_bytes: usize) -> Vec<u8> {
    let data = decode(doc, stream, max_bytes.min(*n_bytes)).unwrap_or_default();
    *n_bytes = n_bytes.saturating_sub(data.len().max(stream.content.len()));
    data
}

/// The name of the collection that the character numbers belong to.
fn collection(doc: &Document, descendant: &Dictionary) -> Option<String> {
    let info = get_dict(doc, descendant, b"CIDSystemInfo")?;
    let ordering = get(doc, info, b"Ordering")?.as_str().ok()?;
    Some(String::from_utf8_lossy(ordering).into_owned())
}

/// How the strings of a composite font split.
fn coding(doc: &Document, dict: &Dictionary, n_bytes: &mut usize) -> Coding {
    match get(doc, dict, b"Encoding") {
        Some(Object::Stream(stream)) => {
            let map = CMap::parse(&decode_counted(doc, stream, n_bytes, MAX_CMAP_BYTES));
            if map.has_codespaces() { Coding::Ranges(map) } else { Coding::TwoBytes }
        }
        Some(Object::Name(name)) => predefined(&String::from_utf8_lossy(name)),
        _ => Coding::TwoBytes,
    }
}

/// The predefined character maps of ISO 32000-1, table 118.
fn predefined(name: &str) -> Coding {
    let has = |part: &str| name.contains(part);
    if has("UCS2") || has("UTF16") {
        Coding::Unicode
    } else if has("RKSJ") {
        Coding::Legacy(SHIFT_JIS)
    } else if has("GBK2K") {
        Coding::Legacy(GB18030)
    } else if has("GBK") || has("GBpc") || name.starts_with("GB-EUC") {
        Coding::Legacy(GBK)
    } else if has("B5") || name.starts_with("CNS-EUC") {
        Coding::Legacy(BIG5)
    } else if has("KSC") {
        Coding::Legacy(EUC_KR)
    } else if name.starts_with("EUC-") {
        Coding::Legacy(EUC_JP)
    } else {
        Coding::TwoBytes
    }
}

fn pairs(text: &[u8]) -> impl Iterator<Item = u32> {
    text.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
}

/// A dictionary's value as a name.
pub(super) fn name<'a>(doc: &'a Document, dict: &'a Dictionary, key: &[u8]) -> Option<&'a [u8]> {
    get(doc, dict, key)?.as_name().ok()
}

/// The numbers of an array.
pub(super) fn numbers(doc: &Document, dict: &Dictionary, key: &[u8], max: usize) -> Option<Vec<f64>> {
    let Some(Object::Array(all)) = get(doc, dict, key) else { return None };
    Some(all.iter().take(max).map(|o| number(super::streams::resolve(doc, o)).unwrap_or(0.0)).collect())
}
