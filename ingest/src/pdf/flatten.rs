//! A page's content, reduced to what text extraction needs: one plain stream with its forms put
//! in place, and the mended fonts. Colours, paths, images and states are left out, because the text
//! library stops at many an odd one; `'` and `"` are spelled out, because it does not know them.

use super::fonts::Font;
use super::lexer::{Lexer, Token};
use super::pages::Page;
use super::streams::{decode, get, get_dict, number, resolve};
use pdf_extract::{Dictionary, Document, Object, ObjectId, Stream};
use std::collections::HashMap;
use std::fmt::Write;

/// 64 MiB of decoded content: the heaviest maps and drawings have a few tens.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Operators that are carried over; a dense page has 20,000. Forms count at each use, so that
/// forms that use forms cannot multiply without end.
const MAX_PAGE_OPERATORS: u32 = 400_000;
/// All operators read, with those that are left out, such as paths.
const MAX_PAGE_TOKENS: u32 = 20_000_000;
const MAX_FORM_DEPTH: usize = 12;
/// Saved graphics states within one form; ISO 32000-1 annex C names 28 as usual.
const MAX_STATES: u32 = 256;
/// Operands of one operator, array elements included: a long line of kerned text.
const MAX_OPERANDS: usize = 20_000;

/// Fonts of one page; posters of type have some tens.
const MAX_PAGE_FONTS: usize = 256;
/// Bytes of strings on one page: more than there are characters, of four bytes each.
const MAX_PAGE_TEXT_BYTES: usize = 1 << 20;
/// Operators of a whole document: 5,000 pages of 10,000, some 20 seconds of work.
const MAX_OPERATORS: u64 = 50_000_000;
/// All tokens of a whole document: 10,000 pages of 20,000, or a few hundred detailed maps.
const MAX_TOKENS: u64 = 200_000_000;
/// Decoded bytes of a whole document: 10,000 pages of 100 kB.
const MAX_BYTES: u64 = 1 << 30;

/// What may still be read of a document.
pub(super) struct Budget {
    n_operators: u64,
    n_tokens: u64,
    n_bytes: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { n_operators: MAX_OPERATORS, n_tokens: MAX_TOKENS, n_bytes: MAX_BYTES }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.n_operators == 0 || self.n_tokens == 0 || self.n_bytes == 0
    }
}

/// A page in plain terms.
pub(super) struct FlatPage {
    /// A document of this one page.
    pub(super) doc: Document,
    pub(super) hit_limit: bool,
    /// Codes of composite fonts that mean no character.
    pub(super) n_unknown_codes: usize,
}

/// Reduces a page.
pub(super) fn flatten(doc: &Document, page: &Page, budget: &mut Budget) -> FlatPage {
    let empty = Dictionary::new();
    let mut flattener = Flattener {
        doc,
        empty: &empty,
        fonts: Vec::new(),
        by_dict: HashMap::new(),
        out: String::new(),
        n_operators: u64::from(MAX_PAGE_OPERATORS).min(budget.n_operators) as u32,
        n_tokens: u64::from(MAX_PAGE_TOKENS).min(budget.n_tokens) as u32,
        n_bytes: (MAX_PAGE_BYTES as u64).min(budget.n_bytes) as usize,
        n_text_bytes: MAX_PAGE_TEXT_BYTES,
        hit_limit: false,
    };
    let allowed = (flattener.n_operators, flattener.n_tokens, flattener.n_bytes);
    let content = flattener.page_content(page.dict);
    flattener.stream(&content, page.resources.unwrap_or(&empty), 0);
    let doc = flattener.document();
    budget.n_operators -= u64::from(allowed.0 - flattener.n_operators);
    budget.n_tokens -= u64::from(allowed.1 - flattener.n_tokens);
    budget.n_bytes -= (allowed.2 - flattener.n_bytes) as u64;
    FlatPage {
        hit_limit: flattener.hit_limit,
        n_unknown_codes: flattener.fonts.iter().map(Font::n_unknown).sum(),
        doc,
    }
}

