//! Widths of composite fonts (ISO 32000-1, 9.7.4.3).

use super::streams::{get, number, resolve};
use pdf_extract::{Dictionary, Document, Object};
use std::collections::HashMap;

/// A font has 65,536 glyphs at most; work on its widths is bounded by twice that.
const MAX_GLYPHS: usize = 1 << 16;

/// Widths of a composite font by glyph number, in thousandths.
pub(super) struct CidWidths {
    widths: HashMap<u32, f64>,
    default: f64,
    /// Widths given so far, the same glyph counted each time.
    n_given: usize,
}

impl CidWidths {
    pub(super) fn new(doc: &Document, font: &Dictionary) -> Self {
        let descendant = match get(doc, font, b"DescendantFonts") {
            Some(Object::Array(all)) => all.first().and_then(|o| resolve(doc, o).as_dict().ok()),
            Some(Object::Dictionary(dict)) => Some(dict),
            _ => None,
        };
        let mut found = Self { widths: HashMap::new(), default: 1000.0, n_given: 0 };
        let Some(descendant) = descendant else { return found };
        found.default = get(doc, descendant, b"DW").and_then(number).unwrap_or(1000.0);
        let Some(Object::Array(listed)) = get(doc, descendant, b"W") else { return found };
        // Either `first [w1 w2 ..]` or `first last width`.
        let mut rest = listed.iter().map(|o| resolve(doc, o));
        while let (Some(first), Some(second)) = (rest.next().and_then(number), rest.next()) {
            let first = first.max(0.0) as u32;
            if let Object::Array(widths) = second {
                for (i, width) in widths.iter().enumerate().take(MAX_GLYPHS) {
                    found.insert(first.saturating_add(i as u32), number(resolve(doc, width)));
                }
            } else {
                let last = number(second).unwrap_or(0.0).max(0.0) as u32;
                let width = rest.next().and_then(number);
                for cid in (first..=last).take(MAX_GLYPHS) {
                    found.insert(cid, width);
                }
            }
            if found.n_given >= 2 * MAX_GLYPHS {
                break;
            }
        }
        found
    }

    fn insert(&mut self, cid: u32, width: Option<f64>) {
        self.n_given += 1;
        if let Some(width) = width {
            self.widths.insert(cid, width);
        }
    }

    pub(super) fn of(&self, cid: u32) -> f64 {
        self.widths.get(&cid).copied().unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        let number = |n: i64| Object::Integer(n);
        let listed = vec![
            number(3),
            Object::Array(vec![number(250), number(300)]),
            number(10),
            number(12),
            number(600),
            number(20),
        ];
        let mut descendant = Dictionary::new();
        descendant.set("DW", number(700));
        descendant.set("W", Object::Array(listed));
        let mut font = Dictionary::new();
        font.set("DescendantFonts", Object::Array(vec![Object::Dictionary(descendant)]));
        let widths = CidWidths::new(&Document::new(), &font);
        let got = [3, 4, 5, 10, 12, 13, 20].map(|cid| widths.of(cid));
        assert_eq!(got, [250.0, 300.0, 700.0, 600.0, 600.0, 700.0, 700.0]);
    }
}
