//! The second reader, `pdf-extract`: it is asked for pages that show codes of which the first
//! (`interpret`) makes hardly any text.
//!
//! It stops at many an odd entry, and does not bound its work. So it gets each font of a page in a
//! document of its own, in the plainest terms: what is shown in the font, each at its place
//! ([`Recording`]), and the font's dictionary (`font`), mended and without what multiplies or
//! nests. A panic costs the characters of one font. Where a panic ends the program
//! ([`IS_CONTAINED`] is false), it is asked only when the whole document gave no text.

mod font;

use super::glyphs::{Collector, Glyph, Placed};
use super::matrix::Matrix;
use pdf_extract::{
    Dictionary, Document, MediaBox, Object, OutputDev, OutputError, Stream, Transform, output_doc_page,
};
use std::fmt::Write;

/// Whether a panic of the second reader costs no more than what it was reading.
pub(super) const IS_CONTAINED: bool = cfg!(panic = "unwind");

/// Pages of a document that it is asked for: whole books may have fonts that nobody understands.
const MAX_PAGES: usize = 500;
/// Fonts of one page; posters of type have some tens.
const MAX_FONTS: usize = 64;
/// Bytes of font programs and character maps of a document, each as often as it is read.
const MAX_BYTES: usize = 64 << 20;
/// Of the characters of a text, this many in ten are letters, digits or common marks.
const MIN_SENSIBLE_TENTHS: usize = 8;

/// What a page shows, font by font.
#[derive(Default)]
pub(super) struct Recording<'a> {
    parts: Vec<Part<'a>>,
    /// Where the string being shown goes.
    current: Option<usize>,
}

struct Part<'a> {
    /// The number of the font among the interpreter's.
    font: usize,
    dict: &'a Dictionary,
    content: String,
}

/// The state in which strings are shown, in text space.
pub(super) struct Showing {
    pub(super) size: f64,
    pub(super) char_spacing: f64,
    pub(super) word_spacing: f64,
    /// From there to the page.
    pub(super) at: Matrix,
}

impl<'a> Recording<'a> {
    /// Begins the strings of one operator.
    pub(super) fn begin(&mut self, font: usize, dict: &'a Dictionary, showing: &Showing) {
        let found = self.parts.iter().position(|part| part.font == font);
        self.current = found.or_else(|| {
            let next = self.parts.len();
            (next < MAX_FONTS).then(|| {
                self.parts.push(Part { font, dict, content: String::new() });
                next
            })
        });
        let [a, b, c, d, e, f] = showing.at.0.map(finite);
        let (size, spacing) = (finite(showing.size), finite(showing.char_spacing));
        let word_spacing = finite(showing.word_spacing);
        self.write(format_args!(
            "BT /F {size} Tf {spacing} Tc {word_spacing} Tw {a} {b} {c} {d} {e} {f} Tm ["
        ));
    }

    pub(super) fn string(&mut self, text: &[u8]) {
        self.write(format_args!("<"));
        text.iter().for_each(|byte| self.write(format_args!("{byte:02x}")));
        self.write(format_args!(">"));
    }

    /// A step back, in thousandths of the font size.
    pub(super) fn step(&mut self, n: f64) {
        self.write(format_args!(" {} ", finite(n)));
    }

    pub(super) fn end(&mut self) {
        self.write(format_args!("] TJ ET\n"));
        self.current = None;
    }

    fn write(&mut self, what: std::fmt::Arguments) {
        if let Some(part) = self.current.and_then(|i| self.parts.get_mut(i)) {
            // Strings take everything.
            let _ = part.content.write_fmt(what);
        }
    }

    /// The numbers of the fonts.
    pub(super) fn fonts(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().map(|part| part.font)
    }
}

/// Asks for pages of one document, as long as its bounds hold.
pub(super) struct SecondReader<'a> {
    doc: &'a Document,
    n_pages_left: usize,
    n_bytes_left: usize,
}

impl<'a> SecondReader<'a> {
    pub(super) fn new(doc: &'a Document) -> Self {
        Self { doc, n_pages_left: MAX_PAGES, n_bytes_left: MAX_BYTES }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.n_pages_left == 0 || self.n_bytes_left == 0
    }

    /// Gives the characters of a page to `collector`; true if they are a text.
    pub(super) fn page(&mut self, recording: &Recording, collector: &mut Collector) -> bool {
        self.n_pages_left = self.n_pages_left.saturating_sub(1);
        for part in &recording.parts {
            if collector.hit_limit || self.n_bytes_left == 0 {
                break;
            }
            // What it gave before it stopped is kept.
            let _ = super::guarded(|| {
                let mut flat = Document::with_version("1.7");
                let font = font::copy(self.doc, part.dict, &mut flat, &mut self.n_bytes_left)?;
                complete(&mut flat, font, part.content.clone().into_bytes());
                output_doc_page(&flat, collector, 1).ok()
            });
        }
        is_sensible(&collector.glyphs)
    }
}

