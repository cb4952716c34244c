//! What the shelf offers besides documents: collections, conversations, copies.

use browser::{Browser, Site, document, target_folder};

#[test]
fn collections_put_documents_in_order_and_are_asked_alone() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu&generator=off");
    browser.drop_files("#drop", &["harbour.md", "ferry-notes.txt"].map(document));
    browser.wait_for_documents(2, 60);
    browser.click("#new-collection");
    browser.type_text("Ferries");
    browser.press("Enter");
    browser.wait_for("the collection is there", &count("#collections li", 2), 20);
    // Moved by its row's panel.
    browser.click("#documents .more-button[aria-label='More about ferry-notes.txt']");
    browser.eval(
        "(() => { const s = document.querySelector('#documents select');
           s.value = [...s.options].find((o) => o.text === 'Ferries').value;
           s.dispatchEvent(new Event('change', { bubbles: true })); })()",
    );
    let counted = "document.querySelector('#collections li:nth-child(2) .count')?.innerText === '1'";
    browser.wait_for("the document is moved", counted, 20);
    browser.eval("document.querySelector('#documents .details input').focus()");
    browser.type_text("timetable, winter");
    browser.press("Enter");
    browser.wait_for("the tags are there", &count("#documents .tag", 2), 20);
    assert_eq!(browser.texts("#documents .tag"), ["timetable", "winter"]);
    browser.click("#collections li:nth-child(2) .collection");
    assert_eq!(browser.texts("#documents .doc .name"), ["ferry-notes.txt"]);
    assert!(browser.text("#within").contains("Ferries"), "{}", browser.text("#within"));
    let tower = "How high is the tower of the lighthouse?";
    browser.ask(tower, 60);
    let from_harbour = |places: &[String]| places.iter().filter(|place| place.contains("harbour.md")).count();
    assert_eq!(from_harbour(&browser.texts(".exchange:first-child .quote .place")), 0);
    browser.ask("How long does a crossing take?", 60);
    let places = browser.texts(".exchange:first-child .quote .place");
    assert!(!places.is_empty() && from_harbour(&places) == 0, "{places:?}");
    browser.click("#within button");
    browser.ask(tower, 60);
    assert!(from_harbour(&browser.texts(".exchange:first-child .quote .place")) > 0);
    browser.click("#collections li:nth-child(2) .collection");
    // Renamed and deleted; its document stays.
    browser.click("#collections .rename");
    browser.type_text("Boats");
    browser.press("Enter");
    browser.wait_for(
        "it is renamed",
        "document.querySelector('#collections').innerText.includes('Boats')",
        20,
    );
    browser.click("#collections .delete");
    check_escape(&mut browser, "#collections .delete");
    browser.click("#collections .delete");
    browser.click("#collections .confirm button");
    browser.wait_for("it is gone", &count("#collections li", 1), 20);
    assert_eq!(browser.wait_for_documents(2, 10).len(), 2);
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn conversations_are_there_after_a_reload_and_go_on() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu&generator=off");
    browser.drop_files("#drop", &[document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    let first = "How high is the tower of the lighthouse?";
    browser.ask(first, 60);
    browser.reload();
    browser.wait_for_engine(60);
    browser.click("#show-conversations");
    browser.wait_for("it is listed", &count("#conversations li", 1), 20);
    assert_eq!(browser.text("#conversations .doc .name"), first);
    browser.click("#conversations .doc");
    browser.wait_for("it is shown", &count(".exchange", 1), 20);
    assert_eq!(browser.text(".exchange h2"), first);
    assert!(browser.texts(".exchange .quote .words").concat().contains("41.5"));
    browser.ask("And who built it?", 60);
    let counted = "document.querySelector('#conversations .doc .meta').innerText.includes('2 questions')";
    browser.wait_for("the list knows of both", counted, 20);
    browser.click("#new-conversation");
    browser.wait_for("a new one is empty", &count(".exchange", 0), 10);
    for button in ["#conversations .rename", "#conversations .delete"] {
        browser.click(button);
        check_escape(&mut browser, button);
    }
    browser.click("#conversations .delete");
    browser.click("#conversations .confirm .danger");
    browser.wait_for("it is gone", &count("#conversations .doc", 0), 20);
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn an_export_is_taken_in_by_another_browser() {
    let site = Site::start();
    let downloads = target_folder().join("e2e-downloads");
    // What an earlier run left is not this one's.
    let _ = std::fs::remove_dir_all(&downloads);
    std::fs::create_dir_all(&downloads).expect("the build folder can be written");
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu&generator=off");
    browser.drop_files("#drop", &["harbour.md", "almanac.pdf"].map(document));
    browser.wait_for_documents(2, 60);
    browser.download_to(&downloads);
    browser.click("#export");
    let file = browser.wait_for_download(&downloads, 30);
    drop(browser);
    let mut other = Browser::plain();
    site.open(&mut other, "?tier=cpu&generator=off");
    other.choose_files("#import", &[document("harbour.md")]);
    other.wait_for("what is no export is refused", &count("#problem .reason", 1), 20);
    other.choose_files("#import", &[file]);
    let mut names = other.wait_for_documents(2, 60);
    names.sort();
    assert_eq!(names, ["almanac.pdf", "harbour.md"]);
    assert_eq!(other.texts("#problem"), [] as [&str; 0]);
    other.ask("How high is the tower of the lighthouse?", 60);
    assert!(other.texts(".exchange .quote .words").concat().contains("41.5"));
    assert_eq!(other.exceptions(), [] as [&str; 0]);
}

/// Escape closes what a button has opened, and the button has the focus again.
fn check_escape(browser: &mut Browser, button: &str) {
    browser.press("Escape");
    let is_back = format!("document.activeElement === document.querySelector(\"{button}\")");
    browser.wait_for(&format!("the focus is back at {button}"), &is_back, 10);
}

fn count(selector: &str, n: usize) -> String {
    format!("document.querySelectorAll(\"{selector}\").length === {n}")
}
