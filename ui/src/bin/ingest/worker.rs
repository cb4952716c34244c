//! Bytes in, documents and refusals out, one file after the other. Whatever a file does to the parser ends with this
//! worker: a panic is posted, a trap reaches the engine as an error event, a hang is cut by its clock.

use js_sys::WebAssembly::Memory;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use ui::{FromIngest, ToIngest};
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

pub fn start() {
    std::panic::set_hook(Box::new(|info| post(&FromIngest::Crashed { message: info.to_string() })));
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(|event: MessageEvent| read(&event));
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    for event in early() {
        read(&event);
    }
    on_message.forget();
}

/// The message is `[JSON of ToIngest, ArrayBuffer]`. What is read is told at once, so that it outlives this worker.
fn read(event: &MessageEvent) {
    let parts: Array = event.data().unchecked_into();
    let text = parts.get(0).as_string().unwrap_or_default();
    let request: ToIngest = match serde_json::from_str(&text) {
        Ok(request) => request,
        Err(error) => return post(&FromIngest::Crashed { message: error.to_string() }),
    };
    let bytes = Uint8Array::new(&parts.get(1)).to_vec();
    let hint = ingest::Hint {
        name: &request.name,
        mime: Some(request.mime.as_str()).filter(|mime| !mime.is_empty()),
        password: request.password.as_deref(),
    };
    let limits = ingest::Limits::default();
    ingest::ingest_each(&bytes, &hint, &limits, request.n_known, &mut |told| post(&FromIngest::Told(told)));
    post(&FromIngest::Done { memory_bytes: memory_bytes() });
}

/// The memory of this program, which only ever grows.
fn memory_bytes() -> u64 {
    let memory: Memory = wasm_bindgen::memory().unchecked_into();
    u64::from(memory.buffer().unchecked_into::<ArrayBuffer>().byte_length())
}

fn post(reply: &FromIngest) {
    let text = serde_json::to_string(reply).expect("messages are plain data");
    scope().post_message(&JsValue::from_str(&text)).expect("text can always be posted");
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Messages that came before this program listened; see `ingest-worker.js`.
fn early() -> Vec<MessageEvent> {
    let waiting = js_sys::Reflect::get(&js_sys::global(), &"early".into()).unwrap_or(JsValue::UNDEFINED);
    let waiting: Array = waiting.dyn_into().unwrap_or_default();
    waiting.iter().map(JsCast::unchecked_into).collect()
}
