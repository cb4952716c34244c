//! The frame: what stands where, and the keys that work everywhere.

mod ask;
mod collections;
mod conversations;
mod copies;
mod files;
mod folders;
mod library;
mod link;
mod model;
mod models;
mod notices;
mod queue;
mod shelf;
mod source;

use sycamore::prelude::*;
use ui::words;
use wasm_bindgen::prelude::*;
use web_sys::{HtmlElement, KeyboardEvent};

use link::Link;
use model::App;

pub fn start() {
    std::panic::set_hook(Box::new(|info| web_sys::console::error_1(&info.to_string().into())));
    let place = document().get_element_by_id("app").expect("index.html has the place");
    place.set_inner_html("");
    sycamore::render_to(frame, &place);
}

fn frame() -> View {
    let app = App::new();
    let link = Link::new(app);
    link.start();
    listen_everywhere(app, link);
    let class = move || if app.source.with(Option::is_some) { "frame reading" } else { "frame" };
    view! {
        a(class="skip", href="#question") { (words::SKIP) }
        div(class=class) {
            header(class="top") {
                h1(class="brand") { "Footnote" sup(aria-hidden="true") { "1" } }
                p(class="tagline") { (words::TAGLINE) }
            }
            (shelf::view(app, link))
            (ask::view(app, link))
            (source::view(app))
            (notices::state_line(app))
        }
        div(class="sr", role="status", aria-live="polite") { (app.announcement.get_clone()) }
    }
}

/// Escape closes the source, else stops the answer. Files dropped beside the drop zone must not
/// make the browser leave the page; they are taken as well.
fn listen_everywhere(app: App, link: Link) {
    let on_key = Closure::<dyn FnMut(KeyboardEvent)>::new(move |event: KeyboardEvent| {
        if event.key() != "Escape" {
            return;
        }
        if app.source.with_untracked(Option::is_some) {
            source::close(app);
        } else {
            link.stop();
        }
    });
    let target = window();
    target.set_onkeydown(Some(on_key.into_js_value().unchecked_ref()));
    let on_drag = Closure::<dyn FnMut(web_sys::DragEvent)>::new(move |event: web_sys::DragEvent| {
        event.prevent_default();
        app.dragging.set(matches!(event.type_().as_str(), "dragenter" | "dragover"));
        if event.type_() == "drop" {
            shelf::take_drop(app, link, &event);
        }
    });
    let on_drag = on_drag.into_js_value();
    // Without `dragenter` a drop is refused when the page moved below the pointer just before it.
    for name in ["dragenter", "dragover", "dragleave", "drop"] {
        target.add_event_listener_with_callback(name, on_drag.unchecked_ref()).expect("events have names");
    }
    // Files that the engine has not taken yet are nowhere else.
    let on_leave = Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| {
        if link.n_arriving() > 0 || link.comparing().is_some() {
            event.prevent_default();
        }
    });
    target
        .add_event_listener_with_callback("beforeunload", on_leave.into_js_value().unchecked_ref())
        .expect("events have names");
    // The engine lets go of the store at once when the page goes, and another tab's takes it.
    let on_hide = Closure::<dyn FnMut()>::new(move || link.end());
    target
        .add_event_listener_with_callback("pagehide", on_hide.into_js_value().unchecked_ref())
        .expect("events have names");
    let on_show =
        Closure::<dyn FnMut(web_sys::PageTransitionEvent)>::new(|event: web_sys::PageTransitionEvent| {
            if event.persisted() {
                // The browser brought back a page whose engine has ended.
                window().location().reload().expect("a page may reload itself");
            }
        });
    target
        .add_event_listener_with_callback("pageshow", on_show.into_js_value().unchecked_ref())
        .expect("events have names");
}

/// Moves the focus, so that it does not fall to the page when what had it goes away.
fn focus(selector: &str) {
    let element = document().query_selector(selector).ok().flatten();
    if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        // A disabled button does not take it; then the page has it, as without this.
        let _ = element.focus();
    }
}
