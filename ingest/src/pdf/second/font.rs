//! Fonts for the second reader: copied with bounds, and mended where it is known to stop.

use super::super::fonts::name;
use super::super::lexer::{Lexer, Token};
use super::super::streams::{decode, resolve};
use pdf_extract::{Dictionary, Document, Object, Stream};
use std::fmt::Write;

/// Dictionaries and arrays within a font.
const MAX_DEPTH: usize = 8;
/// Values of one font: widths of 65,536 glyphs and their numbers.
const MAX_VALUES: usize = 200_000;
/// Codes of one character map: the reader lists what ranges hold.
const MAX_CODES: u64 = 1 << 17;
/// Tokens of one character map: 65,536 codes of two.
const MAX_TOKENS: usize = 1 << 18;
/// The readable part of a font program, and a whole compact one.
const MAX_PROGRAM_BYTES: usize = 1 << 20;
/// Brackets within brackets: the reader follows them by recursion.
const MAX_NESTING: usize = 32;
/// What text does not need.
const LEFT_OUT: [&[u8]; 5] = [b"Parent", b"CharProcs", b"Resources", b"FontFile2", b"Metadata"];

/// The font `dict` of `from`, with its streams as objects of `to`; what is decoded is taken from `n_bytes`.
/// `None` if the second reader does not know its kind.
pub(super) fn copy(
    from: &Document,
    dict: &Dictionary,
    to: &mut Document,
    n_bytes: &mut usize,
) -> Option<Dictionary> {
    let mut copier = Copier { from, to, n_bytes, n_values: MAX_VALUES };
    let mut font = copier.dict(dict, MAX_DEPTH);
    if !font.has(b"Subtype") {
        font.set("Subtype", Object::Name(b"Type1".to_vec()));
    }
    if !font.has(b"BaseFont") {
        font.set("BaseFont", Object::Name(b"Helvetica".to_vec()));
    }
    if font.get(b"ToUnicode").is_ok_and(|map| map.as_name().is_ok()) {
        font.remove(b"ToUnicode");
    }
    let is_composite = name(from, dict, b"Subtype") == Some(b"Type0");
    (if is_composite { mend_composite(&mut font) } else { mend_simple(&mut font) }).then_some(font)
}

fn mend_composite(font: &mut Dictionary) -> bool {
    let is_known = match font.get(b"Encoding") {
        Ok(Object::Name(name)) => name.starts_with(b"Identity"),
        Ok(Object::Reference(_)) => true,
        _ => false,
    };
    if let Ok(Object::Array(descendants)) = font.get_mut(b"DescendantFonts")
        && let Some(Object::Dictionary(descendant)) = descendants.first_mut()
        && !descendant.has(b"FontDescriptor")
    {
        descendant.set("FontDescriptor", Object::Dictionary(Dictionary::new()));
    }
    is_known
}

fn mend_simple(font: &mut Dictionary) -> bool {
    let is_known =
        |name: &[u8]| matches!(name, b"WinAnsiEncoding" | b"MacRomanEncoding" | b"MacExpertEncoding");
    match font.get_mut(b"Encoding") {
        Ok(Object::Name(name)) if is_known(name) => {}
        Ok(Object::Dictionary(encoding)) => {
            if !encoding.get(b"BaseEncoding").and_then(Object::as_name).is_ok_and(is_known) {
                encoding.remove(b"BaseEncoding");
            }
        }
        _ => {
            font.remove(b"Encoding");
        }
    }
    if let Ok(n) = font.get(b"Widths").and_then(Object::as_array).map(Vec::len) {
        let first = font.get(b"FirstChar").and_then(Object::as_i64).unwrap_or(0).clamp(0, 255);
        font.set("FirstChar", Object::Integer(first));
        font.set("LastChar", Object::Integer(first + n as i64 - 1));
    } else if !font.get(b"BaseFont").and_then(Object::as_name).is_ok_and(is_standard) {
        // Of other fonts without widths the reader takes every character to be 0 wide.
        font.set("BaseFont", Object::Name(b"Helvetica".to_vec()));
    }
    true
}

