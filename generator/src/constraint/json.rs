//! The parts of JSON, each a rule.

use super::grammar::{Grammar, NodeId, RuleId};
use crate::error::Result;

/// Blanks that a line may begin with: a model that has begun a row of blanks often never ends it.
const MAX_INDENT: usize = 16;
/// Digits of a number: more than a double holds.
const MAX_DIGITS: usize = 18;
const MAX_EXPONENT_DIGITS: usize = 3;

/// Rules that are made when they are first used.
#[derive(Default)]
pub(super) struct Parts {
    char: Option<RuleId>,
    blank: Option<RuleId>,
    value: Option<RuleId>,
}

/// Any object or array.
pub(super) fn any() -> Grammar {
    let mut grammar = Grammar::new();
    let mut parts = Parts::default();
    let start = parts.containers(&mut grammar, Grammar::RETURN).expect("JSON needs some hundred nodes");
    grammar.set_rule(0, start);
    grammar
}

impl Parts {
    /// Nothing, a blank, or a new line with its indent.
    pub(super) fn blank(&mut self, g: &mut Grammar, next: NodeId) -> Result<NodeId> {
        let rule = match self.blank {
            Some(rule) => rule,
            None => {
                let rule = g.add_rule();
                let end = Grammar::RETURN;
                let indent = g.repeat((0, Some(MAX_INDENT)), end, &mut |g, next| g.byte(b' ', b' ', next))?;
                let (line, blank) = (g.byte(b'\n', b'\n', indent)?, g.byte(b' ', b' ', end)?);
                let start = g.any_of(vec![line, blank, end])?;
                g.set_rule(rule, start);
                *self.blank.insert(rule)
            }
        };
        g.call(rule, next)
    }

    /// A text of `min` to `max` characters, in quotes.
    pub(super) fn string(
        &mut self,
        g: &mut Grammar,
        bounds: (usize, Option<usize>),
        next: NodeId,
    ) -> Result<NodeId> {
        let rule = self.char_rule(g)?;
        let end = g.byte(b'"', b'"', next)?;
        let chars = g.repeat(bounds, end, &mut |g, next| g.call(rule, next))?;
        g.byte(b'"', b'"', chars)
    }

    fn char_rule(&mut self, g: &mut Grammar) -> Result<RuleId> {
        if let Some(rule) = self.char {
            return Ok(rule);
        }
        let rule = g.add_rule();
        let start = any_char(g, Grammar::RETURN)?;
        g.set_rule(rule, start);
        Ok(*self.char.insert(rule))
    }

    /// A character of these ranges, within quotes.
    pub(super) fn char_of(g: &mut Grammar, ranges: &[(char, char)], next: NodeId) -> Result<NodeId> {
        let mut ways = Vec::new();
        // What may stand as it is: all but controls, the quote and the backslash.
        for (from, to) in [('\u{20}', '!'), ('#', '['), (']', char::MAX)] {
            let cut: Vec<_> =
                ranges.iter().map(|(a, b)| (*a.max(&from), *b.min(&to))).filter(|(a, b)| a <= b).collect();
            if !cut.is_empty() {
                ways.push(g.char(&cut, next)?);
            }
        }
        for (c, escape) in [('"', "\\\""), ('\\', "\\\\"), ('\n', "\\n"), ('\t', "\\t"), ('\r', "\\r")] {
            if ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) {
                ways.push(g.literal(escape.as_bytes(), next)?);
            }
        }
        g.any_of(ways)
    }

    /// A number; without fraction and exponent if it is an integer.
    pub(super) fn number(g: &mut Grammar, is_integer: bool, next: NodeId) -> Result<NodeId> {
        let digits = |g: &mut Grammar, (min, max), next| {
            g.repeat((min, Some(max)), next, &mut |g, next| g.byte(b'0', b'9', next))
        };
        let mut after = next;
        if !is_integer {
            let exponent = digits(g, (1, MAX_EXPONENT_DIGITS), next)?;
            let signs = [g.byte(b'+', b'+', exponent)?, g.byte(b'-', b'-', exponent)?, exponent];
            let signed = g.any_of(signs.to_vec())?;
            let exponents = [g.byte(b'e', b'e', signed)?, g.byte(b'E', b'E', signed)?, next];
            let with_exponent = g.any_of(exponents.to_vec())?;
            let fraction = digits(g, (1, MAX_DIGITS), with_exponent)?;
            let fraction = g.byte(b'.', b'.', fraction)?;
            after = g.any_of(vec![fraction, with_exponent])?;
        }
        let more = digits(g, (0, MAX_DIGITS - 1), after)?;
        let whole = [g.byte(b'0', b'0', after)?, g.byte(b'1', b'9', more)?];
        let whole = g.any_of(whole.to_vec())?;
        let negative = g.byte(b'-', b'-', whole)?;
        g.any_of(vec![negative, whole])
    }

    /// Any value.
    pub(super) fn value(&mut self, g: &mut Grammar, next: NodeId) -> Result<NodeId> {
        if let Some(rule) = self.value {
            return g.call(rule, next);
        }
        let rule = *self.value.insert(g.add_rule());
        let end = Grammar::RETURN;
        let mut ways = vec![self.containers(g, end)?, self.string(g, (0, None), end)?];
        ways.push(Self::number(g, false, end)?);
        for word in ["true", "false", "null"] {
            ways.push(g.literal(word.as_bytes(), end)?);
        }
        let start = g.any_of(ways)?;
        g.set_rule(rule, start);
        g.call(rule, next)
    }

    /// An object or an array of any values.
    pub(super) fn containers(&mut self, g: &mut Grammar, next: NodeId) -> Result<NodeId> {
        let object = self.map(g, &mut |parts, g, next| parts.value(g, next), next)?;
        let array = self.list(g, (0, None), &mut |parts, g, next| parts.value(g, next), next)?;
        g.any_of(vec![object, array])
    }

    /// An object of any keys.
    pub(super) fn map(&mut self, g: &mut Grammar, value: &mut Part<'_>, next: NodeId) -> Result<NodeId> {
        let mut pair = |parts: &mut Self, g: &mut Grammar, next: NodeId| {
            let value = value(parts, g, next)?;
            let value = parts.blank(g, value)?;
            let colon = g.byte(b':', b':', value)?;
            parts.string(g, (0, None), colon)
        };
        self.between(g, (b'{', b'}'), (0, None), &mut pair, next)
    }

    /// An array of `min` to `max` items.
    pub(super) fn list(
        &mut self,
        g: &mut Grammar,
        bounds: (usize, Option<usize>),
        item: &mut Part<'_>,
        next: NodeId,
    ) -> Result<NodeId> {
        self.between(g, (b'[', b']'), bounds, item, next)
    }

    /// Items with commas between brackets.
    fn between(
        &mut self,
        g: &mut Grammar,
        (open, close): (u8, u8),
        (min, max): (usize, Option<usize>),
        item: &mut Part<'_>,
        next: NodeId,
    ) -> Result<NodeId> {
        let close = g.byte(close, close, next)?;
        let end = self.blank(g, close)?;
        let mut start = end;
        if max != Some(0) {
            let rest = (min.saturating_sub(1), max.map(|max| max - 1));
            let more = g.repeat(rest, end, &mut |g, next| {
                let item = item(self, g, next)?;
                let item = self.blank(g, item)?;
                g.byte(b',', b',', item)
            })?;
            let first = item(self, g, more)?;
            let first = self.blank(g, first)?;
            start = if min == 0 { g.any_of(vec![first, end])? } else { first };
        }
        g.byte(open, open, start)
    }
}

