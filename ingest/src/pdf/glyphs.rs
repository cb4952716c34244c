//! Where the characters of a page stand, as the text library reports them.

use pdf_extract::{MediaBox, OutputDev, OutputError, Transform};
use std::collections::HashSet;
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
    pub(super) hit_limit: bool,
    n_quarter_turns: u8,
    /// Characters taken, blanks counted as one.
    pub(super) n_chars: usize,
    max_chars: usize,
    /// What stands where, to leave out what is printed twice for boldness or shadow.
    taken: HashSet<(String, i64, i64)>,
}

impl Collector {
    pub(super) fn new(n_quarter_turns: u8, max_chars: usize) -> Self {
        let taken = HashSet::new();
        Self { glyphs: Vec::new(), hit_limit: false, n_quarter_turns, n_chars: 0, max_chars, taken }
    }
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

    fn output_character(
        &mut self,
        trm: &Transform,
        width: f64,
        _spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        if self.n_chars >= self.max_chars {
            self.hit_limit = true;
            return Err(std::fmt::Error.into());
        }
        let turn = |x: f64, y: f64| match self.n_quarter_turns {
            0 => (x, y),
            1 => (y, -x),
            2 => (-x, -y),
            _ => (-y, x),
        };
        let (x, y) = turn(trm.m31, trm.m32);
        // A negative size and a mirrored matrix cancel out.
        let (dx, dy) = turn(trm.m11 * font_size, trm.m12 * font_size);
        let length = dx.hypot(dy);
        let size = trm.m21.hypot(trm.m22) * font_size.abs();
        let is_placed = [x, y, length, size, width].iter().all(|v| v.is_finite() && v.abs() < 1e7);
        if !is_placed || size <= 0.0 {
            return Ok(());
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
            text: clean(text),
        };
        let place = |v: f64| (v / (size * 0.2)).round() as i64;
        if glyph.text.is_empty()
            || self.taken.insert((glyph.text.clone(), place(glyph.from), place(glyph.base)))
        {
            self.n_chars += glyph.text.chars().count().max(1);
            self.glyphs.push(glyph);
        }
        Ok(())
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

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Letters instead of ligatures and presentation forms; nothing for blanks and controls.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fb00}'..='\u{fb4f}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' => {
                clean.extend(std::iter::once(c).nfkc().filter(|c| !c.is_whitespace()));
            }
            // The bullet of the Symbol and Wingdings fonts.
            '\u{f0b7}' | '\u{f0a7}' => clean.push('•'),
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
            let trm = Transform::row_major(a, b, c, d, e, f);
            collector.output_character(&trm, 0.5, 0.0, size, text).expect("there is room");
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
        assert_eq!(clean("ﷲ\u{e001}\u{f0b7}\u{ad}ﻼ"), "الله•-لا");
    }
}
