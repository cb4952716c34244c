//! Other models than the usual ones: an embedder by its folder, a reranker by name, folder and tier.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;

use assistant::{Assistant, Error, Options, Place, Reranking, SearchHit};
use common::{document, tiny_options};
use embedder::Reranker;
use models::ModelFiles;
use platform::block_on;
use runtime::{Runtime, TierChoice};

const QUESTION: &str = "where is the fox in the garden?";

fn fixture(name: &str) -> String {
    format!("{}/../fixtures/tiny/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The files of a fixture, as a model of that id in the models' folder.
fn install(folder: &Path, fixture_name: &str, id: &str) {
    std::fs::create_dir_all(folder.join(id)).unwrap();
    for entry in std::fs::read_dir(fixture(fixture_name)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(id).join(path.file_name().unwrap())).unwrap();
    }
}

fn open(options: Options) -> Assistant {
    let mut assistant = block_on(Assistant::open(options, &mut |_| {})).unwrap();
    for subject in ["fox", "dog", "box", "zebra"] {
        block_on(assistant.add(&document(&format!("{subject}.txt"), subject, 8), &mut |_| {})).unwrap();
    }
    assistant
}

fn search(assistant: &Assistant) -> Vec<SearchHit> {
    block_on(assistant.search(QUESTION, 10)).unwrap()
}

#[test]
fn a_reranker_puts_the_best_passages_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let options = tiny_options(folder.path(), TierChoice::Cpu, false);
    let plain = open(Options { reranker: Reranking::Off, ..options.clone() });
    let fused = block_on(plain.search(QUESTION, 24)).unwrap();
    assert!(plain.state().unwrap().reranker.is_none());
    let expected: Vec<u64> = block_on(async {
        let rt =
            Runtime::open(&runtime::Options { tier: TierChoice::Cpu, ..Default::default() }).await.unwrap();
        let files = ModelFiles::from_folder("reranker", &fixture("reranker")).await.unwrap();
        let reranker = Reranker::load(&rt, &files).await.unwrap();
        let texts: Vec<&str> = fused.iter().map(|hit| hit.text.as_str()).collect();
        let mut scored: Vec<_> =
            reranker.score(QUESTION, &texts).await.unwrap().into_iter().zip(&fused).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.iter().map(|(_, hit)| hit.chunk).take(10).collect()
    });

    let reranked = open(Options { reranker: Reranking::Model(fixture("reranker")), ..options });
    let hits = search(&reranked);
    let order: Vec<u64> = hits.iter().map(|hit| hit.chunk).collect();
    assert_eq!(order, expected);
    assert_ne!(order, fused.iter().map(|hit| hit.chunk).take(10).collect::<Vec<_>>());
    assert!(hits.is_sorted_by(|a, b| a.score >= b.score), "scores fall");
    assert_eq!(reranked.state().unwrap().reranker.unwrap().id, "reranker");
}

#[test]
fn the_usual_reranker_is_used_on_a_gpu_if_it_is_here() {
    let folder = tempfile::tempdir().unwrap();
    let reranker = |options: &Options| {
        let assistant = block_on(Assistant::open(options.clone(), &mut |_| {})).unwrap();
        assistant.state().unwrap().reranker.map(|state| state.id)
    };
    let gpu = tiny_options(folder.path(), TierChoice::Gpu, false);
    assert_eq!(reranker(&gpu), None, "it is not fetched unasked");
    install(folder.path(), "reranker", "ms-marco-MiniLM-L6-v2");
    assert_eq!(reranker(&gpu).as_deref(), Some("ms-marco-MiniLM-L6-v2"));
    assert_eq!(reranker(&Options { reranker: Reranking::Off, ..gpu.clone() }), None);
    assert_eq!(reranker(&Options { tier: TierChoice::Cpu, ..gpu }), None);
}

#[test]
fn a_knowledge_base_stays_with_its_embedder() {
    let folder = tempfile::tempdir().unwrap();
    let options = tiny_options(folder.path(), TierChoice::Cpu, false);
    let kb = Place::File(folder.path().join("kb").display().to_string());
    let own = Options { kb, embedder: Some(fixture("bge")), ..options.clone() };
    let n_hits = {
        let assistant = open(own.clone());
        assert_eq!(assistant.state().unwrap().embedder.id, "bge");
        search(&assistant).len()
    };
    assert!(n_hits > 0);
    let again = block_on(Assistant::open(own.clone(), &mut |_| {})).unwrap();
    assert_eq!(search(&again).len(), n_hits);
    drop(again);
    let refused = |options: Options| block_on(Assistant::open(options, &mut |_| {})).err().unwrap();
    let other = refused(Options { embedder: None, ..own.clone() });
    assert!(matches!(other, Error::Store(_)) && other.to_string().contains("bge"), "{other}");
    let cut = refused(Options { dimensions: Some(8), ..own.clone() }).to_string();
    assert!(cut.contains("not trained for vectors of 8"), "{cut}");
    let unknown = refused(Options { embedder: Some("no-such-model".into()), ..own }).to_string();
    assert!(unknown.contains("no-such-model") && unknown.contains("bge-small-en-v1.5"), "{unknown}");
}
