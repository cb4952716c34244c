//! What a generator takes is known before, and what does not fit is refused before it is begun.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use generator::{Error, Generator, Sampling};
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice};

async fn files(folder: &str) -> ModelFiles {
    let path = format!("{}/../fixtures/tiny/{folder}", env!("CARGO_MANIFEST_DIR"));
    ModelFiles::from_folder(folder, &path).await.unwrap()
}

async fn open(tier: TierChoice) -> Runtime {
    let rt = Runtime::open(&Options { tier, ..Options::default() }).await.unwrap();
    rt.trim();
    rt
}

#[test]
fn a_forecast_holds_for_a_whole_text() {
    platform::block_on(async {
        for tier in [TierChoice::Cpu, TierChoice::Gpu] {
            for folder in ["llama_gguf", "llama_untied", "llama_tied"] {
                let (rt, files) = (open(tier).await, files(folder).await);
                let before = rt.memory();
                let forecast = Generator::forecast(&rt, &files).await.unwrap();
                let generator = Generator::load(&rt, &files).await.unwrap();
                let prompt = "one two three four five six seven eight";
                let mut session = generator.start(prompt, &Sampling::greedy(5)).await.unwrap();
                while session.next().await.unwrap().is_some() {}
                let after = rt.memory();
                let weights = after.weight_bytes - before.weight_bytes;
                // GPU buffers have 256 bytes at least, and tables of their own.
                let slack = if tier == TierChoice::Gpu { 256 << 10 } else { 0 };
                assert!(weights <= forecast.weight_bytes + slack, "{folder}: {weights} {forecast:?}");
                assert!(weights + weights / 20 >= forecast.weight_bytes, "{folder}: {weights} {forecast:?}");
                let rest = after.kv_bytes + after.activation_bytes - before.activation_bytes;
                let forecast_rest = forecast.kv_bytes + forecast.activation_bytes;
                assert!(rest <= forecast_rest + slack, "{folder}: {rest} {forecast:?} {after:?}");
                assert_eq!(after.models.last().unwrap().model, folder);
            }
        }
    });
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_takes_nothing() {
    platform::block_on(async {
        for tier in [TierChoice::Cpu, TierChoice::Gpu] {
            let (rt, files) = (open(tier).await, files("llama_untied").await);
            let before = rt.memory();
            let needed = Generator::forecast(&rt, &files).await.unwrap().total_bytes();
            rt.set_budget(Some(before.total_bytes() + needed - 1));
            let refused = Generator::load(&rt, &files).await.err().unwrap();
            assert!(matches!(&refused, Error::Runtime(error) if error.is_out_of_memory()), "{refused}");
            assert!(refused.to_string().contains("the generator llama_untied"), "{refused}");
            assert_eq!(rt.memory().total_bytes(), before.total_bytes());
            rt.set_budget(Some(before.total_bytes() + needed));
            assert!(Generator::load(&rt, &files).await.is_ok());
        }
    });
}
