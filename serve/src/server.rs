//! Listening, and the threads that answer.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Api;
use crate::api::Served;
use crate::connection;
use crate::files::Folders;
use crate::headers::origin_of;

/// How many connections are answered at a time, each on a thread. A browser opens six per tab and
/// worker group; further ones are closed at once, and browsers ask again.
pub const MAX_CONNECTIONS: usize = 128;
/// Between attempts to accept when the system has no room for a further connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes any that is free.
    pub port: u16,
    /// The built web app. `/` is its `index.html`.
    pub web_dir: PathBuf,
    /// The model folder: `<id>/<file>` in it is `/models/<id>/<file>`. It need not exist yet.
    pub models_dir: PathBuf,
    /// Whether answers isolate the page from other sites, so that it may use threads. Without, the
    /// page is as on a host that cannot set headers.
    pub isolated: bool,
    /// A mirror of the model hub, to which the page may connect.
    pub mirror: Option<String>,
    /// What answers below `/v1`, if anything.
    pub api: Option<Arc<dyn Api>>,
    /// Origins of other sites' pages that may use the API, such as `http://localhost:3000`; `*` for all.
    pub api_origins: Vec<String>,
}

impl Options {
    /// The web app and the models, on a port.
    pub fn new(port: u16, web_dir: PathBuf, models_dir: PathBuf) -> Self {
        Self { port, web_dir, models_dir, isolated: true, mirror: None, api: None, api_origins: Vec::new() }
    }
}

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Site {
    pub folders: Folders,
    pub is_isolated: bool,
    /// The origin of the mirror.
    pub mirror: Option<String>,
    pub api: Option<Served>,
}

/// Serves until the process ends.
///
/// # Errors
/// When the port cannot be had.
pub fn run(options: &Options) -> io::Result<()> {
    spawn(options)?.wait();
    Ok(())
}

/// Starts serving on threads of its own.
///
/// # Errors
/// When the port cannot be had.
pub fn spawn(options: &Options) -> io::Result<Handle> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
    let port = listener.local_addr()?.port();
    let api = options.api.clone().map(|api| Served { api, origins: options.api_origins.clone() });
    let shared = Arc::new(Shared {
        site: Site {
            folders: Folders::new(&options.web_dir, &options.models_dir),
            is_isolated: options.isolated,
            mirror: options.mirror.as_deref().and_then(origin_of),
            api,
        },
        is_stopping: AtomicBool::new(false),
        open: Mutex::default(),
    });
    let accepting = {
        let shared = Arc::clone(&shared);
        thread::Builder::new()
            .name("serve".to_owned())
            .spawn(move || accept_until_stopped(&listener, &shared))?
    };
    Ok(Handle { port, shared, accepting: Some(accepting) })
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Handle {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Handle {
    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for as long as the server runs.
    pub fn wait(mut self) {
        self.join();
    }

    /// Closes the port and every connection.
    pub fn stop(self) {
        drop(self);
    }

    fn join(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            // Its loop has no way to panic, and a server that ended is all that matters here.
            let _ = accepting.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        for stream in self.shared.open().values() {
            // A connection that is closed already needs no closing.
            let _ = stream.shutdown(Shutdown::Both);
        }
        // The loop waits for a connection and looks at the flag after each: give it one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        self.join();
    }
}

#[derive(Debug)]
struct Shared {
    site: Site,
    is_stopping: AtomicBool,
    open: Mutex<HashMap<u64, TcpStream>>,
}

impl Shared {
    /// The open connections. Every change of the table is a single call, so it is whole even if a
    /// thread panicked with the lock.
    fn open(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept_until_stopped(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection_id in 0.. {
        let stream = match listener.accept() {
            _ if shared.is_stopping.load(Ordering::SeqCst) => return,
            Ok((stream, _)) => stream,
            // Out of file handles, or the client is gone again: neither is the end.
            Err(_) => {
                thread::sleep(ACCEPT_PAUSE);
                continue;
            }
        };
        let Ok(to_close) = stream.try_clone() else {
            continue;
        };
        {
            let mut open = shared.open();
            if open.len() >= MAX_CONNECTIONS {
                continue;
            }
            open.insert(connection_id, to_close);
        }
        let of_thread = Arc::clone(shared);
        let spawned = thread::Builder::new().name("connection".to_owned()).spawn(move || {
            // A broken connection concerns only its client.
            let _ = connection::answer_all(&stream, &of_thread.site);
            of_thread.open().remove(&connection_id);
        });
        if spawned.is_err() {
            shared.open().remove(&connection_id);
        }
    }
}
