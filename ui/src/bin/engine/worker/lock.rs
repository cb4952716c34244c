//! One engine at a time: the file handles of the store are exclusive, and a Web Lock says politely
//! what a file error would say late.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::{Object, Promise, Reflect};
use ui::Event;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::wire;

const NAME: &str = "footnote-engine";
/// A page that was just reloaded or closed may hold the lock for about two seconds.
const MAX_WAIT_MS: f64 = 2_500.0;
const RETRY_MS: u32 = 100;

#[wasm_bindgen]
extern "C" {
    /// `navigator.locks`; web-sys counts it as unstable.
    type LockManager;
    #[wasm_bindgen(method)]
    fn request(this: &LockManager, name: &str, options: &Object, callback: &JsValue) -> Promise;
}

/// Takes the lock for the life of this worker. `false` if another tab has it.
pub async fn take(take_over: bool) -> bool {
    let since = platform::now_ms();
    loop {
        if request(take_over).await {
            return true;
        }
        if platform::now_ms() - since > MAX_WAIT_MS {
            return false;
        }
        platform::sleep_ms(RETRY_MS).await;
    }
}

async fn request(steal: bool) -> bool {
    let navigator = wire::scope().navigator();
    let locks = Reflect::get(&navigator, &"locks".into()).unwrap_or(JsValue::UNDEFINED);
    if locks.is_undefined() {
        // Without locks there is no private file system either; opening that says what to do.
        return true;
    }
    let options = Object::new();
    let how = if steal { "steal" } else { "ifAvailable" };
    Reflect::set(&options, &how.into(), &true.into()).expect("a fresh object takes properties");
    let (sender, granted) = oneshot::channel();
    let sender = Rc::new(RefCell::new(Some(sender)));
    let callback = Closure::<dyn FnMut(JsValue) -> Promise>::new(move |lock: JsValue| {
        let is_granted = !lock.is_null();
        if let Some(sender) = sender.borrow_mut().take() {
            // The receiver waits just below.
            let _ = sender.send(is_granted);
        }
        // A promise that never ends keeps the lock until the worker does.
        if is_granted { Promise::new(&mut |_, _| {}) } else { Promise::resolve(&JsValue::NULL) }
    });
    let held = locks.unchecked_into::<LockManager>().request(NAME, &options, &callback.into_js_value());
    platform::spawn_local(async move {
        if JsFuture::from(held).await.is_err() {
            // Another tab has stolen the lock. Ending the worker frees the store's handles.
            wire::post(0, Event::TakenOver);
            wire::scope().close();
        }
    });
    granted.await.unwrap_or(false)
}
