//! Tests that need several crates at once, and the driver for the browser they run in.
//!
//! The tests stand in `tests/tests`: `architecture` compares the floor table with the manifests,
//! `e2e` drives the built web app in headless Chromium.

mod browser;
mod site;

pub use browser::{Browser, Launch};
pub use site::{Engine, Site, Start, document, models_folder, target_folder, workspace};
