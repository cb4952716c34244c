//! Buffers that are made and dropped leave nothing behind, neither in the ledger nor in the process.
//! Alone in its file, because other tests of the same process would show in its memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use platform::block_on;
use runtime::{Options, Runtime, TierChoice, WeightFormat, Weights};

/// Rounds before memory is looked at: allocators and drivers keep some.
const N_WARM_ROUNDS: usize = 20;
const N_ROUNDS: usize = 200;
/// What a process may grow by chance. A round makes half a megabyte, so all rounds make 100 MB.
const MAX_GROWTH_BYTES: u64 = 8 << 20;

#[test]
fn memory_stays_flat_over_many_loads() {
    for tier in [TierChoice::Cpu, TierChoice::Gpu] {
        let rt = block_on(Runtime::open(&Options { tier, ..Options::default() })).unwrap();
        let file: &'static [u8] = include_bytes!("../../fixtures/tiny/llama_gguf/model.gguf");
        let weights = Weights::open(Box::new(file)).unwrap();
        let name = "token_embd.weight";
        let shape = weights.tensor_info(name).unwrap().shape.clone();
        let round = || {
            let weight = block_on(rt.load_weight(&weights, name, &shape, WeightFormat::F32)).unwrap();
            let cache = block_on(rt.kv_cache(1024, 128)).unwrap();
            let mut rec = rt.recorder();
            let rows = rec.gather(&weight, &[1, 2, 3]).unwrap();
            assert_eq!(block_on(rec.read(&rows)).unwrap().len(), 3 * shape[1]);
            drop((weight, cache));
            rt.trim();
            rt.memory().total_bytes()
        };
        let held = (0..N_WARM_ROUNDS).map(|_| round()).max().unwrap();
        let resident = resident_bytes();
        for _ in 0..N_ROUNDS {
            assert!(round() <= held);
        }
        let grown = resident_bytes().saturating_sub(resident);
        assert!(grown < MAX_GROWTH_BYTES, "{tier:?}: {grown} bytes more are resident");
    }
}

/// Memory of this process that is in use, where the system tells; else 0.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.map_or(0, |n: u64| n << 10)
}
