//! The built web app in headless Chromium, as a user meets it.

mod answers;
mod bad_input;
mod engine;
mod gpu;
mod library;
mod looks;
mod offline;
mod tabs;
mod threads;
