//! `serve` is the small HTTP server that brings the built web app and the downloaded models to a
//! browser on the same machine.
//!
//! Floor 0, native only. It reads files and knows nothing about what is in them.
//!
//! ```no_run
//! let options = serve::Options {
//!     port: 8017,
//!     web_dir: "web".into(),
//!     models_dir: "models".into(),
//!     isolated: true,
//! };
//! let server = serve::spawn(&options)?;
//! println!("http://127.0.0.1:{}", server.port());
//! server.wait();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Invariants:
//! - Only this machine is answered, and only under the names `127.0.0.1` and `localhost`: a page
//!   of another site that has its name point here (DNS rebinding) is refused.
//! - Files are only read; `GET` and `HEAD` are the only methods; no path leads out of the two
//!   folders, except through links that the owner of a folder made.
//! - Every answer carries a policy that lets the page connect to this server and the model hub only,
//!   and, unless that is turned off, the headers that isolate it (so that it may use threads and
//!   exact clocks).
//! - A half-downloaded model (`.part`) is never served.

mod answer;
mod connection;
mod files;
mod headers;
mod mime;
mod request;
mod server;

pub use server::{Handle, MAX_CONNECTIONS, Options, run, spawn};
