//! Figures of the engine in headless Chromium, through the same messages a page sends:
//! `cargo xtask bench web [--tier gpu] [--json FILE]`.

use std::time::Instant;

use serde_json::{Value, json};
use tests::{Browser, Engine, Launch, Site, workspace};

const N_RUNS: usize = 7;
/// Tokens between the two measurements that a decoding speed is made of.
const N_TOKENS: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let is_gpu = option("--tier").is_some_and(|tier| tier == "gpu");
    let rows = measure(is_gpu);
    for row in &rows {
        let what = row["what"].as_str().unwrap_or_default();
        let unit = row["unit"].as_str().unwrap_or_default();
        println!("{:>10.1} {unit:<9} {what}", row["median"].as_f64().unwrap_or_default());
    }
    if let Some(path) = option("--json") {
        let report = json!({"browser": "headless Chromium", "rows": rows});
        std::fs::write(path, format!("{report:#}\n")).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

fn measure(is_gpu: bool) -> Vec<Value> {
    let tier = if is_gpu { "Gpu" } else { "Cpu" };
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: is_gpu });
    let begun = Instant::now();
    site.engine(&mut browser, tier, true);
    let first_ms = begun.elapsed().as_secs_f64() * 1e3;
    let begun = Instant::now();
    let mut engine = site.engine(&mut browser, tier, true);
    let second_ms = begun.elapsed().as_secs_f64() * 1e3;

    let passage = golden_passage();
    let mut timed = |request: Value, wanted: &str| {
        let run = |_| timed_ms(&mut engine, &mut browser, &request, wanted);
        (0..=N_RUNS).map(run).skip(1).collect::<Vec<f64>>()
    };
    let generate =
        |prompt: &str, max_tokens: usize| json!({"Generate": {"prompt": prompt, "max_tokens": max_tokens}});
    let embed = timed(json!({"Embed": {"texts": [&passage]}}), "Embedded");
    let one = timed(generate("Once upon a time", 1), "Generated");
    let many = timed(generate("Once upon a time", N_TOKENS + 1), "Generated");
    let prompt = timed(generate(&format!("{passage}\n\nIn short:"), 1), "Generated");
    let speeds = many.iter().zip(&one).map(|(many, one)| N_TOKENS as f64 / (many - one) * 1e3).collect();
    vec![
        row("first start, models downloaded from this machine", "ms", vec![first_ms]),
        row("second start, models from the browser's storage", "ms", vec![second_ms]),
        row("embed one passage of 120 tokens", "ms", embed),
        row("tokens written after a short prompt", "tokens/s", speeds),
        row("first token after the same passage as a prompt", "ms", prompt),
    ]
}

fn golden_passage() -> String {
    let path = workspace().join("fixtures/golden/minilm.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let golden: Value = serde_json::from_str(&text).expect("golden files are JSON");
    let row = golden["rows"].as_array().into_iter().flatten().find(|row| row["name"] == "passage_128");
    row.and_then(|row| row["text"].as_str()).expect("the golden file has this row").to_owned()
}

fn timed_ms(engine: &mut Engine, browser: &mut Browser, request: &Value, wanted: &str) -> f64 {
    let begun = Instant::now();
    let reply = engine.request(browser, request.clone(), 300);
    assert!(reply.get(wanted).is_some(), "{reply}");
    begun.elapsed().as_secs_f64() * 1e3
}

fn row(what: &str, unit: &str, mut figures: Vec<f64>) -> Value {
    figures.sort_by(f64::total_cmp);
    let last = figures.len() - 1;
    json!({"what": what, "unit": unit, "median": figures[last / 2], "min": figures[0], "max": figures[last],
        "n_runs": figures.len()})
}
