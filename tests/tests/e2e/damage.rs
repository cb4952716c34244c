//! A knowledge base that is damaged, and a window that keeps none.

use browser::{Browser, Site, document, target_folder};

use crate::files::{copy_folder, rewrite};

const QUERY: &str = "?tier=cpu&generator=off";
/// Overwrites the first page of the knowledge base, once the engine of the page before has let go of it.
const DAMAGE: &str = "(async () => {
    const root = await navigator.storage.getDirectory();
    const kb = await root.getDirectoryHandle('kb');
    const file = await kb.getFileHandle('default.footnote');
    for (;;) {
      try {
        const out = await file.createWritable({ keepExistingData: true });
        await out.write({ type: 'write', position: 0, data: new Uint8Array(4096) });
        await out.close();
        return (await file.getFile()).size;
      } catch (error) {
        if (error.name !== 'NoModificationAllowedError') throw error;
        await new Promise((wake) => setTimeout(wake, 50));
      }
    }})()";
/// Names of knowledge bases.
const FILES: &str = "(async () => {
    const root = await navigator.storage.getDirectory();
    const kb = await root.getDirectoryHandle('kb');
    const names = [];
    for await (const [name, entry] of kb) if (entry.kind === 'file') names.push(name);
    return names; })()";

#[test]
fn what_is_readable_of_a_damaged_knowledge_base_is_saved_and_rebuilt() {
    let site = Site::start();
    let downloads = target_folder().join("e2e-rescued");
    // What an earlier run left is not this one's.
    let _ = std::fs::remove_dir_all(&downloads);
    std::fs::create_dir_all(&downloads).expect("the build folder can be written");
    let mut browser = Browser::plain();
    site.open(&mut browser, QUERY);
    browser.drop_files("#drop", &["harbour.md", "ferry-notes.txt"].map(document));
    browser.wait_for_documents(2, 60);
    browser.goto(&format!("{}/style.css", site.origin()));
    assert!(browser.eval(DAMAGE).as_u64() > Some(4096));

    site.load(&mut browser, QUERY);
    browser.wait_for("the damage is told", "document.querySelector('#rebuild') !== null", 60);
    browser.screenshot(&target_folder().join("screenshots/damaged.png"));
    browser.download_to(&downloads);
    browser.click("#rescue");
    let saved = browser.wait_for_download(&downloads, 30);
    browser.wait_for("it can go on", "!document.querySelector('#rebuild').disabled", 20);
    browser.click("#rebuild");
    browser.wait_for_engine(60);
    let mut names = browser.wait_for_documents(2, 20);
    names.sort();
    assert_eq!(names, ["ferry-notes.txt", "harbour.md"]);
    let told = browser.text("#rebuilt");
    // The page that was overwritten says what was stored last.
    assert!(told.contains("2 documents with 7 passages") && told.contains("stored last"), "{told}");
    browser.screenshot(&target_folder().join("screenshots/rebuilt.png"));
    assert_eq!(browser.eval(FILES).as_array().map(Vec::len), Some(2), "the damaged one is kept");
    browser.click("#rebuilt .danger");
    browser.wait_for("it is deleted", &format!("(await {FILES}).length === 1"), 20);
    browser.ask("How high is the tower of the lighthouse?", 60);
    assert!(browser.texts(".exchange .quote .words").concat().contains("41.5"));
    drop(browser);

    let mut other = Browser::plain();
    site.open(&mut other, QUERY);
    other.choose_files("#import", &[saved]);
    other.wait_for_documents(2, 60);
    assert_eq!(other.exceptions(), [] as [&str; 0]);
}

#[test]
fn a_window_without_files_says_that_nothing_is_kept_and_answers() {
    let app = target_folder().join("e2e-private-app");
    copy_folder(&target_folder().join("web-dist"), &app);
    let script = std::fs::read_to_string(app.join("engine-worker.js")).expect("the app has one");
    rewrite(
        &app,
        "engine-worker.js",
        &format!("delete FileSystemFileHandle.prototype.createSyncAccessHandle;\n{script}"),
    );
    let site = Site::with_app_in(&app);
    let mut browser = Browser::plain();
    site.open(&mut browser, QUERY);
    assert!(
        browser.text("#not-kept").contains("gone when this tab is closed"),
        "{}",
        browser.text("#not-kept")
    );
    assert!(browser.text("#storage").contains("in memory"), "{}", browser.text("#storage"));
    browser.drop_files("#drop", &[document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    browser.ask("How high is the tower of the lighthouse?", 60);
    assert!(browser.texts(".exchange .quote .words").concat().contains("41.5"));
    browser.screenshot(&target_folder().join("screenshots/not-kept.png"));
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}
