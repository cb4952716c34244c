//! The queue of files: it goes on after the tab has closed, stays paused, and tells what is there twice.

use browser::{Browser, Site, document, target_folder};

use crate::files::{log_book, write};

const QUERY: &str = "?tier=cpu&generator=off";
const IS_SHOWN: &str = "!document.querySelector('#queue').hidden";
/// Names of files that wait beside the knowledge base.
const KEPT: &str = "(async () => {
    const root = await navigator.storage.getDirectory();
    const kb = await root.getDirectoryHandle('kb');
    const queue = await kb.getDirectoryHandle('default.footnote.queue');
    const names = [];
    for await (const name of queue.keys()) names.push(name);
    return names; })()";

#[test]
fn ten_files_are_read_although_the_tab_closes_in_the_middle() {
    let site = Site::start();
    let mut browser = Browser::plain();
    let next = browser.open_page();
    site.open(&mut browser, QUERY);
    let books: Vec<_> = (0..10).map(|number| log_book(number, 120)).collect();
    browser.drop_files("#drop", &books);
    browser.wait_for("one is read", "document.querySelectorAll('#documents .doc').length > 0", 60);
    let n_read = browser.texts("#documents .doc .name").len();
    assert!(n_read < 10, "so small a queue proves nothing");
    let closed = browser.switch_to(&next);
    browser.close_page(&closed);

    site.open(&mut browser, QUERY);
    browser.wait_for("the queue goes on", &format!("{IS_SHOWN} || {}", n_documents(10)), 20);
    let mut names = browser.wait_for_documents(10, 120);
    names.sort();
    assert_eq!(names, (0..10).map(|number| format!("log-{number}.txt")).collect::<Vec<_>>());
    // Nothing was read twice, and nothing is kept any longer than it is needed.
    browser.wait_for("the queue is over", &format!("!({IS_SHOWN})"), 10);
    assert_eq!(browser.text("#notes"), "");
    assert_eq!(browser.eval(KEPT), serde_json::json!([]));
    browser.ask("How many gulls does entry 70042 count?", 60);
    assert!(browser.texts(".exchange .quote .words").concat().contains("770462"), "the eighth book is found");
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn a_pause_outlives_a_reload_and_what_is_cancelled_is_gone() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, QUERY);
    // The first takes so long that it is at work whenever the pause comes.
    browser.drop_files("#drop", &[log_book(20, 9_000), log_book(21, 30)]);
    browser.wait_for(
        "the queue is shown",
        &format!("{IS_SHOWN} && document.querySelectorAll('#jobs .job').length === 2"),
        30,
    );
    browser.click("#pause");
    let is_paused = "document.querySelector('#pause').innerText === 'Go on'";
    browser.wait_for("it is paused", is_paused, 30);
    browser.reload();
    browser.wait_for_engine(60);
    browser.wait_for("it is still paused", &format!("{IS_SHOWN} && {is_paused}"), 20);
    let line = browser.text("#queue-files");
    assert!(line.starts_with("0 of 2 files"), "{line}");
    let first = browser.text("#jobs .job");
    assert!(first.contains("log-20.txt") && first.contains("Paused"), "{first}");
    browser.click("#jobs .icon[aria-label='Cancel']");
    browser.wait_for("it is gone", "document.querySelectorAll('#jobs .job').length === 1", 20);
    browser.click("#pause");
    assert_eq!(browser.wait_for_documents(1, 60), ["log-21.txt"]);
    assert_eq!(browser.eval(KEPT), serde_json::json!([]));
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn copies_are_kept_once_and_told_and_the_browser_is_asked_to_keep_the_first() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, QUERY);
    browser.eval(
        "navigator.storage.persist = () => { globalThis.n_asked = (globalThis.n_asked ?? 0) + 1; return Promise.resolve(true); }",
    );
    let harbour = std::fs::read(document("harbour.md")).expect("a fixture");
    let folder = target_folder().join("e2e-files");
    let copy = write(&folder, "copy.md", &harbour);
    let newer = write(&folder, "newer.md", &[&harbour[..], b"\nThe tower was painted last year.\n"].concat());
    browser.drop_files("#drop", &[document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    browser.wait_for(
        "the browser keeps it",
        "document.querySelector('#storage').innerText.includes('kept until')",
        10,
    );
    browser.drop_files("#drop", &[copy]);
    let told = |what: &str| format!("document.querySelector('#notes')?.innerText.includes('{what}')");
    browser.wait_for("the copy is told", &told("copy.md is the same file as harbour.md"), 30);
    assert_eq!(browser.wait_for_documents(1, 10), ["harbour.md"]);
    browser.drop_files("#drop", &[newer]);
    browser.wait_for_documents(2, 60);
    browser.wait_for("the near copy is told", &told("words with harbour.md"), 30);
    browser.click("#documents .more-button[aria-label='More about newer.md']");
    let near = "document.querySelector('#documents .near')?.innerText.includes('harbour.md')";
    browser.wait_for("it stands by the document, too", near, 20);
    assert_eq!(browser.eval("globalThis.n_asked"), 1, "once in a visit");
    browser.click("#notes .icon");
    browser.wait_for("the notes are gone", "document.querySelector('#notes') === null", 10);
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

fn n_documents(n: usize) -> String {
    format!("document.querySelectorAll('#documents .doc').length === {n}")
}