/// Whether a font is one of the 14 that every reader has.
fn is_standard(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    let (family, style) = name.split_once('-').unwrap_or((&name, ""));
    match family {
        "Courier" | "Helvetica" => matches!(style, "" | "Bold" | "Oblique" | "BoldOblique"),
        "Times" => matches!(style, "Roman" | "Bold" | "Italic" | "BoldItalic"),
        "Symbol" | "ZapfDingbats" => style.is_empty(),
        _ => false,
    }
}

struct Copier<'a, 'b> {
    from: &'a Document,
    to: &'b mut Document,
    n_bytes: &'b mut usize,
    n_values: usize,
}

impl Copier<'_, '_> {
    fn dict(&mut self, dict: &Dictionary, depth: usize) -> Dictionary {
        let mut copy = Dictionary::new();
        for (key, value) in dict.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_slice())) {
            let value = match resolve(self.from, value) {
                Object::Stream(stream) => self.stream(key, stream),
                other => self.value(other, depth),
            };
            if let Some(value) = value {
                copy.set(key.clone(), value);
            }
        }
        copy
    }

    fn value(&mut self, value: &Object, depth: usize) -> Option<Object> {
        if depth == 0 || self.n_values == 0 {
            return None;
        }
        self.n_values -= 1;
        match resolve(self.from, value) {
            Object::Array(all) => {
                Some(Object::Array(all.iter().filter_map(|o| self.value(o, depth - 1)).collect()))
            }
            Object::Dictionary(dict) => Some(Object::Dictionary(self.dict(dict, depth - 1))),
            Object::Null | Object::Stream(_) | Object::Reference(_) => None,
            other => Some(other.clone()),
        }
    }

    /// A stream that tells what codes mean, in plain terms.
    fn stream(&mut self, key: &[u8], stream: &Stream) -> Option<Object> {
        let mut dict = Dictionary::new();
        let data = match key {
            b"ToUnicode" | b"Encoding" => plain_map(&self.data(stream)),
            b"FontFile" => readable_part(self.data(stream))?,
            b"FontFile3" if name(self.from, &stream.dict, b"Subtype") == Some(b"Type1C") => {
                dict.set("Subtype", Object::Name(b"Type1C".to_vec()));
                self.data(stream)
            }
            _ => return None,
        };
        // The reader does not read a map without entries.
        (!data.is_empty()).then(|| Object::Reference(self.to.add_object(Stream::new(dict, data))))
    }

    fn data(&mut self, stream: &Stream) -> Vec<u8> {
        let data = decode(self.from, stream, MAX_PROGRAM_BYTES.min(*self.n_bytes)).unwrap_or_default();
        *self.n_bytes = self.n_bytes.saturating_sub(data.len().max(stream.content.len()).max(1));
        data
    }
}

