//! One text in the making: tokens are pulled one at a time.

use crate::constraint::Constrained;
use crate::decoder::State;
use crate::error::{Error, Result};
use crate::generator::Inner;
use crate::gpu_steps::{Run, Text};
use crate::kept::Need;
use crate::sampling::{Forms, Probability, Sampler, Sampling, log_sum};
use crate::stop::StopMatcher;
use runtime::{Tier, TokenStream};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// Prompt tokens of one recording on the CPU: enough for the matrix kernels to reach their speed.
const PIECE_TOKENS_CPU: usize = 64;
/// Prompt tokens of one recording on the GPU: enough to fill a large one, and a third of a second of
/// a slow integrated one (100 G multiplications per second) with a model of 135 M weights.
const PIECE_TOKENS_GPU: usize = 128;

/// Lost devices that one call makes up for. The runtime falls to the CPU tier after a few; this only
/// keeps a call from never coming back.
const MAX_LOSSES: usize = 8;

/// One generated token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// Text that is now certain: whole characters, and nothing that may still turn out to be a stop
    /// string. Often one word, sometimes empty.
    pub text: String,
    /// The token.
    pub token: u32,
    /// How likely it was, where [`Sampling::top_probabilities`] asked for that.
    pub probability: Option<Probability>,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Finish {
    /// The model ended it.
    EndOfText,
    /// A stop string came.
    StopString,
    /// It has [`Sampling::max_tokens`] tokens.
    MaxTokens,
    /// The context is full.
    ContextFull,
}

/// A text in the making; dropping it stops the work.
pub struct Session {
    inner: Rc<Inner>,
    /// Kept by the generator when the session ends.
    state: Option<State>,
    sampler: Sampler,
    constrained: Option<Constrained>,
    stop: StopMatcher,
    text: TokenStream,
    /// The prompt and what was generated. The model has seen as many as its state has positions in
    /// use: all but the last one, at first less.
    tokens: Vec<u32>,
    /// The prompt, where an encoder reads it; `tokens` begin with a token of their own then.
    source: Vec<u32>,
    n_prompt: usize,
    n_reused: usize,
    max_tokens: usize,
    /// Tokens chosen on the GPU.
    run: Run,
    finish: Option<Finish>,
}

impl Session {
    pub(crate) async fn new(inner: Rc<Inner>, prompt_ids: Vec<u32>, sampling: &Sampling) -> Result<Self> {
        let constraint = sampling.constraint.as_ref();
        let constrained = constraint.map(|c| Constrained::new(c, inner.vocabulary())).transpose()?;
        let (tokens, source) = match inner.model.start_token() {
            Some(start) => (vec![start], prompt_ids),
            None => (prompt_ids, vec![]),
        };
        let state = take_state(&inner, &tokens, sampling.max_tokens).await?;
        let text = inner.tokenizer.streamer();
        let mut session = Self {
            inner,
            sampler: Sampler::new(sampling),
            constrained,
            stop: StopMatcher::new(&sampling.stop),
            text,
            n_prompt: tokens.len(),
            n_reused: state.n_past,
            state: Some(state),
            tokens,
            source,
            max_tokens: sampling.max_tokens,
            run: Run::default(),
            finish: (sampling.max_tokens == 0).then_some(Finish::MaxTokens),
        };
        if session.finish.is_none() {
            let mut n_losses = 0;
            while let Err(error) = session.prefill().await {
                session.revive(error, &mut n_losses).await?;
            }
        }
        Ok(session)
    }

