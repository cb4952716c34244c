//! The whole way on the CPU tier: drop, ask, follow a footnote, reload, ask again, delete.

use std::time::{Duration, Instant};

use browser::{Browser, Site, document};

#[test]
fn from_dropped_files_to_footnotes_and_back_after_a_reload() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu");
    assert!(browser.text("#tier").starts_with("CPU"), "{}", browser.text("#tier"));

    browser.drop_files("#drop", &[document("almanac.pdf"), document("harbour.md"), readme()]);
    let mut names = browser.wait_for_documents(3, 120);
    names.sort();
    assert_eq!(names, ["README.md", "almanac.pdf", "harbour.md"]);
    let rows = browser.texts("#documents .doc .meta");
    assert!(rows.iter().any(|row| row.contains("PDF · 3 pages")), "{rows:?}");

    check_pdf_footnote(&mut browser);
    check_markdown_footnote(&mut browser);
    check_refusal(&mut browser);

    browser.reload();
    let ready = "document.querySelectorAll('#documents .doc').length === 3 && document.querySelector('#notice').innerText === ''";
    browser.wait_for("the documents are back", ready, 120);
    check_pdf_footnote(&mut browser);
    check_delete(&mut browser);
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn an_answer_can_be_stopped_at_once() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu");
    browser.choose_files("#files", &[document("harbour.md"), document("ferry-notes.txt")]);
    browser.wait_for_documents(2, 120);
    let questions = [
        (false, "Who kept the lighthouse, and what did each of the keepers do?"),
        (true, "What do fishing boats of the island and other boats pay?"),
    ];
    for (by_key, question) in questions {
        browser.begin_asking(question);
        browser.wait_for(
            "quotes are shown",
            "document.querySelector('.exchange:first-child .quote') !== null",
            60,
        );
        // A second click on the button that asked is no wish to stop.
        browser.eval("document.querySelector('#stop').dispatchEvent(new MouseEvent('click', { detail: 2, bubbles: true }))");
        let is_busy = "document.querySelector('.exchange').getAttribute('aria-busy')";
        assert_eq!(browser.eval(is_busy), "true", "a double click stops nothing");
        let asked = Instant::now();
        if by_key {
            browser.press("Escape");
        } else {
            browser.click("#stop");
        }
        let stopped = "document.querySelector('.exchange').getAttribute('aria-busy') === 'false'";
        browser.wait_for("the answer has stopped", stopped, 20);
        assert!(asked.elapsed() < Duration::from_secs(1), "stopping took {:?}", asked.elapsed());
        assert!(!browser.texts(".exchange .quote").is_empty(), "quotes stay");
        assert!(browser.text(".exchange").contains("Stopped"), "{}", browser.text(".exchange"));
    }
    let answer = browser.ask("How high is the tower of the lighthouse?", 120);
    assert!(!answer.is_empty(), "the engine goes on after a stop");
}

/// A second Markdown file beside `harbour.md`.
fn readme() -> std::path::PathBuf {
    document("README.md")
}

fn check_pdf_footnote(browser: &mut Browser) {
    browser.ask("What was the record catch of herring, and in which year was it landed?", 120);
    let quotes = browser.texts(".exchange:first-child .quote .words");
    let n = quotes.iter().position(|quote| quote.contains("214 tonnes")).map(|at| at + 1);
    let n = n.unwrap_or_else(|| panic!("no quote has the catch: {quotes:?}"));
    browser.click(&format!(".exchange:first-child .quote[data-n='{n}']"));
    browser.wait_for("the source is open", "document.querySelector('#source mark') !== null", 20);
    assert_eq!(browser.text("#source-name"), "almanac.pdf");
    assert_eq!(browser.text("#source-page"), "Page 2");
    let marked = browser.texts("#source mark").concat();
    assert!(marked.contains("214 tonnes"), "{marked}");
    let in_sight = "(() => { const m = document.querySelector('#source mark').getBoundingClientRect();
        const s = document.querySelector('#source-text').getBoundingClientRect();
        return m.top >= s.top && m.top < s.bottom; })()";
    browser.wait_for("the passage is in sight", in_sight, 10);
    assert_eq!(
        browser.eval("document.activeElement.closest('#source') !== null"),
        true,
        "focus is in the source"
    );
    browser.press("Escape");
    browser.wait_for("the source is closed", "document.querySelector('#source') === null", 10);
    let focus = browser.eval("document.activeElement.className");
    assert!(focus.as_str().unwrap_or("").contains("quote"), "focus is back at the quote, not at {focus}");
}

fn check_markdown_footnote(browser: &mut Browser) {
    let answer = browser.ask("Who built the lighthouse of Lindmar?", 120);
    let refs = browser.texts(".exchange:first-child .answer .ref");
    assert!(!refs.is_empty(), "the answer has footnotes: {answer}");
    browser.click(".exchange:first-child .answer .ref");
    browser.wait_for("the source is open", "document.querySelector('#source mark') !== null", 20);
    let first = refs[0].clone();
    let quote = browser.text(&format!(".exchange:first-child .quote[data-n='{first}'] .words"));
    let marked = browser.text("#source mark");
    // The page shows Markdown's marks as what they mean, the source shows the file as it is.
    assert_eq!(squeezed(&marked.replace('*', "")), squeezed(&quote), "the highlight is the quote");
    assert_eq!(browser.text("#source-page"), "", "Markdown has no pages");
    let all = browser.texts(".exchange:first-child .quote .words").concat();
    assert!(all.contains("Ottilie Brandt"), "{all}");
    browser.press("Escape");
}

fn check_refusal(browser: &mut Browser) {
    browser.ask("What is the boiling point of tungsten?", 120);
    let refused = browser.eval("document.querySelector('.exchange .answer').classList.contains('refusal')");
    assert_eq!(refused, true, "{}", browser.text(".exchange"));
}

fn check_delete(browser: &mut Browser) {
    browser.click("#documents .delete[aria-label='Delete almanac.pdf']");
    browser.click("#documents .confirm .danger");
    let names = browser.wait_for_documents(2, 30);
    assert!(!names.contains(&"almanac.pdf".to_owned()), "{names:?}");
    browser.eval(
        "[...document.querySelectorAll('.quote')].find((quote) => quote.innerText.includes('almanac.pdf')).click()",
    );
    let told = "document.querySelector('#source [role=alert]')?.innerText.includes('cannot be shown')";
    browser.wait_for("the source says that it is gone", told, 20);
    browser.press("Escape");
    browser.ask("What was the record catch of herring, and in which year was it landed?", 120);
    let places = browser.texts(".exchange:first-child .quote .place");
    assert!(places.iter().all(|place| !place.contains("almanac.pdf")), "{places:?}");
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
