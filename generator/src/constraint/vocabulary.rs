//! Tokens in the order of their bytes, and which of them lead anywhere.

use std::cell::RefCell;
use std::rc::Rc;

use super::machine::{Machine, StateId};

/// The bytes of a model's tokens.
pub(crate) struct Vocabulary {
    /// By id; empty for tokens that are no text.
    bytes: Vec<Vec<u8>>,
    /// Ids of tokens that are text, by their bytes.
    order: Vec<u32>,
    /// For each of `order` how many bytes it has in common with the one before.
    common: Vec<usize>,
    /// Walks the vocabulary, used again and again.
    path: RefCell<Vec<StateId>>,
}

/// A set of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Allowed(Vec<u64>);

impl Allowed {
    pub(crate) fn has(&self, token: u32) -> bool {
        self.0.get(token as usize / 64).is_some_and(|word| word >> (token % 64) & 1 == 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl Vocabulary {
    /// Of tokens' bytes by id; `None` for those that are no text.
    pub(crate) fn new(tokens: Vec<Option<Vec<u8>>>) -> Self {
        let bytes: Vec<Vec<u8>> = tokens.into_iter().map(Option::unwrap_or_default).collect();
        // A token without bytes would bring a text no further.
        let mut order: Vec<u32> =
            (0..bytes.len() as u32).filter(|id| !bytes[*id as usize].is_empty()).collect();
        order.sort_by(|a, b| bytes[*a as usize].cmp(&bytes[*b as usize]));
        let mut before: &[u8] = &[];
        let common = order.iter().map(|id| {
            let token = bytes[*id as usize].as_slice();
            let n = token.iter().zip(before).take_while(|(a, b)| a == b).count();
            before = token;
            n
        });
        let common = common.collect();
        Self { order, common, bytes, path: RefCell::default() }
    }

    /// The bytes of a token.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// The tokens that a text in `state` can go on with.
    pub(super) fn allowed(&self, machine: &mut Machine, state: StateId) -> Rc<Allowed> {
        let mut marks = vec![0_u64; self.bytes.len().div_ceil(64)];
        let mut path = self.path.borrow_mut();
        path.clear();
        path.push(state);
        // Bytes of the token before that led somewhere: the path has one state more.
        for (id, common) in self.order.iter().zip(&self.common) {
            // It begins as one that led nowhere, and has the same fate.
            let n_walked = path.len() - 1;
            if *common > n_walked {
                continue;
            }
            path.truncate(common + 1);
            let token = self.bytes(*id);
            for byte in &token[*common..] {
                let here = path[path.len() - 1];
                match machine.step(here, *byte) {
                    Some(next) => path.push(next),
                    None => break,
                }
            }
            if path.len() == token.len() + 1 {
                marks[*id as usize / 64] |= 1 << (id % 64);
            }
        }
        Rc::new(Allowed(marks))
    }
}
