//! Life after a lost device: another one is opened, and weights come back from where they came from.
//!
//! A driver's reset, sleep, exhausted memory or a browser that kills its GPU process take the device
//! with all that lies on it. Handles live on: a weight is filled again from its file, a cache is
//! there again and empty. Whoever kept something in a cache sees the new generation and computes it
//! anew.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_channel::oneshot;

use crate::memory::ModelMemory;
use crate::runtime::{AnyExecutor, open_cpu, open_tier};
use crate::tensor::{KvCache, Storage, WeakCache, WeakWeight, Weight};
use crate::tier::{KernelPolicy, Options, Tier, TierReport};
use crate::upload::Source;
use crate::{Result, Runtime};

/// Losses within [`LOSS_WINDOW_MS`] after which the CPU goes on: a device that is lost three times
/// while one answer is written will be lost again.
const MAX_LOSSES: usize = 3;
/// Five minutes: the time of a few answers.
const LOSS_WINDOW_MS: f64 = 300_000.0;
/// Attempts at another device: a browser that has just lost its GPU process offers none at first.
const MAX_OPENINGS: u32 = 3;
/// Pause between them; starting a GPU process takes some tenths of a second.
const REOPEN_PAUSE_MS: u32 = 500;

/// What has to be brought back, and how often that was done.
#[derive(Default)]
pub(crate) struct Recovery {
    weights: RefCell<Vec<(WeakWeight, Rc<Source>)>>,
    caches: RefCell<Vec<WeakCache>>,
    generation: Cell<u64>,
    /// When devices were lost.
    losses_ms: RefCell<Vec<f64>>,
    busy: Cell<bool>,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
}

impl Recovery {
    pub(crate) fn remember_weight(&self, weight: &Weight, source: Rc<Source>) {
        let mut weights = self.weights.borrow_mut();
        // Before the list grows, the dead leave it.
        if weights.len() == weights.capacity() {
            weights.retain(|(weight, _)| weight.upgrade().is_some());
        }
        weights.push((weight.downgrade(), source));
    }

    /// Lets go of the files that weights came from which are gone: some systems delete no open file.
    pub(crate) fn forget_dead(&self) {
        self.weights.borrow_mut().retain(|(weight, _)| weight.upgrade().is_some());
    }

    /// The weights that live, by model.
    pub(crate) fn models(&self) -> Vec<ModelMemory> {
        let mut models = BTreeMap::new();
        for (weight, source) in self.weights.borrow().iter() {
            let n_bytes = weight.upgrade().map_or(0, |weight| weight.n_bytes());
            *models.entry(source.model().to_owned()).or_default() += n_bytes;
        }
        models.retain(|_, n_bytes| *n_bytes > 0);
        let model = |(model, weight_bytes)| ModelMemory { model, weight_bytes };
        models.into_iter().map(model).collect()
    }

    pub(crate) fn remember_cache(&self, cache: &KvCache) {
        let mut caches = self.caches.borrow_mut();
        if caches.len() == caches.capacity() {
            caches.retain(|cache| cache.upgrade().is_some());
        }
        caches.push(cache.downgrade());
    }
}

/// The right to recover, for one at a time.
struct Turn<'a>(&'a Recovery);

impl<'a> Turn<'a> {
    async fn take(recovery: &'a Recovery) -> Self {
        while recovery.busy.replace(true) {
            let (sender, freed) = oneshot::channel();
            recovery.waiting.borrow_mut().push(sender);
            // An error says that the sender was dropped, which is the signal.
            let _ = freed.await;
        }
        Self(recovery)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
        self.0.waiting.borrow_mut().clear();
    }
}

impl Runtime {
    /// Changes whenever a device was lost and replaced: caches are zeroed then, and what was made for
    /// the old device is of no use.
    pub fn generation(&self) -> u64 {
        self.0.recovery.generation.get()
    }

