//! Fonts, mended so that the text library reads them: it stops at many an entry that is missing,
//! odd or unsupported.
//!
//! A font is read in two steps. [`Font::new`] finds out how strings split into codes and what the
//! codes mean; while the page's strings pass through [`Font::codes`], the codes in use are noted.
//! [`Font::to_dict`] then describes just these codes in the plainest terms of the format.

use super::cmap::CMap;
use super::streams::{decode, get, get_dict, number, resolve};
use super::widths::CidWidths;
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS};
use pdf_extract::{Dictionary, Document, Object, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// Character maps list 65,536 codes of some 20 bytes at most.
const MAX_CMAP_BYTES: usize = 4 << 20;
/// Widths of glyphs, in thousandths of the font size, where a font gives none.
const DEFAULT_WIDTH: f64 = 500.0;
/// More entries of an encoding than there are glyphs in a font say nothing new.
const MAX_GLYPHS: usize = 1 << 16;

/// How a string splits into codes.
enum Coding {
    OneByte,
    TwoBytes,
    /// By the ranges of an embedded character map.
    Ranges(CMap),
    /// Codes of an encoding that is older than Unicode.
    Legacy(&'static Encoding),
    /// UTF-16, big-endian.
    Unicode,
}

/// A font of a page.
pub(super) struct Font<'a> {
    doc: &'a Document,
    dict: &'a Dictionary,
    coding: Coding,
    to_unicode: CMap,
    widths: CidWidths,
    /// Codes seen, and the code each is written as: simple fonts keep theirs, others are numbered.
    used: BTreeMap<u32, u32>,
}

impl<'a> Font<'a> {
    /// Reads a font; what is decoded for it is taken from `n_bytes`.
    pub(super) fn new(doc: &'a Document, dict: &'a Dictionary, n_bytes: &mut usize) -> Self {
        let to_unicode = match get(doc, dict, b"ToUnicode") {
            Some(Object::Stream(stream)) => CMap::parse(&decode_counted(doc, stream, n_bytes)),
            _ => CMap::default(),
        };
        let is_composite = name(doc, dict, b"Subtype") == Some(b"Type0");
        let coding = if is_composite { coding(doc, dict, n_bytes) } else { Coding::OneByte };
        let widths = CidWidths::new(doc, dict);
        let mut font = Self { doc, dict, coding, to_unicode, widths, used: BTreeMap::new() };
        if !is_composite {
            font.read_unicode_names();
        }
        font
    }

    /// Glyphs named after their code point (`uni20AC`, `u1F600`) mean it.
    fn read_unicode_names(&mut self) {
        for (code, glyph) in differences(self.doc, self.dict) {
            let stem = glyph.split(|&b| b == b'.').next().unwrap_or(glyph);
            let digits = stem.strip_prefix(b"uni").or_else(|| stem.strip_prefix(b"u"));
            let c = digits
                .filter(|d| (4..=6).contains(&d.len()))
                .and_then(|d| u32::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok())
                .and_then(char::from_u32);
            if let Some(c) = c {
                let code = u32::from(code);
                if self.to_unicode.text(code).is_none() {
                    self.to_unicode.insert(code, c.to_string());
                }
            }
        }
    }

    /// The entries of the font's lists, which are gone through on each page that uses it.
    pub(super) fn n_entries(&self) -> usize {
        let n_listed = match get(self.doc, self.dict, b"Widths") {
            Some(Object::Array(all)) => all.len(),
            _ => 0,
        };
        self.widths.n_given() + n_listed + differences(self.doc, self.dict).len()
    }

    fn is_simple(&self) -> bool {
        matches!(self.coding, Coding::OneByte)
    }

    /// The string with its codes as [`Self::to_dict`] describes them.
    pub(super) fn codes(&mut self, text: &[u8]) -> Vec<u8> {
        if self.is_simple() {
            for &byte in text {
                self.used.insert(u32::from(byte), u32::from(byte));
            }
            return text.to_vec();
        }
        let mut written = Vec::with_capacity(text.len());
        for code in self.split(text) {
            let n_used = self.used.len() as u32;
            let number = *self.used.entry(code).or_insert(n_used + 1);
            // More codes than two bytes count cannot be in a bounded page of a real font.
            let number = u16::try_from(number).unwrap_or(0);
            written.extend_from_slice(&number.to_be_bytes());
        }
        written
    }

    fn split(&self, text: &[u8]) -> Vec<u32> {
        match &self.coding {
            Coding::OneByte => text.iter().map(|&b| u32::from(b)).collect(),
            Coding::TwoBytes => pairs(text),
            Coding::Ranges(map) => map.split(text),
            Coding::Legacy(encoding) => {
                let (text, _) = encoding.decode_without_bom_handling(text);
                text.chars().map(u32::from).collect()
            }
            Coding::Unicode => {
                let units = pairs(text).into_iter().map(|u| u as u16);
                char::decode_utf16(units).flatten().map(u32::from).collect()
            }
        }
    }

    fn unicode(&self, code: u32) -> Option<String> {
        if let Some(text) = self.to_unicode.text(code) {
            return Some(text);
        }
        match self.coding {
            Coding::Legacy(_) | Coding::Unicode => char::from_u32(code).map(String::from),
            _ => None,
        }
    }

    /// A font dictionary without references but to streams, for the codes that were used.
    /// What is decoded for it is taken from `n_bytes`.
    pub(super) fn to_dict(&self, n_bytes: &mut usize) -> Dictionary {
        let mut dict = Dictionary::new();
        dict.set("Type", name_object(b"Font"));
        if self.is_simple() {
            self.simple_dict(&mut dict, n_bytes)
        } else {
            self.composite_dict(&mut dict)
        }
        dict
    }

    fn composite_dict(&self, dict: &mut Dictionary) {
        let mut descendant = Dictionary::new();
        descendant.set("FontDescriptor", Object::Dictionary(Dictionary::new()));
        descendant.set("DW", Object::Integer(1000));
        let listed: Vec<Object> = self
            .used
            .iter()
            .flat_map(|(&code, &number)| {
                let width = match &self.coding {
                    Coding::TwoBytes => self.widths.of(code),
                    Coding::Ranges(map) => self.widths.of(map.cid(code)),
                    // Their glyph numbers are in tables of their own; Latin letters are narrow.
                    _ if code < 0x2000 => DEFAULT_WIDTH,
                    _ => 1000.0,
                };
                [Object::Integer(i64::from(number)), Object::Array(vec![Object::Real(width as f32)])]
            })
            .collect();
        descendant.set("W", Object::Array(listed));
        dict.set("Subtype", name_object(b"Type0"));
        dict.set("BaseFont", name_object(b"Composite"));
        dict.set("Encoding", name_object(b"Identity-H"));
        dict.set("DescendantFonts", Object::Array(vec![Object::Dictionary(descendant)]));
        // The library does not read a map without entries; no code is written as 0.
        let map = self.cmap(2).unwrap_or_else(|| "1 beginbfchar\n<0000> <0020>\nendbfchar\n".to_owned());
        dict.set("ToUnicode", stream_object(map));
    }

    fn simple_dict(&self, dict: &mut Dictionary, n_bytes: &mut usize) {
        let base = name(self.doc, self.dict, b"BaseFont").unwrap_or(b"Helvetica");
        let encoding = self.encoding();
        let needs_file = !self.to_unicode.has_text()
            && encoding.as_ref().is_none_or(|e| !e.has(b"BaseEncoding"))
            && !self.has_names_for_most();
        let core = core_font(base);
        // The symbol fonts bring their own encoding, but only together with their own widths.
        let is_symbol = matches!(core, "Symbol" | "ZapfDingbats") && encoding.is_none();
        let widths = if is_symbol { None } else { self.simple_widths() };
        let base = if widths.is_some() { "Simple" } else { core };
        dict.set("Subtype", name_object(b"Type1"));
        dict.set("BaseFont", name_object(base.as_bytes()));
        if let Some(widths) = widths {
            dict.set("FirstChar", Object::Integer(0));
            dict.set("LastChar", Object::Integer(255));
            dict.set("Widths", Object::Array(widths));
        }
        let file = if needs_file { self.font_file(n_bytes) } else { None };
        let has_compact_file = file.as_ref().is_some_and(|(key, _)| *key == "FontFile3");
        if let Some((key, stream)) = file {
            let mut descriptor = Dictionary::new();
            descriptor.set(key, Object::Stream(stream));
            dict.set("FontDescriptor", Object::Dictionary(descriptor));
        }
        // Without an encoding the library takes the font's own; but it needs one to fall back to.
        let map = self.cmap(1);
        let needs_encoding = has_compact_file || map.is_some();
        if let Some(encoding) = encoding.or_else(|| needs_encoding.then(Dictionary::new)) {
            dict.set("Encoding", Object::Dictionary(encoding));
        }
        if let Some(map) = map {
            dict.set("ToUnicode", stream_object(map));
        }
    }

    /// Whether the encoding names the glyphs of most codes in use. The library would let the font
    /// program overrule these names.
    fn has_names_for_most(&self) -> bool {
        let named: BTreeSet<u32> =
            differences(self.doc, self.dict).iter().map(|&(code, _)| u32::from(code)).collect();
        let n_named = self.used.keys().filter(|code| named.contains(code)).count();
        n_named * 2 >= self.used.len()
    }

    /// The encoding as base and differences, or `None` if the font file's own holds.
    fn encoding(&self) -> Option<Dictionary> {
        let is_true_type = name(self.doc, self.dict, b"Subtype") == Some(b"TrueType");
        let base = match get(self.doc, self.dict, b"Encoding") {
            Some(Object::Name(base)) => Some(base.as_slice()),
            Some(Object::Dictionary(dict)) => name(self.doc, dict, b"BaseEncoding"),
            _ => None,
        };
        let known = [&b"WinAnsiEncoding"[..], b"MacRomanEncoding", b"MacExpertEncoding"];
        let base = base.filter(|b| known.contains(b)).or(is_true_type.then_some(known[0]));
        let differences = differences(self.doc, self.dict);
        let is_type3 = name(self.doc, self.dict, b"Subtype") == Some(b"Type3");
        if base.is_none() && differences.is_empty() && !is_type3 {
            return None;
        }
        let mut dict = Dictionary::new();
        if let Some(base) = base {
            dict.set("BaseEncoding", name_object(base));
        }
        let listed = differences
            .into_iter()
            .flat_map(|(code, glyph)| [Object::Integer(i64::from(code)), name_object(glyph)])
            .collect();
        dict.set("Differences", Object::Array(listed));
        Some(dict)
    }

    /// Widths of the codes 0 to 255, or `None` if they are those of a standard font.
    fn simple_widths(&self) -> Option<Vec<Object>> {
        let Some(Object::Array(given)) = get(self.doc, self.dict, b"Widths") else { return None };
        let first = get(self.doc, self.dict, b"FirstChar").and_then(number).unwrap_or(0.0) as i64;
        let missing = get_dict(self.doc, self.dict, b"FontDescriptor")
            .and_then(|d| get(self.doc, d, b"MissingWidth"))
            .and_then(number)
            .filter(|&w| w > 0.0)
            .unwrap_or(DEFAULT_WIDTH);
        // Glyphs of Type 3 fonts have a space of their own.
        let scale = match get(self.doc, self.dict, b"FontMatrix") {
            Some(Object::Array(m)) if name(self.doc, self.dict, b"Subtype") == Some(b"Type3") => {
                m.first().and_then(number).map_or(1.0, |a| a.abs() * 1000.0)
            }
            _ => 1.0,
        };
        let mut widths = vec![missing; 256];
        for (i, width) in given.iter().enumerate().take(MAX_GLYPHS) {
            if let Ok(code) = usize::try_from(first + i as i64)
                && code < 256
                && let Some(width) = number(resolve(self.doc, width))
            {
                widths[code] = width * scale;
            }
        }
        Some(widths.into_iter().map(|w| Object::Real(w as f32)).collect())
    }

    /// The font program, if it may tell what its codes mean.
    fn font_file(&self, n_bytes: &mut usize) -> Option<(&'static str, Stream)> {
        let descriptor = get_dict(self.doc, self.dict, b"FontDescriptor")?;
        ["FontFile", "FontFile3"].into_iter().find_map(|key| {
            let Some(Object::Stream(stream)) = get(self.doc, descriptor, key.as_bytes()) else {
                return None;
            };
            let is_compact = name(self.doc, &stream.dict, b"Subtype") == Some(b"Type1C");
            if key == "FontFile3" && !is_compact {
                return None;
            }
            let mut dict = Dictionary::new();
            if is_compact {
                dict.set("Subtype", name_object(b"Type1C"));
            }
            Some((key, Stream::new(dict, decode_counted(self.doc, stream, n_bytes))))
        })
    }

    /// A character map of the used codes, as written, with `n_bytes` each; `None` without entries.
    fn cmap(&self, n_bytes: usize) -> Option<String> {
        let mut source = String::new();
        for (&code, &number) in &self.used {
            if let Some(text) = self.unicode(code).filter(|t| !t.is_empty()) {
                let to: String = text.encode_utf16().map(|u| format!("{u:04X}")).collect();
                let width = n_bytes * 2;
                source += &format!("1 beginbfchar\n<{number:0width$X}> <{to}>\nendbfchar\n");
            }
        }
        (!source.is_empty()).then_some(source)
    }

    /// Codes that were used and mean nothing: their text is lost.
    pub(super) fn n_unknown(&self) -> usize {
        if self.is_simple() {
            return 0;
        }
        let codes: BTreeSet<u32> = self.used.keys().copied().collect();
        codes.into_iter().filter(|&code| self.unicode(code).is_none()).count()
    }
}

/// A stream's data, taken from `n_bytes`.
fn decode_counted(doc: &Document, stream: &Stream, n_bytes: &mut usize) -> Vec<u8> {
    let data = decode(doc, stream, MAX_CMAP_BYTES.min(*n_bytes)).unwrap_or_default();
    *n_bytes = n_bytes.saturating_sub(data.len().max(stream.content.len()));
    data
}

/// How the strings of a composite font split.
fn coding(doc: &Document, dict: &Dictionary, n_bytes: &mut usize) -> Coding {
    match get(doc, dict, b"Encoding") {
        Some(Object::Stream(stream)) => {
            let map = CMap::parse(&decode_counted(doc, stream, n_bytes));
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

fn pairs(text: &[u8]) -> Vec<u32> {
    text.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).collect()
}

/// Codes whose glyphs an encoding names, ascending where the file has them so.
fn differences<'a>(doc: &'a Document, font: &'a Dictionary) -> Vec<(u8, &'a [u8])> {
    let Some(encoding) = get_dict(doc, font, b"Encoding") else { return Vec::new() };
    let Some(Object::Array(listed)) = get(doc, encoding, b"Differences") else { return Vec::new() };
    let mut code = 0i64;
    let mut found = Vec::new();
    for object in listed.iter().take(MAX_GLYPHS) {
        match resolve(doc, object) {
            Object::Name(glyph) => {
                if let Ok(code) = u8::try_from(code) {
                    found.push((code, glyph.as_slice()));
                }
                code = code.saturating_add(1);
            }
            other => code = number(other).map_or(code, |n| n as i64),
        }
    }
    found
}

/// The standard font that stands in for `base`.
fn core_font(base: &[u8]) -> &'static str {
    let base = String::from_utf8_lossy(base).to_ascii_lowercase();
    let is_bold = base.contains("bold") || base.contains("black") || base.contains("heavy");
    if base.contains("symbol") {
        "Symbol"
    } else if base.contains("dingbats") {
        "ZapfDingbats"
    } else if ["courier", "mono", "consol", "typewriter"].iter().any(|n| base.contains(n)) {
        "Courier"
    } else if ["times", "serif", "roman", "garamond", "georgia"].iter().any(|n| base.contains(n)) {
        if is_bold { "Times-Bold" } else { "Times-Roman" }
    } else if is_bold {
        "Helvetica-Bold"
    } else {
        "Helvetica"
    }
}

fn name<'a>(doc: &'a Document, dict: &'a Dictionary, key: &[u8]) -> Option<&'a [u8]> {
    get(doc, dict, key)?.as_name().ok()
}

fn name_object(name: &[u8]) -> Object {
    Object::Name(name.to_vec())
}

fn stream_object(content: String) -> Object {
    Object::Stream(Stream::new(Dictionary::new(), content.into_bytes()))
}
