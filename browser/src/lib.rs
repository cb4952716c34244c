//! A thin driver for headless Chromium, and the built web app in it: for the tests and the benchmarks.
//!
//! Floor 3, development only: nothing that is shipped uses it. Whatever goes wrong is a panic that says
//! what was waited for, because a test or a measurement cannot go on without its browser.

mod browser;
mod site;

pub use browser::{Browser, Launch};
pub use site::{Engine, Offline, Site, Start, document, models_folder, target_folder, workspace};
