//! Vectors found, and kept, beside stores of vectors from the npm registry.

use serde_json::{Value, json};

use super::folder;
use super::page::Page;
use super::store::figure;
use crate::report::{Row, Rows};
use crate::{Args, Outcome};

/// Vectors that all engines hold.
const N_VECTORS: usize = 10_000;
const QUERIES: usize = 200;
/// A peer's settings are those of its fastest search that finds so much.
const MIN_RECALL: f64 = 0.99;
/// Batches saved before the worker is killed in the next one, and vectors in each.
const N_SAVED: usize = 5;
const BATCH: usize = 100;

struct Peer {
    name: &'static str,
    package: &'static str,
    script: &'static str,
    /// How an index is made, and how it is asked, from the fastest to the most careful.
    settings: fn() -> Vec<(Value, Vec<Value>)>,
}

const PEERS: [Peer; 4] = [
    Peer {
        name: "EdgeVec",
        package: "edgevec",
        script: "edgevec.js",
        settings: || [32, 64, 128, 256].map(|ef| (json!({"ef": ef}), vec![json!({})])).to_vec(),
    },
    Peer {
        name: "hnswlib-wasm",
        package: "hnswlib-wasm",
        script: "hnswlib.js",
        settings: || vec![(json!({}), [16, 32, 64, 128, 256].map(|ef| json!({"ef": ef})).to_vec())],
    },
    Peer {
        name: "Voy",
        package: "voy-search",
        script: "voy.js",
        settings: || vec![(json!({}), vec![json!({})])],
    },
    Peer {
        name: "Orama",
        package: "@orama/orama",
        script: "orama.js",
        settings: || vec![(json!({}), vec![json!({})])],
    },
];

pub(super) fn measure(args: &Args, rows: &mut Rows) -> Outcome<()> {
    for peer in &PEERS {
        let what = format!("{N_VECTORS} vectors beside {}", peer.name);
        if !folder().join("node_modules").join(peer.package).is_dir() {
            rows.skip(what, "it is not installed; bench/README.md says how");
            continue;
        }
        let outcome = speed(peer, args, rows).and_then(|()| durability(peer, rows));
        if let Err(error) = outcome {
            rows.skip(what, error.to_string());
        }
    }
    ours_after_a_kill(rows)
}

/// Questions a second, in turns.
fn speed(peer: &Peer, args: &Args, rows: &mut Rows) -> Outcome<()> {
    let mut page = Page::open(&browser::models_folder(), false)?;
    let options = json!({"name": "peers.footnote"});
    page.start("ours", "store.js", &options)?;
    for _ in 0..N_VECTORS / 1_000 {
        page.call("ours", "fill", &json!([10]))?;
    }
    page.start("peer", peer.script, &json!({"n": N_VECTORS, "nQueries": QUERIES}))?;
    let Chosen { how, built_ms, recall } = choose(&mut page, peer)?;
    let mut pairs = Vec::new();
    for run in 0..=args.runs.max(1) {
        let ours = page.call("ours", "search", &json!([QUERIES]))?;
        let theirs = page.call("peer", "search", &json!([how]))?;
        // The first run warms up. Both by the median question, in questions a second.
        if run > 0 {
            pairs.push((1e3 / figure(&ours["vector"]["p50_ms"])?, 1e3 / figure(&theirs["p50_ms"])?));
        }
    }
    let what = format!("nearest 10 of {N_VECTORS} vectors (recall 1; the peer's {recall:.3})");
    let peer_name = format!("{} {how}", peer.name);
    rows.rows.push(Row::compared(what, "questions/s", &pairs, peer_name, 1.0));
    let what = format!("{} building an index of {N_VECTORS} vectors", peer.name);
    rows.rows.push(Row::new(what, "ms", vec![built_ms]));
    Ok(())
}

struct Chosen {
    how: Value,
    built_ms: f64,
    recall: f64,
}

/// The first setting that finds enough, or the one that finds most.
fn choose(page: &mut Page, peer: &Peer) -> Outcome<Chosen> {
    let mut best: Option<(Chosen, Value)> = None;
    for (build, ways) in (peer.settings)() {
        let built_ms = figure(&page.call("peer", "build", &json!([build]))?["ms"])?;
        for how in ways {
            let recall = figure(&page.call("peer", "search", &json!([how]))?["recall"])?;
            eprintln!("bench: {} {build} {how}: built in {built_ms:.0} ms, recall {recall:.4}", peer.name);
            let shown = if how == json!({}) { build.clone() } else { how };
            if best.as_ref().is_none_or(|(best, _)| recall > best.recall) {
                best = Some((Chosen { how: shown, built_ms, recall }, build.clone()));
            }
            if recall >= MIN_RECALL {
                return Ok(best.ok_or("nothing was tried")?.0);
            }
        }
    }
    let (chosen, build) = best.ok_or("nothing was tried")?;
    page.call("peer", "build", &json!([build]))?;
    Ok(chosen)
}

/// What is there after the worker was killed while it stored, and the page loaded again.
fn durability(peer: &Peer, rows: &mut Rows) -> Outcome<()> {
    let mut page = Page::open(&browser::models_folder(), false)?;
    let options = json!({"n": 2 * N_SAVED * BATCH, "nQueries": 1});
    page.start("peer", peer.script, &options)?;
    let saved = page.kill_after("peer", N_SAVED, &json!({"batch": BATCH}))?;
    page.reload()?;
    page.start("peer", peer.script, &options)?;
    let found = figure(&page.call("peer", "restore", &json!([{"n": saved}]))?["found"])?;
    push_durability(peer.name, found, saved, rows);
    Ok(())
}

fn ours_after_a_kill(rows: &mut Rows) -> Outcome<()> {
    let mut page = Page::open(&browser::models_folder(), false)?;
    let options = json!({"name": "killed.footnote"});
    page.start("ours", "store.js", &options)?;
    let saved = page.kill_after("ours", N_SAVED, &json!({"n": 2 * N_SAVED}))?;
    page.reload()?;
    page.start("ours", "store.js", &options)?;
    let found = figure(&page.call("ours", "restore", &json!([{"n": saved}]))?["found"])?;
    push_durability("Footnote", found, saved, rows);
    Ok(())
}

fn push_durability(name: &str, found: f64, saved: f64, rows: &mut Rows) {
    let what = format!("{name}: found after a kill and a reload, of {saved} vectors said to be saved");
    rows.rows.push(Row::new(what, "share", vec![found / saved.max(1.0)]));
}