/// Adds the nodes of a part, which go on to a node.
pub(super) type Part<'a> = dyn FnMut(&mut Parts, &mut Grammar, NodeId) -> Result<NodeId> + 'a;

/// A character within quotes, spelled in any way.
fn any_char(g: &mut Grammar, next: NodeId) -> Result<NodeId> {
    let plain = g.char(&[('\u{20}', '!'), ('#', '['), (']', char::MAX)], next)?;
    let escaped: Result<Vec<_>> = b"\"\\/bfnrt".iter().map(|byte| g.byte(*byte, *byte, next)).collect();
    let mut escapes = escaped?;
    let hex = |g: &mut Grammar, next| -> Result<NodeId> {
        let ways = [g.byte(b'0', b'9', next)?, g.byte(b'a', b'f', next)?, g.byte(b'A', b'F', next)?];
        g.any_of(ways.to_vec())
    };
    // Halves of surrogates are no characters.
    let two = hex(g, next)?;
    let two = hex(g, two)?;
    let three = hex(g, two)?;
    let low = g.byte(b'0', b'7', two)?;
    let mut first = vec![g.byte(b'd', b'd', low)?, g.byte(b'D', b'D', low)?];
    for (lo, hi) in [(b'0', b'9'), (b'a', b'c'), (b'A', b'C'), (b'e', b'f'), (b'E', b'F')] {
        first.push(g.byte(lo, hi, three)?);
    }
    let first = g.any_of(first)?;
    escapes.push(g.byte(b'u', b'u', first)?);
    let escapes = g.any_of(escapes)?;
    let escape = g.byte(b'\\', b'\\', escapes)?;
    g.any_of(vec![plain, escape])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, fits};
    use crate::Constraint;

    #[test]
    fn what_is_json_fits_and_what_is_not_does_not() {
        check(
            &Constraint::Json,
            &[
                "{}",
                "[]",
                r#"{"a": 1, "b": [true, false, null], "c": {"d": "x"}}"#,
                r#"{"a":-1.5e+10,"b":0}"#,
                "{\n  \"a\": [\n    1,\n    2\n  ]\n}",
                r#"["\"\\\n\u00e9é世🦀"]"#,
                r#"[[[[[[1]]]]]]"#,
            ],
            &[
                "",
                "1",
                "\"a\"",
                "{",
                "{]",
                "[1,]",
                "{\"a\"}",
                "{a: 1}",
                "[01]",
                "[1.]",
                "[.5]",
                "[+1]",
                "[\"\n\"]",
                r#"["\x"]"#,
                r#"["\ud800"]"#,
                "[tru]",
                "[] ",
                " []",
                "[1 2]",
                "{\"a\":1,}",
            ],
        );
    }

    /// Whatever fits can be read.
    #[test]
    fn deep_nests_end_somewhere() {
        let nest = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(fits(&Constraint::Json, &nest(30)));
        assert!(!fits(&Constraint::Json, &nest(100)));
    }
}
