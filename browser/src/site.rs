//! The built web app on a server of its own, and what tests do with it over and over.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{Browser, Launch};

/// Two browsers with software processors would only slow each other down.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The app, served until this is dropped.
pub struct Site {
    server: serve::Handle,
    turn: MutexGuard<'static, ()>,
}

/// An address where the app was served.
pub struct Offline {
    /// `http://127.0.0.1:PORT`.
    pub origin: String,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// Serves the built app with the default models.
    pub fn start() -> Self {
        Self::with_models(&models_folder())
    }

    /// As [`Site::start`], on a host that cannot set the headers which isolate a page.
    pub fn not_isolated() -> Self {
        Self::serve(&models_folder(), false)
    }

    /// Serves the built app with the models of another folder.
    pub fn with_models(models_dir: &Path) -> Self {
        Self::serve(models_dir, true)
    }

    /// As [`Site::start`], with a copy of the app in `web_dir`, where files may be changed.
    pub fn with_app_in(web_dir: &Path) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self::spawn(web_dir, &models_folder(), true, turn)
    }

    /// Nobody answers at the address any more.
    pub fn go_offline(self) -> Offline {
        let origin = self.origin();
        let Self { server, turn } = self;
        server.stop();
        Offline { origin, _turn: turn }
    }

    /// As [`Site::start`], for a page that may fetch from this mirror of the model hub.
    pub fn with_mirror(mirror: &str) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let web_dir = target_folder().join("web-dist");
        let options = serve::Options {
            mirror: Some(mirror.to_owned()),
            ..serve::Options::new(0, web_dir, models_folder())
        };
        Self { server: serve::spawn(&options).expect("a free port can be had"), turn }
    }

    fn serve(models_dir: &Path, isolated: bool) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let web_dir = target_folder().join("web-dist");
        Self::spawn(&web_dir, models_dir, isolated, turn)
    }

    fn spawn(web_dir: &Path, models_dir: &Path, isolated: bool, turn: MutexGuard<'static, ()>) -> Self {
        assert!(
            web_dir.join("engine_bg.wasm").is_file(),
            "{} has no web app: run `cargo xtask web`",
            web_dir.display()
        );
        let options =
            serve::Options { isolated, ..serve::Options::new(0, web_dir.to_owned(), models_dir.to_owned()) };
        let server = serve::spawn(&options).expect("a free port can be had");
        Self { server, turn }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Opens the page and waits until the engine is ready, models and all.
    #[track_caller]
    pub fn open(&self, browser: &mut Browser, query: &str) {
        self.load(browser, query);
        browser.wait_for_engine(240);
    }

    /// Opens the page and waits until it stands, whatever the engine does. The app is not kept for the
    /// time without a network, which would only take time.
    #[track_caller]
    pub fn load(&self, browser: &mut Browser, query: &str) {
        let query = query.trim_start_matches('?');
        browser.goto(&format!("{}/?{query}&service-worker=off", self.origin()));
        browser.wait_for("the page stands", "document.querySelector('#question') !== null", 60);
    }

    /// Loads the engine alone into a page of this origin, as a page that embeds it would.
    pub fn engine(&self, browser: &mut Browser, tier: &str, generator: bool) -> Engine {
        let how = Start { tier, generator, ..Start::default() };
        self.start_engine(browser, how).0
    }

    /// As [`Site::engine`]; gives also what the engine said when it was ready.
    pub fn start_engine(&self, browser: &mut Browser, how: Start) -> (Engine, Value) {
        browser.goto(&format!("{}/style.css", self.origin()));
        let script = match how.build {
            Some(build) => format!("/engine-worker.js?build={build}"),
            None => "/engine-worker.js".to_owned(),
        };
        browser.eval(&format!("globalThis.engine = new Worker('{script}', {{ type: 'module' }})"));
        browser.eval(
            "globalThis.replies = new Map();
             globalThis.told = [];
             engine.onmessage = (message) => {
               const { id, event } = JSON.parse(message.data);
               const kind = typeof event === 'string' ? event : Object.keys(event)[0];
               if (id === 0) told.push([kind, Date.now()]);
               const isOnTheWay = kind === 'Models' && ['Fetching', 'Copying'].includes(Object.keys(event.Models)[0]);
               const isLast = id !== 0 && !isOnTheWay && !['Starting', 'Begun', 'Quotes', 'Piece'].includes(kind);
               if (isLast || kind === 'Fatal') replies.set(kind === 'Fatal' ? 'fatal' : id, event);
             };
             engine.onerror = (error) => replies.set('fatal', error.message ?? 'the worker did not load');",
        );
        let mut engine = Engine { n_requests: 0 };
        let Start { tier, generator, threads, .. } = how;
        let setup = json!({"tier": tier, "generator": generator, "threads": threads});
        let mut ready = engine.request(browser, json!({"Open": setup}), 240);
        assert!(ready.get("Ready").is_some(), "the engine does not open: {ready}");
        (engine, ready["Ready"].take())
    }
}

/// How an engine without a page is started.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// `Auto`, `Cpu` or `Gpu`.
    pub tier: &'a str,
    /// Whether the generator is loaded.
    pub generator: bool,
    /// `plain` or `threads`; `None` for what the engine's script chooses.
    pub build: Option<&'a str>,
    /// `None` for as many as the machine has.
    pub threads: Option<usize>,
}

