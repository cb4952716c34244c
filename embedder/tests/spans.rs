//! Vectors of parts of a passage against sentence-transformers' token states (`fixtures/make/embedders.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ops::Range;

use embedder::{Embedder, SpannedText};
use models::ModelFiles;
use runtime::{Options, Runtime, TierChoice};
use serde::Deserialize;

const MIN_COSINE: f32 = 0.999_99;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    spans: Vec<(usize, usize)>,
    vectors: Vec<Option<Vec<f32>>>,
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn spans_are_pooled_from_the_passages_own_states() {
    platform::block_on(async {
        let golden: Golden =
            serde_json::from_str(include_str!("../../fixtures/tiny/bert/spans.json")).unwrap();
        let spans: Vec<Vec<Range<usize>>> =
            golden.rows.iter().map(|row| row.spans.iter().map(|s| s.0..s.1).collect()).collect();
        let passages: Vec<SpannedText<'_>> = golden
            .rows
            .iter()
            .zip(&spans)
            .map(|(row, spans)| SpannedText { text: &row.text, spans })
            .collect();
        let texts: Vec<&str> = passages.iter().map(|passage| passage.text).collect();
        for tier in [TierChoice::Cpu, TierChoice::Gpu] {
            let path = format!("{}/../fixtures/tiny/bert", env!("CARGO_MANIFEST_DIR"));
            let rt = Runtime::open(&Options { tier, ..Options::default() }).await.unwrap();
            let embedder =
                Embedder::load(&rt, &ModelFiles::from_folder("bert", &path).await.unwrap()).await.unwrap();
            let got = embedder.embed_passages_with_spans(&passages).await.unwrap();
            assert_eq!(got.len(), golden.rows.len());
            let (mut n_vectors, mut n_none) = (0, 0);
            for (row, got) in golden.rows.iter().zip(&got) {
                assert_eq!(got.spans.len(), row.vectors.len());
                for (i, pair) in got.spans.iter().zip(&row.vectors).enumerate() {
                    match pair {
                        (Some(got), Some(expected)) => {
                            let cosine = cosine(got, expected);
                            assert!(cosine > MIN_COSINE, "{:?} span {i}: cosine {cosine}", row.text);
                            n_vectors += 1;
                        }
                        (None, None) => n_none += 1,
                        _ => panic!("{:?} span {i}: {pair:?}", row.text),
                    }
                }
            }
            assert_eq!((n_vectors, n_none), (7, 3));
            let alone = embedder.embed_passages(&texts).await.unwrap();
            assert!(
                got.iter().zip(&alone).all(|(got, alone)| got.passage == *alone),
                "no other passage vector"
            );
        }
    });
}
