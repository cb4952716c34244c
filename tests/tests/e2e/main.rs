//! The built web app in headless Chromium, as a user meets it.

mod answers;
mod bad_input;
mod bombs;
mod damage;
mod engine;
mod families;
mod files;
mod folders;
mod gpu;
mod library;
mod looks;
mod models;
mod module;
mod offline;
mod queue;
mod tabs;
mod threads;
