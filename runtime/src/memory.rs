//! Who holds how much memory.

use std::cell::Cell;
use std::rc::Rc;

use serde::Serialize;

/// Bytes that a runtime's objects hold, by owner, on the tier's own memory (GPU or CPU).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryReport {
    /// Weights of all loaded models.
    pub weight_bytes: u64,
    /// Key and value caches.
    pub kv_bytes: u64,
    /// Activation buffers that are alive or pooled now.
    pub activation_bytes: u64,
    /// The most that `activation_bytes` ever was.
    pub peak_activation_bytes: u64,
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
}

/// The count of a runtime; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Rc<Cell<MemoryReport>>);

impl Ledger {
    /// Counts `n_bytes` for `owner` until the lease is dropped.
    pub(crate) fn lease(&self, owner: Owner, n_bytes: u64) -> Lease {
        self.add(owner, n_bytes as i64);
        Lease { ledger: self.clone(), owner, n_bytes }
    }

    /// The count now.
    pub(crate) fn report(&self) -> MemoryReport {
        self.0.get()
    }

    fn add(&self, owner: Owner, n_bytes: i64) {
        let mut report = self.0.get();
        let field = match owner {
            Owner::Weights => &mut report.weight_bytes,
            Owner::KvCache => &mut report.kv_bytes,
            Owner::Activations => &mut report.activation_bytes,
        };
        *field = field.checked_add_signed(n_bytes).expect("a lease gives back what it took");
        report.peak_activation_bytes = report.peak_activation_bytes.max(report.activation_bytes);
        self.0.set(report);
    }
}

/// Counted bytes; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Lease {
    ledger: Ledger,
    owner: Owner,
    n_bytes: u64,
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
        let expected =
            MemoryReport { weight_bytes: 100, kv_bytes: 9, activation_bytes: 5, peak_activation_bytes: 7 };
        assert_eq!(ledger.report(), expected);
        drop(weights);
        assert_eq!(ledger.report().weight_bytes, 0);
    }
}
