//! A thin driver for headless Chromium over the DevTools protocol: what the end-to-end tests and
//! the benchmarks need and no more. It is synchronous, and every failure is a panic that says what was
//! waited for.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, protocol::WebSocketConfig};

/// Starting a browser on a busy machine takes seconds; a minute means that it will not start.
const MAX_START: Duration = Duration::from_secs(60);
/// Protocol calls that only touch the page answer at once; evaluations carry their own limit.
const MAX_CALL: Duration = Duration::from_secs(60);
/// A screenshot of a tall page is a few megabytes in base64.
const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// How a browser is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Launch {
    /// Offer the page a WebGPU device (a software one, which needs no graphics card).
    pub webgpu: bool,
}

/// A running browser with a profile of its own. It ends, and the profile goes, when this is dropped.
pub struct Browser {
    child: Child,
    profile: PathBuf,
    socket: WebSocket<TcpStream>,
    n_calls: u64,
    /// Lines from consoles and uncaught exceptions, of pages and their workers.
    log: Vec<String>,
    session: String,
    /// Sessions of service workers.
    service_workers: Vec<String>,
}

impl Browser {
    /// Starts Chromium with an empty profile and opens one blank page.
    pub fn launch(how: Launch) -> Self {
        let profile = fresh_folder();
        let mut child = spawn_chromium(&profile, how);
        let url = wait_for_address(&profile, &mut child);
        let stream = TcpStream::connect(url.host()).expect("the browser listens on its own port");
        stream.set_nodelay(true).expect("a local socket takes options");
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let (socket, _) = tungstenite::client::client_with_config(url.full(), stream, Some(config))
            .expect("the browser speaks WebSocket");
        let (log, session, service_workers) = (Vec::new(), String::new(), Vec::new());
        let mut browser = Self { child, profile, socket, n_calls: 0, log, session, service_workers };
        browser.session = browser.open_page();
        browser
    }

