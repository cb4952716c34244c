//! The content of a page: its operators are followed as far as they place text (ISO 32000-1, 9.4).
//! Colours, paths and images are passed over.

use super::fonts::{Font, Shown};
use super::glyphs::{Collector, Placed};
use super::lexer::{Lexer, Token};
use super::matrix::Matrix;
use super::pages::Page;
use super::second::{Recording, Showing};
use super::streams::{decode, get, get_dict, resolve};
use pdf_extract::{Dictionary, Document, Object, Stream};
use std::collections::{HashMap, HashSet};

/// 64 MiB of decoded content: the heaviest maps and drawings have a few tens.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Operators that are followed; a dense page has 20,000. Forms count at each use, so that forms
/// that use forms cannot multiply without end.
const MAX_PAGE_OPERATORS: u32 = 400_000;
/// All operators read, with those that are passed over, such as paths.
const MAX_PAGE_TOKENS: u32 = 20_000_000;
const MAX_FORM_DEPTH: usize = 12;
/// Saved graphics states within one form; ISO 32000-1 annex C names 28 as usual.
const MAX_STATES: usize = 256;
/// Operands of one operator, array elements included: a long line of kerned text.
const MAX_OPERANDS: usize = 20_000;
/// Bytes of strings on one page: more than there are characters, of four bytes each.
const MAX_PAGE_TEXT_BYTES: usize = 1 << 20;
/// Marked parts within marked parts.
const MAX_MARKS: usize = 256;
/// Longer replacements stand for whole paragraphs, whose lines are better told by their characters.
const MAX_ACTUAL_CHARS: usize = 32;

/// Fonts that are kept of a document, as many as [`MAX_TOKENS`] pays for. Catalogs have some hundreds; a manual whose
/// figures are files of their own, each with its fonts, has 4,400 on 930 pages.
const MAX_FONTS: usize = 10_000;
/// Operators of a whole document: 5,000 pages of 10,000, some 20 seconds of work.
const MAX_OPERATORS: u64 = 50_000_000;
/// All tokens of a whole document: 10,000 pages of 20,000, or a few hundred detailed maps.
const MAX_TOKENS: u64 = 200_000_000;
/// Decoded bytes of a whole document: 10,000 pages of 100 kB.
const MAX_BYTES: u64 = 1 << 30;
/// Tokens that reading a font counts for: a character map and a program are as much work.
const FONT_TOKENS: u32 = 20_000;

/// Follows the pages of a document: fonts are read once, and work is bounded.
pub(super) struct Interpreter<'a> {
    doc: &'a Document,
    empty: &'a Dictionary,
    fonts: Vec<Font<'a>>,
    /// Their dictionaries.
    dicts: Vec<&'a Dictionary>,
    /// Fonts by the address of their dictionary: it lives as long as the document.
    by_dict: HashMap<*const Dictionary, usize>,
    n_operators_left: u64,
    n_tokens_left: u64,
    n_bytes_left: u64,
}

impl<'a> Interpreter<'a> {
    /// `empty` stands in for fonts that are missing.
    pub(super) fn new(doc: &'a Document, empty: &'a Dictionary) -> Self {
        Self {
            doc,
            empty,
            fonts: Vec::new(),
            dicts: Vec::new(),
            by_dict: HashMap::new(),
            n_operators_left: MAX_OPERATORS,
            n_tokens_left: MAX_TOKENS,
            n_bytes_left: MAX_BYTES,
        }
    }

    /// Whether no more of the document can be read.
    pub(super) fn is_spent(&self) -> bool {
        self.n_operators_left == 0 || self.n_tokens_left == 0 || self.n_bytes_left == 0
    }

    /// Codes that mean no character, in all fonts so far but those `except`.
    pub(super) fn n_unknown_codes(&self, except: &HashSet<usize>) -> usize {
        let counted = self.fonts.iter().enumerate().filter(|(i, _)| !except.contains(i));
        counted.map(|(_, font)| font.n_unknown()).sum()
    }

    /// Gives the characters of a page to `collector`; true if a limit cut it.
    pub(super) fn page(&mut self, page: &Page<'a>, collector: &mut Collector) -> bool {
        self.follow(page, collector, None).0
    }

