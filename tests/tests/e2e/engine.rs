//! The engine alone, as a page that embeds it would use it: numbers against the references.

use std::time::{Duration, Instant};

use browser::{Browser, Launch, Site, workspace};
use serde_json::{Value, json};

/// What issue and design ask of both tiers.
const MIN_COSINE: f64 = 0.9999;
/// Rows per request, so that no single evaluation takes minutes on a slow machine.
const BATCH: usize = 7;

#[test]
fn embeddings_and_tokens_on_the_cpu_tier_equal_the_references() {
    let site = Site::start();
    let mut browser = Browser::plain();
    let mut engine = site.engine(&mut browser, "Cpu", true);
    check_embeddings(&mut engine, &mut browser, |_| true);

    let golden = golden("smollm2.json");
    let rows = golden["generations"].as_array().expect("a list of generations");
    // Where the reference is undecided between two tokens, another order of additions decides.
    let rows: Vec<_> = rows.iter().filter(|row| row["decided"] == true).collect();
    assert!(rows.len() >= 3, "some rows are decided");
    for golden in rows {
        let tokens: Vec<_> = golden["tokens"].as_array().into_iter().flatten().take(N_TOKENS).collect();
        let request = json!({"Generate": {"prompt": golden["prompt"], "max_tokens": N_TOKENS}});
        let reply = engine.request(&mut browser, request, 120);
        assert_eq!(reply["Generated"]["tokens"], json!(tokens), "{}: {reply}", golden["name"]);
    }
}

#[test]
fn a_cancel_is_heard_within_a_second_while_text_is_written() {
    let site = Site::start();
    let mut browser = Browser::plain();
    let mut engine = site.engine(&mut browser, "Cpu", true);
    let endless = json!({"Generate": {"prompt": "Once upon a time", "max_tokens": 900}});
    let running = engine.begin(&mut browser, endless.clone());
    let waiting = engine.begin(&mut browser, endless);
    std::thread::sleep(Duration::from_secs(2));
    let asked = Instant::now();
    for id in [waiting, running] {
        engine.begin(&mut browser, json!({"Cancel": {"id": id}}));
    }
    for id in [running, waiting] {
        assert_eq!(engine.wait(&mut browser, id, 30), json!("Stopped"));
    }
    assert!(asked.elapsed() < Duration::from_secs(1), "stopping took {:?}", asked.elapsed());
    let next = engine.request(&mut browser, json!({"Embed": {"texts": ["It goes on."]}}), 60);
    assert!(next.get("Embedded").is_some(), "{next}");
}

/// Every golden prompt is checked natively in full; here the first tokens show that wasm agrees.
const N_TOKENS: usize = 12;

#[test]
fn embeddings_on_the_gpu_tier_equal_the_references() {
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: true });
    let mut engine = site.engine(&mut browser, "Gpu", false);
    // A software adapter takes a second per hundred tokens: the short rows and one long one.
    check_embeddings(&mut engine, &mut browser, |row| {
        row["ids"].as_array().map_or(0, Vec::len) <= 32 || row["name"] == "passage_128"
    });
}

fn check_embeddings(engine: &mut browser::Engine, browser: &mut Browser, is_wanted: fn(&Value) -> bool) {
    let golden = golden("minilm.json");
    let rows: Vec<&Value> =
        golden["rows"].as_array().expect("a list of rows").iter().filter(|row| is_wanted(row)).collect();
    assert!(rows.len() >= 15, "most golden rows are checked");
    for rows in rows.chunks(BATCH) {
        let texts: Vec<&Value> = rows.iter().map(|row| &row["text"]).collect();
        let reply = engine.request(browser, json!({"Embed": {"texts": texts}}), 240);
        let vectors =
            reply["Embedded"]["vectors"].as_array().unwrap_or_else(|| panic!("no vectors: {reply}"));
        assert_eq!(vectors.len(), rows.len());
        for (row, vector) in rows.iter().zip(vectors) {
            let cosine = cosine(&numbers(vector), &numbers(&row["vector"]));
            assert!(cosine >= MIN_COSINE, "{}: cosine {cosine}", row["name"]);
        }
    }
}

fn golden(name: &str) -> Value {
    let path = workspace().join("fixtures/golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("golden files are JSON")
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
