//! Three tabs on one knowledge base: one engine serves all, and another takes over when its tab goes.

use std::time::{Duration, Instant};

use browser::{Browser, Site, document};

/// What the issue asks for is 2 s, which `bench web` measures; this only notices what is far off, on
/// a machine with other work.
const MAX_HAND_OVER: Duration = Duration::from_secs(10);

/// Opens `n` tabs, the first of which has the engine.
fn open_tabs(site: &Site, browser: &mut Browser, n: usize, query: &str) -> Vec<String> {
    site.open(browser, query);
    let mut tabs = Vec::new();
    for _ in 1..n {
        let next = browser.open_page();
        tabs.push(browser.switch_to(&next));
        site.open(browser, query);
        if tabs.len() == n - 1 {
            tabs.push(next);
        }
    }
    tabs
}

#[test]
fn three_tabs_share_one_engine_and_what_is_stored() {
    let site = Site::start();
    let mut browser = Browser::plain();
    let tabs = open_tabs(&site, &mut browser, 3, "?tier=cpu&generator=off");
    // Each tab adds a document, and each sees all three.
    let names = ["harbour.md", "ferry-notes.txt", "tide-guide.html"];
    for (tab, name) in tabs.iter().zip(names) {
        browser.switch_to(tab);
        browser.drop_files("#drop", &[document(name)]);
    }
    for tab in &tabs {
        browser.switch_to(tab);
        let mut stored = browser.wait_for_documents(3, 60);
        stored.sort();
        assert_eq!(stored, ["ferry-notes.txt", "harbour.md", "tide-guide.html"]);
        browser.ask("How high is the tower of the lighthouse?", 60);
        assert!(browser.texts(".quote .words").concat().contains("41.5"));
    }
    // One deletes, all see it.
    browser.click("#documents .delete[aria-label='Delete tide-guide.html']");
    browser.click("#documents .confirm .danger");
    for tab in &tabs {
        browser.switch_to(tab);
        browser.wait_for_documents(2, 30);
    }
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn an_answer_arrives_although_the_serving_tab_closes_in_the_middle() {
    let site = Site::start();
    let mut browser = Browser::plain();
    let tabs = open_tabs(&site, &mut browser, 3, "?tier=cpu");
    browser.switch_to(&tabs[2]);
    browser.drop_files("#drop", &[document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    let question = "Who kept the lighthouse, and what did each of the keepers do?";
    // The tab that has waited longest takes over: the second, then the one that asks.
    for (at, gone) in tabs[..2].iter().enumerate() {
        browser.begin_asking(question);
        let writing = "document.querySelector('.exchange .answer')?.innerText.length > 40";
        browser.wait_for("the answer is being written", writing, 60);
        let closed = Instant::now();
        match at {
            0 => browser.close_page(gone),
            _ => browser.crash_page(gone),
        }
        let answered = "document.querySelector('.exchange').getAttribute('aria-busy') === 'false'";
        browser.wait_for("the answer is complete", answered, 120);
        let ready = "document.querySelector('#notice').innerText === ''";
        browser.wait_for("the engine is ready", ready, 60);
        eprintln!("an answer that was begun anew was complete after {:?}", closed.elapsed());
        assert!(!browser.texts(".exchange:first-child .quote").is_empty(), "quotes are there");
        assert!(!browser.text(".exchange").contains("Stopped"), "{}", browser.text(".exchange"));
    }
}

#[test]
fn a_document_is_stored_although_the_serving_tab_closes_in_the_middle() {
    let site = Site::start();
    let mut browser = Browser::plain();
    let tabs = open_tabs(&site, &mut browser, 3, "?tier=cpu&generator=off");
    browser.switch_to(&tabs[2]);
    browser.drop_files("#drop", &["almanac.pdf", "harbour.md", "ferry-notes.txt"].map(document));
    let working = "document.querySelector('#jobs progress') !== null";
    browser.wait_for("a file is being read", working, 30);
    let closed = Instant::now();
    browser.close_page(&tabs[0]);
    browser.wait_for("another engine serves", "document.querySelector('#notice').innerText !== ''", 10);
    browser.wait_for("the engine is ready", "document.querySelector('#notice').innerText === ''", 60);
    let took = closed.elapsed();
    eprintln!("another tab served after {took:?}");
    assert!(took < MAX_HAND_OVER, "{took:?}");
    let mut stored = browser.wait_for_documents(3, 60);
    stored.sort();
    assert_eq!(stored, ["almanac.pdf", "ferry-notes.txt", "harbour.md"]);
    browser.switch_to(&tabs[1]);
    browser.wait_for_documents(3, 10);
    browser.ask("How high is the tower of the lighthouse?", 60);
    assert!(browser.texts(".quote .words").concat().contains("41.5"));
}
