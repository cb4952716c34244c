//! A device that is lost while texts are embedded changes nothing but the time it takes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use embedder::Embedder;
use futures_util::future::join;
use models::ModelFiles;
use runtime::{Options, Runtime, Tier, TierChoice};

async fn tiny(rt: &Runtime) -> Embedder {
    let path = format!("{}/../fixtures/tiny/bert", env!("CARGO_MANIFEST_DIR"));
    Embedder::load(rt, &ModelFiles::from_folder("bert", &path).await.unwrap()).await.unwrap()
}

/// More than one batch of 8,192 tokens.
fn passages() -> Vec<String> {
    (0..900).map(|i| format!("the cat number {i} sat on the mat of the dog and the bird")).collect()
}

#[test]
fn vectors_are_the_same_with_and_without_a_loss() {
    platform::block_on(async {
        let rt = Runtime::open(&Options { tier: TierChoice::Gpu, ..Options::default() }).await.unwrap();
        let embedder = tiny(&rt).await;
        let passages = passages();
        let texts: Vec<&str> = passages.iter().map(String::as_str).collect();
        let n_tokens: u32 = texts.iter().map(|text| embedder.count_tokens(text)).sum();
        assert!(n_tokens > 8192, "one batch has {n_tokens} tokens");
        let expected = embedder.embed_passages(&texts).await.unwrap();

        rt.destroy_device();
        assert_eq!(embedder.embed_query(texts[0]).await.unwrap(), expected[0], "lost before");

        let lose = async {
            platform::yield_now().await;
            rt.destroy_device();
        };
        let (got, ()) = join(embedder.embed_passages(&texts), lose).await;
        assert!(got.unwrap() == expected, "lost between two batches");
        assert_eq!((rt.generation(), rt.tier()), (2, Tier::Gpu));
    });
}

#[test]
fn after_too_many_losses_the_cpu_embeds() {
    platform::block_on(async {
        let rt = Runtime::open(&Options { tier: TierChoice::Gpu, ..Options::default() }).await.unwrap();
        let embedder = tiny(&rt).await;
        let expected = embedder.embed_query("a cat on a mat").await.unwrap();
        while rt.tier() == Tier::Gpu {
            rt.destroy_device();
            let got = embedder.embed_query("a cat on a mat").await.unwrap();
            let cosine: f32 = got.iter().zip(&expected).map(|(a, b)| a * b).sum();
            assert!(cosine > 0.9999, "{cosine}");
        }
        assert!(rt.describe().reason.contains("lost"), "{}", rt.describe().reason);
    });
}
