//! From a file the user chose to a parsed document: its bytes, their hash, and a disposable worker that
//! parses them, so that a hostile file costs one file. Starting a worker takes longer than reading most files, so one
//! that came to the end of a file well reads the next.

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

/// A reader that took more memory than this is thrown away: it gives none back.
const MAX_KEPT_BYTES: u64 = 64 << 20;

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

/// Lets a reader, or a new one, read on in a file, as far as it comes; gives it back if it may read another. The bytes are
/// taken away.
pub async fn read_on(
    reader: Option<Reader>,
    bytes: &ArrayBuffer,
    request: &ToIngest,
    reading: &mut Reading,
) -> Option<Reader> {
    match try_read_on(reader, bytes, request, reading).await {
        Ok(reader) => {
            reading.done();
            reader
        }
        Err(Some(problem)) => {
            reading.stopped(&problem);
            None
        }
        Err(None) => {
            reading.timed_out();
            None
        }
    }
}

/// Fails with what stopped the reader, with nothing when its time was up.
async fn try_read_on(
    reader: Option<Reader>,
    bytes: &ArrayBuffer,
    request: &ToIngest,
    reading: &mut Reading,
) -> Result<Option<Reader>, Option<String>> {
    let spawned = reader.map_or_else(Reader::spawn, Ok);
    let mut reader = spawned.map_err(|error| format!("its reader did not start ({error:?})"))?;
    let text = serde_json::to_string(request).expect("messages are plain data");
    let message = Array::of2(&text.into(), bytes);
    let posted = reader.worker.post_message_with_transfer(&message, &Array::of1(bytes));
    posted.map_err(|error| format!("its bytes could not be handed over ({error:?})"))?;
    let mut told_ms = platform::now_ms();
    loop {
        let clock = pin!(platform::sleep_ms(reading.patience().as_millis() as u32));
        match select(reader.replies.next(), clock).await {
            Either::Left((Some(FromIngest::Told(told)), _)) => {
                let now = platform::now_ms();
                reading.told(told, Duration::from_secs_f64((now - told_ms).max(0.0) / 1e3));
                told_ms = now;
            }
            Either::Left((Some(FromIngest::Done { memory_bytes }), _)) => {
                return Ok((memory_bytes <= MAX_KEPT_BYTES).then_some(reader));
            }
            Either::Left((Some(FromIngest::Crashed { message }), _)) => return Err(Some(message)),
            Either::Left((None, _)) => return Err(Some("its reader ended without a word".into())),
            Either::Right(_) => return Err(None),
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

/// A worker that reads one file after the other. It ends when this is dropped, whatever it does at that moment.
pub struct Reader {
    worker: Worker,
    replies: mpsc::UnboundedReceiver<FromIngest>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Reader {
    fn spawn() -> Result<Self, JsValue> {
        let (sender, replies) = mpsc::unbounded();
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
        Ok(Self { worker, replies, _on_message: on_message, _on_error: on_error })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}
