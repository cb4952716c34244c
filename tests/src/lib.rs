//! Tests that need several crates at once.
//!
//! The tests stand in `tests/tests`: `architecture` compares the floor table with the manifests,
//! `e2e` drives the built web app in headless Chromium with the crate `browser`.
