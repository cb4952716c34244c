//! One engine for all tabs: whoever holds a Web Lock serves. It is held until the worker ends,
//! however it ends; the browser then gives it to the worker that has waited longest. A second lock for
//! each tab tells the engine when that tab is gone.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::wire;

const ENGINE: &str = "footnote-engine";
/// Before the name of a tab.
const TAB: &str = "footnote-tab-";

#[wasm_bindgen]
extern "C" {
    /// `navigator.locks`; web-sys counts it as unstable.
    type LockManager;
    #[wasm_bindgen(method)]
    fn request(this: &LockManager, name: &str, options: &Object, callback: &JsValue) -> Promise;
}

/// Takes the engine's lock if nobody has it.
pub async fn try_take() -> bool {
    request(ENGINE, How { waits: false, keeps: true }).await
}

/// Waits until nobody else has the engine's lock, and takes it.
pub async fn take() {
    request(ENGINE, How { waits: true, keeps: true }).await;
}

/// Tells others that this tab lives.
pub async fn live(tab: &str) {
    request(&format!("{TAB}{tab}"), How { waits: true, keeps: true }).await;
}

/// Waits until that tab lives no more, closed or crashed.
pub async fn gone(tab: &str) {
    if !request(&format!("{TAB}{tab}"), How { waits: true, keeps: false }).await {
        std::future::pending().await
    }
}

struct How {
    /// Waits for others to release it; else they keep it and it is not granted.
    waits: bool,
    /// Keeps it to the end of this worker; else it is released at once.
    keeps: bool,
}

/// Whether a lock was granted. `how.keeps` where there are no locks: the engine then relies on the
/// store's files, which one engine can have at a time, and which say that another tab has them.
async fn request(name: &str, how: How) -> bool {
    let How { waits, keeps } = how;
    let navigator = wire::scope().navigator();
    let locks = Reflect::get(&navigator, &"locks".into()).unwrap_or(JsValue::UNDEFINED);
    if locks.is_undefined() {
        return keeps;
    }
    let options = Object::new();
    Reflect::set(&options, &"ifAvailable".into(), &(!waits).into()).expect("a fresh object takes properties");
    let (sender, granted) = oneshot::channel();
    let sender = Rc::new(RefCell::new(Some(sender)));
    let refused = Rc::clone(&sender);
    let callback = Closure::<dyn FnMut(JsValue) -> Promise>::new(move |lock: JsValue| {
        let is_granted = !lock.is_null();
        answer(&sender, is_granted);
        // A promise that never ends keeps the lock until the worker does.
        if is_granted && keeps { Promise::new(&mut |_, _| {}) } else { Promise::resolve(&JsValue::NULL) }
    });
    let held = locks.unchecked_into::<LockManager>().request(name, &options, &callback.into_js_value());
    platform::spawn_local(async move {
        if let Err(error) = JsFuture::from(held).await {
            // A page that is not allowed locks; it goes on as if there were none.
            web_sys::console::warn_2(&"Tabs cannot share an engine here:".into(), &error);
            answer(&refused, keeps);
        }
    });
    granted.await.unwrap_or(keeps)
}

fn answer(sender: &RefCell<Option<oneshot::Sender<bool>>>, is_granted: bool) {
    if let Some(sender) = sender.borrow_mut().take() {
        // The receiver waits where the lock was asked for.
        let _ = sender.send(is_granted);
    }
}
