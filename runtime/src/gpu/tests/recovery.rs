//! What comes after a lost device.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::join;

use crate::{
    Activation, Error, KvCache, Options, Precision, ReadAt, Result, Runtime, Tier, TierChoice, Weight,
    WeightFormat, Weights,
};

const BERT: &[u8] = include_bytes!("../../../../fixtures/tiny/bert/model.safetensors");

fn open() -> Runtime {
    // The CPU tier has to agree with the GPU to the last test's tolerance.
    platform::block_on(Runtime::open(&Options {
        tier: TierChoice::Gpu,
        precision: Precision::Exact,
        ..Options::default()
    }))
    .expect("a GPU")
}

fn load(rt: &Runtime, weights: &Weights) -> Result<Weight> {
    let name = "encoder.layer.0.intermediate.dense.weight";
    let shape = weights.tensor_info(name).expect("a layer").shape.clone();
    platform::block_on(rt.load_weight(weights, name, &shape, WeightFormat::F16))
}

fn product(rt: &Runtime, weight: &Weight) -> Result<Vec<f32>> {
    let mut rec = rt.recorder();
    let x = rec.input(1, weight.width(), (0..weight.width()).map(|i| i as f32).collect())?;
    let y = rec.linear(x, weight, None, Activation::None)?;
    platform::block_on(rec.read(&y))
}

/// One key with the weight 1: gives the cache's first row.
fn first_row(rt: &Runtime, cache: &KvCache) -> Result<Vec<f32>> {
    let mut rec = rt.recorder();
    let q = rec.input(1, cache.width(), vec![0.0; cache.width()])?;
    let a = crate::CausalAttention {
        keys: cache,
        values: cache,
        first_pos: 0,
        n_kv_heads: 1,
        scale: 1.0,
        window: None,
        soft_cap: None,
        n_seen: None,
        bias: None,
    };
    let y = rec.attention_causal(q, a)?;
    platform::block_on(rec.read(&y))
}

#[test]
fn weights_come_back_and_caches_are_empty() {
    let rt = open();
    let weight = load(&rt, &Weights::open(Box::new(BERT)).expect("weights")).expect("a weight");
    let cache = platform::block_on(rt.kv_cache(4, 8)).expect("a cache");
    let mut rec = rt.recorder();
    let x = rec.input(1, 8, vec![1.5; 8]).expect("an input");
    rec.kv_append(&cache, x, 0).expect("a place");
    platform::block_on(rec.run()).expect("a run");
    assert_eq!(first_row(&rt, &cache).expect("a row"), [1.5; 8]);
    let (before, memory) = (product(&rt, &weight).expect("a product"), rt.memory());

    rt.destroy_device();
    assert!(matches!(product(&rt, &weight), Err(error) if error.is_device_lost()));
    platform::block_on(rt.recover()).expect("another device");

    assert_eq!(product(&rt, &weight).expect("a product"), before);
    assert_eq!(first_row(&rt, &cache).expect("a row"), [0.0; 8]);
    let after = rt.memory();
    assert_eq!((after.weight_bytes, after.kv_bytes), (memory.weight_bytes, memory.kv_bytes));
    assert_eq!((rt.generation(), rt.tier()), (1, Tier::Gpu));
    assert!(rt.describe().reason.contains("lost"), "{}", rt.describe().reason);
    platform::block_on(rt.recover()).expect("nothing to do");
    assert_eq!(rt.generation(), 1);
}

#[test]
fn many_losses_end_on_the_cpu() {
    let rt = open();
    let weight = load(&rt, &Weights::open(Box::new(BERT)).expect("weights")).expect("a weight");
    let before = product(&rt, &weight).expect("a product");
    let mut n_losses = 0;
    while rt.tier() == Tier::Gpu {
        rt.destroy_device();
        n_losses += 1;
        platform::block_on(rt.recover()).expect("another tier");
        for (got, expected) in product(&rt, &weight).expect("a product").iter().zip(&before) {
            assert!((got - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{got} {expected}");
        }
    }
    assert_eq!(n_losses, 4);
    assert!(rt.describe().reason.contains("lost 4 times"), "{}", rt.describe().reason);
    rt.destroy_device();
    assert_eq!(product(&rt, &weight).expect("the CPU has no device to lose").len(), before.len());
}

#[test]
fn a_loss_while_loading_is_mended_there() {
    let rt = open();
    let weights = Weights::open(Box::new(BERT)).expect("weights");
    rt.destroy_device();
    let weight = load(&rt, &weights).expect("loaded on another device");
    assert!(product(&rt, &weight).is_ok());
}

#[test]
fn two_tasks_recover_once() {
    let rt = open();
    rt.destroy_device();
    let (first, second) = platform::block_on(join(rt.recover(), rt.recover()));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(rt.generation(), 1);
}

/// A file on a disk that can be pulled out.
struct Removable(Rc<Cell<bool>>);

impl ReadAt for Removable {
    fn len(&self) -> Result<u64> {
        ReadAt::len(&BERT)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        if self.0.get() { ReadAt::read_at(&BERT, buf, offset) } else { Err(Error::corrupt("no disk")) }
    }
}

#[test]
fn a_file_that_cannot_be_read_can_be_tried_again() {
    let rt = open();
    let plugged = Rc::new(Cell::new(true));
    let weights = Weights::open(Box::new(Removable(plugged.clone()))).expect("weights");
    let weight = load(&rt, &weights).expect("a weight");
    let before = product(&rt, &weight).expect("a product");
    rt.destroy_device();
    plugged.set(false);
    assert!(matches!(platform::block_on(rt.recover()), Err(Error::CorruptWeights { .. })));
    assert!(matches!(product(&rt, &weight), Err(error) if error.is_device_lost()));
    plugged.set(true);
    platform::block_on(rt.recover()).expect("the file is there again");
    assert_eq!(product(&rt, &weight).expect("a product"), before);
}
