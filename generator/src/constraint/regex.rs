//! Regular expressions as nodes.

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use regex_syntax::utf8::Utf8Sequences;

use super::grammar::{Grammar, NodeId};
use super::refused;
use crate::error::Result;

/// Longest expression that is taken.
const MAX_PATTERN_BYTES: usize = 1 << 16;
/// How deep groups may nest.
const MAX_NEST: u32 = 100;

/// A text that the whole expression matches.
pub(super) fn grammar(pattern: &str) -> Result<Grammar> {
    let hir = parse(pattern)?;
    let mut grammar = Grammar::new();
    let (hir, _, _) = without_ends(&hir);
    let start =
        Emit { grammar: &mut grammar, pattern, char: &mut Grammar::char }.hir(&hir, Grammar::RETURN)?;
    grammar.set_rule(0, start);
    Ok(grammar)
}

pub(super) fn parse(pattern: &str) -> Result<Hir> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(refused("the regular expression", format!("it has more than {MAX_PATTERN_BYTES} bytes")));
    }
    let parsed = regex_syntax::ParserBuilder::new().nest_limit(MAX_NEST).build().parse(pattern);
    parsed.map_err(|e| refused(format!("the regular expression `{pattern}`"), e.to_string()))
}

/// The expression without `^` at its beginning and `$` at its end, and whether they were there.
pub(super) fn without_ends(hir: &Hir) -> (Hir, bool, bool) {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.clone(),
        _ => vec![hir.clone()],
    };
    let is = |part: Option<&Hir>, look| part.is_some_and(|part| *part.kind() == HirKind::Look(look));
    let begins = is(parts.first(), Look::Start);
    let ends = is(parts.last(), Look::End);
    let to = parts.len() - usize::from(ends);
    let parts = parts.get(usize::from(begins)..to).unwrap_or_default().to_vec();
    (Hir::concat(parts), begins, ends)
}

/// Adds the nodes of a character of some ranges, which go on to a node.
pub(super) type Spell<'a> = dyn FnMut(&mut Grammar, &[(char, char)], NodeId) -> Result<NodeId> + 'a;

/// Turns an expression to nodes; `char` says how the characters of a range are spelled.
pub(super) struct Emit<'a> {
    pub(super) grammar: &'a mut Grammar,
    pub(super) pattern: &'a str,
    pub(super) char: &'a mut Spell<'a>,
}

impl Emit<'_> {
    pub(super) fn hir(&mut self, hir: &Hir, next: NodeId) -> Result<NodeId> {
        match hir.kind() {
            HirKind::Empty => Ok(next),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| self.no_text())?;
                text.chars().rev().try_fold(next, |next, c| (self.char)(self.grammar, &[(c, c)], next))
            }
            HirKind::Class(Class::Unicode(class)) => {
                let ranges: Vec<_> = class.ranges().iter().map(|r| (r.start(), r.end())).collect();
                (self.char)(self.grammar, &ranges, next)
            }
            HirKind::Class(Class::Bytes(_)) => Err(self.no_text()),
            HirKind::Look(look) => {
                let reason = format!("{look:?} is supported at the beginning and the end only");
                Err(refused(format!("the regular expression `{}`", self.pattern), reason))
            }
            HirKind::Repetition(repetition) => {
                let (min, max) = (repetition.min as usize, repetition.max.map(|max| max as usize));
                let Self { grammar, pattern, char } = self;
                let (pattern, char) = (*pattern, &mut **char);
                grammar.repeat((min, max), next, &mut |grammar, next| {
                    Emit { grammar, pattern, char: &mut *char }.hir(&repetition.sub, next)
                })
            }
            HirKind::Capture(capture) => self.hir(&capture.sub, next),
            HirKind::Concat(parts) => parts.iter().rev().try_fold(next, |next, part| self.hir(part, next)),
            HirKind::Alternation(parts) => {
                let ways: Result<Vec<_>> = parts.iter().map(|part| self.hir(part, next)).collect();
                self.grammar.any_of(ways?)
            }
        }
    }

    fn no_text(&self) -> crate::Error {
        refused(format!("the regular expression `{}`", self.pattern), "it matches what is no text")
    }
}

impl Grammar {
    /// A character of these ranges, in UTF-8.
    pub(super) fn char(&mut self, ranges: &[(char, char)], next: NodeId) -> Result<NodeId> {
        let mut ways = Vec::new();
        for (first, last) in ranges {
            for sequence in Utf8Sequences::new(*first, *last) {
                let bytes = sequence.as_slice().iter().rev();
                ways.push(
                    bytes.clone().try_fold(next, |next, range| self.byte(range.start, range.end, next))?,
                );
            }
        }
        self.any_of(ways)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use crate::{Constraint, Error};

    #[test]
    fn expressions_match_whole_texts() {
        let regex = |pattern: &str| Constraint::Regex(pattern.into());
        check(&regex("a|bc"), &["a", "bc"], &["", "ab", "b", "bcc"]);
        check(&regex("^(yes|no)$"), &["yes", "no"], &["yes ", "maybe"]);
        check(&regex(r"\d{4}-\d\d-\d\d"), &["2026-11-26"], &["2026-11-2", "2026-11-266"]);
        check(&regex("(ab)*c?"), &["", "ab", "ababc", "c"], &["a", "cc", "abab ab"]);
        check(&regex("[^a]"), &["b", "é", "世", "🦀"], &["a", "bb", ""]);
        check(&regex("(?i)straße"), &["STRASSE".replace("SS", "ß").as_str(), "straße"], &["strasse"]);
        check(&regex("x{2,3}"), &["xx", "xxx"], &["x", "xxxx"]);
        check(&regex("(a?){3}b"), &["b", "aaab"], &["aaaab"]);
        check(&regex("(a*)*"), &["", "aaa"], &["b"]);
        check(&regex("."), &["x", "世"], &["\n", "xy"]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        for (pattern, reason) in
            [("(", "unclosed"), (r"a\bb", "Word"), (r"(?-u:\xff)", "UTF-8"), ("a^b", "Start")]
        {
            let error = Constraint::Regex(pattern.into()).check().unwrap_err();
            assert!(matches!(error, Error::Constraint { .. }), "{error}");
            assert!(error.to_string().contains(reason), "{pattern}: {error}");
        }
        assert!(Constraint::Regex("((a{100}){100}){1000}".into()).check().is_err());
    }
}
