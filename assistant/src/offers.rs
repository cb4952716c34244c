//! The models there are, and which of them suit this machine.

use std::collections::BTreeMap;

use generator::Sampling;
use models::{About, HubModel, ModelKind, Store};
use serde::{Deserialize, Serialize};

use crate::assistant::Assistant;
use crate::{Result, memory};

/// What a generator takes beside its weights of which nothing else is known: the caches of one text and the room to
/// compute.
const WORKING_BYTES: u64 = 160 << 20;
/// Beside the weights of a smaller model other things count as much, so that nothing follows for larger ones.
const MIN_MEASURED_BYTES: u64 = 32 << 20;
/// Slower than this an answer of three sentences takes longer than a minute.
const MIN_TOKENS_PER_S: f64 = 2.0;
/// Tokens that are written to measure.
const MEASURED_TOKENS: usize = 24;

/// A generator that could be used here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Its name.
    pub id: String,
    /// Size of its files; about that, where they are not here.
    pub n_bytes: u64,
    /// SPDX expression.
    pub licence: String,
    /// Whether its files are here.
    pub here: bool,
    /// Bytes of them that an earlier download has left here, where they are not.
    pub begun_bytes: u64,
    /// Whether it is loaded.
    pub used: bool,
    /// What it takes to work with it.
    pub memory_bytes: u64,
    /// How fast it writes, or would by what was measured of another one; `None` where nothing was measured.
    pub tokens_per_s: Option<f64>,
    /// Why it does not suit this machine.
    pub problem: Option<String>,
}

impl Assistant {
    /// The folder with the models.
    pub fn models(&self) -> &Store {
        &self.options.models
    }

    /// Tokens that the loaded generator writes in a second, measured now; `None` without one.
    ///
    /// # Errors
    /// When the generator fails. [`Assistant::offers`] can do without it.
    pub async fn tokens_per_s(&self) -> Result<Option<f64>> {
        let Some(generator) = self.generator.clone() else { return Ok(None) };
        let mut session = generator.start("Once upon a time", &Sampling::greedy(MEASURED_TOKENS)).await?;
        // The first token is the prompt's.
        session.next().await?;
        let began_ms = platform::now_ms();
        let mut n_tokens = 0;
        while session.next().await?.is_some() {
            n_tokens += 1;
            platform::yield_now().await;
        }
        let elapsed_ms = platform::now_ms() - began_ms;
        Ok((n_tokens > 0 && elapsed_ms > 0.0).then(|| f64::from(n_tokens) / elapsed_ms * 1e3))
    }

    /// The generators there are, the smallest first; `measured` has what [`Assistant::tokens_per_s`] said of some.
    ///
    /// # Errors
    /// When the models' folder cannot be read.
    pub async fn offers(&self, measured: &BTreeMap<String, f64>) -> Result<Vec<Offer>> {
        let store = self.models();
        let mut offers = Vec::new();
        let entries = store.catalog().entries().iter().cloned().chain(store.imported().await?);
        for entry in entries.filter(|entry| entry.kind == ModelKind::Generator) {
            let n_bytes = entry.n_bytes();
            offers.push(self.offer(entry.id, n_bytes, entry.licence).await);
        }
        for model in HubModel::all().iter().filter(|model| model.kind == ModelKind::Generator) {
            let n_bytes = u64::from(model.megabytes) * 1_000_000;
            offers.push(self.offer(model.id.clone(), n_bytes, model.licence.clone()).await);
        }
        if let Some(unlisted) = self.unlisted(&offers).await {
            offers.push(unlisted);
        }
        offers.sort_by_key(|offer| offer.n_bytes);
        let speed_of = |offer: &Offer| measured.get(&offer.id).copied();
        let is_large = |offer: &&Offer| speed_of(offer).is_some() && offer.n_bytes >= MIN_MEASURED_BYTES;
        // A token costs a pass over all weights.
        let bytes_per_s = offers.iter().rfind(is_large).and_then(|o| Some(speed_of(o)? * o.n_bytes as f64));
        let room = platform::room(store.folder()).await.map(|room| room.free_bytes);
        for offer in &mut offers {
            let by_size = |offer: &Offer| Some(bytes_per_s? / offer.n_bytes.max(MIN_MEASURED_BYTES) as f64);
            offer.tokens_per_s = speed_of(offer).or_else(|| by_size(offer));
            offer.problem = problem(offer, self.memory_for_generator(), room);
        }
        Ok(offers)
    }