    /// What a page shows, as the second reader needs it.
    pub(super) fn record(&mut self, page: &Page<'a>, max_chars: usize) -> Recording<'a> {
        let mut nowhere = Collector::new(0, max_chars);
        self.follow(page, &mut nowhere, Some(Recording::default())).1.unwrap_or_default()
    }

    fn follow(
        &mut self,
        page: &Page<'a>,
        collector: &mut Collector,
        recording: Option<Recording<'a>>,
    ) -> (bool, Option<Recording<'a>>) {
        let limits = (
            u64::from(MAX_PAGE_OPERATORS).min(self.n_operators_left) as u32,
            u64::from(MAX_PAGE_TOKENS).min(self.n_tokens_left) as u32,
            (MAX_PAGE_BYTES as u64).min(self.n_bytes_left) as usize,
        );
        let mut reader = PageReader {
            n_operators: limits.0,
            n_tokens: limits.1,
            n_bytes: limits.2,
            n_text_bytes: MAX_PAGE_TEXT_BYTES,
            hit_limit: false,
            marks: Vec::new(),
            all: self,
            collector,
            recording,
        };
        let content = reader.page_content(page.dict);
        let resources = page.resources.unwrap_or(reader.all.empty);
        reader.stream(&content, resources, State::new(Matrix::IDENTITY), 0);
        reader.appearances(page.dict);
        let hit_limit = reader.hit_limit || reader.collector.hit_limit;
        let (n_operators, n_tokens, n_bytes) = (reader.n_operators, reader.n_tokens, reader.n_bytes);
        let recording = reader.recording;
        self.n_operators_left -= u64::from(limits.0 - n_operators);
        self.n_tokens_left -= u64::from(limits.1 - n_tokens);
        self.n_bytes_left -= (limits.2 - n_bytes) as u64;
        (hit_limit, recording)
    }
}

struct PageReader<'a, 'b> {
    all: &'b mut Interpreter<'a>,
    collector: &'b mut Collector,
    recording: Option<Recording<'a>>,
    n_operators: u32,
    n_tokens: u32,
    n_bytes: usize,
    n_text_bytes: usize,
    hit_limit: bool,
    /// Marked parts that are open, with the text that stands for them, if any.
    marks: Vec<Option<Actual>>,
}

/// Text that stands for what is shown (ISO 32000-1, 14.9.4).
struct Actual {
    text: String,
    is_given: bool,
}

/// An operand as far as text needs it.
enum Operand {
    Number(f64),
    Name(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Operand>),
}

/// What is saved and restored (ISO 32000-1, 8.4 and 9.3).
#[derive(Clone)]
struct State {
    ctm: Matrix,
    font: Option<usize>,
    size: f64,
    char_spacing: f64,
    word_spacing: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

impl State {
    fn new(ctm: Matrix) -> Self {
        Self {
            ctm,
            font: None,
            size: 0.0,
            char_spacing: 0.0,
            word_spacing: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }

    /// How characters are stretched and raised.
    fn scale(&self) -> Matrix {
        Matrix([self.stretch, 0.0, 0.0, 1.0, 0.0, self.rise])
    }
}

/// A stream being followed.
struct Stage<'a> {
    resources: &'a Dictionary,
    depth: usize,
    state: State,
    saved: Vec<State>,
    /// Where the next character stands, and where its line begins.
    text: Matrix,
    line: Matrix,
}

impl<'a> PageReader<'a, '_> {
    /// The page's streams, one after the other: a token never spans two of them.
    fn page_content(&mut self, page: &'a Dictionary) -> Vec<u8> {
        let doc = self.all.doc;
        let streams: Vec<&Object> = match get(doc, page, b"Contents") {
            Some(Object::Array(all)) => all.iter().map(|o| resolve(doc, o)).collect(),
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
        let data = decode(self.all.doc, stream, self.n_bytes).unwrap_or_default();
        // Data that decodes to nothing is work, too.
        self.n_bytes = self.n_bytes.saturating_sub(data.len().max(stream.content.len()).max(1));
        self.hit_limit |= self.n_bytes == 0;
        data
    }

    fn stream(&mut self, content: &[u8], resources: &'a Dictionary, state: State, depth: usize) {
        let (text, line) = (Matrix::IDENTITY, Matrix::IDENTITY);
        let mut stage = Stage { resources, depth, state, saved: Vec::new(), text, line };
        let n_marks = self.marks.len();
        let mut operands: Vec<Operand> = Vec::new();
        let mut array: Option<Vec<Operand>> = None;
        let mut lexer = Lexer::new(content);
        while let Some(token) = lexer.next() {
            if self.n_tokens == 0 || self.n_operators == 0 || self.collector.hit_limit {
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
                        self.operator(word, &operands, &mut stage);
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
        self.marks.truncate(n_marks);
    }

    fn operator(&mut self, word: &[u8], operands: &[Operand], stage: &mut Stage<'a>) {
        let is_followed = match word {
            b"q" | b"Q" | b"cm" | b"Do" | b"BDC" | b"BMC" | b"EMC" => {
                self.structure(word, operands, stage);
                true
            }
            b"Tj" | b"TJ" | b"'" | b"\"" => {
                if word == b"\""
                    && let [Operand::Number(word_spacing), Operand::Number(spacing), ..] = operands
                {
                    (stage.state.word_spacing, stage.state.char_spacing) = (*word_spacing, *spacing);
                }
                if word.len() == 1 {
                    stage.next_line(0.0, -stage.state.leading);
                }
                self.show(operands.last(), stage);
                true
            }
            b"Tf" => {
                self.font(operands, stage);
                true
            }
            _ => stage.text_operator(word, operands),
        };
        self.n_operators -= u32::from(is_followed).min(self.n_operators);
    }

    fn structure(&mut self, word: &[u8], operands: &[Operand], stage: &mut Stage<'a>) {
        match word {
            b"q" if stage.saved.len() < MAX_STATES => stage.saved.push(stage.state.clone()),
            b"Q" => {
                if let Some(state) = stage.saved.pop() {
                    stage.state = state;
                }
            }
            b"cm" => {
                if let Some(matrix) = last_numbers(operands) {
                    stage.state.ctm = Matrix(matrix).then(&stage.state.ctm);
                }
            }
            b"Do" => self.form(operands, stage),
            b"BDC" | b"BMC" if self.marks.len() < MAX_MARKS => {
                let actual = self.actual(operands, stage.resources);
                self.marks.push(actual);
            }
            b"EMC" => {
                self.marks.pop();
            }
            _ => {}
        }
    }

    /// The text that stands for a marked part.
    fn actual(&self, operands: &[Operand], resources: &'a Dictionary) -> Option<Actual> {
        let doc = self.all.doc;
        let by_key = operands.windows(2).find_map(|pair| match pair {
            [Operand::Name(key), Operand::Text(text)] if key == b"ActualText" => Some(text.clone()),
            _ => None,
        });
        let bytes = by_key.or_else(|| {
            let [_, Operand::Name(name)] = operands else { return None };
            let properties = get_dict(doc, get_dict(doc, resources, b"Properties")?, name)?;
            get(doc, properties, b"ActualText").and_then(|text| text.as_str().ok()).map(<[u8]>::to_vec)
        })?;
        let text = super::info::decode_text(&bytes);
        (text.chars().count() <= MAX_ACTUAL_CHARS).then_some(Actual { text, is_given: false })
    }

    fn font(&mut self, operands: &[Operand], stage: &mut Stage<'a>) {
        let (Some(Operand::Name(name)), Some(Operand::Number(size))) = (operands.first(), operands.last())
        else {
            return;
        };
        let doc = self.all.doc;
        let dict = get_dict(doc, stage.resources, b"Font").and_then(|fonts| get_dict(doc, fonts, name));
        // A font that is missing is shown in a standard one.
        let dict = dict.unwrap_or(self.all.empty);
        stage.state.size = *size;
        stage.state.font = self.font_of(dict);
    }

    fn font_of(&mut self, dict: &'a Dictionary) -> Option<usize> {
        let key = std::ptr::from_ref(dict);
        if let Some(&font) = self.all.by_dict.get(&key) {
            return Some(font);
        }
        let next = self.all.fonts.len();
        if next == MAX_FONTS {
            self.hit_limit = true;
            return None;
        }
        self.n_tokens = self.n_tokens.saturating_sub(FONT_TOKENS);
        let font = Font::new(self.all.doc, dict, &mut self.n_bytes);
        self.all.fonts.push(font);
        self.all.dicts.push(dict);
        self.all.by_dict.insert(key, next);
        Some(next)
    }

    fn show(&mut self, operand: Option<&Operand>, stage: &mut Stage<'a>) {
        let (Some(font_idx), Some(operand)) = (stage.state.font, operand) else { return };
        let parts = match operand {
            Operand::Array(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        if let (Some(recording), Some(dict)) = (&mut self.recording, self.all.dicts.get(font_idx)) {
            recording.begin(font_idx, dict, &stage.showing());
        }
        for part in parts {
            match part {
                Operand::Text(text) => {
                    let text = &text[..text.len().min(self.n_text_bytes)];
                    self.n_text_bytes -= text.len();
                    self.hit_limit |= self.n_text_bytes == 0;
                    if let Some(recording) = &mut self.recording {
                        recording.string(text);
                    }
                    self.string(text, font_idx, stage);
                }
                Operand::Number(n) => {
                    if let Some(recording) = &mut self.recording {
                        recording.step(*n);
                    }
                    let shift = -n / 1000.0 * stage.state.size * stage.state.stretch;
                    stage.text = Matrix::moved(shift, 0.0).then(&stage.text);
                }
                _ => {}
            }
        }
        if let Some(recording) = &mut self.recording {
            recording.end();
        }
    }

    fn string(&mut self, text: &[u8], font_idx: usize, stage: &mut Stage<'a>) {
        let state = stage.state.clone();
        let Some(font) = self.all.fonts.get_mut(font_idx) else { return };
        let height = font.height;
        let (collector, marks) = (&mut *self.collector, &mut self.marks);
        let to_page = state.ctm;
        font.show(text, &mut self.n_bytes, &mut |shown: Shown| {
            let at = state.scale().then(&stage.text).then(&to_page);
            let text = match marks.iter_mut().rev().flatten().next() {
                None => shown.text,
                Some(actual) if actual.is_given => String::new(),
                Some(actual) => {
                    actual.is_given = true;
                    actual.text.clone()
                }
            };
            let is_hidden = text.is_empty() && marks.iter().any(Option::is_some);
            if !is_hidden {
                collector.n_codes += usize::from(!shown.is_space);
                collector.add(&Placed { at, width: shown.width, size: state.size, height, text: &text });
            }
            let spacing = state.char_spacing + if shown.is_space { state.word_spacing } else { 0.0 };
            let step = state.stretch * (shown.width * state.size + spacing);
            stage.text = Matrix::moved(step, 0.0).then(&stage.text);
        });
    }

    /// Follows a form in its place, under its own matrix and with its own resources.
    fn form(&mut self, operands: &[Operand], stage: &Stage<'a>) {
        let Some(Operand::Name(name)) = operands.last() else { return };
        let doc = self.all.doc;
        let object = get_dict(doc, stage.resources, b"XObject").and_then(|x| get(doc, x, name));
        let Some(Object::Stream(form)) = object else { return };
        let is_form = get(doc, &form.dict, b"Subtype").and_then(|s| s.as_name().ok()) == Some(b"Form");
        if !is_form || stage.depth == MAX_FORM_DEPTH || self.n_bytes == 0 {
            return;
        }
        let resources = get_dict(doc, &form.dict, b"Resources").unwrap_or(stage.resources);
        let content = self.decode(form);
        let mut state = stage.state.clone();
        state.ctm = Matrix::of(doc, &form.dict, b"Matrix").then(&state.ctm);
        self.stream(&content, resources, state, stage.depth + 1);
    }

    /// What is written in form fields, text boxes and stamps.
    fn appearances(&mut self, page: &'a Dictionary) {
        let n_before = self.collector.glyphs.len();
        self.collector.fields = n_before..n_before;
        for appearance in super::annotations::appearances(self.all.doc, page) {
            if self.n_bytes == 0 {
                return;
            }
            let resources =
                get_dict(self.all.doc, &appearance.form.dict, b"Resources").unwrap_or(self.all.empty);
            let content = self.decode(appearance.form);
            self.stream(&content, resources, State::new(appearance.to_page), 1);
            if appearance.is_field {
                self.collector.fields.end = self.collector.glyphs.len();
            }
        }
    }
}

impl Stage<'_> {
    /// Operators that set the state of text; false for others.
    fn text_operator(&mut self, word: &[u8], operands: &[Operand]) -> bool {
        let state = &mut self.state;
        let one = last_numbers::<1>(operands).map(|[n]| n);
        match word {
            b"BT" => (self.text, self.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            b"T*" => self.next_line(0.0, -self.state.leading),
            b"Tm" => {
                if let Some(matrix) = last_numbers(operands) {
                    (self.text, self.line) = (Matrix(matrix), Matrix(matrix));
                }
            }
            b"Td" | b"TD" => {
                if let Some([x, y]) = last_numbers(operands) {
                    if word == b"TD" {
                        state.leading = -y;
                    }
                    self.next_line(x, y);
                }
            }
            b"Tc" => state.char_spacing = one.unwrap_or(state.char_spacing),
            b"Tw" => state.word_spacing = one.unwrap_or(state.word_spacing),
            b"Tz" => state.stretch = one.map_or(state.stretch, |percent| percent / 100.0),
            b"TL" => state.leading = one.unwrap_or(state.leading),
            b"Ts" => state.rise = one.unwrap_or(state.rise),
            _ => return false,
        }
        true
    }

    fn showing(&self) -> Showing {
        Showing {
            size: self.state.size,
            char_spacing: self.state.char_spacing,
            word_spacing: self.state.word_spacing,
            at: self.state.scale().then(&self.text).then(&self.state.ctm),
        }
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line = Matrix::moved(x, y).then(&self.line);
        self.text = self.line;
    }
}

/// The last `N` operands that are numbers: surplus ones stand in front.
fn last_numbers<const N: usize>(operands: &[Operand]) -> Option<[f64; N]> {
    let mut found = [0.0; N];
    let mut numbers = operands.iter().rev().filter_map(|o| match o {
        Operand::Number(n) => Some(*n),
        _ => None,
    });
    for slot in found.iter_mut().rev() {
        *slot = numbers.next()?;
    }
    Some(found)
}
