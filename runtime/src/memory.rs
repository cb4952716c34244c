//! Who holds how much memory, and how much may be held.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;

use crate::{Error, Result};

/// Bytes that a runtime's objects hold, by owner, on the tier's own memory (GPU or CPU).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MemoryReport {
    /// Weights by model, sorted by name.
    pub models: Vec<ModelMemory>,
    /// Weights of all loaded models.
    pub weight_bytes: u64,
    /// Key and value caches.
    pub kv_bytes: u64,
    /// Activation buffers that are alive or pooled now.
    pub activation_bytes: u64,
    /// Weights on their way from a file to their place.
    pub staging_bytes: u64,
    /// What the caller holds besides; see [`Runtime::set_other_bytes`](crate::Runtime::set_other_bytes).
    pub other_bytes: u64,
    /// The most that `activation_bytes` ever was.
    pub peak_activation_bytes: u64,
    /// The most that everything together ever was.
    pub peak_bytes: u64,
    /// What may be held; `None` is as much as there is.
    pub budget_bytes: Option<u64>,
}

impl MemoryReport {
    /// Everything that is held now.
    pub fn total_bytes(&self) -> u64 {
        self.weight_bytes + self.kv_bytes + self.activation_bytes + self.staging_bytes + self.other_bytes
    }

    /// What the budget leaves.
    pub fn free_bytes(&self) -> u64 {
        self.budget_bytes.map_or(u64::MAX, |budget| budget.saturating_sub(self.total_bytes()))
    }
}

/// The weights of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelMemory {
    /// The name that its [`Weights`](crate::Weights) were given.
    pub model: String,
    /// Bytes of its weights.
    pub weight_bytes: u64,
}

/// What a model will take, told before it is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Weights, as the tier keeps them.
    pub weight_bytes: u64,
    /// Caches of one text in the making.
    pub kv_bytes: u64,
    /// Intermediate results of its largest pass.
    pub activation_bytes: u64,
}

impl Forecast {
    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        self.weight_bytes + self.kv_bytes + self.activation_bytes
    }
}

/// Owner of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Model weights.
    Weights,
    /// Key and value caches.
    KvCache,
    /// Activations.
    Activations,
    /// Weights on their way.
    Staging,
}

/// The count of a runtime; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Rc<RefCell<MemoryReport>>);

impl Ledger {
    /// Counts `n_bytes` for `owner` until the lease is dropped.
    pub(crate) fn lease(&self, owner: Owner, n_bytes: u64) -> Lease {
        self.add(owner, n_bytes as i64);
        Lease { ledger: self.clone(), owner, n_bytes }
    }

    /// The count now, without [`MemoryReport::models`].
    pub(crate) fn report(&self) -> MemoryReport {
        self.0.borrow().clone()
    }

    /// Fails when `n_bytes` more for `what` are beyond the budget.
    pub(crate) fn check_room(&self, what: &str, n_bytes: u64) -> Result<()> {
        let report = self.0.borrow();
        if n_bytes <= report.free_bytes() {
            return Ok(());
        }
        Err(Error::OverBudget {
            what: what.into(),
            n_bytes,
            free_bytes: report.free_bytes(),
            budget_bytes: report.budget_bytes.unwrap_or(u64::MAX),
        })
    }

    pub(crate) fn set_budget(&self, budget_bytes: Option<u64>) {
        self.0.borrow_mut().budget_bytes = budget_bytes;
    }

    pub(crate) fn set_other_bytes(&self, n_bytes: u64) {
        let mut report = self.0.borrow_mut();
        report.other_bytes = n_bytes;
        report.peak_bytes = report.peak_bytes.max(report.total_bytes());
    }

    fn add(&self, owner: Owner, n_bytes: i64) {
        let mut report = self.0.borrow_mut();
        let field = match owner {
            Owner::Weights => &mut report.weight_bytes,
            Owner::KvCache => &mut report.kv_bytes,
            Owner::Activations => &mut report.activation_bytes,
            Owner::Staging => &mut report.staging_bytes,
        };
        *field = field.checked_add_signed(n_bytes).expect("a lease gives back what it took");
        report.peak_activation_bytes = report.peak_activation_bytes.max(report.activation_bytes);
        report.peak_bytes = report.peak_bytes.max(report.total_bytes());
    }
}

/// Fails when the heap has no `n_bytes` in one piece: in wasm32 an allocation that fails ends the
/// program, so a large one is tried first.
pub(crate) fn check_heap(what: &str, n_bytes: u64) -> Result<()> {
    let failed = || Error::OutOfMemory { what: what.into(), n_bytes };
    let n = usize::try_from(n_bytes).map_err(|_| failed())?;
    Vec::<u8>::new().try_reserve_exact(n).map_err(|_| failed())
}

/// Counted bytes; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Lease {
    ledger: Ledger,
    owner: Owner,
    n_bytes: u64,
}

impl Lease {
    /// What it counts.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ledger.add(self.owner, -(self.n_bytes as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_counted_by_owner_and_given_back() {
        let ledger = Ledger::default();
        let weights = ledger.lease(Owner::Weights, 100);
        let first = ledger.lease(Owner::Activations, 7);
        drop(first);
        let _second = ledger.lease(Owner::Activations, 5);
        let _kv = ledger.lease(Owner::KvCache, 9);
        let expected = MemoryReport {
            weight_bytes: 100,
            kv_bytes: 9,
            activation_bytes: 5,
            peak_activation_bytes: 7,
            peak_bytes: 114,
            ..MemoryReport::default()
        };
        assert_eq!(ledger.report(), expected);
        drop(weights);
        assert_eq!(ledger.report().weight_bytes, 0);
    }

    #[test]
    fn the_budget_is_for_everything_together() {
        let ledger = Ledger::default();
        assert!(ledger.check_room("anything", u64::MAX).is_ok(), "there is no budget at first");
        ledger.set_budget(Some(100));
        let weights = ledger.lease(Owner::Weights, 60);
        ledger.set_other_bytes(30);
        assert!(ledger.check_room("what fits", 10).is_ok());
        let refused = ledger.check_room("what does not", 11);
        assert!(matches!(refused, Err(Error::OverBudget { free_bytes: 10, .. })), "{refused:?}");
        drop(weights);
        assert!(ledger.check_room("what does not", 11).is_ok());
    }

    #[test]
    fn the_heap_is_asked_before_it_is_used() {
        assert!(check_heap("a little", 1 << 20).is_ok());
        assert!(matches!(check_heap("everything", u64::MAX / 2), Err(Error::OutOfMemory { .. })));
    }
}
