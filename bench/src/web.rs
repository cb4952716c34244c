//! The web app's engine in headless Chromium, through the same messages a page sends.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use browser::{Browser, Engine, Launch, Site};
use serde_json::{Value, json};

use crate::{Args, Outcome, Row, Rows, Tier};

/// Tokens between the two measurements that a decoding speed is made of.
const N_TOKENS: usize = 64;
/// Files of a line each, as a folder of notes has them.
const N_SMALL_FILES: usize = 40;

pub(crate) fn rows(args: &Args) -> Outcome<Rows> {
    let is_gpu = matches!(args.tier, Tier::Gpu);
    let tier = if is_gpu { "Gpu" } else { "Cpu" };
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: is_gpu });
    let begun = Instant::now();
    site.engine(&mut browser, tier, true);
    let first_ms = begun.elapsed().as_secs_f64() * 1e3;
    let begun = Instant::now();
    let mut engine = site.engine(&mut browser, tier, true);
    let second_ms = begun.elapsed().as_secs_f64() * 1e3;
    let passage = golden_passage()?;
    timed_ms(&mut engine, &mut browser, &json!({"Embed": {"texts": [&passage]}}), "Embedded");
    let first_vector_ms = begun.elapsed().as_secs_f64() * 1e3;
    let short = json!({"Generate": {"prompt": "Once upon a time", "max_tokens": 1}});
    timed_ms(&mut engine, &mut browser, &short, "Generated");
    let first_token_ms = begun.elapsed().as_secs_f64() * 1e3;

    let mut timed = |request: &dyn Fn(usize) -> Value, wanted: &str| {
        let run = |run| timed_ms(&mut engine, &mut browser, &request(run), wanted);
        // The first run warms up.
        (0..=args.runs).map(run).skip(1).collect::<Vec<f64>>()
    };
    let generate =
        |prompt: &str, max_tokens: usize| json!({"Generate": {"prompt": prompt, "max_tokens": max_tokens}});
    let embed = timed(&|_| json!({"Embed": {"texts": [&passage]}}), "Embedded");
    let one = timed(&|_| generate("Once upon a time", 1), "Generated");
    let many = timed(&|_| generate("Once upon a time", N_TOKENS + 1), "Generated");
    // Each prompt begins differently: what the engine has read once it need not read again.
    let prompt = timed(&|run| generate(&format!("{run}. {passage}\n\nIn short:"), 1), "Generated");
    let speeds = many.iter().zip(&one).map(|(many, one)| N_TOKENS as f64 / (many - one) * 1e3).collect();
    let mut rows = Rows::from(vec![
        Row::new("first start, models downloaded from this machine", "ms", vec![first_ms]),
        Row::new("second start, models from the browser's storage", "ms", vec![second_ms]),
        Row::new("second start and a first vector", "ms", vec![first_vector_ms]),
        Row::new("second start, a first vector and a first token", "ms", vec![first_token_ms]),
        Row::new("embed one passage of 120 tokens", "ms", embed),
        Row::new("tokens written after a short prompt", "tokens/s", speeds),
        Row::new("first token after the same passage as a prompt", "ms", prompt),
    ]);
    for (name, times) in hand_over(&site, &mut browser, tier, args.runs) {
        rows.rows.push(Row::new(name, "ms", times));
    }
    let small = small_files(&site, tier, args.runs)?;
    rows.rows.push(Row::new(
        format!("{N_SMALL_FILES} notes dropped on the page are in the knowledge base"),
        "ms",
        small,
    ));
    match browser.peak_memory_bytes() {
        Some(bytes) => rows.rows.push(Row::new("peak memory of the tab", "MB", vec![bytes as f64 / 1e6])),
        None => rows.skip("peak memory of the tab", "only Linux tells"),
    }
    Ok(rows)
}

/// A fresh page takes small files, from the drop until the last is in the knowledge base.
fn small_files(site: &Site, tier: &str, n_runs: usize) -> Outcome<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for note in 0..N_SMALL_FILES {
        let path = folder.path().join(format!("note-{note}.txt"));
        let (boats, gulls) = (note * 7, note * 11);
        std::fs::write(&path, format!("Note {note}. The keeper counted {boats} boats and {gulls} gulls.\n"))?;
        files.push(path);
    }
    let query = format!("?generator=off&tier={}", tier.to_lowercase());
    let run = |_| {
        let mut browser = Browser::launch(Launch { webgpu: tier == "Gpu" });
        site.open(&mut browser, &query);
        let begun = Instant::now();
        browser.drop_files("#drop", &files);
        browser.wait_for_documents(N_SMALL_FILES, 300);
        begun.elapsed().as_secs_f64() * 1e3
    };
    Ok((0..n_runs).map(run).collect())
}

/// The tab with the engine is closed while another one waits: how long until that one is elected,
/// serves (store and embedder), and can write (generator).
fn hand_over(site: &Site, browser: &mut Browser, tier: &str, n_runs: usize) -> [(&'static str, Vec<f64>); 3] {
    let mut rows = [
        ("the serving tab closes: another one is elected", Vec::new()),
        ("the serving tab closes: another one serves", Vec::new()),
        ("the serving tab closes: another one can write", Vec::new()),
    ];
    for _ in 0..n_runs {
        let next = browser.open_page();
        let serving = browser.switch_to(&next);
        site.engine(browser, tier, true);
        let closed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64() * 1e3);
        browser.close_page(&serving);
        for (kind, (_, times)) in ["Moved", "Ready", "State"].into_iter().zip(&mut rows) {
            times.push(browser.told_at(kind, closed.floor(), 60) - closed);
        }
    }
    rows
}

fn golden_passage() -> Outcome<String> {
    let path = browser::workspace().join("fixtures/golden/minilm.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let row = golden["rows"].as_array().into_iter().flatten().find(|row| row["name"] == "passage_128");
    Ok(row.and_then(|row| row["text"].as_str()).ok_or("the golden file has no such passage")?.to_owned())
}

fn timed_ms(engine: &mut Engine, browser: &mut Browser, request: &Value, wanted: &str) -> f64 {
    let begun = Instant::now();
    let reply = engine.request(browser, request.clone(), 300);
    assert!(reply.get(wanted).is_some(), "{reply}");
    begun.elapsed().as_secs_f64() * 1e3
}
