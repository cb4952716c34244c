//! Room for models and indexes within the budget.
//!
//! The embedder serves every question and every document, so the generator is always the model that
//! was used least recently: it makes room when the indexes grow, and comes back for the next answer
//! that finds room for it. Until then answers are made of quotes.

use embedder::Embedder;
use generator::Generator;
use models::{ModelFiles, ModelKind};
use runtime::{Forecast, Runtime, Tier, TierChoice};

use crate::assistant::Assistant;
use crate::{Error, Result};

impl Assistant {
    /// Counts the indexes, and lets go of the generator when all together are beyond the budget. An
    /// answer that is being written keeps it to its end.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        self.runtime.set_other_bytes(self.library.stats()?.index_bytes);
        if self.is_over_budget() {
            self.runtime.trim();
        }
        if self.is_over_budget() && self.generator.take().is_some() {
            self.generator_waits = true;
            self.generator_problem =
                Some("it made room for the documents, and comes back when there is room".into());
        }
        Ok(())
    }

    fn is_over_budget(&self) -> bool {
        let memory = self.runtime.memory();
        memory.budget_bytes.is_some_and(|budget| memory.total_bytes() > budget)
    }
}

/// What a model will take on the tier of `runtime`, from its settings and the header of its weights.
///
/// # Errors
/// When its files cannot be read or are not supported.
pub async fn forecast(runtime: &Runtime, kind: ModelKind, files: &ModelFiles) -> Result<Forecast> {
    match kind {
        ModelKind::Generator => Ok(Generator::forecast(runtime, files).await?),
        _ => Ok(Embedder::forecast(runtime, files).await?),
    }
}

/// Loads the embedder, on the CPU tier where the GPU has no room for it and was not insisted on.
pub(crate) async fn load_embedder(
    runtime: &Runtime,
    files: &ModelFiles,
    tier: TierChoice,
) -> Result<Embedder> {
    let error = match Embedder::load(runtime, files).await {
        Err(embedder::Error::Runtime(error)) if error.is_out_of_memory() => error,
        loaded => return Ok(loaded?),
    };
    if runtime.tier() == Tier::Cpu || tier == TierChoice::Gpu {
        return Err(Error::Embedder(error.into()));
    }
    runtime.use_cpu(&format!("the GPU has {error}")).await?;
    Ok(Embedder::load(runtime, files).await?)
}