    /// The next token and its text; `None` when the text has ended. A lost device is replaced, and
    /// all tokens so far run on the new one: the text goes on.
    ///
    /// # Errors
    /// [`Error::Runtime`] when the weights cannot be brought back after a loss or memory is short,
    /// [`Error::NotFinite`] when the device computes nonsense. The call may be repeated.
    /// [`Error::ConstraintStuck`] when no token of the model continues a text of the form asked for.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        if self.finish.is_some() {
            return Ok(None);
        }
        let mut n_losses = 0;
        let (token, probability) = loop {
            match self.next_token().await {
                Ok(chosen) => break chosen,
                Err(error) => self.revive(error, &mut n_losses).await?,
            }
        };
        if self.inner.is_end(token) {
            self.finish = Some(Finish::EndOfText);
            let text = self.rest();
            return Ok((!text.is_empty()).then_some(Piece { text, token, probability }));
        }
        if let Some(constrained) = &mut self.constrained {
            constrained.take(token)?;
            if constrained.must_end() {
                self.finish = Some(Finish::EndOfText);
            }
        }
        self.tokens.push(token);
        let decoded = self.text.push(token).unwrap_or_default();
        let (mut text, stopped) = self.stop.push(&decoded);
        if stopped {
            self.finish = Some(Finish::StopString);
        } else if self.finish.is_some() {
            // Its form is complete.
        } else if self.n_generated() == self.max_tokens {
            self.finish = Some(Finish::MaxTokens);
        } else if self.tokens.len() >= self.inner.n_ctx {
            self.finish = Some(Finish::ContextFull);
        }
        if self.finish.is_some() && !stopped {
            text += &self.rest();
        }
        Ok(Some(Piece { text, token, probability }))
    }

    /// How likely `ids` are as what follows now: the mean of the logarithms of their probabilities.
    /// Nothing is added to the text.
    pub(crate) async fn likelihood(&mut self, ids: &[u32]) -> Result<f32> {
        let mut n_losses = 0;
        loop {
            match self.try_likelihood(ids).await {
                Err(error) => self.revive(error, &mut n_losses).await?,
                likelihood => return likelihood,
            }
        }
    }

    async fn try_likelihood(&mut self, ids: &[u32]) -> Result<f32> {
        self.prefill().await?;
        let Some((_, followed)) = ids.split_last() else { return Ok(0.0) };
        let state = self.state.as_ref().expect("held until the session is dropped");
        let unseen = &self.tokens[state.n_past..];
        let passed = [unseen, followed].concat();
        let mut rec = self.inner.rt.recorder();
        let states = self.inner.model.forward(&mut rec, state, &passed)?; // [T, D]
        let logits = self.inner.model.logits(&mut rec, states)?; // [T, V]
        // The state stays where it was: what was passed beyond it is written over by what comes next.
        let logits = rec.read(&logits).await?;
        let n_vocab = logits.len() / passed.len();
        let rows = logits.chunks_exact(n_vocab).skip(unseen.len() - 1);
        let sum: f32 = rows.zip(ids).map(|(row, &id)| log_probability(row, id)).sum();
        if sum.is_finite() { Ok(sum / ids.len() as f32) } else { Err(Error::NotFinite) }
    }

    /// Why the text ended; `None` while it goes on.
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    /// Tokens in the prompt.
    pub fn n_prompt(&self) -> usize {
        if self.source.is_empty() { self.n_prompt } else { self.source.len() }
    }

    /// Tokens of the prompt that an earlier session had run already.
    pub fn n_reused(&self) -> usize {
        self.n_reused
    }

    /// Tokens generated so far.
    pub fn n_generated(&self) -> usize {
        self.tokens.len() - self.n_prompt
    }

    /// Runs all that the model has not seen but the last tokens, at most a piece, whose logits are
    /// asked for next.
    async fn prefill(&mut self) -> Result<()> {
        let rt = &self.inner.rt;
        let state = self.state.as_mut().expect("held until the session is dropped");
        loop {
            if state.is_lost(rt) {
                // Somebody else has met the loss, and mended it.
                state.restart(rt);
            }
            if state.n_source == 0 && !self.source.is_empty() {
                self.inner.model.read(rt, state, &self.source).await?;
            }
            let piece = piece_tokens(rt.tier());
            let unseen = &self.tokens[state.n_past..];
            if unseen.len() <= piece {
                return Ok(());
            }
            let ids = &unseen[..piece];
            let mut rec = rt.recorder();
            self.inner.model.forward(&mut rec, state, ids)?;
            rec.run().await?;
            state.n_past += ids.len();
            state.ids.extend(ids);
            platform::yield_now().await;
        }
    }

    /// After a lost device: another one, on which all tokens run again. Other errors are given back.
    async fn revive(&mut self, error: Error, n_losses: &mut usize) -> Result<()> {
        if !error.is_device_lost() || *n_losses == MAX_LOSSES {
            return Err(error);
        }
        *n_losses += 1;
        self.inner.kept.forget();
        self.inner.rt.recover().await?;
        self.state.as_mut().expect("held until the session is dropped").restart(&self.inner.rt);
        Ok(())
    }

    /// Runs the unseen tokens and chooses the next one.
    async fn next_token(&mut self) -> Result<(u32, Option<Probability>)> {
        self.prefill().await?;
        let state = self.state.as_mut().expect("held until the session is dropped");
        let text = Text { tokens: &self.tokens, n_prompt: self.n_prompt, max_tokens: self.max_tokens };
        let needs_logits = self.constrained.is_some() || self.sampler.needs_logits();
        if !needs_logits
            && let Some(token) = self.run.next(&self.inner, state, self.sampler.params(), text).await?
        {
            return Ok((token, None));
        }
        let ids = &self.tokens[state.n_past..];
        let mut rec = self.inner.rt.recorder();
        let states = self.inner.model.forward(&mut rec, state, ids)?; // [T, D]
        let last = rec.last_row(states)?; // [1, D]
        let logits = self.inner.model.logits(&mut rec, last)?; // [1, V]
        let n_seen = self.tokens.len();
        if !needs_logits && self.sampler.takes_best() && self.inner.rt.tier() == Tier::Gpu {
            // Four bytes come back instead of a whole row.
            let best = rec.read_argmax(logits).await?;
            state.n_past = n_seen;
            return Ok((best.first().copied().ok_or(Error::NotFinite)?, None));
        }
        let logits = rec.read(&logits).await?;
        state.n_past = n_seen;
        self.choose(&logits)
    }

    /// The token by the logits `[V]`, and how likely it is.
    fn choose(&mut self, logits: &[f32]) -> Result<(u32, Option<Probability>)> {
        let (said, pos) = (&self.tokens[self.n_prompt..], self.tokens.len());
        let token = match &mut self.constrained {
            Some(constrained) => {
                let allowed = constrained.allowed();
                let ends = if constrained.may_end() { self.inner.end_ids() } else { &[] };
                let forms = Forms { allowed: &allowed, ends };
                if forms.is_empty() {
                    return Err(Error::ConstraintStuck);
                }
                self.sampler.choose(logits, said, pos, Some(&forms))?
            }
            None => self.sampler.choose(logits, said, pos, None)?,
        };
        Ok((token, self.sampler.probability(logits, token)))
    }

    /// Text that was held back, at the end.
    fn rest(&mut self) -> String {
        let stream = std::mem::replace(&mut self.text, self.inner.tokenizer.streamer());
        let (mut text, stopped) = self.stop.push(&stream.finish().unwrap_or_default());
        if !stopped {
            text += &self.stop.finish();
        }
        text
    }
}