    /// Opens a further blank page and returns the session that drives it.
    pub fn open_page(&mut self) -> String {
        let target = self.call("", "Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("", "Target.attachToTarget", attach)["sessionId"]
            .as_str()
            .expect("an attached target has a session")
            .to_owned();
        for domain in ["Page.enable", "Runtime.enable", "DOM.enable"] {
            self.call(&session, domain, json!({}));
        }
        self.watch_workers(&session);
        session
    }

    /// Makes `session` the page that the calls below drive; returns the one before.
    pub fn switch_to(&mut self, session: &str) -> String {
        self.call(session, "Page.bringToFront", json!({}));
        std::mem::replace(&mut self.session, session.to_owned())
    }

    /// Closes a page, as the user's close button does.
    pub fn close_page(&mut self, session: &str) {
        self.call(session, "Page.close", json!({}));
    }

    /// Ends the process of a page, as a fault of the browser would; its workers end with it.
    pub fn crash_page(&mut self, session: &str) {
        // Nobody is left to answer.
        self.send(session, "Page.crash", json!({}));
    }

    /// Loads `url` and waits until the document stands (not its workers).
    pub fn goto(&mut self, url: &str) {
        let session = self.session.clone();
        let outcome = self.call(&session, "Page.navigate", json!({"url": url}));
        assert!(outcome["errorText"].is_null(), "{url} did not load: {}", outcome["errorText"]);
        let script = format!("location.href.startsWith({})", json!(url));
        self.wait_for("the page is loaded", &format!("{script} && document.readyState !== 'loading'"), 30);
    }

    /// Loads the page again, as the user's reload button does.
    #[track_caller]
    pub fn reload(&mut self) {
        self.eval("globalThis.isBeforeReload = true");
        let session = self.session.clone();
        self.call(&session, "Page.reload", json!({}));
        let loaded = "!globalThis.isBeforeReload && document.readyState !== 'loading'";
        self.wait_for("the page is loaded again", loaded, 30);
    }

    /// Ends the browser's GPU process, as a driver that fails does; it starts another one.
    pub fn crash_gpu(&mut self) {
        self.call("", "Browser.crashGpuProcess", json!({}));
    }

    /// Evaluates JavaScript in the page, awaits it if it is a promise, and returns it as JSON.
    #[track_caller]
    pub fn eval(&mut self, script: &str) -> Value {
        self.eval_within(script, MAX_CALL)
    }

    /// As [`Browser::eval`], for what takes longer.
    #[track_caller]
    pub fn eval_within(&mut self, script: &str, limit: Duration) -> Value {
        match self.try_eval(script, limit) {
            Ok(value) => value,
            Err(reason) => panic!("{reason}\nscript: {script}\n{}", self.console()),
        }
    }

    /// Waits until the JavaScript expression holds in the page.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, condition: &str, limit_s: u64) {
        // The page polls itself, so that the wire stays quiet and a navigation only costs a retry.
        let until = Instant::now() + Duration::from_secs(limit_s);
        let mut last = String::new();
        while Instant::now() < until {
            let left_ms = (until - Instant::now()).as_millis().min(5_000);
            let script = format!(
                "(async () => {{ const end = performance.now() + {left_ms}; for (;;) {{
                   if ({condition}) return true;
                   if (performance.now() > end) return false;
                   await new Promise((wake) => setTimeout(wake, 50)); }} }})()"
            );
            match self.try_eval(&script, Duration::from_secs(20)) {
                Ok(Value::Bool(true)) => return,
                Ok(_) => last.clear(),
                Err(reason) => {
                    last = reason;
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
        let text = self.try_eval("document.body.innerText", MAX_CALL).unwrap_or_default();
        panic!(
            "waited {limit_s} s in vain until {what}\n{last}\n--- page\n{}\n{}",
            text.as_str().unwrap_or(""),
            self.console()
        );
    }

    /// The text of the first element that matches, or an empty text.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let script = format!("document.querySelector({})?.innerText ?? ''", json!(selector));
        self.eval(&script).as_str().unwrap_or("").to_owned()
    }

    /// The texts of all elements that match.
    #[track_caller]
    pub fn texts(&mut self, selector: &str) -> Vec<String> {
        let script = format!("[...document.querySelectorAll({})].map((e) => e.innerText)", json!(selector));
        let texts = self.eval(&script);
        texts.as_array().into_iter().flatten().filter_map(|t| t.as_str().map(str::to_owned)).collect()
    }

    /// Clicks the first element that matches, once it is there.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let found = format!("document.querySelector({}) !== null", json!(selector));
        self.wait_for(&format!("there is {selector}"), &found, 20);
        let script = format!(
            "(() => {{ const e = document.querySelector({}); e.focus(); e.click(); }})()",
            json!(selector)
        );
        self.eval(&script);
    }

    /// Types into whatever has the focus, as a keyboard would.
    pub fn type_text(&mut self, text: &str) {
        let session = self.session.clone();
        self.call(&session, "Input.insertText", json!({"text": text}));
    }

    /// Presses and releases a key: `Enter`, `Escape`, `Tab`, or another name of `KeyboardEvent.key`.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            _ => 0,
        };
        let text = if key == "Enter" { "\r" } else { "" };
        let session = self.session.clone();
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call(&session, "Input.dispatchKeyEvent", event);
        }
    }

    /// Drags files from outside the browser and drops them on the first element that matches.
    #[track_caller]
    pub fn drop_files(&mut self, selector: &str, paths: &[PathBuf]) {
        let centre = format!(
            "(() => {{ const r = document.querySelector({}).getBoundingClientRect();
               return [r.left + r.width / 2, r.top + r.height / 2]; }})()",
            json!(selector)
        );
        let at = self.eval(&centre);
        let files: Vec<_> = paths.iter().map(|path| absolute(path)).collect();
        let session = self.session.clone();
        for kind in ["dragEnter", "dragOver", "drop"] {
            let event = json!({"type": kind, "x": at[0], "y": at[1],
                "data": {"items": [], "files": files, "dragOperationsMask": 1}});
            self.call(&session, "Input.dispatchDragEvent", event);
        }
    }

    /// Chooses files in a file input, as the dialog would.
    #[track_caller]
    pub fn choose_files(&mut self, selector: &str, paths: &[PathBuf]) {
        let session = self.session.clone();
        let script = format!("document.querySelector({})", json!(selector));
        let input = self.call(&session, "Runtime.evaluate", json!({"expression": script}));
        let files: Vec<_> = paths.iter().map(|path| absolute(path)).collect();
        let choice = json!({"objectId": input["result"]["objectId"], "files": files});
        self.call(&session, "DOM.setFileInputFiles", choice);
    }

    /// Saves what the page offers for download in a folder, without asking.
    pub fn download_to(&mut self, folder: &Path) {
        let how = json!({"behavior": "allow", "downloadPath": absolute(folder)});
        self.call("", "Browser.setDownloadBehavior", how);
    }

    /// The one file in `folder`, once it is downloaded whole.
    #[track_caller]
    pub fn wait_for_download(&mut self, folder: &Path, limit_s: u64) -> PathBuf {
        let until = Instant::now() + Duration::from_secs(limit_s);
        while Instant::now() < until {
            let entries = std::fs::read_dir(folder).expect("the folder can be listed");
            let mut paths = entries.map(|entry| entry.expect("an entry can be read").path());
            // Chromium renames a file when it is whole.
            let whole = paths.find(|path| path.extension().is_some_and(|e| e != "crdownload" && e != "tmp"));
            match whole {
                Some(path) => return path,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        panic!("no download came within {limit_s} s\n{}", self.console());
    }

    /// Sets the window's inner size and the colour scheme the user prefers.
    pub fn emulate(&mut self, width: u32, height: u32, dark: bool) {
        let session = self.session.clone();
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 600});
        self.call(&session, "Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}]});
        self.call(&session, "Emulation.setEmulatedMedia", media);
    }

    /// Limits what the page's origin may store, in bytes; `None` lifts the limit.
    pub fn limit_storage(&mut self, origin: &str, quota_bytes: Option<u64>) {
        let mut limit = json!({"origin": origin});
        if let Some(n_bytes) = quota_bytes {
            limit["quotaSize"] = json!(n_bytes);
        }
        let session = self.session.clone();
        self.call(&session, "Storage.overrideQuotaForOrigin", limit);
    }

    /// The most memory that a page, with its workers, has had resident so far; `None` where the system
    /// does not tell.
    pub fn peak_memory_bytes(&mut self) -> Option<u64> {
        let info = self.call("", "SystemInfo.getProcessInfo", json!({}));
        let processes = info["processInfo"].as_array()?;
        let pages = processes.iter().filter(|process| process["type"] == "renderer");
        pages.filter_map(|page| peak_of(page["id"].as_u64()?)).max()
    }

    /// Saves what the window shows as a PNG file.
    pub fn screenshot(&mut self, path: &Path) {
        let session = self.session.clone();
        let shot = self.call(&session, "Page.captureScreenshot", json!({"format": "png"}));
        let bytes = decode_base64(shot["data"].as_str().expect("a screenshot has data"));
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("the screenshot folder can be made");
        std::fs::write(path, bytes).expect("the screenshot can be written");
    }

    /// What was written to consoles so far, with uncaught exceptions, for messages of failed tests.
    pub fn console(&self) -> String {
        format!("--- console\n{}", self.log.join("\n"))
    }

    /// Uncaught exceptions of the pages and their workers so far.
    pub fn exceptions(&self) -> Vec<&str> {
        self.log.iter().filter(|line| line.starts_with(EXCEPTION)).map(String::as_str).collect()
    }

    /// As [`Browser::eval_within`], with the exception's text instead of a panic.
    ///
    /// # Errors
    /// What the script threw, or that it took too long.
    pub fn try_eval(&mut self, script: &str, limit: Duration) -> Result<Value, String> {
        let session = self.session.clone();
        let request = json!({"expression": script, "awaitPromise": true, "returnByValue": true,
            "userGesture": true});
        let reply = self.try_call(&session, "Runtime.evaluate", request, limit)?;
        match reply.get("exceptionDetails") {
            Some(details) => Err(exception_text(details)),
            None => Ok(reply["result"]["value"].clone()),
        }
    }

    #[track_caller]
    fn call(&mut self, session: &str, method: &str, params: Value) -> Value {
        self.try_call(session, method, params, MAX_CALL).unwrap_or_else(|reason| panic!("{reason}"))
    }

    fn try_call(
        &mut self,
        session: &str,
        method: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, String> {
        let id = self.send(session, method, params);
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("{method} got no reply within {} s", limit.as_secs()));
            }
            let Some(message) = self.receive(left) else { continue };
            if message["id"] == json!(id) {
                return match message.get("error") {
                    Some(error) => Err(format!("{method}: {error}")),
                    None => Ok(message["result"].clone()),
                };
            }
            self.note(&message);
        }
    }

    fn send(&mut self, session: &str, method: &str, params: Value) -> u64 {
        self.n_calls += 1;
        let mut message = json!({"id": self.n_calls, "method": method, "params": params});
        if !session.is_empty() {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).expect("the browser is still there");
        self.n_calls
    }

    /// The next protocol message, or `None` when none came within `limit`.
    fn receive(&mut self, limit: Duration) -> Option<Value> {
        self.socket.get_ref().set_read_timeout(Some(limit)).expect("a local socket takes options");
        match self.socket.read() {
            Ok(Message::Text(text)) => Some(serde_json::from_str(&text).expect("the protocol is JSON")),
            Ok(_) => None,
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                None
            }
            Err(error) => panic!("the browser went away: {error}\n{}", self.console()),
        }
    }

    fn is_service_worker(&self, session: &Value) -> bool {
        self.service_workers.iter().any(|worker| session == worker)
    }

    /// Keeps what an event tells about consoles, exceptions and new workers.
    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str().unwrap_or("") {
            "Runtime.consoleAPICalled" => {
                let words: Vec<_> = params["args"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|arg| {
                        arg["value"].as_str().map_or_else(
                            || {
                                arg.get("description")
                                    .or(arg.get("value"))
                                    .map_or(String::new(), ToString::to_string)
                            },
                            str::to_owned,
                        )
                    })
                    .collect();
                self.log.push(format!("[{}] {}", params["type"].as_str().unwrap_or(""), words.join(" ")));
            }
            "Runtime.exceptionThrown" => {
                self.log.push(format!("{EXCEPTION}{}", exception_text(&params["exceptionDetails"])));
            }
            // A service worker whose process goes with the last page in it is told in these words, too.
            "Inspector.targetCrashed" if !self.is_service_worker(&message["sessionId"]) => {
                self.log.push(format!("{EXCEPTION}the page crashed"));
            }
            "Target.attachedToTarget" => {
                let session = params["sessionId"].as_str().unwrap_or("").to_owned();
                self.send(&session, "Runtime.enable", json!({}));
                self.send_watch(&session);
                if params["targetInfo"]["type"] == "service_worker" {
                    self.service_workers.push(session);
                }
            }
            _ => {}
        }
    }

    fn watch_workers(&mut self, session: &str) {
        let how = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
        self.call(session, "Target.setAutoAttach", how);
    }

    fn send_watch(&mut self, session: &str) {
        let how = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
        self.send(session, "Target.setAutoAttach", how);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({"id": 0, "method": "Browser.close"}).to_string();
        let asked = self.socket.send(Message::text(close)).is_ok();
        let until = Instant::now() + Duration::from_secs(if asked { 5 } else { 0 });
        while Instant::now() < until && !matches!(self.child.try_wait(), Ok(Some(_))) {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Nothing to do about failures here: the browser may be gone already, as intended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// The peak of a process's resident memory, by Linux's own count.
fn peak_of(process_id: u64) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

const EXCEPTION: &str = "uncaught exception: ";

fn exception_text(details: &Value) -> String {
    let text = details["exception"]["description"].as_str();
    text.or(details["text"].as_str()).unwrap_or("an exception without a text").to_owned()
}

fn absolute(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|e| panic!("{} cannot be used: {e}", path.display()));
    path.to_str().expect("fixture paths are Unicode").to_owned()
}

/// The address of the browser's own DevTools socket.
struct Address {
    port: u16,
    path: String,
}

impl Address {
    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn full(&self) -> String {
        format!("ws://127.0.0.1:{}{}", self.port, self.path)
    }
}

fn spawn_chromium(profile: &Path, how: Launch) -> Child {
    let program = find_chromium();
    let mut command = Command::new(&program);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        // Tests meet this machine only; whatever is not there fails at once.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--remote-debugging-port=0",
    ]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    if how.webgpu {
        command.args(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]);
    }
    command.arg("about:blank").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{} did not start: {error}", program.display()))
}

