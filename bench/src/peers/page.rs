//! A page in headless Chromium whose workers hold the engines.

use std::path::Path;
use std::time::Duration;

use browser::{Browser, Launch};
use serde_json::{Value, json};

use super::{folder, server};
use crate::Outcome;

/// 64 passages take a slow engine on a software graphics adapter some minutes.
const MAX_CALL: Duration = Duration::from_secs(600);

/// The page.
pub(crate) struct Page {
    browser: Browser,
}

impl Page {
    /// Opens the page; `webgpu` offers it a software adapter.
    pub(crate) fn open(models_dir: &Path, webgpu: bool) -> Outcome<Self> {
        let port = server::serve(vec![
            ("page", browser::workspace().join("bench/peers")),
            ("measure", browser::target_folder().join("web-measure")),
            ("node_modules", folder().join("node_modules")),
            ("onnx", folder().join("onnx")),
            ("models", models_dir.to_owned()),
        ])?;
        let mut browser = Browser::launch(Launch { webgpu });
        browser.goto(&format!("http://127.0.0.1:{port}/page/index.html"));
        browser.wait_for("the page stands", "globalThis.isReady === true", 60);
        Ok(Self { browser })
    }

    /// Starts an engine from a script of `bench/peers`; gives what its `open` answers.
    pub(crate) fn start(&mut self, engine: &str, script: &str, options: &Value) -> Outcome<Value> {
        let script = format!("start({}, {}, {options})", json!(engine), json!(script));
        Ok(self.browser.try_eval(&script, MAX_CALL)?)
    }

    /// Calls a method of an engine; `args` is a list.
    pub(crate) fn call(&mut self, engine: &str, method: &str, args: &Value) -> Outcome<Value> {
        let script = format!("call({}, {}, ...{args})", json!(engine), json!(method));
        Ok(self.browser.try_eval(&script, MAX_CALL)?)
    }

    /// Lets an engine store until it told of `n` saved batches, and kills it in the next one; gives how
    /// much it said was saved.
    pub(super) fn kill_after(&mut self, engine: &str, n: usize, options: &Value) -> Outcome<f64> {
        let script = format!("killAfter({}, {n}, {options})", json!(engine));
        super::store::figure(&self.browser.try_eval(&script, MAX_CALL)?)
    }

    /// The most memory that the page's process had at once; `None` where the system does not tell.
    pub(crate) fn peak_memory_bytes(&mut self) -> Option<u64> {
        self.browser.peak_memory_bytes()
    }

    /// Loads the page again: all engines are gone, what they stored is not.
    pub(super) fn reload(&mut self) -> Outcome<()> {
        self.browser.reload();
        self.browser.wait_for("the page stands again", "globalThis.isReady === true", 60);
        Ok(())
    }

    /// Ends an engine.
    pub(super) fn stop(&mut self, engine: &str) -> Outcome<()> {
        self.browser.try_eval(&format!("stop({})", json!(engine)), MAX_CALL)?;
        Ok(())
    }
}
