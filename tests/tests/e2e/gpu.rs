//! The GPU tier in a browser, on a software adapter: slow, but the same kernels.

use std::time::Instant;

use browser::{Browser, Launch, Site, document};
use serde_json::json;

/// A software adapter writes a few tokens in a second.
const N_TOKENS: usize = 12;

#[test]
fn the_gpu_tier_answers_where_it_is_forced() {
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: true });
    site.open(&mut browser, "?tier=gpu&generator=off");
    assert!(browser.text("#tier").starts_with("GPU"), "{}", browser.text("#tier"));
    browser.drop_files("#drop", &[document("ferry-notes.txt")]);
    browser.wait_for_documents(1, 240);
    browser.ask("How long does a crossing of the ferry take?", 240);
    let quotes = browser.texts(".exchange .quote .words").concat();
    assert!(quotes.contains("1.5 hours"), "{quotes}");
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

/// The self-test compiles each of the kernels that GPUs run, plain ones and variants, with the browser's
/// own compiler, and compares their numbers.
#[test]
fn every_kernel_variant_passes_the_self_test() {
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: true });
    let mut engine = site.engine(&mut browser, "GpuAll", false);
    let tier = engine.request(&mut browser, json!("State"), 30)["State"]["state"]["tier"].clone();
    assert_eq!(tier["kernels"], json!(["wide tiles", "8-bit products", "attention tiles"]), "{tier}");
    let missing = [
        "f16 tiles: the adapter does not offer f16 arithmetic",
        "subgroups: the adapter does not offer subgroups",
    ];
    assert_eq!(tier["rejected_kernels"], json!(missing), "{tier}");
}

#[test]
fn a_software_adapter_is_left_alone_unless_forced() {
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: true });
    site.open(&mut browser, "?generator=off");
    let tier = browser.text("#tier");
    assert!(tier.starts_with("CPU"), "a software adapter is slower than the processor itself: {tier}");
}

/// The browser's GPU process dies in the middle of a text: the text is the one it would have been.
#[test]
fn a_text_goes_on_after_the_gpu_process_died() {
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: true });
    let mut engine = site.engine(&mut browser, "Gpu", true);
    let request = json!({"Generate": {"prompt": "The capital of France is", "max_tokens": N_TOKENS}});
    let started = Instant::now();
    let undisturbed = engine.request(&mut browser, request.clone(), 240);
    assert!(undisturbed["Generated"]["tokens"].as_array().is_some_and(|t| t.len() > 4), "{undisturbed}");

    let running = engine.begin(&mut browser, request);
    // The first time kernels were compiled, too: half of it may be more than the text takes now.
    std::thread::sleep(started.elapsed() / 4);
    browser.crash_gpu();
    assert_eq!(engine.wait(&mut browser, running, 240), undisturbed);
    let state = engine.request(&mut browser, json!("State"), 60);
    let tier = &state["State"]["state"]["tier"];
    assert!(tier["reason"].as_str().is_some_and(|reason| reason.contains("lost")), "{tier}");

    // And between two requests. After the second death a browser may give no adapter any more: the
    // processor then goes on, with numbers that differ by roundings.
    let embed = json!({"Embed": {"texts": ["The ferry leaves at nine."]}});
    let before = engine.request(&mut browser, embed.clone(), 120);
    browser.crash_gpu();
    let after = engine.request(&mut browser, embed, 240);
    let [before, after] = [before, after].map(|reply| vector(&reply));
    assert_eq!(before.len(), 384);
    let cosine: f64 = before.iter().zip(&after).map(|(a, b)| a * b).sum();
    assert!((cosine - 1.0).abs() < 1e-4, "cosine {cosine}");
}

/// The first vector of a reply to `Embed`, of length 1.
fn vector(reply: &serde_json::Value) -> Vec<f64> {
    let numbers = reply["Embedded"]["vectors"][0].as_array().unwrap_or_else(|| panic!("{reply}"));
    numbers.iter().map(|number| number.as_f64().expect("a number")).collect()
}
