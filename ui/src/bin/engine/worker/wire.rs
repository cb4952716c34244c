//! JSON text over `postMessage`, files beside it.

use js_sys::Array;
use ui::{Event, FromEngine, RequestId};
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use super::Job;

pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

pub fn post(id: RequestId, event: Event) {
    let text = serde_json::to_string(&FromEngine { id, event }).expect("messages are plain data");
    scope().post_message(&JsValue::from_str(&text)).expect("text can always be posted");
}

/// Hands every message to `take`, first those that came before this program listened.
pub fn listen(take: impl Fn(Job) + 'static) {
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event| {
        if let Some(job) = read(&event) {
            take(job);
        }
    });
    let handler: &js_sys::Function = on_message.as_ref().unchecked_ref();
    scope().set_onmessage(Some(handler));
    // See `engine-worker.js`.
    let early = js_sys::Reflect::get(&js_sys::global(), &"early".into()).unwrap_or(JsValue::UNDEFINED);
    let early: Array = early.dyn_into().unwrap_or_default();
    for event in early.iter() {
        handler.call1(&JsValue::NULL, &event).expect("the handler does not throw");
    }
    on_message.forget();
}

/// A message is JSON of `ToEngine`, or `[JSON, File]`.
fn read(event: &MessageEvent) -> Option<Job> {
    let data = event.data();
    let (text, file) = match data.dyn_ref::<Array>() {
        Some(parts) => (parts.get(0), parts.get(1).dyn_into().ok()),
        None => (data, None),
    };
    match serde_json::from_str(&text.as_string().unwrap_or_default()) {
        Ok(message) => Some(Job { message, file }),
        Err(error) => {
            post(0, Event::Failed { message: format!("a message was not understood: {error}") });
            None
        }
    }
}
