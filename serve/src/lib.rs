//! `serve` is the small HTTP server that brings the built web app and the downloaded models to a
//! browser on the same machine.
//!
//! Floor 0, native only. It reads files and knows nothing about what is in them.
//!
//! ```no_run
//! let options = serve::Options::new(8017, "web".into(), "models".into());
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
//! - An [`Api`], where one is given, answers below `/v1`: programs of this machine, and pages of this server;
//!   pages of other sites only where [`Options::api_origins`] names them, whatever they try.
//! - Every answer carries a policy that lets the page connect to this server and the model hub only,
//!   and, unless that is turned off, the headers that isolate it (so that it may use threads and
//!   exact clocks).
//! - A half-downloaded model (`.part`) is never served.

mod answer;
mod api;
mod connection;
mod files;
mod headers;
mod mime;
mod request;
mod server;

pub use api::{Api, Call, Reply};
pub use server::{Handle, MAX_CONNECTIONS, Options, run, spawn};
