//! Files made to crash, hang or fill their reader: each costs itself, with its reason, and the page lives on.

#[path = "../../../ingest/tests/common/bombs.rs"]
mod made;

use std::path::PathBuf;
use std::time::Instant;

use browser::{Browser, Site, target_folder};
use made::{Bomb, SOUND, bombs, slow, wide};

use crate::files::write;

const QUERY: &str = "?tier=cpu&generator=off";

#[test]
fn bombs_of_every_kind_cost_themselves_alone() {
    let mut bombs = bombs();
    // Each bracket is a token: a quarter of a million of them takes minutes to embed, and no longer to parse.
    let nested = bombs.iter_mut().find(|bomb| bomb.name.ends_with(".json")).expect("one is nested");
    nested.bytes.truncate(1 << 12);
    bombs.push(Bomb { name: "i-wide.html", bytes: wide(), gives: None, says: Some("more memory") });
    let mut files: Vec<PathBuf> = bombs.iter().map(|bomb| kept(bomb.name, &bomb.bytes)).collect();
    files.push(kept(SOUND.0, SOUND.1));
    let n_documents = 1 + bombs.iter().filter(|bomb| bomb.gives.is_some()).count();

    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, QUERY);
    let began = Instant::now();
    browser.drop_files("#drop", &files);
    let names = browser.wait_for_documents(n_documents, 120);
    browser.wait_for("the queue is over", "document.querySelector('#queue').hidden", 60);
    eprintln!("{} bombs took {:?}", bombs.len(), began.elapsed());
    assert!(names.iter().any(|name| name == SOUND.0), "{names:?}");
    let mut reasons = [browser.texts("#jobs .reason"), browser.texts("#notes li")].concat();
    // Some of them have the same words, which is told, too.
    reasons.retain(|reason| !reason.contains("of its words"));
    for Bomb { name, gives, says, .. } in &bombs {
        assert!(gives.is_none_or(|gives| names.iter().any(|name| name == gives)), "{name}: {names:?}");
        let reason = reasons.iter().find(|reason| reason.contains(name)).map(String::as_str);
        assert!(reason.unwrap_or_default().contains(says.unwrap_or_default()), "{name}: {reasons:?}");
        assert_eq!(reason.is_some(), says.is_some(), "{name}: {reasons:?}");
    }
    browser.screenshot(&target_folder().join("screenshots/bombs.png"));
    check_that_it_answers(&mut browser);
}

#[test]
fn a_member_that_takes_too_long_costs_itself() {
    let archive = kept("slow.zip", &slow(1, &[SOUND]));
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, &format!("{QUERY}&read-seconds=2"));
    browser.drop_files("#drop", &[archive]);
    let names = browser.wait_for_documents(1, 60);
    assert_eq!(names, [format!("slow.zip/{}", SOUND.0)]);
    browser.wait_for("it is told", "document.querySelector('#notes') !== null", 10);
    let told = browser.text("#notes");
    assert!(told.contains("slow.zip/0.pdf was given up: reading it took longer than 2 s"), "{told}");
    check_that_it_answers(&mut browser);
}

fn kept(name: &str, bytes: &[u8]) -> PathBuf {
    write(&target_folder().join("e2e-bombs"), name, bytes)
}

fn check_that_it_answers(browser: &mut Browser) {
    browser.ask("How hot is green tea?", 60);
    assert!(browser.texts(".quote .words").concat().contains("80 degrees"));
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}
