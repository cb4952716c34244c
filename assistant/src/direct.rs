//! The models without documents around them, for programs that want vectors or text as such.

use embedder::Embedder;
use generator::{Generator, Sampling};

use crate::assistant::Assistant;
use crate::{Error, Result};

impl Assistant {
    /// The embedder.
    pub fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// The generator, where one is loaded; [`Assistant::state`] tells why none is.
    pub fn generator(&self) -> Option<&Generator> {
        self.generator.as_deref()
    }

    /// Unit vectors of texts, embedded as passages, in their order.
    ///
    /// # Errors
    /// When the embedder fails.
    pub async fn embed_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        Ok(self.embedder.embed_passages(texts).await?)
    }

    /// Continues a prompt, taken as it is, greedily: at most `max_tokens` tokens and their text.
    /// Other tasks have their turn between two tokens; dropping the future stops the work.
    ///
    /// # Errors
    /// [`Error::NoGenerator`], or when the generator refuses the prompt or fails.
    pub async fn continue_prompt(&self, prompt: &str, max_tokens: usize) -> Result<(Vec<u32>, String)> {
        let generator = self.generator.clone().ok_or_else(|| Error::NoGenerator {
            reason: self.generator_problem.clone().unwrap_or_else(|| "it was not asked for".to_owned()),
        })?;
        let mut session = generator.start(prompt, &Sampling::greedy(max_tokens)).await?;
        let (mut tokens, mut text) = (Vec::new(), String::new());
        while let Some(piece) = session.next().await? {
            tokens.push(piece.token);
            text.push_str(&piece.text);
            platform::yield_now().await;
        }
        Ok((tokens, text))
    }
}
