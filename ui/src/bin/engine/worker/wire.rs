//! Messages: JSON text over `postMessage` with this tab's page, and over broadcast channels with the
//! other tabs. Files go beside the text.
//!
//! A broadcast reaches every tab but its sender. What a tab asks is `[tab, id, JSON of ToEngine, File, ..]`
//! on one channel, where only the engine that serves listens; what is told is `[tab, JSON of
//! FromEngine]` on the other, with an empty tab where all are meant.

use std::cell::RefCell;

use js_sys::Array;
use ui::{Asker, Event, FromEngine, RequestId, ToEngine};
use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, DedicatedWorkerGlobalScope, File, MessageEvent};

const ASKED: &str = "footnote-asked";
const TOLD: &str = "footnote-told";

/// A request with the files that came beside it.
pub struct Mail {
    pub asker: Asker,
    pub message: ToEngine,
    pub files: Vec<File>,
}

/// This tab's end of the channels; without, where the browser has none.
struct Channels {
    asked: BroadcastChannel,
    told: BroadcastChannel,
}

thread_local! {
    /// The name of this tab, never given twice.
    static TAB: String = scope().crypto().map_or_else(|_| String::new(), |crypto| crypto.random_uuid());
    static CHANNELS: RefCell<Option<Channels>> = const { RefCell::new(None) };
}

pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Who stands for what nobody asked for: this tab, request 0.
pub fn own(id: RequestId) -> Asker {
    Asker { tab: TAB.with(Clone::clone), id }
}

/// Tells who asked.
pub fn post(asker: &Asker, event: Event) {
    let text = text_of(asker.id, event);
    if TAB.with(|tab| *tab == asker.tab) {
        post_own(&text);
    } else {
        broadcast(&asker.tab, &text);
    }
}

/// Tells every tab.
pub fn post_all(event: Event) {
    let text = text_of(0, event);
    post_own(&text);
    broadcast("", &text);
}

/// Opens the channels and hands what is told to this tab to its page, from now on.
pub fn join() {
    let (Ok(asked), Ok(told)) = (BroadcastChannel::new(ASKED), BroadcastChannel::new(TOLD)) else { return };
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(|event: MessageEvent| {
        let parts: Array = event.data().unchecked_into();
        let tab = parts.get(0).as_string().unwrap_or_default();
        if tab.is_empty() || TAB.with(|own| *own == tab) {
            post_own(&parts.get(1));
        }
    });
    told.set_onmessage(Some(on_message.into_js_value().unchecked_ref()));
    CHANNELS.set(Some(Channels { asked, told }));
}

/// Hands what all tabs ask to `take`, from now on.
pub fn serve_all(take: impl Fn(Mail) + 'static) {
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let parts: Array = event.data().unchecked_into();
        let (tab, id) = (parts.get(0).as_string().unwrap_or_default(), parts.get(1).as_f64());
        let asker = Asker { tab, id: id.unwrap_or_default() as RequestId };
        if let Some(mail) = read(asker, &parts.get(2), files(&parts, 3)) {
            take(mail);
        }
    });
    let handler = on_message.into_js_value();
    CHANNELS.with_borrow(|channels| {
        if let Some(channels) = channels {
            channels.told.set_onmessage(None);
            channels.asked.set_onmessage(Some(handler.unchecked_ref()));
        }
    });
}

/// Asks the engine of another tab.
pub fn relay(mail: &Mail) {
    let Mail { asker, message, files } = mail;
    let text = serde_json::to_string(message).expect("messages are plain data");
    let parts = Array::of3(&asker.tab.as_str().into(), &asker.id.into(), &text.into());
    for file in files {
        parts.push(file);
    }
    CHANNELS.with_borrow(|channels| {
        if let Some(channels) = channels {
            channels.asked.post_message(&parts).expect("text and files can be posted");
        }
    });
}

/// Hands every message of this tab's page to `take`, first those that came before this program listened.
pub fn listen(take: impl Fn(Mail) + 'static) {
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        // JSON of `ToEngine`, or `[JSON, File, ..]`.
        let data = event.data();
        let (text, files) = match data.dyn_ref::<Array>() {
            Some(parts) => (parts.get(0), files(parts, 1)),
            None => (data, Vec::new()),
        };
        if let Some(mail) = read(own(0), &text, files) {
            take(Mail { asker: own(mail.message.id), ..mail });
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

/// The files of a message, from a place on.
fn files(parts: &Array, from: u32) -> Vec<File> {
    (from..parts.length()).filter_map(|at| parts.get(at).dyn_into().ok()).collect()
}

fn read(asker: Asker, text: &JsValue, files: Vec<File>) -> Option<Mail> {
    match serde_json::from_str(&text.as_string().unwrap_or_default()) {
        Ok(message) => Some(Mail { asker, message, files }),
        Err(error) => {
            let message =
                format!("this tab and another one run different versions of Footnote; reload both ({error})");
            post(&asker, Event::Failed { message });
            None
        }
    }
}

fn text_of(id: RequestId, event: Event) -> JsValue {
    serde_json::to_string(&FromEngine { id, event }).expect("messages are plain data").into()
}

fn post_own(text: &JsValue) {
    scope().post_message(text).expect("text can always be posted");
}

fn broadcast(tab: &str, text: &JsValue) {
    let parts = Array::of2(&tab.into(), text);
    CHANNELS.with_borrow(|channels| {
        if let Some(channels) = channels {
            channels.told.post_message(&parts).expect("text can always be posted");
        }
    });
}
