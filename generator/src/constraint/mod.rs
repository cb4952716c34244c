//! Texts that can only be of one form: a grammar over bytes decides which tokens may come next.
//!
//! A constraint becomes a grammar ([`grammar`]): a net of nodes that take a byte, with rules that may
//! call each other, so that JSON may nest. The machine ([`machine`]) follows all ways through it at once;
//! its states are made when they are met, and remembered. From a state the vocabulary ([`vocabulary`]) is
//! walked in the order of its tokens' bytes, so that what begins alike is tried once, and the tokens that
//! lead anywhere are marked.

mod grammar;
mod json;
mod machine;
mod ordered;
mod regex;
mod schema;
mod spans;
mod vocabulary;

use crate::error::{Error, Result};
use grammar::Grammar;
use machine::{Machine, StateId};
pub use ordered::OrderedJson;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::rc::Rc;
pub(crate) use vocabulary::{Allowed, Vocabulary};

/// The form that a text must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Constraint {
    /// Any JSON object or array.
    Json,
    /// JSON that a schema describes (JSON Schema, 2020-12; without numbers' bounds, `not`, `if`,
    /// `patternProperties` and other conditions between parts). Properties come in the order that the schema
    /// gives them in; those it does not name do not come.
    JsonSchema(OrderedJson),
    /// A regular expression that the whole text matches, in the syntax of the `regex` crate, without
    /// word boundaries.
    Regex(String),
    /// A row of whole words of one of these texts, as they stand there.
    Spans(Vec<String>),
}

impl Constraint {
    /// Whether the constraint is one that can be kept.
    ///
    /// # Errors
    /// [`Error::Constraint`] with what is wrong with it, or not supported.
    pub fn check(&self) -> Result<()> {
        self.grammar().map(drop)
    }

    fn grammar(&self) -> Result<Grammar> {
        match self {
            Self::Json => Ok(json::any()),
            Self::JsonSchema(schema) => schema::grammar(schema),
            Self::Regex(pattern) => regex::grammar(pattern),
            Self::Spans(texts) => spans::grammar(texts),
        }
    }
}

/// A constraint and how far a text has come in it.
pub(crate) struct Constrained {
    vocabulary: Rc<Vocabulary>,
    machine: Machine,
    state: StateId,
    /// Of states that were met before.
    masks: HashMap<StateId, Rc<Allowed>>,
}

impl Constrained {
    pub(crate) fn new(constraint: &Constraint, vocabulary: Rc<Vocabulary>) -> Result<Self> {
        let (machine, state) = Machine::new(constraint.grammar()?);
        Ok(Self { vocabulary, machine, state, masks: HashMap::new() })
    }

    /// The tokens that may come next; ends of the text are not among them.
    pub(crate) fn allowed(&mut self) -> Rc<Allowed> {
        if let Some(state) = self.machine.make_room(self.state) {
            self.state = state;
            self.masks.clear();
        }
        let (vocabulary, machine) = (&self.vocabulary, &mut self.machine);
        let state = self.state;
        let mask = self.masks.entry(state).or_insert_with(|| vocabulary.allowed(machine, state));
        Rc::clone(mask)
    }

    /// Whether the text may end here.
    pub(crate) fn may_end(&self) -> bool {
        self.machine.accepts(self.state)
    }

    /// Whether nothing can follow.
    pub(crate) fn must_end(&self) -> bool {
        self.machine.is_last(self.state)
    }

    /// Takes the token that was chosen.
    ///
    /// # Errors
    /// [`Error::ConstraintStuck`] where it does not fit.
    pub(crate) fn take(&mut self, token: u32) -> Result<()> {
        let mut state = self.state;
        for byte in self.vocabulary.bytes(token) {
            state = self.machine.step(state, *byte).ok_or(Error::ConstraintStuck)?;
        }
        self.state = state;
        Ok(())
    }
}

/// What is wrong with a constraint.
fn refused(what: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Constraint { what: what.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the whole text fits, fed byte by byte.
    pub(super) fn fits(constraint: &Constraint, text: &str) -> bool {
        let (mut machine, mut state) = Machine::new(constraint.grammar().unwrap());
        for byte in text.bytes() {
            match machine.step(state, byte) {
                Some(next) => state = next,
                None => return false,
            }
        }
        machine.accepts(state)
    }

    #[track_caller]
    pub(super) fn check(constraint: &Constraint, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(fits(constraint, text), "{text:?} does not fit {constraint:?}");
        }
        for text in bad {
            assert!(!fits(constraint, text), "{text:?} fits {constraint:?}");
        }
    }

    #[test]
    fn messages_carry_constraints() {
        for (json, constraint) in [
            (r#""json""#, Constraint::Json),
            (r#"{"regex":"a+"}"#, Constraint::Regex("a+".into())),
            (
                r#"{"json_schema":{"type":"null"}}"#,
                Constraint::JsonSchema(serde_json::json!({"type": "null"}).into()),
            ),
            (r#"{"spans":["a b"]}"#, Constraint::Spans(vec!["a b".into()])),
        ] {
            assert_eq!(serde_json::from_str::<Constraint>(json).unwrap(), constraint);
            assert_eq!(serde_json::to_string(&constraint).unwrap(), json);
        }
    }

    #[test]
    fn tokens_that_lead_anywhere_are_allowed_and_no_others() {
        let tokens: Vec<Option<Vec<u8>>> = ["1", "12", "123", "1a", "a", "", "é", "2"]
            .iter()
            .map(|token| Some(token.as_bytes().to_vec()))
            .chain([None, Some(vec![0xc3]), Some(vec![0xa9])])
            .collect();
        let vocabulary = Rc::new(Vocabulary::new(tokens));
        let allowed = |constrained: &mut Constrained| {
            let allowed = constrained.allowed();
            (0..11).filter(|id| allowed.has(*id)).collect::<Vec<u32>>()
        };
        let digits = Constraint::Regex("1?[0-9]{1,2}|éé".into());
        let mut constrained = Constrained::new(&digits, Rc::clone(&vocabulary)).unwrap();
        assert_eq!(allowed(&mut constrained), [0, 1, 2, 6, 7, 9]);
        assert!(!constrained.may_end());
        constrained.take(9).unwrap();
        assert_eq!(allowed(&mut constrained), [10], "within a character");
        constrained.take(10).unwrap();
        assert_eq!(allowed(&mut constrained), [6, 9]);
        constrained.take(6).unwrap();
        assert!(constrained.may_end() && constrained.must_end());
        assert!(matches!(constrained.take(0), Err(Error::ConstraintStuck)));
    }
}
