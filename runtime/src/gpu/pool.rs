//! Buffers: counted, destroyed when dropped, and recycled between activations.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::memory::{Lease, Ledger, Owner};
use crate::{Error, Result};

/// Idle activation buffers beyond this are destroyed: enough for the working set of a small model.
const MAX_IDLE_BYTES: u64 = 256 << 20;
/// Smallest buffer, so that tiny activations share one size.
const MIN_BUFFER_BYTES: u64 = 256;

/// A storage buffer with an identity. Dropping it frees its memory at once, which WebGPU otherwise
/// leaves to the garbage collector.
#[derive(Debug)]
pub(super) struct GpuBuffer {
    pub(super) buffer: wgpu::Buffer,
    /// Never used twice: the key of cached bind groups.
    pub(super) id: u64,
    destroyed: Rc<RefCell<Vec<u64>>>,
    _lease: Lease,
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        self.buffer.destroy();
        self.destroyed.borrow_mut().push(self.id);
    }
}

/// Makes buffers and keeps idle ones.
#[derive(Debug)]
pub(super) struct Pool {
    device: wgpu::Device,
    ledger: Ledger,
    max_bytes: u64,
    next_id: Cell<u64>,
    /// Ids of buffers that were destroyed since somebody asked.
    destroyed: Rc<RefCell<Vec<u64>>>,
    idle: RefCell<HashMap<u64, Vec<Rc<GpuBuffer>>>>,
    idle_bytes: Cell<u64>,
}

impl Pool {
    /// A pool whose buffers hold at most `max_bytes` each.
    pub(super) fn new(device: wgpu::Device, max_bytes: u64, ledger: Ledger) -> Self {
        Self {
            device,
            ledger,
            max_bytes,
            next_id: Cell::new(0),
            destroyed: Rc::default(),
            idle: RefCell::default(),
            idle_bytes: Cell::new(0),
        }
    }

    /// A fresh, zeroed buffer of at least `n_bytes`.
    pub(super) fn create(&self, what: &str, n_bytes: u64, owner: Owner) -> Result<Rc<GpuBuffer>> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        self.create_for(usage, what, n_bytes, owner)
    }

    /// A fresh buffer for parameters.
    pub(super) fn create_uniform(&self, what: &str, n_bytes: u64) -> Result<Rc<GpuBuffer>> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        self.create_for(usage, what, n_bytes, Owner::Activations)
    }

    fn create_for(
        &self,
        usage: wgpu::BufferUsages,
        what: &str,
        n_bytes: u64,
        owner: Owner,
    ) -> Result<Rc<GpuBuffer>> {
        let size = n_bytes.max(MIN_BUFFER_BYTES).next_multiple_of(16);
        if size > self.max_bytes {
            return Err(Error::OutOfMemory { what: what.into(), n_bytes });
        }
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        let id = self.next_id.replace(self.next_id.get() + 1);
        let lease = self.ledger.lease(owner, size);
        Ok(Rc::new(GpuBuffer { buffer, id, destroyed: self.destroyed.clone(), _lease: lease }))
    }

    /// A buffer for an activation: an idle one where there is one of its size class.
    pub(super) fn take(&self, n_bytes: u64) -> Result<Rc<GpuBuffer>> {
        let class = size_class(n_bytes).min(self.max_bytes.max(n_bytes));
        if let Some(buffer) = self.idle.borrow_mut().get_mut(&class).and_then(Vec::pop) {
            self.idle_bytes.set(self.idle_bytes.get() - buffer.buffer.size());
            return Ok(buffer);
        }
        self.create("an intermediate result", class, Owner::Activations)
    }

    /// Gives a buffer back. Commands that still use it may be waiting: they come first in the queue.
    pub(super) fn give(&self, buffer: Rc<GpuBuffer>) {
        let size = buffer.buffer.size();
        if self.idle_bytes.get() + size <= MAX_IDLE_BYTES {
            self.idle_bytes.set(self.idle_bytes.get() + size);
            self.idle.borrow_mut().entry(size).or_default().push(buffer);
        }
    }

    /// Destroys all idle buffers.
    pub(super) fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.idle_bytes.set(0);
    }

    /// Number of buffers that were ever created.
    pub(super) fn n_created(&self) -> u64 {
        self.next_id.get()
    }

    /// Ids of the buffers that were destroyed since the last call.
    pub(super) fn take_destroyed(&self) -> Vec<u64> {
        self.destroyed.take()
    }
}

/// Four sizes per power of two: at most a quarter is wasted, and few sizes exist.
fn size_class(n_bytes: u64) -> u64 {
    let n_bytes = n_bytes.max(MIN_BUFFER_BYTES);
    let step = (n_bytes.next_power_of_two() / 8).max(16);
    n_bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn size_classes_are_few_and_tight() {
        let cases =
            [(0, 256), (1, 256), (256, 256), (257, 320), (1 << 20, 1 << 20), ((1 << 20) + 1, 5 << 18)];
        for (n_bytes, expected) in cases {
            assert_eq!(size_class(n_bytes), expected, "{n_bytes}");
        }
        for n_bytes in (1..100_000u64).step_by(37) {
            let class = size_class(n_bytes);
            assert!(
                class >= n_bytes
                    && class.is_multiple_of(16)
                    && class <= (n_bytes.max(256) * 5).div_ceil(4) + 16
            );
            assert_eq!(size_class(class), class, "a class is its own class");
        }
    }
}