    /// After [`Error::DeviceLost`]: opens another device, or the CPU tier where none comes back or
    /// too many were lost, and brings back all living weights from their sources; caches come back
    /// zeroed. Where everything is well already (another task was here first) nothing happens.
    /// Calls that failed may then be repeated; [`Runtime::describe`] tells what happened.
    ///
    /// # Errors
    /// What reading a weight's file gives; the next call tries again.
    pub async fn recover(&self) -> Result<()> {
        let _turn = Turn::take(&self.0.recovery).await;
        loop {
            if let Some(reason) = self.loss() {
                self.reopen(&reason).await?;
            }
            match self.bring_back().await {
                Err(error) if error.is_device_lost() => {}
                Err(error) if error.is_out_of_memory() && self.tier() == Tier::Gpu => {
                    // Another program took the room meanwhile.
                    let reason = format!("the GPU was lost, and came back with less room: {error}");
                    self.forget_content();
                    self.fall(reason).await?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Goes on with the CPU tier, with all that lives; `reason` is what [`Runtime::describe`] says then.
    ///
    /// # Errors
    /// What reading weights and allocating gives.
    pub async fn use_cpu(&self, reason: &str) -> Result<()> {
        let _turn = Turn::take(&self.0.recovery).await;
        if self.tier() == Tier::Gpu {
            self.forget_content();
            self.fall(reason.into()).await?;
        }
        self.bring_back().await
    }

    /// Takes the GPU device away as a driver's reset does, to see what comes after; the CPU tier has none.
    pub fn destroy_device(&self) {
        if let AnyExecutor::Gpu(gpu) = &*self.executor() {
            gpu.destroy_device();
        }
    }

    fn loss(&self) -> Option<String> {
        match &*self.executor() {
            AnyExecutor::Cpu(_) => None,
            AnyExecutor::Gpu(gpu) => gpu.loss(),
        }
    }

    /// Puts another executor in the place of the lost one.
    async fn reopen(&self, reason: &str) -> Result<()> {
        // What is lost makes room for what comes.
        self.forget_content();
        let n_losses = self.count_loss();
        if n_losses > MAX_LOSSES {
            let minutes = LOSS_WINDOW_MS / 60e3;
            return self
                .fall(format!("the GPU was lost {n_losses} times in {minutes} minutes ({reason})"))
                .await;
        }
        let options = self.options_again();
        let mut problem = String::new();
        for attempt in 0..MAX_OPENINGS {
            if attempt > 0 {
                platform::sleep_ms(REOPEN_PAUSE_MS).await;
            }
            match open_tier(&self.0.ledger, &options).await {
                Ok((executor, report)) if report.tier == Tier::Gpu => {
                    let reason = format!("{}; it was lost ({reason}) and came back", report.reason);
                    self.install(executor, TierReport { reason, ..report });
                    return Ok(());
                }
                Ok((_, report)) => problem = report.reason,
                Err(error) => problem = error.to_string(),
            }
        }
        self.fall(format!("the GPU was lost ({reason}) and did not come back: {problem}")).await
    }

    /// The options of the first opening; kernel variants that were measured then need no second trial.
    fn options_again(&self) -> Options {
        let options = self.0.options.clone();
        match (&options.kernels, self.describe().kernels) {
            (KernelPolicy::Forced(_), _) | (_, None) => options,
            (_, Some(report)) => Options { kernels: KernelPolicy::Remembered(report.choice), ..options },
        }
    }

    /// Goes on with the CPU tier.
    async fn fall(&self, reason: String) -> Result<()> {
        let (executor, report) = open_cpu(&self.0.ledger, self.0.options.precision, reason).await?;
        self.install(executor, report);
        Ok(())
    }

    fn install(&self, executor: AnyExecutor, report: TierReport) {
        self.replace_executor(executor, report);
        self.0.recovery.generation.set(self.generation() + 1);
    }

    /// Number of losses within the window, with this one.
    fn count_loss(&self) -> usize {
        let mut losses = self.0.recovery.losses_ms.borrow_mut();
        let now_ms = platform::now_ms();
        losses.retain(|at_ms| now_ms - at_ms < LOSS_WINDOW_MS);
        losses.push(now_ms);
        losses.len()
    }

    fn weights(&self) -> Vec<(Weight, Rc<Source>)> {
        let weights = self.0.recovery.weights.borrow();
        weights.iter().filter_map(|(weight, source)| Some((weight.upgrade()?, Rc::clone(source)))).collect()
    }

    fn caches(&self) -> Vec<KvCache> {
        self.0.recovery.caches.borrow().iter().filter_map(WeakCache::upgrade).collect()
    }

    /// Frees all content; the handles stay.
    fn forget_content(&self) {
        self.weights().iter().for_each(|(weight, _)| weight.replace(Storage::Lost));
        self.caches().iter().for_each(|cache| cache.replace(Storage::Lost));
    }

    /// Gives every living handle without content its content again.
    async fn bring_back(&self) -> Result<()> {
        for (weight, source) in self.weights().into_iter().filter(|(weight, _)| weight.is_lost()) {
            let storage = self.create_weight(weight.name(), weight.shape(), weight.layout(), &source).await?;
            weight.replace(storage);
        }
        for cache in self.caches().into_iter().filter(KvCache::is_lost) {
            cache.replace(self.create_cache(cache.n_ctx(), cache.width()).await?);
        }
        Ok(())
    }
}
