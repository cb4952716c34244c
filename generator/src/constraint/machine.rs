//! All ways through a grammar at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use super::grammar::{Grammar, Node, NodeId};

/// Rules within rules: JSON that nests deeper is nobody's answer.
const MAX_DEPTH: u32 = 64;
/// States that are remembered between two tokens; each takes up to a kilobyte and may have a mask beside.
const MAX_STATES: usize = 4096;
/// Steps of a state that are kept in a list; more are kept in a table.
const MAX_LISTED: usize = 16;

/// Index of a state.
pub(super) type StateId = u32;
/// Index of a stack; 0 is the empty one.
type StackId = u32;

/// Not tried yet.
const UNKNOWN: StateId = u32::MAX;
/// Tried, and leads nowhere.
const NOWHERE: StateId = u32::MAX - 1;

/// A place in a grammar: a node that takes a byte, and where its rule was called from.
type Place = (NodeId, StackId);

pub(super) struct Machine {
    grammar: Grammar,
    /// (where to go on, the stack below, how deep)
    stacks: Vec<(NodeId, StackId, u32)>,
    stack_ids: HashMap<(NodeId, StackId), StackId>,
    states: Vec<State>,
    state_ids: HashMap<(Rc<[Place]>, bool), StateId>,
}

struct State {
    places: Rc<[Place]>,
    accepts: bool,
    next: Steps,
}

/// The steps of a state that were tried.
enum Steps {
    Listed(Vec<(u8, StateId)>),
    Table(Box<[StateId; 256]>),
}

impl Steps {
    fn get(&self, byte: u8) -> StateId {
        match self {
            Self::Listed(list) => list.iter().find(|(of, _)| *of == byte).map_or(UNKNOWN, |(_, next)| *next),
            Self::Table(table) => table[usize::from(byte)],
        }
    }

    fn set(&mut self, byte: u8, next: StateId) {
        match self {
            Self::Listed(list) if list.len() < MAX_LISTED => list.push((byte, next)),
            Self::Listed(list) => {
                let mut table = Box::new([UNKNOWN; 256]);
                list.iter().for_each(|(of, next)| table[usize::from(*of)] = *next);
                table[usize::from(byte)] = next;
                *self = Self::Table(table);
            }
            Self::Table(table) => table[usize::from(byte)] = next,
        }
    }
}

impl Machine {
    /// A machine and the state before the first byte.
    pub(super) fn new(grammar: Grammar) -> (Self, StateId) {
        let mut machine = Self {
            grammar,
            stacks: vec![(Grammar::RETURN, 0, 0)],
            stack_ids: HashMap::new(),
            states: Vec::new(),
            state_ids: HashMap::new(),
        };
        let start = machine.grammar.rules[0];
        let state = machine.state_of(vec![(start, 0)]);
        (machine, state)
    }

    /// The state after a byte; `None` where it does not fit.
    pub(super) fn step(&mut self, state: StateId, byte: u8) -> Option<StateId> {
        let known = self.states[state as usize].next.get(byte);
        let next = if known == UNKNOWN { self.find_step(state, byte) } else { known };
        (next != NOWHERE).then_some(next)
    }

    fn find_step(&mut self, state: StateId, byte: u8) -> StateId {
        let places = Rc::clone(&self.states[state as usize].places);
        let after = places.iter().filter_map(|(node, stack)| match self.grammar.nodes[*node as usize] {
            Node::Byte { lo, hi, next } if (lo..=hi).contains(&byte) => Some((next, *stack)),
            _ => None,
        });
        let after: Vec<Place> = after.collect();
        let next = if after.is_empty() { NOWHERE } else { self.state_of(after) };
        self.states[state as usize].next.set(byte, next);
        next
    }

    /// Whether the text may end in this state.
    pub(super) fn accepts(&self, state: StateId) -> bool {
        self.states[state as usize].accepts
    }

    /// Whether no byte can follow.
    pub(super) fn is_last(&self, state: StateId) -> bool {
        self.states[state as usize].places.is_empty()
    }

    /// Forgets all states but this one when there are too many, and gives it another name.
    pub(super) fn make_room(&mut self, state: StateId) -> Option<StateId> {
        if self.states.len() < MAX_STATES {
            return None;
        }
        let State { places, accepts, .. } = self.states.swap_remove(state as usize);
        self.states.clear();
        self.state_ids.clear();
        Some(self.named((places, accepts)))
    }

    /// The state that stands at these places and at those that are reached from them for nothing.
    fn state_of(&mut self, mut open: Vec<Place>) -> StateId {
        let mut seen: std::collections::HashSet<Place> = open.iter().copied().collect();
        let mut places = Vec::new();
        let mut accepts = false;
        while let Some((node, stack)) = open.pop() {
            let mut reached = |place: Place| {
                if seen.insert(place) {
                    open.push(place);
                }
            };
            match &self.grammar.nodes[node as usize] {
                Node::Byte { .. } => places.push((node, stack)),
                Node::Split(ways) => ways.iter().for_each(|way| reached((*way, stack))),
                Node::Return if stack == 0 => accepts = true,
                Node::Return => {
                    let (back, below, _) = self.stacks[stack as usize];
                    reached((back, below));
                }
                Node::Call { rule, next } => {
                    let depth = self.stacks[stack as usize].2 + 1;
                    if depth <= MAX_DEPTH {
                        let start = self.grammar.rules[*rule as usize];
                        let stacks = &mut self.stacks;
                        let pushed = *self.stack_ids.entry((*next, stack)).or_insert_with(|| {
                            stacks.push((*next, stack, depth));
                            stacks.len() as StackId - 1
                        });
                        reached((start, pushed));
                    }
                }
            }
        }
        places.sort_unstable();
        self.named((places.into(), accepts))
    }

    fn named(&mut self, key: (Rc<[Place]>, bool)) -> StateId {
        match self.state_ids.entry(key) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let id = self.states.len() as StateId;
                let (places, accepts) = entry.key().clone();
                self.states.push(State { places, accepts, next: Steps::Listed(Vec::new()) });
                *entry.insert(id)
            }
        }
    }
}
