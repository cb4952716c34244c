//! Kept states: the keys and values of past sessions, for the prompts that begin alike.
//!
//! Only whole pieces of a prompt are reused, and pieces begin at multiples of their size whether
//! anything is reused or not. A reused position therefore holds exactly the numbers that computing it
//! again would give, and so does everything after it.

use crate::decoder::{Decoder, State};
use crate::error::{Error, Result};
use runtime::{KvCache, Runtime};
use std::cell::RefCell;

/// The session at hand, the one before, and one to spare.
const MAX_KEPT_STATES: usize = 3;
/// Of all kept states together: two of 1,024 positions of a model with 30 layers of 3 heads of 64,
/// which take 46 kB per position.
const MAX_KEPT_BYTES: u64 = 96 << 20;
/// Caches grow by this many positions.
const STATE_POSITIONS: usize = 256;

/// States that no session uses now, the one that was given back last at the end.
#[derive(Default)]
pub(crate) struct Kept(RefCell<Vec<State>>);

/// What a session needs.
pub(crate) struct Need<'a> {
    /// The prompt; at least its last token is left for the session to run.
    pub(crate) prompt: &'a [u32],
    /// Tokens of a piece.
    pub(crate) piece: usize,
    /// Positions of prompt and answer together.
    pub(crate) n_positions: usize,
    /// Positions there can be.
    pub(crate) n_ctx: usize,
}

impl Need<'_> {
    /// Positions of a state that this prompt can begin with.
    fn n_shared(&self, state: &State) -> usize {
        let free = &self.prompt[..self.prompt.len() - 1];
        let n_equal = state.ids.iter().zip(free).take_while(|(kept, new)| kept == new).count();
        n_equal - n_equal % self.piece
    }

    fn n_ctx(&self) -> usize {
        self.n_positions.next_multiple_of(STATE_POSITIONS).min(self.n_ctx)
    }
}

impl Kept {
    /// A state with room for what is needed, which has already seen as much of the prompt as any
    /// kept one has.
    ///
    /// A state most of which goes on being of use is taken over; otherwise it stays for the prompts
    /// it was made by, and what is shared is copied.
    pub(crate) async fn take(&self, rt: &Runtime, model: &Decoder, need: &Need<'_>) -> Result<State> {
        self.0.borrow_mut().retain(|state| !state.is_lost(rt));
        let (source, n_shared) = match self.best(need) {
            Some((idx, n_shared)) => {
                let is_roomy = self.0.borrow()[idx].n_ctx() >= need.n_ctx();
                let is_mostly_shared = 2 * n_shared >= self.0.borrow()[idx].ids.len();
                match (is_mostly_shared, is_roomy) {
                    (true, true) => return Ok(self.0.borrow_mut().remove(idx).cut(n_shared)),
                    (true, false) => (Some(self.0.borrow_mut().remove(idx)), n_shared),
                    (false, _) => (Some(self.0.borrow()[idx].clone()), n_shared),
                }
            }
            None => (None, 0),
        };
        let mut state = self.empty(rt, model, need, source.as_ref()).await?;
        if let Some(source) = source {
            rt.copy_caches(&pairs(&source, &state), n_shared).await?;
            state.ids.extend(&source.ids[..n_shared]);
            state.n_past = n_shared;
        }
        Ok(state)
    }

    /// Keeps a state for later.
    pub(crate) fn give_back(&self, state: State) {
        let mut kept = self.0.borrow_mut();
        kept.push(state);
        while kept.len() > 1 && (kept.len() > MAX_KEPT_STATES || n_bytes(&kept) > MAX_KEPT_BYTES) {
            kept.remove(0);
        }
    }

    /// Frees all kept states.
    pub(crate) fn forget(&self) {
        self.0.borrow_mut().clear();
    }

    /// Which state shares most with the prompt, the latest of equals, and how many positions.
    fn best(&self, need: &Need<'_>) -> Option<(usize, usize)> {
        let kept = self.0.borrow();
        let shared = kept.iter().enumerate().map(|(idx, state)| (idx, need.n_shared(state)));
        shared.filter(|(_, n)| *n > 0).max_by_key(|(_, n)| *n)
    }

    /// A state without positions in use, in the memory of an old one where one has to go.
    async fn empty(
        &self,
        rt: &Runtime,
        model: &Decoder,
        need: &Need<'_>,
        source: Option<&State>,
    ) -> Result<State> {
        let wanted = model.state_bytes(need.n_ctx());
        loop {
            let old = {
                let mut kept = self.0.borrow_mut();
                let is_full = kept.len() >= MAX_KEPT_STATES || n_bytes(&kept) + wanted > MAX_KEPT_BYTES;
                (is_full && !kept.is_empty()).then(|| kept.remove(0))
            };
            let Some(old) = old else { break };
            if old.n_ctx() >= need.n_ctx() && source.is_none_or(|source| !source.is(&old)) {
                return Ok(old.cut(0));
            }
        }
        match model.new_state(rt, need.n_ctx()).await {
            Err(Error::Runtime(error)) if error.is_out_of_memory() && !self.0.borrow().is_empty() => {
                self.forget();
                model.new_state(rt, need.n_ctx()).await
            }
            made => made,
        }
    }
}

fn n_bytes(states: &[State]) -> u64 {
    states.iter().map(State::n_bytes).sum()
}

fn pairs<'a>(from: &'a State, to: &'a State) -> Vec<(&'a KvCache, &'a KvCache)> {
    from.caches().zip(to.caches()).collect()
}
