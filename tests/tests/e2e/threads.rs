//! The two builds of the engine on any number of threads, and the page meanwhile.

use std::time::Instant;

use browser::{Browser, Site, Start, document};
use serde_json::{Value, json};

/// More than enough for a page that only draws, less than any step of a model or a parser on a busy
/// machine without a graphics card.
const MAX_PAGE_TASK_MS: f64 = 400.0;

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let site = Site::start();
    let mut browser = Browser::plain();
    let [one, two, three] = [1, 2, 3].map(|n_threads| {
        let how = Start { tier: "Cpu", build: Some("threads"), threads: Some(n_threads), ..Start::default() };
        let (ready, outcome) = vectors_and_tokens(&site, &mut browser, how);
        assert_eq!(ready["state"]["state"]["tier"]["n_threads"], n_threads);
        outcome
    });
    assert_eq!(one, two);
    assert_eq!(one, three);
}

#[test]
fn the_plain_build_runs_on_one_thread_and_writes_the_same_words() {
    let site = Site::start();
    let mut browser = Browser::plain();
    let plain = Start { tier: "Cpu", build: Some("plain"), threads: Some(2), ..Start::default() };
    let (ready, of_plain) = vectors_and_tokens(&site, &mut browser, plain);
    assert_eq!(ready["state"]["state"]["tier"]["n_threads"], 1);
    let (_, of_threads) = vectors_and_tokens(&site, &mut browser, Start { build: Some("threads"), ..plain });
    assert_eq!(of_plain["tokens"], of_threads["tokens"]);
}

#[test]
fn a_host_without_the_headers_gets_one_thread_and_answers() {
    let site = Site::not_isolated();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu");
    assert_eq!(browser.eval("crossOriginIsolated"), false);
    assert!(browser.text("#tier").contains(", 1 thread)"), "{}", browser.text("#tier"));
    browser.choose_files("#files", &[document("harbour.md")]);
    browser.wait_for_documents(1, 120);
    browser.ask("How high is the tower of the lighthouse?", 120);
    assert!(!browser.texts(".exchange .quote").is_empty(), "quotes are found");
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn the_page_stays_responsive_while_the_engine_works() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu&threads=2");
    assert!(browser.text("#tier").contains(", 2 threads)"), "{}", browser.text("#tier"));
    let begun = Instant::now();
    let names = ["almanac.pdf", "harbour.md", "ferry-notes.txt", "tide-guide.html"];
    browser.drop_files("#drop", &names.map(document));
    browser.wait_for_documents(names.len(), 120);
    browser.ask("Who kept the lighthouse, and what did each of the keepers do?", 120);
    let worked_ms = begun.elapsed().as_secs_f64() * 1e3;
    let tasks_ms = browser.eval(
        "new Promise((done) => {
           const durations = [];
           new PerformanceObserver((list) => durations.push(...list.getEntries().map((task) => task.duration)))
             .observe({ type: 'longtask', buffered: true });
           setTimeout(() => done(durations), 500);
         })",
    );
    let longest_ms = tasks_ms.as_array().into_iter().flatten().filter_map(Value::as_f64).fold(0.0, f64::max);
    eprintln!("{worked_ms:.0} ms of work; tasks of the page over 50 ms: {tasks_ms}");
    assert!(longest_ms <= MAX_PAGE_TASK_MS, "the page stood still for {longest_ms} ms: {tasks_ms}");
    assert!(worked_ms > 2.0 * MAX_PAGE_TASK_MS, "so little work proves nothing: {worked_ms} ms");
}

/// Starts an engine; what it said when it was ready, and what it computes.
fn vectors_and_tokens(site: &Site, browser: &mut Browser, how: Start) -> (Value, Value) {
    let (mut engine, ready) = site.start_engine(browser, how);
    let texts =
        ["A lighthouse of grey granite.", "It was lit in the autumn of 1884, and the harbour pays for it."];
    let mut embedded = engine.request(browser, json!({"Embed": {"texts": texts}}), 120);
    let prompt = "The lighthouse keeper climbed the stairs, lit the lamp, and then";
    let generate = json!({"Generate": {"prompt": prompt, "max_tokens": 8}});
    let mut generated = engine.request(browser, generate, 120);
    let outcome = json!({"vectors": embedded["Embedded"]["vectors"].take(), "tokens": generated["Generated"]["tokens"].take()});
    assert_eq!(outcome["tokens"].as_array().map(Vec::len), Some(8), "{outcome}");
    (ready, outcome)
}
