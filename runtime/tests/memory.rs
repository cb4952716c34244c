//! What is counted, forecast and refused, on both tiers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use platform::block_on;
use runtime::{Error, Options, Runtime, TierChoice, Weight, WeightFormat, Weights};

const TIERS: [TierChoice; 2] = [TierChoice::Cpu, TierChoice::Gpu];

fn open(tier: TierChoice) -> Runtime {
    block_on(Runtime::open(&Options { tier, ..Options::default() })).unwrap()
}

fn file() -> Weights {
    let file: &'static [u8] = include_bytes!("../../fixtures/tiny/llama_gguf/model.gguf");
    Weights::open(Box::new(file)).unwrap().named("tiny")
}

fn load_all(rt: &Runtime, weights: &Weights) -> Result<Vec<Weight>, Error> {
    let load = |name: &str| {
        let shape = weights.tensor_info(name).unwrap().shape.clone();
        let format = if shape.len() == 1 { WeightFormat::F32 } else { WeightFormat::Native };
        block_on(rt.load_weight(weights, name, &shape, format))
    };
    weights.names().map(load).collect()
}

#[test]
fn a_forecast_is_what_loading_takes() {
    for tier in TIERS {
        let (rt, weights) = (open(tier), file());
        let before = rt.memory();
        let forecast = rt.forecast_weights(&weights, WeightFormat::Native);
        let loaded = load_all(&rt, &weights).unwrap();
        let report = rt.memory();
        let taken = report.weight_bytes - before.weight_bytes;
        // Small GPU buffers are rounded up, 256 bytes at least.
        let slack = 256 * 2 * loaded.len() as u64;
        assert!(taken <= forecast + slack && forecast <= taken + taken / 20, "{taken} for {forecast}");
        let models: Vec<_> = report.models.iter().map(|m| (m.model.as_str(), m.weight_bytes)).collect();
        assert_eq!(models, [("tiny", taken)]);
        assert_eq!(report.staging_bytes, 0);
        assert!(report.peak_bytes > report.total_bytes(), "pieces on their way are counted");
        drop(loaded);
        let after = rt.memory();
        assert_eq!((after.weight_bytes, after.models.len()), (before.weight_bytes, 0));
    }
}

#[test]
fn loading_stops_at_the_budget_and_leaves_nothing_behind() {
    for tier in TIERS {
        let (rt, weights) = (open(tier), file());
        rt.trim();
        let before = rt.memory();
        let forecast = rt.forecast_weights(&weights, WeightFormat::Native);
        rt.set_budget(Some(before.total_bytes() + forecast / 2));
        assert!(rt.check_room("the model", forecast).is_err());
        let refused = load_all(&rt, &weights).unwrap_err();
        assert!(refused.is_out_of_memory() && refused.to_string().contains("MB are free"), "{refused}");
        assert_eq!(rt.memory().weight_bytes, before.weight_bytes);
        rt.set_budget(None);
        assert!(load_all(&rt, &weights).is_ok());
    }
}

#[test]
fn what_the_caller_holds_counts() {
    let rt = open(TierChoice::Cpu);
    rt.set_budget(Some(1 << 20));
    rt.set_other_bytes(1 << 20);
    let refused = block_on(rt.kv_cache(16, 16)).unwrap_err();
    assert!(matches!(refused, Error::OverBudget { .. }), "{refused}");
    rt.set_other_bytes(0);
    assert!(block_on(rt.kv_cache(16, 16)).is_ok());
}