/// The logarithm of a token's probability by the logits `[V]`.
pub(crate) fn log_probability(logits: &[f32], token: u32) -> f32 {
    logits.get(token as usize).map_or(f32::NEG_INFINITY, |logit| logit - log_sum(logits))
}

/// A state for the prompt, on a new device where the old one is lost.
async fn take_state(inner: &Inner, prompt: &[u32], max_tokens: usize) -> Result<State> {
    let n_positions = prompt.len().saturating_add(max_tokens).min(inner.n_ctx);
    for _ in 0..MAX_LOSSES {
        let piece = piece_tokens(inner.rt.tier());
        let need = Need { prompt, piece, n_positions, n_ctx: inner.n_ctx };
        match inner.kept.take(&inner.rt, &inner.model, &need).await {
            Err(error) if error.is_device_lost() => {
                inner.kept.forget();
                inner.rt.recover().await?;
            }
            taken => return taken,
        }
    }
    Err(runtime::Error::DeviceLost { reason: "again and again".into() }.into())
}

/// Prompt tokens of one recording.
pub(crate) fn piece_tokens(tier: Tier) -> usize {
    match tier {
        Tier::Cpu => PIECE_TOKENS_CPU,
        Tier::Gpu => PIECE_TOKENS_GPU,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            std::mem::take(&mut self.run).end(&state);
            self.inner.kept.give_back(state);
        }
    }
}
