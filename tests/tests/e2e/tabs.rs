//! Two tabs on one knowledge base: one works, the other says so and can take over.

use browser::{Browser, Site, document};

#[test]
fn a_second_tab_says_so_and_can_take_over() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu&generator=off");
    browser.drop_files("#drop", &[document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    let second = browser.open_page();
    let first = browser.switch_to(&second);
    site.load(&mut browser, "?tier=cpu&generator=off");
    browser.wait_for(
        "the second tab says so",
        "document.querySelector('.notice')?.innerText.includes('another tab')",
        30,
    );
    browser.click(".notice button");
    assert_eq!(browser.wait_for_documents(1, 60), ["harbour.md"]);
    browser.ask("How high is the tower?", 60);
    assert!(browser.texts(".quote .words").concat().contains("41.5"));
    browser.switch_to(&first);
    browser.wait_for(
        "the first tab has paused",
        "document.querySelector('.notice')?.innerText.includes('another tab')",
        30,
    );
}
