//! `fetch`, read chunk by chunk.

use js_sys::{Array, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortController, ReadableStreamDefaultReader, Request, RequestCache, RequestInit, Response};

use super::js::{self, error_text, settle};
use crate::download::{Asked, Head, stalled};

/// The rest of an answer. Dropping it ends the transfer.
#[derive(Debug)]
pub(crate) struct Body {
    /// `None` for an answer without a body.
    reader: Option<ReadableStreamDefaultReader>,
    abort: AbortController,
    stall_ms: u32,
}

impl Body {
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            let Some(reader) = &self.reader else {
                return Ok(None);
            };
            let next = unless_stalled(reader.read(), self.stall_ms).await?;
            let is_done = Reflect::get(&next, &"done".into()).is_ok_and(|done| done.is_truthy());
            if is_done {
                self.reader = None;
                return Ok(None);
            }
            let value = Reflect::get(&next, &"value".into()).map_err(|e| error_text(&e))?;
            let bytes = value.unchecked_into::<Uint8Array>().to_vec();
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

pub(crate) async fn request(asked: &Asked<'_>) -> Result<Head, String> {
    let text = |e: JsValue| error_text(&e);
    let abort = AbortController::new().map_err(text)?;
    let init = RequestInit::new();
    init.set_signal(Some(&abort.signal()));
    // What is downloaded is kept as a file; the browser's cache need not hold it a second time.
    init.set_cache(RequestCache::NoStore);
    let request = Request::new_with_str_and_init(asked.url, &init).map_err(text)?;
    if let Some(range) = asked.range() {
        request.headers().set("Range", &range).map_err(text)?;
    }
    let mut body = Body { reader: None, abort, stall_ms: asked.stall_ms };
    let response: Response =
        unless_stalled(js::fetch_request(&request), asked.stall_ms).await?.unchecked_into();
    let headers = response.headers();
    let header = |name: &str| headers.get(name).ok().flatten();
    body.reader = response.body().map(|stream| stream.get_reader().unchecked_into());
    let is_compressed = header("content-encoding").is_some_and(|coding| coding != "identity");
    let content_length = header("content-length").filter(|_| !is_compressed);
    Ok(Head {
        status: response.status(),
        content_length: content_length.and_then(|digits| digits.parse().ok()),
        content_range: header("content-range"),
        retry_after: header("retry-after"),
        body,
    })
}

/// Awaits `promise`, but no longer than `stall_ms`.
async fn unless_stalled(promise: Promise, stall_ms: u32) -> Result<JsValue, String> {
    let mut timer_id = 0;
    let timer = Promise::new(&mut |resolve, _| {
        timer_id = js::set_timeout(&resolve, stall_ms);
    });
    let first: Result<JsValue, JsValue> = settle(Promise::race(&Array::of2(&promise, &timer))).await;
    js::clear_timeout(timer_id);
    let value = first.map_err(|e| error_text(&e))?;
    // The timer alone resolves without a value.
    if value.is_undefined() {
        return Err(stalled(stall_ms));
    }
    Ok(value)
}
