//! What an embedder takes is known before, and what does not fit is refused before it is begun.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use embedder::Embedder;
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice};

#[test]
fn a_forecast_holds_and_a_budget_refuses() {
    platform::block_on(async {
        let path = format!("{}/../fixtures/tiny/bert", env!("CARGO_MANIFEST_DIR"));
        let files = ModelFiles::from_folder("bert", &path).await.unwrap();
        for tier in [TierChoice::Cpu, TierChoice::Gpu] {
            let rt = Runtime::open(&Options { tier, ..Options::default() }).await.unwrap();
            rt.trim();
            let before = rt.memory();
            let forecast = Embedder::forecast(&rt, &files).await.unwrap();
            rt.set_budget(Some(before.total_bytes() + forecast.total_bytes() - 1));
            let refused = Embedder::load(&rt, &files).await.err().unwrap().to_string();
            assert!(refused.contains("the embedder bert"), "{refused}");
            assert_eq!(rt.memory().total_bytes(), before.total_bytes());

            rt.set_budget(Some(before.total_bytes() + forecast.total_bytes()));
            let embedder = Embedder::load(&rt, &files).await.unwrap();
            let passages: Vec<String> = (0..600).map(|i| format!("the cat {i} sat on a mat here")).collect();
            let texts: Vec<&str> = passages.iter().map(String::as_str).collect();
            embedder.embed_passages(&texts).await.unwrap();
            let after = rt.memory();
            let weights = after.weight_bytes - before.weight_bytes;
            // GPU buffers have 256 bytes at least, and tables of their own.
            let slack = if tier == TierChoice::Gpu { 256 << 10 } else { 0 };
            assert!(weights <= forecast.weight_bytes + slack, "{weights} {forecast:?}");
            assert!(weights + weights / 20 + slack >= forecast.weight_bytes, "{weights} {forecast:?}");
            let activations = after.activation_bytes - before.activation_bytes;
            assert!(activations <= forecast.activation_bytes + slack, "{activations} {forecast:?}");
        }
    });
}
