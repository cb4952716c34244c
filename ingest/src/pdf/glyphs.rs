//! Where the characters of a page stand.

use super::matrix::Matrix;
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;

/// A character, or a few from one code, in coordinates along its own baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glyph {
    /// Direction of the baseline, in degrees counter-clockwise.
    pub(super) angle: i16,
    /// Start and end along the baseline.
    pub(super) from: f64,
    pub(super) to: f64,
    /// Height of the baseline.
    pub(super) base: f64,
    /// Font size in the page's units.
    pub(super) size: f64,
    /// Empty for a blank.
    pub(super) text: String,
}

/// Takes the characters of one page.
pub(super) struct Collector {
    pub(super) glyphs: Vec<Glyph>,
    /// Which of them are what was filled into form fields.
    pub(super) fields: Range<usize>,
    pub(super) hit_limit: bool,
    n_quarter_turns: u8,
    /// Characters taken, blanks counted as one.
    pub(super) n_chars: usize,
    max_chars: usize,
    /// Codes shown, without blanks.
    pub(super) n_codes: usize,
    /// Glyphs that say something.
    pub(super) n_written: usize,
    /// Hashes of what stands where, to leave out what is printed twice for boldness or shadow.
    taken: HashSet<u64>,
    hasher: BuildHasherDefault<DefaultHasher>,
}

impl Collector {
    pub(super) fn new(n_quarter_turns: u8, max_chars: usize) -> Self {
        let (taken, hasher) = (HashSet::new(), BuildHasherDefault::default());
        let glyphs = Vec::new();
        let (n_chars, n_codes, n_written) = (0, 0, 0);
        Self {
            glyphs,
            fields: 0..0,
            hit_limit: false,
            n_quarter_turns,
            n_chars,
            max_chars,
            n_codes,
            n_written,
            taken,
            hasher,
        }
    }

    /// Whether codes were shown of which fewer than one in ten says something.
    pub(super) fn is_nearly_mute(&self) -> bool {
        self.n_written * 10 < self.n_codes
    }
}

/// A character where its font shows it.
pub(super) struct Placed<'a> {
    /// From text to page.
    pub(super) at: Matrix,
    /// In font sizes.
    pub(super) width: f64,
    /// The font size, in text space.
    pub(super) size: f64,
    /// How high letters are, in font sizes.
    pub(super) height: f64,
    pub(super) text: &'a str,
}

impl Collector {
    pub(super) fn add(&mut self, placed: &Placed) {
        if self.n_chars >= self.max_chars {
            self.hit_limit = true;
            return;
        }
        let turn = |x: f64, y: f64| match self.n_quarter_turns {
            0 => (x, y),
            1 => (y, -x),
            2 => (-x, -y),
            _ => (-y, x),
        };
        let ([a, b, c, d, e, f], font_size, width) = (placed.at.0, placed.size, placed.width);
        let (x, y) = turn(e, f);
        // A negative size and a mirrored matrix cancel out.
        let (dx, dy) = turn(a * font_size, b * font_size);
        let length = dx.hypot(dy);
        let size = c.hypot(d) * font_size.abs() * placed.height;
        let is_placed = [x, y, length, size, width].iter().all(|v| v.is_finite() && v.abs() < 1e7);
        if !is_placed || size <= 0.0 {
            return;
        }
        let degrees = if length > 0.0 { dy.atan2(dx).to_degrees().round() } else { 0.0 };
        let (sin, cos) = degrees.to_radians().sin_cos();
        let from = x * cos + y * sin;
        let glyph = Glyph {
            angle: degrees as i16,
            from,
            to: from + width * length,
            base: y * cos - x * sin,
            size,
            text: clean(placed.text),
        };
        let place = |v: f64| (v / (size * 0.2)).round() as i64;
        let is_new = glyph.text.is_empty()
            || self.taken.insert(self.hasher.hash_one((&glyph.text, place(glyph.from), place(glyph.base))));
        if is_new {
            self.n_chars += glyph.text.chars().count().max(1);
            self.n_written += usize::from(!glyph.text.is_empty());
            self.glyphs.push(glyph);
        }
    }
}

/// Letters instead of ligatures and presentation forms; nothing for blanks and controls.
fn clean(text: &str) -> String {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fb00}'..='\u{fb4f}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' => {
                clean.extend(std::iter::once(c).nfkc().filter(|c| !c.is_whitespace()));
            }
            // The bullet of the Symbol and Wingdings fonts.
            '\u{f0b7}' | '\u{f0a7}' => clean.push('•'),
            // Small capitals and old-style figures, as fonts by Adobe count them: 0xf700 more than what they are.
            '\u{f721}'..='\u{f7ff}' => {
                clean.extend(char::from_u32(u32::from(c) - 0xf700).filter(|c| !c.is_control()));
            }
            '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{200b}' => {}
            '\u{ad}' => clean.push('-'),
            _ if c.is_control() || c.is_whitespace() => {}
            _ => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(turns: u8, shown: &[([f64; 6], f64, &str)]) -> Vec<Glyph> {
        let mut collector = Collector::new(turns, 100);
        for &([a, b, c, d, e, f], size, text) in shown {
            let at = Matrix([a, b, c, d, e, f]);
            collector.add(&Placed { at, width: 0.5, size, height: 1.0, text });
        }
        collector.glyphs
    }

    #[test]
    fn rotated_text_lies_on_its_own_baseline() {
        let upright = [1.0, 0.0, 0.0, 1.0, 100.0, 200.0];
        let upwards = [0.0, 1.0, -1.0, 0.0, 100.0, 200.0];
        let glyphs = collect(0, &[(upright, 10.0, "a"), (upwards, 10.0, "b")]);
        let got: Vec<_> =
            glyphs.iter().map(|g| (g.angle, g.from.round(), g.to.round(), g.base.round())).collect();
        assert_eq!(got, [(0, 100.0, 105.0, 200.0), (90, 200.0, 205.0, -100.0)]);
        // A page turned clockwise makes upward text level.
        assert_eq!(collect(1, &[(upwards, 10.0, "b")])[0].angle, 0);
    }

    #[test]
    fn characters_are_cleaned_and_doubles_left_out() {
        let at = |x: f64| [1.0, 0.0, 0.0, 1.0, x, 0.0];
        let glyphs = collect(
            0,
            &[(at(0.0), 10.0, "ﬁ"), (at(0.3), 10.0, "ﬁ"), (at(9.0), 10.0, "\0 "), (at(20.0), 10.0, "x")],
        );
        let texts: Vec<&str> = glyphs.iter().map(|g| g.text.as_str()).collect();
        assert_eq!(texts, ["fi", "", "x"]);
        assert_eq!(clean("\u{f731}\u{f738}62 \u{f761}\u{f764}\u{f7e0}\u{f780}"), "1862adà");
        assert_eq!(clean("ﷲ\u{e001}\u{f0b7}\u{ad}ﻼ"), "الله•-لا");
    }
}
