//! The GPU tier in a browser, on a software adapter: slow, but the same kernels.

use tests::{Browser, Launch, Site, document};

#[test]
fn the_gpu_tier_answers_where_it_is_forced() {
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: true });
    site.open(&mut browser, "?tier=gpu&generator=off");
    assert!(browser.text("#tier").starts_with("GPU"), "{}", browser.text("#tier"));
    browser.drop_files("#drop", &[document("ferry-notes.txt")]);
    browser.wait_for_documents(1, 240);
    browser.ask("How long does a crossing of the ferry take?", 240);
    let quotes = browser.texts(".exchange .quote .words").concat();
    assert!(quotes.contains("1.5 hours"), "{quotes}");
    assert_eq!(browser.exceptions(), [] as [&str; 0]);
}

#[test]
fn a_software_adapter_is_left_alone_unless_forced() {
    let site = Site::start();
    let mut browser = Browser::launch(Launch { webgpu: true });
    site.open(&mut browser, "?generator=off");
    let tier = browser.text("#tier");
    assert!(tier.starts_with("CPU"), "a software adapter is slower than the processor itself: {tier}");
}
