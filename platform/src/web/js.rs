//! What both kinds of global scope have, and JavaScript's errors as ours.

use js_sys::{Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::StorageManager;

use crate::Error;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub(super) fn performance_now() -> f64;
    #[wasm_bindgen(js_name = setTimeout)]
    pub(super) fn set_timeout(callback: &js_sys::Function, duration_ms: u32) -> i32;
    #[wasm_bindgen(js_name = clearTimeout)]
    pub(super) fn clear_timeout(id: i32);
    /// `fetch` of whichever scope this is.
    #[wasm_bindgen(js_name = fetch)]
    pub(super) fn fetch_request(request: &web_sys::Request) -> Promise;

    #[wasm_bindgen(thread_local_v2, js_name = navigator)]
    static NAVIGATOR: JsValue;
}

/// `navigator.storage`; absent outside secure contexts.
pub(super) fn storage_manager() -> Option<StorageManager> {
    let storage = NAVIGATOR.with(|navigator| Reflect::get(navigator, &"storage".into())).ok()?;
    (!storage.is_undefined()).then(|| storage.unchecked_into())
}

/// Whether this thread may wait, and use files synchronously, as only those of workers may.
pub(super) fn is_worker() -> bool {
    js_sys::global().has_type::<web_sys::WorkerGlobalScope>()
}

/// Whether memory may be shared with other threads.
#[cfg(target_feature = "atomics")]
pub(super) fn is_isolated() -> bool {
    Reflect::get(&js_sys::global(), &"crossOriginIsolated".into()).is_ok_and(|isolated| isolated.is_truthy())
}

/// How many threads the browser says that the machine runs at a time.
#[cfg(target_feature = "atomics")]
pub(super) fn hardware_threads() -> usize {
    let told = NAVIGATOR.with(|navigator| Reflect::get(navigator, &"hardwareConcurrency".into()));
    told.ok().and_then(|n_threads| n_threads.as_f64()).map_or(1, |n_threads| n_threads as usize)
}

/// Awaits a promise for a `T` that the interface promises.
pub(super) async fn settle<T: JsCast>(promise: Promise) -> Result<T, JsValue> {
    Ok(JsFuture::from(promise).await?.unchecked_into())
}

/// The `name` of an error, such as `NotFoundError`.
pub(super) fn error_name(error: &JsValue) -> String {
    text_of(error, "name").unwrap_or_default()
}

/// The error in the browser's words.
pub(super) fn error_text(error: &JsValue) -> String {
    text_of(error, "message").unwrap_or_else(|| format!("{error:?}"))
}

fn text_of(error: &JsValue, key: &str) -> Option<String> {
    Reflect::get(error, &key.into()).ok()?.as_string()
}

/// Sorts an error of the file system into ours.
pub(super) fn io_error(path: &str, action: &'static str, needed_bytes: u64, error: &JsValue) -> Error {
    let path = path.to_owned();
    match error_name(error).as_str() {
        "NotFoundError" => Error::NotFound { path },
        "NoModificationAllowedError" => Error::Locked { path },
        "QuotaExceededError" => Error::QuotaExceeded { path, needed_bytes },
        name => Error::Io { path, action, reason: format!("{name}: {}", error_text(error)) },
    }
}
