//! Tests of the GPU tier. Those that run kernels need a Vulkan, Metal or DirectX 12 adapter, and fail
//! with advice where there is none; a software one will do. They pass on Mesa's lavapipe and on
//! SwiftShader alike, which Linux's Vulkan loader chooses by
//! `VK_ICD_FILENAMES=/usr/share/vulkan/icd.d/lvp_icd.x86_64.json` and
//! `VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json`.

mod device;
mod linear;
mod recovery;
mod rest;
mod sampling;
mod shaders;
mod steps;
mod variants;

use half::f16;

use super::device::Device;
use super::{Gpu, KernelSet};
use crate::memory::Ledger;
use crate::op::{BufferId, Executor, GROUP, Op, Program, Rows, Shape};
use crate::tensor::{KvCache, Layout, Storage, Weight};

/// Half the distance between 1 and the next f32: the largest relative error of one rounding.
const EPS: f64 = 1.0 / (1 << 24) as f64;

/// An open GPU with one of the two kernel sets.
struct Bench {
    gpu: Gpu,
    ledger: Ledger,
}

impl Bench {
    fn open(kernels: KernelSet) -> Self {
        Self::with_max_binding(kernels, u64::MAX)
    }

    /// Weights above `max_bytes` are split.
    fn with_max_binding(kernels: KernelSet, max_bytes: u64) -> Self {
        platform::block_on(async {
            let device = Device::open().await.unwrap_or_else(|error| {
                panic!("{error}. Install a software adapter for this test: the Debian package mesa-vulkan-drivers")
            });
            let ledger = Ledger::default();
            let max_bytes = max_bytes.min(device.max_binding_bytes);
            let gpu = Gpu::on(device, &ledger, kernels, max_bytes).await.expect("a GPU");
            Self { gpu, ledger }
        })
    }

    fn weight(&self, shape: Shape, rows: Rows<'_>) -> Weight {
        let created = platform::block_on(self.gpu.create_weight("w", shape, rows.layout()));
        let mut weight = created.expect("a weight");
        rows.check(shape, rows.layout(), 0).expect("rows of the weight");
        self.gpu.write_rows(&mut weight, 0, rows).expect("written rows");
        Weight::new("w", shape, rows.layout(), Storage::Gpu(weight))
    }

    fn vector(&self, values: &[f32]) -> Weight {
        self.weight(Shape { n_rows: 1, width: values.len() }, Rows::F32(values))
    }

    fn cache(&self, n_ctx: usize, width: usize) -> KvCache {
        let cache = platform::block_on(self.gpu.create_cache(n_ctx, width)).expect("a cache");
        KvCache::new(n_ctx, width, Storage::Gpu(cache))
    }

    fn read(&self, record: &Record, out: BufferId) -> Vec<f32> {
        platform::block_on(self.gpu.execute(&record.0, Some(out))).expect("a result")
    }
}

/// A program without the recorder's checks.
#[derive(Default)]
struct Record(Program);

impl Record {
    fn buffer(&mut self, n_rows: usize, width: usize) -> BufferId {
        self.0.buffers.push(Shape { n_rows, width });
        BufferId(self.0.buffers.len() as u32 - 1)
    }

    fn input(&mut self, width: usize, data: &[f32]) -> BufferId {
        let out = self.buffer(data.len() / width, width);
        self.0.ops.push(Op::Input { data: data.to_vec(), out });
        out
    }

    /// A fresh buffer and the operation that writes it.
    fn op(&mut self, n_rows: usize, width: usize, op: impl FnOnce(BufferId) -> Op) -> BufferId {
        let out = self.buffer(n_rows, width);
        self.0.ops.push(op(out));
        out
    }
}

/// Numbers in -1..1, the same on every machine (Marsaglia's xorshift32).
struct Random(u32);

impl Random {
    fn word(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn value(&mut self) -> f32 {
        (self.word() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.value()).collect()
    }
}

/// Weight rows that own their content.
struct OwnedRows {
    layout: Layout,
    floats: Vec<f32>,
    halves: Vec<u16>,
    mins: Vec<u16>,
    bytes: Vec<u8>,
}

impl OwnedRows {
    fn random(layout: Layout, n: usize, random: &mut Random) -> Self {
        let mut rows = Self { layout, floats: vec![], halves: vec![], mins: vec![], bytes: vec![] };
        let mut half = || f16::from_f32(random.value()).to_bits();
        match layout {
            Layout::F32 => rows.floats = random.values(n),
            Layout::F16 => rows.halves = (0..n).map(|_| half()).collect(),
            Layout::Q8 | Layout::Q4 => {
                rows.halves = (0..n / GROUP).map(|_| half()).collect();
                rows.mins = (0..n / GROUP).map(|_| half()).collect();
                let n_bytes = if layout == Layout::Q8 { n } else { n / 2 };
                rows.bytes = (0..n_bytes).map(|_| random.word() as u8).collect();
            }
        }
        rows
    }

    fn rows(&self) -> Rows<'_> {
        match self.layout {
            Layout::F32 => Rows::F32(&self.floats),
            Layout::F16 => Rows::F16(&self.halves),
            Layout::Q8 => Rows::Q8 { scales: &self.halves, quants: bytemuck::cast_slice(&self.bytes) },
            Layout::Q4 => Rows::Q4 { scales: &self.halves, mins: &self.mins, quants: &self.bytes },
        }
    }
}

/// Compares element by element; `tolerance` gives the allowed difference at an index.
fn assert_close(what: &str, got: &[f32], expected: &[f32], tolerance: impl Fn(usize) -> f64) {
    assert_eq!(got.len(), expected.len(), "{what}: number of elements");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let (difference, allowed) = ((f64::from(*got) - f64::from(*expected)).abs(), tolerance(i));
        assert!(
            difference <= allowed,
            "{what} [{i}]: {got} instead of {expected}, off by {difference:e} > {allowed:e}"
        );
    }
}

const KERNEL_SETS: [KernelSet; 2] = [KernelSet::Hardware, KernelSet::Software];
const LAYOUTS: [Layout; 4] = [Layout::F32, Layout::F16, Layout::Q8, Layout::Q4];
