//! Files that are none, a full disk, a damaged model: a message that names the file and says what
//! to do, and everything else goes on.

use browser::{Browser, Site, document, models_folder, target_folder};

use crate::files::write;

#[test]
fn each_bad_file_is_told_and_the_others_are_added() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu&generator=off");
    let folder = target_folder().join("e2e-files");
    let almanac = std::fs::read(document("almanac.pdf")).expect("a fixture");
    let files = [
        write(&folder, "nothing.txt", b""),
        write(&folder, "picture.pdf", PNG),
        write(&folder, "cut.pdf", &almanac[..almanac.len() / 3]),
        document("locked.pdf"),
        document("scanned.pdf"),
        document("harbour.md"),
    ];
    browser.drop_files("#drop", &files);
    assert_eq!(browser.wait_for_documents(1, 120), ["harbour.md"]);
    let reasons = browser.texts("#jobs .reason");
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    for (name, says) in [
        ("nothing.txt", "empty"),
        ("picture.pdf", "PNG"),
        ("cut.pdf", "cut.pdf"),
        ("locked.pdf", "password"),
        ("scanned.pdf", "scanned"),
    ] {
        let reason = reasons.iter().find(|reason| reason.contains(name));
        let reason = reason.unwrap_or_else(|| panic!("nothing is said about {name}: {reasons:?}"));
        assert!(reason.contains(says), "{name}: {reason}");
        assert!(reason.contains(';'), "it says what to do: {reason}");
    }
    browser.screenshot(&target_folder().join("screenshots/bad-input.png"));
    check_password(&mut browser);
    check_paste_and_text(&mut browser);
    let answer = browser.ask("How high is the tower?", 60);
    assert!(browser.texts(".quote .words").concat().contains("41.5"), "{answer}");
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

fn check_password(browser: &mut Browser) {
    for (password, n_documents) in [("wrong", 1), ("lighthouse", 2)] {
        browser.eval("document.querySelector('.job.locked input').focus()");
        browser.type_text(password);
        browser.press("Enter");
        browser.wait_for(
            "the password is tried",
            "document.querySelector('.job:not(.failed):not(.locked)') === null
            && document.querySelector('.job.locked input')?.value !== 'wrong'",
            60,
        );
        if n_documents == 1 {
            let reason = browser.text(".job.locked .reason");
            assert!(reason.contains("wrong"), "{reason}");
        }
        browser.wait_for_documents(n_documents, 60);
    }
}

/// What is pasted is told like what is dropped; text is dropped where text is written, and nowhere else.
fn check_paste_and_text(browser: &mut Browser) {
    let paste = "(() => { const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10])], 'pasted.png'));
        document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true })); })()";
    browser.eval(paste);
    let told = "document.querySelector('#jobs').innerText.includes('pasted.png')";
    browser.wait_for("the pasted picture is told", told, 60);
    let drop = "['#question', '.middle'].map((place) => { const dataTransfer = new DataTransfer();
        dataTransfer.setData('text/plain', 'words');
        const drop = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
        return !document.querySelector(place).dispatchEvent(drop); })";
    assert_eq!(browser.eval(drop), serde_json::json!([false, true]), "taken from the browser");
    assert!(browser.text("#problem").contains("Drop files"), "{}", browser.text("#problem"));
}

#[test]
fn a_full_disk_is_told_and_costs_nothing_else() {
    let site = Site::start();
    let mut browser = Browser::plain();
    site.open(&mut browser, "?tier=cpu&generator=off");
    browser.drop_files("#drop", &[document("harbour.md")]);
    browser.wait_for_documents(1, 60);
    browser.limit_storage(&site.origin(), Some(1));
    let folder = target_folder().join("e2e-files");
    // A megabyte of text in few words: much to store, little to embed.
    let text = format!("{}\n", "x".repeat(2_000)).repeat(500);
    browser.drop_files("#drop", &[write(&folder, "large-log.txt", text.as_bytes())]);
    browser.wait_for("the failure is told", "document.querySelector('.job.failed') !== null", 240);
    let reason = browser.text(".job.failed .reason");
    assert!(reason.contains("large-log.txt") && reason.contains("room"), "{reason}");
    browser.ask("How high is the tower?", 60);
    assert!(browser.texts(".quote .words").concat().contains("41.5"), "the rest goes on");
    assert_eq!(browser.texts("#documents .doc .name"), ["harbour.md"]);
    // When there is room, it goes on where it was.
    browser.limit_storage(&site.origin(), None);
    browser.click("#jobs .resume");
    browser.wait_for_documents(2, 120);
    assert_eq!(browser.texts("#jobs .reason"), [] as [&str; 0]);
}

#[test]
fn a_damaged_model_is_told_and_can_be_tried_again() {
    let folder = target_folder().join("e2e-models");
    let embedder = models::Catalog::builtin().default_embedder();
    let whole = models_folder().join(&embedder.id);
    let damaged = folder.join(&embedder.id);
    for file in &embedder.files {
        let bytes = std::fs::read(whole.join(&file.name)).expect("the model is whole");
        let n_kept = if file.name == "model.safetensors" { bytes.len() / 2 } else { bytes.len() };
        write(&damaged, &file.name, &bytes[..n_kept]);
    }
    let site = Site::with_models(&folder);
    let mut browser = Browser::plain();
    site.load(&mut browser, "?tier=cpu&generator=off");
    browser.wait_for("the failure is told", "document.querySelector('.notice.bad') !== null", 120);
    let notice = browser.text(".notice.bad");
    assert!(notice.contains("model.safetensors"), "it names the file: {notice}");
    std::fs::copy(whole.join("model.safetensors"), damaged.join("model.safetensors")).expect("a copy");
    browser.click(".notice.bad button");
    browser.wait_for("the engine is ready", "document.querySelector('#tier') !== null", 120);
}

/// A picture of one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xff\xff\xff\x7f\0\t\xfb\x03\xfd\x05CE\xca\0\0\0\0IEND\xaeB`\x82";