/// `CHROMIUM` in the environment names another browser of the family.
fn find_chromium() -> PathBuf {
    if let Some(given) = std::env::var_os("CHROMIUM") {
        return PathBuf::from(given);
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .expect("Chromium is needed: install it (Debian, Ubuntu: `apt-get install chromium`), or name it in CHROMIUM")
}

fn fresh_folder() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static N_FOLDERS: AtomicU32 = AtomicU32::new(0);
    let n = N_FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("footnote-browser-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    folder
}

fn wait_for_address(profile: &Path, child: &mut Child) -> Address {
    let file = profile.join("DevToolsActivePort");
    let until = Instant::now() + MAX_START;
    while Instant::now() < until {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if let Some((port, path)) = text.split_once('\n')
            && let Ok(port) = port.parse()
            && !path.is_empty()
        {
            return Address { port, path: path.trim().to_owned() };
        }
        if let Ok(Some(status)) = child.try_wait() {
            panic!("Chromium ended at once with {status}; start it by hand to see why");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("Chromium did not open its DevTools port within {} s", MAX_START.as_secs());
}

/// Decodes standard base64; the protocol sends nothing else.
fn decode_base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits =
            group.iter().enumerate().fold(0, |bits, (i, &c)| bits | u32::from(value(c)) << (18 - 6 * i));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::decode_base64;

    #[test]
    fn base64_of_every_length() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("+/8=", "\u{fb}\u{ff}"),
        ] {
            let expected: Vec<u8> = bytes.chars().map(|c| c as u8).collect();
            assert_eq!(decode_base64(text), expected, "{text}");
        }
    }
}