/// A Type 1 program up to what is encrypted; `None` if it nests without measure.
fn readable_part(mut program: Vec<u8>) -> Option<Vec<u8>> {
    let end = program.windows(5).position(|word| word == b"eexec").unwrap_or(0);
    program.truncate(end);
    let mut nesting = 0usize;
    for byte in &program {
        match byte {
            b'(' | b'[' | b'{' | b'<' => nesting += 1,
            b')' | b']' | b'}' | b'>' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if nesting > MAX_NESTING {
            return None;
        }
    }
    Some(program)
}

/// An operand of a character map: as it is written, and what it counts as.
struct Operand {
    written: String,
    value: u64,
    /// Bytes of a string, 0 for others.
    n_bytes: usize,
}

/// The entries of a character map, one by one, without those that the reader stops at.
fn plain_map(source: &[u8]) -> Vec<u8> {
    let mut map = String::new();
    let mut operands: Vec<Operand> = Vec::new();
    let mut array: Option<String> = None;
    let mut n_codes = 0;
    for token in Lexer::new(source).take(MAX_TOKENS) {
        match token {
            Token::Word(word) => {
                entries(word, &operands, &mut n_codes, &mut map);
                operands.clear();
                array = None;
            }
            Token::ArrayStart => array = Some(String::from("[")),
            Token::ArrayEnd => {
                operands.extend(array.take().map(|written| Operand {
                    written: written + "]",
                    value: 0,
                    n_bytes: 0,
                }));
            }
            Token::Text(text) => {
                let hex: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
                let value = text.iter().take(4).fold(0, |value, &byte| value << 8 | u64::from(byte));
                match &mut array {
                    Some(array) => {
                        let _ = write!(array, "<{hex}> ");
                    }
                    None => {
                        operands.push(Operand { written: format!("<{hex}>"), value, n_bytes: text.len() })
                    }
                }
            }
            Token::Number(n) => {
                let value = n as u64;
                operands.push(Operand { written: value.to_string(), value, n_bytes: 0 });
            }
            _ => {}
        }
    }
    map.into_bytes()
}

fn entries(word: &[u8], operands: &[Operand], n_codes: &mut u64, map: &mut String) {
    let (section, n) = match word {
        b"endbfchar" => ("bfchar", 2),
        b"endbfrange" => ("bfrange", 3),
        b"endcodespacerange" => ("codespacerange", 2),
        b"endcidrange" => ("cidrange", 3),
        b"endcidchar" => ("cidchar", 2),
        _ => return,
    };
    for entry in operands.chunks_exact(n) {
        let is_code = (1..=4).contains(&entry[0].n_bytes);
        let n_in_range = match (section, entry) {
            ("bfrange", [low, high, to]) => {
                let n = (high.value + 1).saturating_sub(low.value);
                let fits = match to.n_bytes {
                    0 => to.written.starts_with('['),
                    2 => to.value + n <= 1 << 16,
                    4 => to.value + n <= 1 << 32,
                    _ => false,
                };
                if fits { n } else { 0 }
            }
            ("bfchar", [_, to]) => u64::from(to.n_bytes > 0 && to.n_bytes % 2 == 0),
            _ => 1,
        };
        if !is_code || n_in_range == 0 || *n_codes + n_in_range > MAX_CODES {
            continue;
        }
        *n_codes += n_in_range;
        let written: Vec<&str> = entry.iter().map(|operand| operand.written.as_str()).collect();
        let _ = writeln!(map, "1 begin{section} {} end{section}", written.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_listed_without_what_multiplies() {
        let source = b"/CIDInit /ProcSet findresource begin 2 beginbfchar <01> <0041> <02> <41> endbfchar \
            3 beginbfrange <0000> <ffffffff> <0041> <03> <04> [<0042> <0043>] <05> <06> <ffff> endbfrange";
        let map = String::from_utf8(plain_map(source)).expect("it is plain");
        assert_eq!(
            map,
            "1 beginbfchar <01> <0041> endbfchar\n1 beginbfrange <03> <04> [<0042> <0043> ] endbfrange\n"
        );
    }

    #[test]
    fn programs_end_where_they_are_encrypted() {
        assert_eq!(readable_part(b"/Encoding eexec \x01".to_vec()).as_deref(), Some(&b"/Encoding "[..]));
        let deep = [b"{".repeat(100).as_slice(), b" eexec"].concat();
        assert_eq!(readable_part(deep), None);
    }

    #[test]
    fn fonts_that_hold_themselves_end() {
        let mut from = Document::with_version("1.7");
        let id = from.new_object_id();
        let mut dict = Dictionary::new();
        dict.set("Self", Object::Array(vec![Object::Reference(id); 10]));
        from.objects.insert(id, Object::Dictionary(dict.clone()));
        let mut to = Document::with_version("1.7");
        assert!(copy(&from, &dict, &mut to, &mut 1000).is_some());
    }
}