    async fn offer(&self, id: String, n_bytes: u64, licence: String) -> Offer {
        let files = self.models().find(&id).await.ok();
        let forecast = match &files {
            Some(files) => memory::forecast(&self.runtime, ModelKind::Generator, files).await.ok(),
            None => None,
        };
        let about = || About::get(&id).map_or(n_bytes + WORKING_BYTES, About::memory_bytes);
        let memory_bytes = forecast.map_or_else(about, |forecast| forecast.total_bytes());
        let used = self.generator.is_some() && self.used_id() == id;
        let here = files.is_some();
        let begun_bytes = if here { 0 } else { self.models().begun_bytes(&id).await };
        Offer {
            id,
            n_bytes,
            licence,
            here,
            begun_bytes,
            used,
            memory_bytes,
            tokens_per_s: None,
            problem: None,
        }
    }

    /// The loaded generator, if it is none that are known.
    async fn unlisted(&self, offers: &[Offer]) -> Option<Offer> {
        if self.generator.is_none() || offers.iter().any(|offer| offer.used) {
            return None;
        }
        let id = self.used_id();
        let n_bytes = self.models().find(id).await.ok()?.n_bytes().await.ok()?;
        Some(self.offer(id.to_owned(), n_bytes, "see its page".to_owned()).await)
    }

    /// The generator that was asked for, by the name it has here.
    fn used_id(&self) -> &str {
        let asked = self.generator_id();
        HubModel::get(asked).map_or(asked, |model| &model.id)
    }

    /// Bytes that a generator may take; `None` without a bound.
    fn memory_for_generator(&self) -> Option<u64> {
        let memory = self.runtime.memory();
        let others = memory.total_bytes().saturating_sub(if self.generator.is_some() {
            self.generator_bytes
        } else {
            0
        });
        Some(memory.budget_bytes?.saturating_sub(others))
    }

    /// Lets go of the generator, so that its files can be deleted; answers are made of quotes then.
    pub fn let_go_of_generator(&mut self) {
        self.drop_generator();
        self.generator_problem = Some("its files were deleted".into());
    }

    /// Loads another generator instead of the one that is loaded, fetched if it is not here. Where it cannot be
    /// loaded answers are made of quotes, and [`Assistant::state`] tells why.
    pub async fn use_generator(&mut self, name: &str, progress: &mut dyn FnMut(crate::Progress)) {
        self.options.generator_model = Some(name.to_owned());
        self.drop_generator();
        self.load_generator(progress).await;
    }

    fn drop_generator(&mut self) {
        self.generator = None;
        self.generator_bytes = 0;
        // With it go its files, which may be deleted then.
        self.runtime.trim();
    }
}

/// Why a model does not suit this machine.
fn problem(offer: &Offer, memory_bytes: Option<u64>, free_bytes: Option<u64>) -> Option<String> {
    let megabytes = |n_bytes: u64| n_bytes.div_ceil(1_000_000);
    if memory_bytes.is_some_and(|room| room < offer.memory_bytes) {
        return Some(format!("it needs {} MB of memory", megabytes(offer.memory_bytes)));
    }
    if !offer.here && free_bytes.is_some_and(|free| free < offer.n_bytes) {
        return Some(format!("it needs {} MB of storage", megabytes(offer.n_bytes)));
    }
    match offer.tokens_per_s {
        Some(speed) if speed < MIN_TOKENS_PER_S => {
            Some(format!("it would write {speed:.1} tokens per second"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_suit_is_said_why() {
        let offer = |here, tokens_per_s| Offer {
            id: "m".into(),
            n_bytes: 1_000_000_000,
            licence: "MIT".into(),
            here,
            begun_bytes: 0,
            used: false,
            memory_bytes: 1_200_000_000,
            tokens_per_s,
            problem: None,
        };
        assert_eq!(problem(&offer(false, Some(5.0)), Some(2 << 30), Some(2 << 30)), None);
        assert_eq!(problem(&offer(false, None), None, None), None);
        for (offer, memory, free, reason) in [
            (offer(true, None), Some(1 << 30), None, "1200 MB of memory"),
            (offer(false, None), None, Some(1 << 20), "1000 MB of storage"),
            (offer(true, Some(1.5)), None, Some(0), "1.5 tokens"),
        ] {
            assert!(problem(&offer, memory, free).is_some_and(|text| text.contains(reason)), "{reason}");
        }
    }
}
