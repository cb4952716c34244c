//! What the service worker gives: a start without a network, threads on a host that sets no headers,
//! and never files of two versions together.

use browser::{Browser, Site, document, target_folder};
use serde_json::json;

use crate::files::{copy_folder, rewrite};

const KEPT: &str = "(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    return registration?.active?.state === 'activated' && !registration.installing; })()";

/// Opens the page as a user does, service worker and all.
fn open(browser: &mut Browser, origin: &str) {
    browser.goto(&format!("{origin}/?tier=cpu"));
    browser.wait_for_engine(240);
}

fn wait_until_kept(browser: &mut Browser) {
    browser.wait_for("the app is kept", &format!("await {KEPT}"), 60);
}

#[test]
fn after_the_first_load_the_app_works_without_a_network() {
    let site = Site::start();
    let mut browser = Browser::plain();
    open(&mut browser, &site.origin());
    browser.drop_files("#drop", &[document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    wait_until_kept(&mut browser);
    let offline = site.go_offline();
    browser.reload();
    browser.wait_for_engine(120);
    assert!(browser.text("#tier").contains(", 2 threads)"), "{}", browser.text("#tier"));
    assert_eq!(browser.wait_for_documents(1, 10), ["harbour.md"]);
    // The ingest worker is started for each file, and has to come from what is kept as well.
    browser.drop_files("#drop", &[document("ferry-notes.txt")]);
    browser.wait_for_documents(2, 60);
    browser.ask("How high is the tower of the lighthouse?", 120);
    assert!(browser.texts(".exchange .quote .words").concat().contains("41.5"));
    // And a further tab.
    let next = browser.open_page();
    browser.switch_to(&next);
    open(&mut browser, &offline.origin);
    browser.wait_for_documents(2, 10);
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn a_host_without_the_headers_gets_threads() {
    let site = Site::not_isolated();
    let mut browser = Browser::plain();
    browser.goto(&format!("{}/?tier=cpu&generator=off&threads=2", site.origin()));
    browser.wait_for("the page is isolated", "crossOriginIsolated", 60);
    browser.wait_for_engine(120);
    assert!(browser.text("#tier").contains(", 2 threads)"), "{}", browser.text("#tier"));
    browser.choose_files("#files", &[document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    browser.ask("How high is the tower of the lighthouse?", 60);
    assert!(browser.texts(".exchange .quote .words").concat().contains("41.5"));
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

/// The line of `style.css` that tells the versions apart.
const NEW_STYLE: &str = ":root { --version: 2; }\n";

#[test]
fn a_new_version_comes_as_a_whole_and_when_no_tab_has_the_old_one() {
    let app = target_folder().join("e2e-app");
    copy_folder(&target_folder().join("web-dist"), &app);
    let site = Site::with_app_in(&app);
    let mut browser = Browser::plain();
    let version = "getComputedStyle(document.documentElement).getPropertyValue('--version')";
    open(&mut browser, &site.origin());
    wait_until_kept(&mut browser);
    browser.reload();
    browser.wait_for_engine(60);

    // The server is in the middle of an update: a new file, and a list that names another one.
    let old_style = std::fs::read_to_string(app.join("style.css")).expect("the app has a style");
    let new_style = format!("{NEW_STYLE}{old_style}");
    rewrite(&app, "style.css", &new_style);
    let old_list = std::fs::read_to_string(app.join("service-worker.js")).expect("the app has one");
    let [old_hash, new_hash] = [&old_style, &new_style].map(|text| integrity(&mut browser, text));
    assert!(old_list.contains(&old_hash), "the list has the hash of the style");
    let named =
        |list: &str, version| list.replace("const VERSION = \"", &format!("const VERSION = \"{version}"));
    rewrite(&app, "service-worker.js", &named(&old_list, "half"));
    browser.eval("navigator.serviceWorker.getRegistration().then((all) => all.update()).then(() => true)");
    browser.wait_for("the half is refused", &format!("await {KEPT}"), 60);
    browser.reload();
    browser.wait_for_engine(60);
    assert_eq!(browser.eval(version), "", "the old version is whole");

    // The update is complete; a second tab still has the old version.
    let second = browser.open_page();
    let first = browser.switch_to(&second);
    open(&mut browser, &site.origin());
    rewrite(&app, "service-worker.js", &named(&old_list.replace(&old_hash, &new_hash), "new"));
    browser.eval("navigator.serviceWorker.getRegistration().then((all) => all.update()).then(() => true)");
    let waits = "(await navigator.serviceWorker.getRegistration()).waiting !== null";
    browser.wait_for("the new version waits", waits, 60);
    browser.reload();
    browser.wait_for_engine(60);
    assert_eq!(browser.eval(version), "", "as long as a tab has the old version, all have");
    browser.close_page(&first);
    let alone =
        "(await navigator.locks.query()).held.filter((l) => l.name.startsWith('footnote-tab-')).length === 1";
    browser.wait_for("the other tab is gone", alone, 10);
    browser.reload();
    browser.wait_for("the new version is there", &format!("{version} === '2'"), 30);
    browser.wait_for_engine(60);
    let caches = browser.eval("caches.keys().then((all) => all.length)");
    assert_eq!(caches, 1, "the old version is gone");
    // That half an update was refused is reported as an exception, and should be.
    let others: Vec<_> =
        browser.exceptions().into_iter().filter(|e| !e.contains("service-worker.js")).collect();
    assert_eq!(others, [] as [&str; 0]);
}

/// What the service worker's list says about a file of this text.
fn integrity(browser: &mut Browser, text: &str) -> String {
    let script = format!(
        "crypto.subtle.digest('SHA-256', new TextEncoder().encode({})).then((hash) =>
           'sha256-' + btoa(String.fromCharCode(...new Uint8Array(hash))))",
        json!(text)
    );
    browser.eval(&script).as_str().expect("a hash").to_owned()
}