struct Flattener<'a> {
    doc: &'a Document,
    empty: &'a Dictionary,
    fonts: Vec<Font<'a>>,
    /// Fonts by the address of their dictionary: it lives as long as the document.
    by_dict: HashMap<*const Dictionary, usize>,
    out: String,
    n_operators: u32,
    n_tokens: u32,
    n_bytes: usize,
    n_text_bytes: usize,
    hit_limit: bool,
}

/// An operand as far as text needs it.
enum Operand {
    Number(f64),
    Name(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Operand>),
}

/// What an operator of one stream needs to know.
struct State<'a> {
    resources: &'a Dictionary,
    font: Option<usize>,
    fonts_saved: Vec<Option<usize>>,
    depth: usize,
}

impl<'a> Flattener<'a> {
    /// The page's streams, one after the other: a token never spans two of them.
    fn page_content(&mut self, page: &'a Dictionary) -> Vec<u8> {
        let streams: Vec<&Object> = match get(self.doc, page, b"Contents") {
            Some(Object::Array(all)) => all.iter().map(|o| resolve(self.doc, o)).collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let mut content = Vec::new();
        for stream in streams.into_iter().filter_map(|o| o.as_stream().ok()) {
            if self.n_bytes == 0 {
                break;
            }
            content.extend_from_slice(&self.decode(stream));
            content.push(b'\n');
        }
        content
    }

    fn decode(&mut self, stream: &Stream) -> Vec<u8> {
        let data = decode(self.doc, stream, self.n_bytes).unwrap_or_default();
        // Data that decodes to nothing is work, too.
        self.n_bytes = self.n_bytes.saturating_sub(data.len().max(stream.content.len()).max(1));
        self.hit_limit |= self.n_bytes == 0;
        data
    }

    fn stream(&mut self, content: &[u8], resources: &'a Dictionary, depth: usize) {
        let mut state = State { resources, font: None, fonts_saved: Vec::new(), depth };
        let mut operands: Vec<Operand> = Vec::new();
        let mut array: Option<Vec<Operand>> = None;
        let mut lexer = Lexer::new(content);
        while let Some(token) = lexer.next() {
            if self.n_tokens == 0 || self.n_operators == 0 {
                self.hit_limit = true;
                break;
            }
            self.n_tokens -= 1;
            let operand = match token {
                Token::Word(word) => {
                    // A missing bracket must not swallow the rest of the page.
                    operands.extend(array.take().map(Operand::Array));
                    if word == b"ID" {
                        lexer.skip_inline_image();
                    } else {
                        self.operator(word, &operands, &mut state);
                    }
                    operands.clear();
                    continue;
                }
                Token::ArrayStart => {
                    array = Some(Vec::new());
                    continue;
                }
                Token::ArrayEnd => match array.take() {
                    Some(array) => Operand::Array(array),
                    None => continue,
                },
                Token::Number(n) => Operand::Number(n),
                Token::Name(name) => Operand::Name(name),
                Token::Text(text) => Operand::Text(text),
                Token::DictStart | Token::DictEnd => continue,
            };
            let list = array.as_mut().unwrap_or(&mut operands);
            if list.len() < MAX_OPERANDS {
                list.push(operand);
            }
        }
        for _ in 0..state.fonts_saved.len() {
            self.out.push_str("Q\n");
        }
    }

    fn operator(&mut self, word: &[u8], operands: &[Operand], state: &mut State<'a>) {
        match word {
            b"q" if state.fonts_saved.len() < MAX_STATES as usize => {
                state.fonts_saved.push(state.font);
                self.emit("q", &[]);
            }
            b"Q" => {
                if let Some(font) = state.fonts_saved.pop() {
                    state.font = font;
                    self.emit("Q", &[]);
                }
            }
            b"BT" => self.emit("BT", &[]),
            b"ET" => self.emit("ET", &[]),
            b"T*" => self.emit("T*", &[]),
            b"cm" => self.emit_numbers("cm", operands, 6),
            b"Tm" => self.emit_numbers("Tm", operands, 6),
            b"Td" => self.emit_numbers("Td", operands, 2),
            b"TD" => self.emit_numbers("TD", operands, 2),
            b"Tc" => self.emit_numbers("Tc", operands, 1),
            b"Tw" => self.emit_numbers("Tw", operands, 1),
            b"Tz" => self.emit_numbers("Tz", operands, 1),
            b"TL" => self.emit_numbers("TL", operands, 1),
            b"Ts" => self.emit_numbers("Ts", operands, 1),
            b"Tf" => self.font(operands, state),
            b"Tj" => self.show(operands.last(), state),
            b"TJ" => self.show(operands.last(), state),
            b"'" => {
                self.emit("T*", &[]);
                self.show(operands.last(), state);
            }
            b"\"" => {
                if let [Operand::Number(word_spacing), Operand::Number(spacing), ..] = operands {
                    self.emit("Tw", &[*word_spacing]);
                    self.emit("Tc", &[*spacing]);
                }
                self.emit("T*", &[]);
                self.show(operands.last(), state);
            }
            b"Do" => self.form(operands, state),
            _ => {}
        }
    }

    fn font(&mut self, operands: &[Operand], state: &mut State<'a>) {
        let (Some(Operand::Name(name)), Some(Operand::Number(size))) = (operands.first(), operands.last())
        else {
            return;
        };
        let dict = get_dict(self.doc, state.resources, b"Font").and_then(|f| get_dict(self.doc, f, name));
        // A font that is missing is shown in a standard one.
        let dict = dict.unwrap_or(self.empty);
        let doc = self.doc;
        let next = self.fonts.len();
        let key = std::ptr::from_ref(dict);
        let font = if let Some(&font) = self.by_dict.get(&key) {
            font
        } else if next == MAX_PAGE_FONTS {
            self.hit_limit = true;
            state.font = None;
            return;
        } else {
            let font = Font::new(doc, dict, &mut self.n_bytes);
            self.n_tokens = self.n_tokens.saturating_sub(font.n_entries() as u32);
            self.fonts.push(font);
            self.by_dict.insert(key, next);
            next
        };
        state.font = Some(font);
        self.n_operators = self.n_operators.saturating_sub(1);
        let _ = writeln!(self.out, "/F{font} {} Tf", finite(*size));
    }

    /// `Tj` or `TJ` with the codes as the mended font has them.
    fn show(&mut self, operand: Option<&Operand>, state: &State) {
        let (Some(font), Some(operand)) = (state.font, operand) else { return };
        self.n_operators = self.n_operators.saturating_sub(1);
        let parts = match operand {
            Operand::Array(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        self.out.push('[');
        for part in parts {
            match part {
                Operand::Text(text) => {
                    let text = &text[..text.len().min(self.n_text_bytes)];
                    self.n_text_bytes -= text.len();
                    self.hit_limit |= self.n_text_bytes == 0;
                    self.out.push('<');
                    for byte in self.fonts[font].codes(text) {
                        let _ = write!(self.out, "{byte:02x}");
                    }
                    self.out.push('>');
                }
                Operand::Number(n) => {
                    let _ = write!(self.out, " {} ", finite(*n));
                }
                _ => {}
            }
        }
        self.out.push_str("]TJ\n");
    }

    /// Puts a form in place, under its own matrix and with its own resources.
    fn form(&mut self, operands: &[Operand], state: &State<'a>) {
        let Some(Operand::Name(name)) = operands.last() else { return };
        let object = get_dict(self.doc, state.resources, b"XObject").and_then(|x| get(self.doc, x, name));
        let Some(Object::Stream(form)) = object else { return };
        let is_form = get(self.doc, &form.dict, b"Subtype").and_then(|s| s.as_name().ok()) == Some(b"Form");
        if !is_form || state.depth == MAX_FORM_DEPTH || self.n_bytes == 0 {
            return;
        }
        let resources = get_dict(self.doc, &form.dict, b"Resources").unwrap_or(state.resources);
        let content = self.decode(form);
        self.emit("q", &[]);
        if let Some(Object::Array(matrix)) = get(self.doc, &form.dict, b"Matrix") {
            let matrix: Vec<f64> = matrix.iter().filter_map(|o| number(resolve(self.doc, o))).collect();
            if matrix.len() == 6 {
                self.emit("cm", &matrix);
            }
        }
        self.stream(&content, resources, state.depth + 1);
        self.emit("Q", &[]);
    }

    fn emit_numbers(&mut self, operator: &str, operands: &[Operand], n: usize) {
        let numbers: Vec<f64> = operands
            .iter()
            .filter_map(|o| if let Operand::Number(n) = o { Some(*n) } else { None })
            .collect();
        // Surplus operands stand in front.
        if let Some(numbers) = numbers.len().checked_sub(n).map(|from| &numbers[from..]) {
            self.emit(operator, numbers);
        }
    }

    fn emit(&mut self, operator: &str, numbers: &[f64]) {
        self.n_operators = self.n_operators.saturating_sub(1);
        for n in numbers {
            let _ = write!(self.out, "{} ", finite(*n));
        }
        self.out.push_str(operator);
        self.out.push('\n');
    }

    /// A document of one page with the reduced content.
    fn document(&mut self) -> Document {
        let mut doc = Document::with_version("1.7");
        let mut fonts = Dictionary::new();
        for (i, font) in self.fonts.iter().enumerate() {
            let mut dict = font.to_dict(&mut self.n_bytes);
            // Streams must be objects of their own.
            for key in ["ToUnicode", "FontDescriptor"] {
                if let Some(object) = dict.remove(key.as_bytes()) {
                    let object = with_streams_apart(&mut doc, object);
                    dict.set(key, object);
                }
            }
            fonts.set(format!("F{i}"), Object::Dictionary(dict));
        }
        let mut resources = Dictionary::new();
        resources.set("Font", Object::Dictionary(fonts));
        let content =
            doc.add_object(Stream::new(Dictionary::new(), std::mem::take(&mut self.out).into_bytes()));
        let mut page = Dictionary::new();
        page.set("Type", Object::Name(b"Page".to_vec()));
        page.set("MediaBox", Object::Array([0, 0, 612, 792].map(Object::Integer).to_vec()));
        page.set("Resources", Object::Dictionary(resources));
        page.set("Contents", Object::Reference(content));
        let page = doc.add_object(page);
        let mut pages = Dictionary::new();
        pages.set("Type", Object::Name(b"Pages".to_vec()));
        pages.set("Kids", Object::Array(vec![Object::Reference(page)]));
        pages.set("Count", Object::Integer(1));
        let pages = doc.add_object(pages);
        let mut catalog = Dictionary::new();
        catalog.set("Type", Object::Name(b"Catalog".to_vec()));
        catalog.set("Pages", Object::Reference(pages));
        let catalog: ObjectId = doc.add_object(catalog);
        doc.trailer.set("Root", Object::Reference(catalog));
        doc
    }
}

fn with_streams_apart(doc: &mut Document, object: Object) -> Object {
    match object {
        Object::Stream(_) => Object::Reference(doc.add_object(object)),
        Object::Dictionary(dict) => {
            let mut apart = Dictionary::new();
            for (key, value) in dict {
                apart.set(key, with_streams_apart(doc, value));
            }
            Object::Dictionary(apart)
        }
        other => other,
    }
}

/// Numbers as the format spells them; beyond 32 bits of range nothing is on a page.
fn finite(n: f64) -> f32 {
    if n.abs() < 1e9 { n as f32 } else { 0.0 }
}
