//! Clock and tasks of the browser.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;

use futures_channel::oneshot;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;

use super::js;

/// Starts a task on this thread and returns at once. Web only.
pub fn spawn_local(future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}

pub(crate) fn now_ms() -> f64 {
    js::performance_now()
}

pub(crate) fn unix_ms() -> i64 {
    js_sys::Date::now() as i64
}

pub(crate) async fn sleep_ms(duration_ms: u32) {
    let timer = Promise::new(&mut |resolve, _| {
        js::set_timeout(&resolve, duration_ms);
    });
    // A timer never rejects.
    let _ = JsFuture::from(timer).await;
}

/// A message to ourselves queues behind the messages that wait already. A timer would do the
/// same, but from the fifth in a row on a browser stretches each to 4 ms.
struct Echo {
    channel: MessageChannel,
    _on_message: Closure<dyn FnMut()>,
}

thread_local! {
    static WAITING: RefCell<VecDeque<oneshot::Sender<()>>> = const { RefCell::new(VecDeque::new()) };
    static ECHO: Option<Echo> = Echo::new();
}

impl Echo {
    fn new() -> Option<Echo> {
        let channel = MessageChannel::new().ok()?;
        let on_message = Closure::new(|| {
            if let Some(waiting) = WAITING.with_borrow_mut(VecDeque::pop_front) {
                // Whoever gave up waiting is not there to hear it.
                let _ = waiting.send(());
            }
        });
        channel.port1().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Some(Echo { channel, _on_message: on_message })
    }
}

pub(crate) async fn yield_now() {
    let (wake, woken) = oneshot::channel();
    let is_posted = ECHO
        .with(|echo| echo.as_ref().is_some_and(|e| e.channel.port2().post_message(&JsValue::NULL).is_ok()));
    if !is_posted {
        return sleep_ms(0).await;
    }
    WAITING.with_borrow_mut(|waiting| waiting.push_back(wake));
    let _ = woken.await;
}