impl Default for Start<'_> {
    fn default() -> Self {
        Self { tier: "Auto", generator: true, build: None, threads: None }
    }
}

/// An engine without a page.
pub struct Engine {
    n_requests: u32,
}

impl Engine {
    /// Sends a request and waits for the event that ends it.
    #[track_caller]
    pub fn request(&mut self, browser: &mut Browser, request: Value, limit_s: u64) -> Value {
        let id = self.begin(browser, request);
        self.wait(browser, id, limit_s)
    }

    /// Sends a request and gives its id.
    #[track_caller]
    pub fn begin(&mut self, browser: &mut Browser, request: Value) -> u32 {
        self.n_requests += 1;
        let message = json!({"id": self.n_requests, "request": request}).to_string();
        browser.eval(&format!("engine.postMessage({})", json!(message)));
        self.n_requests
    }

    /// As [`Engine::request`], with files of the disk beside the request; they must be small.
    #[track_caller]
    pub fn request_with_files(&mut self, browser: &mut Browser, request: Value, paths: &[PathBuf]) -> Value {
        self.n_requests += 1;
        let message = json!({"id": self.n_requests, "request": request}).to_string();
        let files = paths.iter().map(|path| {
            let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            format!("new File([new Uint8Array({})], 'file')", json!(bytes))
        });
        let files = files.collect::<Vec<_>>().join(", ");
        browser.eval(&format!("engine.postMessage([{}, {files}])", json!(message)));
        self.wait(browser, self.n_requests, 60)
    }

    /// Waits for the event that ends a request.
    #[track_caller]
    pub fn wait(&mut self, browser: &mut Browser, id: u32, limit_s: u64) -> Value {
        let script = format!(
            "(async () => {{
               while (!replies.has({id}) && !replies.has('fatal')) await new Promise((wake) => setTimeout(wake, 20));
               return replies.get({id}) ?? {{ Fatal: replies.get('fatal') }}; }})()"
        );
        browser.eval_within(&script, Duration::from_secs(limit_s))
    }
}

impl Browser {
    /// When this page's engine, started by [`Site::engine`], was told something that belongs to no
    /// request, such as `Moved`, in milliseconds since 1970: the first time at `since_ms` or later.
    #[track_caller]
    pub fn told_at(&mut self, kind: &str, since_ms: f64, limit_s: u64) -> f64 {
        let found = format!("told.find(([kind, at]) => kind === {} && at >= {since_ms})", json!(kind));
        self.wait_for(&format!("{kind} is told"), &format!("{found} !== undefined"), limit_s);
        self.eval(&format!("{found}[1]")).as_f64().expect("a time")
    }

    /// A browser for CPU-tier tests: no WebGPU, as on a machine without a graphics card.
    pub fn plain() -> Self {
        Self::launch(Launch::default())
    }

    /// Waits until the page says that the engine is ready, with the generator that may be on its way.
    #[track_caller]
    pub fn wait_for_engine(&mut self, limit_s: u64) {
        let ready = "document.querySelector('#tier') && document.querySelector('#notice').innerText === ''
            && !document.querySelector('.model-work')";
        self.wait_for("the engine is ready", ready, limit_s);
    }

    /// Waits until all files that were added are stored, and gives the names of the stored ones.
    #[track_caller]
    pub fn wait_for_documents(&mut self, n_documents: usize, limit_s: u64) -> Vec<String> {
        let stored = format!(
            "document.querySelectorAll('#documents .doc').length === {n_documents}
             && document.querySelector('#jobs progress') === null && !document.querySelector('#jobs .job:not(.failed):not(.locked)')"
        );
        self.wait_for(&format!("there are {n_documents} documents"), &stored, limit_s);
        self.texts("#documents .doc .name")
    }

    /// Asks as a user would, by keyboard, and waits for the end of the answer. Gives its text.
    #[track_caller]
    pub fn ask(&mut self, question: &str, limit_s: u64) -> String {
        self.begin_asking(question);
        self.wait_for(
            "the answer is complete",
            "document.querySelector('.exchange').getAttribute('aria-busy') === 'false'",
            limit_s,
        );
        self.text(".exchange .answer")
    }

    /// Asks and does not wait for more than the page's first reaction.
    #[track_caller]
    pub fn begin_asking(&mut self, question: &str) {
        self.eval("document.querySelector('#question').focus()");
        self.type_text(question);
        self.press("Enter");
        let shown = format!("document.querySelector('.exchange h2')?.innerText === {}", json!(question));
        self.wait_for("the question is shown", &shown, 20);
    }
}

/// A file of `fixtures/docs`.
pub fn document(name: &str) -> PathBuf {
    workspace().join("fixtures/docs").join(name)
}

/// Where the build writes.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), |dir| workspace().join(dir))
}

/// The workspace root.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace root").to_owned()
}

/// The folder with the default models, whole.
pub fn models_folder() -> PathBuf {
    let folder = models::default_folder().expect("a home folder, or FOOTNOTE_MODELS");
    let catalog = models::Catalog::builtin();
    let store = models::Store::open(&folder, None, None);
    for entry in [catalog.default_embedder(), catalog.default_generator()] {
        if let Err(error) = platform::block_on(store.open_model(&entry.id)) {
            panic!("{error}\n`cargo xtask test` fetches the models that tests need");
        }
    }
    folder.into()
}
