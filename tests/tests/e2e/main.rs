//! The built web app in headless Chromium, as a user meets it.

mod answers;
mod bad_input;
mod engine;
mod gpu;
mod looks;
mod tabs;
mod threads;
