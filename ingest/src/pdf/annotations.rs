//! What stands on a page besides its content: form fields and text boxes, whose appearance is
//! drawn, and comments, which are texts of their own (ISO 32000-1, 12.5).

use super::fonts::{name, numbers};
use super::info::decode_text;
use super::matrix::Matrix;
use super::streams::{get, get_dict, number, resolve};
use pdf_extract::{Dictionary, Document, Object, Stream};

/// Annotations of one page; drawings that were marked up have some hundreds.
const MAX_ANNOTATIONS: usize = 10_000;
/// Flags of what is not shown: hidden, and not for the screen.
const NOT_SHOWN: i64 = 2 | 32;

/// A drawing of an annotation, and how it comes to its place on the page.
pub(super) struct Appearance<'a> {
    pub(super) form: &'a Stream,
    pub(super) to_page: Matrix,
    /// What was filled into a form, rather than put on the page.
    pub(super) is_field: bool,
}

/// The drawings of a page's annotations that may hold text, those of form fields first.
pub(super) fn appearances<'a>(doc: &'a Document, page: &'a Dictionary) -> Vec<Appearance<'a>> {
    let has_text = |dict: &Dictionary| match name(doc, dict, b"Subtype") {
        // What buttons say is no text of the document.
        Some(b"Widget") => !is_button(doc, dict),
        kind => matches!(kind, Some(b"FreeText" | b"Stamp")),
    };
    let drawn = shown(doc, page).filter(|dict| has_text(dict)).filter_map(|dict| appearance(doc, dict));
    let (mut all, others): (Vec<_>, Vec<_>) = drawn.partition(|appearance| appearance.is_field);
    all.extend(others);
    all
}

/// The texts of a page's comments, each once.
pub(super) fn comments(doc: &Document, page: &Dictionary) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for dict in shown(doc, page) {
        // Fields and text boxes show what they say; links and windows of comments say nothing new.
        let is_comment = !matches!(name(doc, dict, b"Subtype"), Some(b"Widget" | b"Link" | b"Popup"));
        let is_drawn = name(doc, dict, b"Subtype") == Some(b"FreeText") && appearance(doc, dict).is_some();
        if !is_comment || is_drawn {
            continue;
        }
        let Some(Object::String(bytes, _)) = get(doc, dict, b"Contents") else { continue };
        let text = decode_text(bytes).replace("\r\n", "\n").replace('\r', "\n");
        let text: String = text.chars().filter(|&c| c == '\n' || !c.is_control()).collect();
        let text = text.trim();
        if text.chars().any(char::is_alphanumeric) && texts.iter().all(|known| known != text) {
            texts.push(text.to_owned());
        }
    }
    texts
}

/// Whether a field is a button; its kind may stand with the field that it is a part of.
fn is_button(doc: &Document, field: &Dictionary) -> bool {
    let parent = get_dict(doc, field, b"Parent");
    let kind = name(doc, field, b"FT").or_else(|| name(doc, parent?, b"FT"));
    kind == Some(b"Btn")
}

fn shown<'a>(doc: &'a Document, page: &'a Dictionary) -> impl Iterator<Item = &'a Dictionary> {
    let all = match get(doc, page, b"Annots") {
        Some(Object::Array(all)) => all.as_slice(),
        _ => &[],
    };
    all.iter().take(MAX_ANNOTATIONS).filter_map(move |o| resolve(doc, o).as_dict().ok()).filter(move |dict| {
        let flags = get(doc, dict, b"F").and_then(number).unwrap_or(0.0) as i64;
        flags & NOT_SHOWN == 0
    })
}

/// The normal appearance, mapped from its own bounds to the annotation's (12.5.5, algorithm 8.1).
fn appearance<'a>(doc: &'a Document, dict: &'a Dictionary) -> Option<Appearance<'a>> {
    let form = match get(doc, get_dict(doc, dict, b"AP")?, b"N")? {
        Object::Stream(form) => form,
        // One drawing for each state, of a box to be ticked for example.
        Object::Dictionary(states) => match get(doc, states, name(doc, dict, b"AS")?)? {
            Object::Stream(form) => form,
            _ => return None,
        },
        _ => return None,
    };
    let target = bounds(&numbers(doc, dict, b"Rect", 4)?)?;
    let matrix = Matrix::of(doc, &form.dict, b"Matrix");
    let own = bounds(&numbers(doc, &form.dict, b"BBox", 4)?)?;
    let corners =
        [(own.0, own.1), (own.0, own.3), (own.2, own.1), (own.2, own.3)].map(|(x, y)| matrix.apply(x, y));
    let flat: Vec<f64> = corners.iter().flat_map(|&(x, y)| [x, y]).collect();
    let xs = flat.iter().step_by(2).copied();
    let ys = flat.iter().skip(1).step_by(2).copied();
    let (left, right) = (xs.clone().fold(f64::INFINITY, f64::min), xs.fold(f64::NEG_INFINITY, f64::max));
    let (low, high) = (ys.clone().fold(f64::INFINITY, f64::min), ys.fold(f64::NEG_INFINITY, f64::max));
    let scale = |to: f64, from: f64| if from > 0.0 { to / from } else { 1.0 };
    let (sx, sy) = (scale(target.2 - target.0, right - left), scale(target.3 - target.1, high - low));
    let place = Matrix([sx, 0.0, 0.0, sy, target.0 - left * sx, target.1 - low * sy]);
    let is_field = name(doc, dict, b"Subtype") == Some(b"Widget");
    Some(Appearance { form, to_page: matrix.then(&place), is_field })
}

/// Left, lower, right and upper edge of a rectangle given by any two corners.
fn bounds(corners: &[f64]) -> Option<(f64, f64, f64, f64)> {
    let &[a, b, c, d] = corners else { return None };
    Some((a.min(c), b.min(d), a.max(c), b.max(d)))
}
