//! Pictures of the page at desktop and phone width, light and dark, and what no width may break.

use browser::{Browser, Site, document, target_folder};

use crate::files::log_book;

#[test]
fn the_page_fits_desktop_and_phone() {
    let site = Site::start();
    let mut browser = Browser::plain();
    browser.emulate(1280, 800, false);
    site.load(&mut browser, "?tier=cpu");
    browser.wait_for("models are downloaded", "document.querySelector('.files li') !== null", 60);
    shoot(&mut browser, "starting");
    site.open(&mut browser, "?tier=cpu");
    shoot(&mut browser, "welcome");
    let names = ["almanac.pdf", "harbour.md", "ferry-notes.txt", "tide-guide.html", "locked.pdf"];
    browser.drop_files("#drop", &names.map(document));
    browser.wait_for_documents(4, 120);
    browser.ask("What is the capital of Mongolia?", 120);
    browser.ask("What was the record catch of herring, and when was it landed?", 120);
    browser.click(".exchange:first-child .quote");
    browser.wait_for("the source is open", "document.querySelector('#source mark') !== null", 20);
    shoot(&mut browser, "source-pdf");
    browser.press("Escape");
    browser.begin_asking("Which fees do boats pay?");
    browser.wait_for(
        "the answer is being written",
        "document.querySelector('.exchange .answer')?.innerText.length > 10",
        60,
    );
    shoot(&mut browser, "writing");
    browser.ask("How high is the tower of the lighthouse, and who built it?", 120);
    for (width, height) in [(1280, 800), (390, 844)] {
        for dark in [false, true] {
            browser.emulate(width, height, dark);
            let name = format!("{width}-{}", if dark { "dark" } else { "light" });
            check_fit(&mut browser, &name);
            shoot(&mut browser, &format!("answer-{name}"));
            browser.click(".exchange:first-child .quote");
            browser.wait_for("the source is open", "document.querySelector('#source mark') !== null", 20);
            check_fit(&mut browser, &name);
            shoot(&mut browser, &format!("source-{name}"));
            browser.press("Escape");
        }
    }
    browser.click(".toggle");
    browser.click("#documents .delete");
    shoot(&mut browser, "documents-390");
    browser.emulate(1280, 800, false);
    shoot(&mut browser, "documents-1280");
}

#[test]
fn the_shelf_fits_desktop_and_phone() {
    let site = Site::start();
    let mut browser = Browser::plain();
    browser.emulate(1280, 800, false);
    site.open(&mut browser, "?tier=cpu&generator=off");
    browser.drop_files("#drop", &["almanac.pdf", "harbour.md", "ferry-notes.txt"].map(document));
    browser.wait_for_documents(3, 60);
    for name in ["Ferries", "Everything that was ever written about the weather of Lindmar"] {
        browser.click("#new-collection");
        browser.type_text(name);
        browser.press("Enter");
        let shown = format!("document.querySelector('#collections').innerText.includes('{name}')");
        browser.wait_for("the collection is there", &shown, 20);
    }
    browser.click("#documents .more-button");
    browser.eval("document.querySelector('#documents .details input').focus()");
    browser.type_text("timetable, winter");
    browser.press("Enter");
    browser.wait_for("the tags are there", "document.querySelectorAll('#documents .tag').length === 2", 20);
    browser.ask("How high is the tower of the lighthouse?", 60);
    for (width, height) in [(1280, 800), (390, 844)] {
        for dark in [false, true] {
            browser.emulate(width, height, dark);
            let name = format!("{width}-{}", if dark { "dark" } else { "light" });
            let unfold = "document.querySelector('.toggle[aria-expanded=\"false\"]')?.click()";
            browser.eval(unfold);
            browser.click("#show-documents");
            check_fit(&mut browser, &name);
            shoot(&mut browser, &format!("shelf-{name}"));
            browser.eval("document.querySelector('#show-models[aria-expanded=\"false\"]')?.click()");
            browser.wait_for("there are models", "document.querySelector('#models .model') !== null", 20);
            // Until it is painted.
            let show = "(async () => { document.querySelector('#show-models').scrollIntoView();
                for (let n = 0; n < 2; n++) await new Promise(requestAnimationFrame); })()";
            browser.eval(show);
            check_fit(&mut browser, &name);
            shoot(&mut browser, &format!("models-{name}"));
            browser.click("#show-conversations");
            check_fit(&mut browser, &name);
            shoot(&mut browser, &format!("conversations-{name}"));
        }
    }
    browser.click("#show-documents");
    browser.click("#collections li:nth-child(2) .collection");
    check_fit(&mut browser, "a chosen collection");
    browser.click("#collections .delete");
    check_fit(&mut browser, "a collection to be deleted");
    shoot(&mut browser, "collections-390");
    browser.emulate(1280, 800, false);
    shoot(&mut browser, "collections-1280");
}

#[test]
fn the_queue_fits_desktop_and_phone() {
    let site = Site::start();
    let mut browser = Browser::plain();
    browser.emulate(1280, 800, false);
    site.open(&mut browser, "?tier=cpu&generator=off");
    browser.drop_files("#drop", &[document("locked.pdf"), document("scanned.pdf"), document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    // The first takes so long that it is at work until it is paused.
    let books: Vec<_> =
        [9_000, 30, 40, 50, 60, 70, 80].into_iter().zip(30..).map(|(n, at)| log_book(at, n)).collect();
    browser.drop_files("#drop", &books);
    browser.drop_files("#drop", &[document("harbour.md")]);
    let at_work = "document.querySelector('#jobs .job progress[value]') !== null && document.querySelector('#notes') !== null";
    browser.wait_for("a file is at work and a copy is told", at_work, 30);
    shoot(&mut browser, "queue-working");
    browser.click("#pause");
    browser.wait_for("it is paused", "document.querySelector('#pause').innerText === 'Go on'", 30);
    for (width, height) in [(1280, 800), (390, 844)] {
        for dark in [false, true] {
            browser.emulate(width, height, dark);
            let name = format!("{width}-{}", if dark { "dark" } else { "light" });
            check_fit(&mut browser, &name);
            shoot(&mut browser, &format!("queue-{name}"));
        }
    }
}

fn shoot(browser: &mut Browser, name: &str) {
    browser.screenshot(&target_folder().join("screenshots").join(format!("{name}.png")));
}

/// Nothing may stick out sideways, and what is touched must be large enough to touch.
fn check_fit(browser: &mut Browser, name: &str) {
    let width = browser.eval("document.documentElement.scrollWidth <= innerWidth");
    assert_eq!(width, true, "{name}: the page is wider than its window");
    // A small window shows a wide page smaller, so that the page alone does not tell.
    let shelf = browser.eval(
        "(() => { const shelf = document.querySelector('.shelf'); return shelf.scrollWidth <= shelf.clientWidth; })()",
    );
    assert_eq!(shelf, true, "{name}: something sticks out of the shelf");
    let small = browser.eval(
        "innerWidth > 760 ? [] : [...document.querySelectorAll('button, input, select, textarea')]
           .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44).map((e) => e.outerHTML)",
    );
    assert_eq!(small, serde_json::json!([]), "{name}: too small for a finger");
    let unnamed = browser.eval(
        "[...document.querySelectorAll('button, input:not([hidden]), textarea')]
           .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).map((e) => e.outerHTML)",
    );
    assert_eq!(unnamed, serde_json::json!([]), "{name}: controls without a name");
}
