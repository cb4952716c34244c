//! A net of nodes that take bytes.

use super::refused;
use crate::error::Result;

/// Nodes of one grammar: a schema of some hundred properties, or some hundred kilobytes of texts.
const MAX_NODES: usize = 1 << 20;

/// Index of a node.
pub(super) type NodeId = u32;
/// Index of a rule.
pub(super) type RuleId = u32;

#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Takes a byte of a range and goes on.
    Byte { lo: u8, hi: u8, next: NodeId },
    /// Goes on in several ways without taking anything.
    Split(Vec<NodeId>),
    /// Goes through a rule, and then on.
    Call { rule: RuleId, next: NodeId },
    /// The end of a rule; of the first one, of the text.
    Return,
}

/// Nodes and where rules begin; the text is rule 0.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    pub(super) nodes: Vec<Node>,
    pub(super) rules: Vec<NodeId>,
}

impl Grammar {
    /// A grammar with room for rules; they are set by [`Self::set_rule`].
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Return], rules: vec![Self::RETURN] }
    }

    /// The node that ends a rule.
    pub(super) const RETURN: NodeId = 0;

    pub(super) fn add_rule(&mut self) -> RuleId {
        self.rules.push(Self::RETURN);
        self.rules.len() as RuleId - 1
    }

    pub(super) fn set_rule(&mut self, rule: RuleId, start: NodeId) {
        self.rules[rule as usize] = start;
    }

    pub(super) fn add(&mut self, node: Node) -> Result<NodeId> {
        if self.nodes.len() >= MAX_NODES {
            return Err(refused("the constraint", format!("it needs more than {MAX_NODES} nodes")));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() as NodeId - 1)
    }

    pub(super) fn byte(&mut self, lo: u8, hi: u8, next: NodeId) -> Result<NodeId> {
        self.add(Node::Byte { lo, hi, next })
    }

    /// These bytes, one after the other.
    pub(super) fn literal(&mut self, bytes: &[u8], next: NodeId) -> Result<NodeId> {
        bytes.iter().rev().try_fold(next, |next, byte| self.byte(*byte, *byte, next))
    }

    pub(super) fn call(&mut self, rule: RuleId, next: NodeId) -> Result<NodeId> {
        self.add(Node::Call { rule, next })
    }

    /// One of several ways.
    pub(super) fn any_of(&mut self, mut ways: Vec<NodeId>) -> Result<NodeId> {
        ways.dedup();
        match ways[..] {
            [one] => Ok(one),
            _ => self.add(Node::Split(ways)),
        }
    }

    /// `part` between `min` and `max` times, without an end where there is none.
    pub(super) fn repeat(
        &mut self,
        (min, max): (usize, Option<usize>),
        next: NodeId,
        part: &mut dyn FnMut(&mut Self, NodeId) -> Result<NodeId>,
    ) -> Result<NodeId> {
        let mut start = match max {
            Some(max) => {
                let mut start = next;
                for _ in min..max.max(min) {
                    let once = part(self, start)?;
                    start = self.any_of(vec![once, next])?;
                }
                start
            }
            None => {
                let again = self.add(Node::Split(vec![next]))?;
                let once = part(self, again)?;
                if let Node::Split(ways) = &mut self.nodes[again as usize] {
                    ways.insert(0, once);
                }
                again
            }
        };
        for _ in 0..min {
            start = part(self, start)?;
        }
        Ok(start)
    }
}
