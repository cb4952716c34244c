//! How well a model foresees a text: what quantisation costs it.

use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::session::log_probability;

/// Tokens that are read in one context; each but the first is foreseen from those before it.
const CONTEXT_TOKENS: usize = 512;
/// Tokens of one pass: their logits of 150,000 tokens are 19 MB.
const PASS_TOKENS: usize = 32;

impl Generator {
    /// The perplexity of `text`, the exponential of the mean surprise at its tokens, and how many tokens
    /// were foreseen. The text is read in contexts of up to 512 tokens.
    ///
    /// # Errors
    /// [`Error::PromptEmpty`] for a text of fewer than two tokens, [`Error::NotFinite`] where the model
    /// computes nonsense, and what running it gives.
    pub async fn perplexity(&self, text: &str) -> Result<(f64, usize)> {
        let inner = self.inner();
        if inner.model.start_token().is_some() {
            let (key, value) = ("perplexity".into(), "of a model with an encoder".into());
            return Err(Error::Unsupported { key, value, supported: "of decoders" });
        }
        let ids = inner.tokenizer.encode(text, true)?.ids;
        let (mut surprise, mut n_tokens) = (0.0, 0);
        for context in ids.chunks(CONTEXT_TOKENS.min(inner.n_ctx)) {
            let mut state = inner.model.new_state(&inner.rt, context.len()).await?;
            // The last token foresees nothing.
            let (read, followed) = (&context[..context.len() - 1], &context[1..]);
            for (pass, next) in read.chunks(PASS_TOKENS).zip(followed.chunks(PASS_TOKENS)) {
                let mut rec = inner.rt.recorder();
                let states = inner.model.forward(&mut rec, &state, pass)?; // [T, D]
                let logits = inner.model.logits(&mut rec, states)?; // [T, V]
                let logits = rec.read(&logits).await?;
                state.n_past += pass.len();
                let rows = logits.chunks_exact(logits.len() / pass.len());
                surprise -= rows.zip(next).map(|(row, id)| f64::from(log_probability(row, *id))).sum::<f64>();
                n_tokens += next.len();
            }
        }
        match surprise {
            _ if n_tokens == 0 => Err(Error::PromptEmpty),
            surprise if !surprise.is_finite() => Err(Error::NotFinite),
            surprise => Ok(((surprise / n_tokens as f64).exp(), n_tokens)),
        }
    }
}
