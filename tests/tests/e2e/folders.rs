//! A folder is added as a whole, and compared when it comes again.

use std::path::PathBuf;

use browser::{Browser, Site, document, target_folder};

use crate::files::write;

const QUERY: &str = "?tier=cpu&generator=off";

#[test]
fn a_folder_is_followed_and_deletions_are_asked_for() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, QUERY);
    let folder = fresh_folder();
    let harbour = std::fs::read(document("harbour.md")).expect("a fixture");
    for (name, bytes) in [
        ("harbour.md", &harbour[..]),
        ("old/plan.txt", b"The old plan moves the ferry to the northern quay in April."),
        ("old/list.txt", b"The list of the harbour master names fourteen boats."),
        (".hidden.txt", b"Nobody reads this."),
        ("photo.png", b"not even a picture"),
    ] {
        write(&folder, name, bytes);
    }
    browser.choose_files("#folder", std::slice::from_ref(&folder));
    let mut names = browser.wait_for_documents(3, 60);
    names.sort();
    assert_eq!(names, ["notes/harbour.md", "notes/old/list.txt", "notes/old/plan.txt"]);

    // One is changed, one renamed, one new, one gone.
    write(
        &folder,
        "harbour.md",
        &[&harbour[..], b"\nSince last year the tower is painted green.\n"].concat(),
    );
    std::fs::rename(folder.join("old/list.txt"), folder.join("boats.txt")).expect("a file can be renamed");
    std::fs::remove_file(folder.join("old/plan.txt")).expect("a file can be removed");
    write(&folder, "new.txt", b"The new crane lifts nine tonnes.");
    browser.drop_files("#drop", std::slice::from_ref(&folder));
    browser.wait_for("what has gone is asked about", "document.querySelector('#gone') !== null", 60);
    assert!(browser.text("#gone").contains("notes/old/plan.txt"), "{}", browser.text("#gone"));
    assert!(
        browser.text("#notes").contains("1 new, 1 changed, 1 renamed, 1 gone"),
        "{}",
        browser.text("#notes")
    );
    let is_renamed = "[...document.querySelectorAll('#documents .doc .name')].some((name) => name.innerText === 'notes/boats.txt')";
    browser.wait_for("one is renamed", is_renamed, 30);
    // It stays while it is only asked, and when the answer is no.
    let mut names = browser.wait_for_documents(4, 60);
    names.sort();
    assert_eq!(names, ["notes/boats.txt", "notes/harbour.md", "notes/new.txt", "notes/old/plan.txt"]);
    browser.click("#gone .keep");
    browser.ask("Which colour is the tower painted in?", 60);
    assert!(browser.texts(".exchange .quote .words").concat().contains("green"), "the change was read");

    browser.drop_files("#drop", &[folder]);
    browser.wait_for("it is asked again", "document.querySelector('#gone') !== null", 60);
    browser.screenshot(&target_folder().join("screenshots/folder-gone.png"));
    browser.click("#gone .danger");
    let mut names = browser.wait_for_documents(3, 60);
    names.sort();
    assert_eq!(names, ["notes/boats.txt", "notes/harbour.md", "notes/new.txt"]);
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

/// What an earlier run left is not this one's.
fn fresh_folder() -> PathBuf {
    let folder = target_folder().join("e2e-folder/notes");
    let _ = std::fs::remove_dir_all(&folder);
    folder
}