/// Puts the font and the content onto the one page of `flat`.
fn complete(flat: &mut Document, font: Dictionary, content: Vec<u8>) {
    let dict = |entries: Vec<(&str, Object)>| {
        let mut dict = Dictionary::new();
        entries.into_iter().for_each(|(key, value)| dict.set(key, value));
        dict
    };
    let name = |name: &str| Object::Name(name.as_bytes().to_vec());
    let font = flat.add_object(font);
    let fonts = dict(vec![("F", Object::Reference(font))]);
    let content = flat.add_object(Stream::new(Dictionary::new(), content));
    let page = flat.add_object(dict(vec![
        ("Type", name("Page")),
        ("MediaBox", Object::Array([0, 0, 612, 792].map(Object::Integer).to_vec())),
        ("Resources", Object::Dictionary(dict(vec![("Font", Object::Dictionary(fonts))]))),
        ("Contents", Object::Reference(content)),
    ]));
    let pages = flat.add_object(dict(vec![
        ("Type", name("Pages")),
        ("Kids", Object::Array(vec![Object::Reference(page)])),
        ("Count", Object::Integer(1)),
    ]));
    let catalog = flat.add_object(dict(vec![("Type", name("Catalog")), ("Pages", Object::Reference(pages))]));
    flat.trailer.set("Root", Object::Reference(catalog));
}

/// Whether characters are a text rather than codes taken for one.
fn is_sensible(glyphs: &[Glyph]) -> bool {
    let is_common = |c: char| {
        c.is_alphanumeric()
            || c.is_ascii_punctuation()
            || ('\u{2010}'..='\u{2027}').contains(&c)
            || ('\u{3001}'..='\u{301f}').contains(&c)
    };
    let chars = || glyphs.iter().flat_map(|glyph| glyph.text.chars());
    let n_words = chars().filter(|c| c.is_alphanumeric()).count();
    let (n_common, n) = (chars().filter(|&c| is_common(c)).count(), chars().count());
    n_common * 10 >= n * MIN_SENSIBLE_TENTHS && n_words * 2 > n
}

/// Numbers as the format spells them; beyond 32 bits of range nothing is on a page.
fn finite(n: f64) -> f32 {
    if n.abs() < 1e9 { n as f32 } else { 0.0 }
}

impl OutputDev for Collector {
    fn begin_page(
        &mut self,
        _: u32,
        _: &MediaBox,
        _: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn output_character(
        &mut self,
        to_page: &Transform,
        width: f64,
        _spacing: f64,
        size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        let m = to_page;
        let at = Matrix([m.m11, m.m12, m.m21, m.m22, m.m31, m.m32]);
        self.add(&Placed { at, width, size, height: 1.0, text });
        if self.hit_limit { Err(std::fmt::Error.into()) } else { Ok(()) }
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hint, Limits};

    /// A page that shows a string in a font.
    fn file(font: &str, shown: &str) -> Vec<u8> {
        let content = format!("BT /A 12 Tf 72 700 Td {shown} Tj ET");
        let objects = [
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</A 5 0 R>>>>>>"
                .to_owned(),
            format!("<</Length {}>>\nstream\n{content}\nendstream", content.len()),
            font.to_owned(),
        ];
        let mut file = String::from("%PDF-1.7\n");
        for (i, object) in objects.iter().enumerate() {
            let _ = write!(file, "{} 0 obj\n{object}\nendobj\n", i + 1);
        }
        file.push_str("trailer\n<</Root 1 0 R>>\n");
        file.into_bytes()
    }

    fn text(file: &[u8]) -> Option<String> {
        let read = super::super::read(file, &Hint::default(), &Limits::default());
        read.ok().map(|(document, _)| document.text)
    }

    /// An encoding that names no glyph: the first reader takes its word, the second the codes'.
    fn unnamed() -> String {
        let names = "/.notdef".repeat(224);
        format!("<</Type/Font/Subtype/Type1/BaseFont/Any/Encoding<</Differences[32 {names}]>>>>")
    }

    #[test]
    fn a_page_that_the_first_reader_cannot_read_is_read_by_the_second() {
        let file = file(&unnamed(), "(The harbour opens at dawn)");
        let opened = super::super::open::open(&file, &Hint::default(), &mut Vec::new()).expect("it is whole");
        let pages = super::super::pages::list(&opened, 1);
        let empty = Dictionary::new();
        let mut interpreter = super::super::Interpreter::new(&opened, &empty);
        let mut collector = Collector::new(0, 1_000);
        interpreter.page(&pages[0], &mut collector);
        assert!(collector.is_nearly_mute(), "{:?}", collector.glyphs);
        assert_eq!(text(&file).as_deref(), Some("The harbour opens at dawn"));
    }

    #[test]
    fn codes_that_are_no_text_are_left_out() {
        assert_eq!(text(&file(&unnamed(), r"(\200\201\202\203\204\205\206)")), None);
    }

    #[test]
    fn its_panics_are_contained() {
        let odd = "<</Type/Font/Subtype/Type0/BaseFont/Any/Encoding/Identity-H/DescendantFonts[7]>>";
        assert_eq!(text(&file(odd, "<00010002>")), None);
    }
}
