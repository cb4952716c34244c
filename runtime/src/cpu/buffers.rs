//! Activation buffers of a program, and the pool they come from.

use std::cell::RefCell;

use crate::memory::{Lease, Ledger, Owner};
use crate::op::{BufferId, Program};

/// Bytes that stay pooled between programs: the activations of a batch of 16 passages of 128 tokens
/// of a small embedder are about 30 MiB.
const MAX_POOLED_BYTES: u64 = 64 << 20;

/// Memory that was used before; its content is arbitrary.
pub(super) struct Pool {
    ledger: Ledger,
    free: RefCell<Vec<Block>>,
}

struct Block {
    values: Vec<f32>,
    lease: Lease,
}

impl Pool {
    pub(super) fn new(ledger: &Ledger) -> Self {
        Self { ledger: ledger.clone(), free: RefCell::default() }
    }

    /// A block of `len` elements: the smallest free one that fits without wasting more than it holds.
    fn take(&self, len: usize) -> Block {
        let mut free = self.free.borrow_mut();
        let fitting =
            free.iter().enumerate().filter(|(_, block)| (len..=2 * len).contains(&block.values.capacity()));
        if let Some((idx, _)) = fitting.min_by_key(|(_, block)| block.values.capacity()) {
            let mut block = free.swap_remove(idx);
            block.values.resize(len, 0.0);
            return block;
        }
        let values = vec![0.0; len];
        let lease = self.ledger.lease(Owner::Activations, 4 * values.capacity() as u64);
        Block { values, lease }
    }

    fn give(&self, block: Block) {
        self.free.borrow_mut().push(block);
    }

    /// Frees all blocks.
    pub(super) fn clear(&self) {
        self.free.borrow_mut().clear();
    }

    /// Frees blocks until little enough is pooled, the oldest first.
    pub(super) fn trim(&self) {
        let mut free = self.free.borrow_mut();
        let bytes = |block: &Block| 4 * block.values.capacity() as u64;
        let mut pooled: u64 = free.iter().map(bytes).sum();
        while pooled > MAX_POOLED_BYTES {
            pooled -= bytes(&free.remove(0));
        }
    }
}

/// The buffers of one program that hold something now.
pub(super) struct Buffers<'a> {
    program: &'a Program,
    pool: &'a Pool,
    blocks: Vec<Option<Block>>,
}

impl<'a> Buffers<'a> {
    pub(super) fn new(program: &'a Program, pool: &'a Pool) -> Self {
        Self { program, pool, blocks: program.buffers.iter().map(|_| None).collect() }
    }

    /// A buffer's content.
    pub(super) fn get(&self, buffer: BufferId) -> &[f32] {
        let block = self.blocks[buffer.idx()].as_ref();
        &block.expect("a buffer is written before it is read, and freed after its last use").values
    }

    /// Writes a buffer: `f` gets the others and its elements, of arbitrary content.
    pub(super) fn write<R>(&mut self, buffer: BufferId, f: impl FnOnce(&Self, &mut [f32]) -> R) -> R {
        let mut block = self.pool.take(self.program.shape(buffer).len());
        let result = f(self, &mut block.values);
        self.blocks[buffer.idx()] = Some(block);
        result
    }

    /// Writes several buffers at once; `f` gets their elements in the order of `buffers`.
    pub(super) fn write_all<R>(
        &mut self,
        buffers: &[BufferId],
        f: impl FnOnce(&Self, Vec<&mut [f32]>) -> R,
    ) -> R {
        let mut blocks: Vec<Block> =
            buffers.iter().map(|buffer| self.pool.take(self.program.shape(*buffer).len())).collect();
        let result = f(self, blocks.iter_mut().map(|block| block.values.as_mut_slice()).collect());
        for (buffer, block) in buffers.iter().zip(blocks) {
            self.blocks[buffer.idx()] = Some(block);
        }
        result
    }

    /// Gives a buffer back.
    pub(super) fn free(&mut self, buffer: BufferId) {
        if let Some(block) = self.blocks[buffer.idx()].take() {
            self.pool.give(block);
        }
    }

    /// Takes a buffer's content out.
    pub(super) fn into_content(mut self, buffer: BufferId) -> Vec<f32> {
        let block = self.blocks[buffer.idx()].take();
        let Block { values, lease } = block.expect("the buffer that is read is kept to the end");
        drop(lease);
        values
    }
}

impl Drop for Buffers<'_> {
    fn drop(&mut self) {
        self.blocks.iter_mut().filter_map(Option::take).for_each(|block| self.pool.give(block));
        self.pool.trim();
    }
}
