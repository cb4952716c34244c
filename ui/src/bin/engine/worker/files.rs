//! From a file the user chose to a parsed document: its bytes, their hash, and a disposable worker that
//! parses them, so that a hostile file costs one file.

use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use ingest::{Limits, Reading, Refusal};
use js_sys::{Array, ArrayBuffer, Uint8Array};
use std::pin::pin;
use std::time::Duration;
use ui::{FromIngest, ToIngest};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{ErrorEvent, File, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::wire;

/// The bytes of a file that may be read.
pub async fn read(file: &File, name: &str) -> Result<ArrayBuffer, Refusal> {
    let n_bytes = file.size() as u64;
    let max_bytes = Limits::default().max_bytes;
    if n_bytes > max_bytes {
        return Err(Refusal::TooLarge { name: name.to_owned(), n_bytes, max_bytes });
    }
    if n_bytes == 0 {
        return Err(Refusal::Empty { name: name.to_owned() });
    }
    let bytes = JsFuture::from(file.array_buffer()).await.map_err(|_| Refusal::Unreadable {
        name: name.to_owned(),
        reason: "the browser cannot read it any more; it may have been moved or changed".into(),
    })?;
    Ok(bytes.unchecked_into())
}

/// Lets one disposable worker read on in a file, as far as it comes. Its bytes are taken away.
pub async fn read_on(bytes: &ArrayBuffer, request: &ToIngest, reading: &mut Reading) {
    let (sender, mut replies) = mpsc::unbounded();
    let worker = match Disposable::spawn(sender) {
        Ok(worker) => worker,
        Err(error) => return reading.stopped(&format!("its reader did not start ({error:?})")),
    };
    let text = serde_json::to_string(request).expect("messages are plain data");
    let message = Array::of2(&text.into(), bytes);
    if let Err(error) = worker.worker.post_message_with_transfer(&message, &Array::of1(bytes)) {
        return reading.stopped(&format!("its bytes could not be handed over ({error:?})"));
    }
    let mut told_ms = platform::now_ms();
    loop {
        let clock = pin!(platform::sleep_ms(reading.patience().as_millis() as u32));
        match select(replies.next(), clock).await {
            Either::Left((Some(FromIngest::Told(told)), _)) => {
                let now = platform::now_ms();
                reading.told(told, Duration::from_secs_f64((now - told_ms).max(0.0) / 1e3));
                told_ms = now;
            }
            Either::Left((Some(FromIngest::Done), _)) => return reading.done(),
            Either::Left((Some(FromIngest::Crashed { message }), _)) => return reading.stopped(&message),
            Either::Left((None, _)) => return reading.stopped("its reader ended without a word"),
            Either::Right(_) => return reading.timed_out(),
        }
    }
}

/// SHA-256 of bytes, by the browser.
pub async fn hash(bytes: &ArrayBuffer) -> Result<[u8; 32], String> {
    let told = |error: JsValue| format!("it could not be hashed ({error:?})");
    let subtle = wire::scope().crypto().map_err(told)?.subtle();
    let digest = subtle.digest_with_str_and_buffer_source("SHA-256", bytes).map_err(told)?;
    let digest = Uint8Array::new(&JsFuture::from(digest).await.map_err(told)?);
    let mut sha256 = [0; 32];
    digest.copy_to(&mut sha256);
    Ok(sha256)
}

/// A worker that ends when this is dropped, whatever it does at that moment.
struct Disposable {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Disposable {
    fn spawn(sender: mpsc::UnboundedSender<FromIngest>) -> Result<Self, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options("ingest-worker.js", &options)?;
        let answer = move |reply: FromIngest| {
            // The receiver may have given up already; then nobody wants the reply.
            let _ = sender.unbounded_send(reply);
        };
        let fail = answer.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            answer(serde_json::from_str(&text).unwrap_or_else(|error| FromIngest::Crashed {
                message: format!("its reader's answer was not understood ({error})"),
            }));
        });
        let on_error = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
            event.prevent_default();
            // A script that does not load gives an event without a message.
            let message = js_sys::Reflect::get(&event, &"message".into()).unwrap_or_default().as_string();
            let message = message.unwrap_or_else(|| "it did not load".into());
            fail(FromIngest::of_trap(&message));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, _on_message: on_message, _on_error: on_error })
    }
}

impl Drop for Disposable {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}
