//! Embedding that is given up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::pin::pin;
use std::task::{Context, Waker};

use embedder::Embedder;
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice};

#[test]
fn many_passages_can_be_given_up_between_two_batches() {
    platform::block_on(async {
        let rt = Runtime::open(&Options { tier: TierChoice::Cpu, ..Options::default() }).await.unwrap();
        let path = format!("{}/../fixtures/tiny/bert", env!("CARGO_MANIFEST_DIR"));
        let files = ModelFiles::from_folder("bert", &path).await.unwrap();
        let embedder = Embedder::load(&rt, &files).await.unwrap();
        let texts: Vec<String> = (0..2000).map(|i| format!("passage {i} of many about nothing")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let expected = embedder.embed_passages(&texts[..3]).await.unwrap();
        {
            let mut work = pin!(embedder.embed_passages(&texts));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..3 {
                assert!(work.as_mut().poll(&mut context).is_pending(), "others get a turn after each batch");
            }
        }
        let after = rt.memory().activation_bytes;
        assert_eq!(embedder.embed_passages(&texts[..3]).await.unwrap(), expected);
        assert!(rt.memory().activation_bytes <= after, "what was given up holds no buffers");
    });
}
