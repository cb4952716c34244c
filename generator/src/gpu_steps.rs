//! Decoding on the GPU tier: a step is recorded once per state and replayed token after token, with
//! the choice of the token on the device.
//!
//! The recorded step goes with the state whose caches it writes: as long as the state is kept, the next
//! session on it records nothing.

use crate::decoder::State;
use crate::error::{Error, Result};
use crate::generator::Inner;
use runtime::{SampleParams, TokenLoop, TokenStart};
use std::cell::RefCell;
use std::rc::Rc;

/// The recorded step of a state; clones share it.
#[derive(Clone, Default)]
pub(crate) struct RecordedStep(Rc<RefCell<Option<Box<Recorded>>>>);

pub(crate) struct Recorded {
    /// Of the runtime when it was recorded; another one has other caches and weights.
    generation: u64,
    steps: TokenLoop,
}

/// A session's run of replayed steps.
#[derive(Default)]
pub(crate) enum Run {
    /// None was needed yet.
    #[default]
    NotBegun,
    /// The steps that give the next tokens.
    Steps(Box<Recorded>),
    /// Not on this tier.
    Nowhere,
}

/// A text so far.
pub(crate) struct Text<'a> {
    /// Prompt and answer; the state has not seen the last one.
    pub(crate) tokens: &'a [u32],
    pub(crate) n_prompt: usize,
    /// Tokens that the answer may have.
    pub(crate) max_tokens: usize,
}

impl Run {
    /// The token after those of `text`; `None` where there are no replayed steps and a recording has
    /// to do.
    pub(crate) async fn next(
        &mut self,
        inner: &Inner,
        state: &mut State,
        sampling: &SampleParams,
        text: Text<'_>,
    ) -> Result<Option<u32>> {
        let Text { tokens, n_prompt, max_tokens } = text;
        let Some(&token) = tokens.last().filter(|_| state.n_past + 1 == tokens.len()) else {
            return Ok(None);
        };
        if let Self::Steps(recorded) = self
            && recorded.generation != inner.rt.generation()
        {
            // Somebody else has met a lost device, and mended it.
            *self = Self::NotBegun;
        }
        if let Self::NotBegun = self {
            *self = begin(inner, state, token).await?;
            if let Self::Steps(recorded) = self {
                let n_tokens = max_tokens - (tokens.len() - n_prompt);
                let seen = &tokens[n_prompt..];
                let start = TokenStart { token, pos: state.n_past, n_tokens, sampling, seen };
                recorded.steps.start(start)?;
            }
        }
        let Self::Steps(recorded) = self else { return Ok(None) };
        match recorded.steps.next().await {
            Ok(next) => {
                state.n_past = tokens.len();
                Ok(next)
            }
            Err(runtime::Error::NotFinite) => Err(Error::NotFinite),
            Err(error) => {
                // The session may go on after a recovery, from the beginning of its tokens.
                *self = Self::NotBegun;
                Err(error.into())
            }
        }
    }

    /// Leaves the recorded step to the state's next session.
    pub(crate) fn end(self, state: &State) {
        if let Self::Steps(recorded) = self {
            *state.step.0.borrow_mut() = Some(recorded);
        }
    }
}

/// The state's recorded step, or a new one.
async fn begin(inner: &Inner, state: &State, token: u32) -> Result<Run> {
    if !inner.model.is_replayable() {
        return Ok(Run::Nowhere);
    }
    let generation = inner.rt.generation();
    let kept = state.step.0.borrow_mut().take();
    if let Some(recorded) = kept.filter(|recorded| recorded.generation == generation) {
        return Ok(Run::Steps(recorded));
    }
    let mut rec = inner.rt.recorder();
    let states = inner.model.forward(&mut rec, state, &[token])?; // [1, D]
    let logits = inner.model.logits(&mut rec, states)?; // [1, V]
    let steps = rec.token_loop(logits).await?;
    Ok(steps.map_or(Run::Nowhere, |steps| Run::Steps(Box::new(Recorded { generation, steps }))))
}
