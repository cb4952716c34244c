//! The frame: what stands where, and the keys that work everywhere.

mod ask;
mod collections;
mod confirm;
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
mod settings;
mod shelf;
mod source;

use sycamore::prelude::*;
use ui::words;
use wasm_bindgen::convert::FromWasmAbi;
use wasm_bindgen::prelude::*;
use web_sys::{DataTransfer, DragEvent, Element, Event, HtmlElement, KeyboardEvent, PageTransitionEvent};

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

fn listen_everywhere(app: App, link: Link) {
    listen_to_keys(app, link);
    listen_to_files(app, link);
    // Files that the engine has not taken yet are nowhere else.
    listen(&["beforeunload"], move |event: Event| {
        if link.n_arriving() > 0 || link.comparing().is_some() {
            event.prevent_default();
        }
    });
    // The engine lets go of the store at once when the page goes, and another tab's takes it.
    listen(&["pagehide"], move |_: Event| link.end());
    listen(&["pageshow"], |event: PageTransitionEvent| {
        if event.persisted() {
            // The browser brought back a page whose engine has ended.
            window().location().reload().expect("a page may reload itself");
        }
    });
}

/// Escape closes the source, else stops the answer.
fn listen_to_keys(app: App, link: Link) {
    listen(&["keydown"], move |event: KeyboardEvent| {
        // While an input method composes a word, Escape belongs to it.
        if event.key() != "Escape" || event.is_composing() {
            return;
        }
        if app.source.with_untracked(Option::is_some) {
            source::close(app);
        } else {
            link.stop();
        }
    });
}

/// Files dropped beside the drop zone must not make the browser leave the page; they are taken as well, and so are
/// those that are pasted. Text goes where text is written.
fn listen_to_files(app: App, link: Link) {
    // Without `dragenter` a drop is refused when the page moved below the pointer just before it.
    listen(&["dragenter", "dragover", "dragleave", "drop"], move |event: DragEvent| {
        let has_files = event.data_transfer().is_some_and(|data| data.types().includes(&"Files".into(), 0));
        if !has_files && is_text_field(&event) {
            return;
        }
        event.prevent_default();
        app.dragging.set(has_files && matches!(event.type_().as_str(), "dragenter" | "dragover"));
        if event.type_() == "drop" {
            shelf::take_drop(app, link, &event);
        }
    });
    listen(&["paste"], move |event: Event| {
        // The bindings of its own type are not stable.
        let data = js_sys::Reflect::get(&event, &"clipboardData".into()).unwrap_or_default();
        let Ok(data) = data.dyn_into::<DataTransfer>() else { return };
        let files = folders::listed(data.files());
        // Office programs add a picture of what is copied as text.
        if files.is_empty() || data.types().includes(&"text/plain".into(), 0) {
            return;
        }
        event.prevent_default();
        let files = files.into_iter().map(|file| (file.name(), file));
        shelf::take_files(app, link, &files.collect::<Vec<_>>());
    });
}

fn is_text_field(event: &Event) -> bool {
    let element = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    element.is_some_and(|element| element.matches("textarea, input").unwrap_or(false))
}

/// Calls `act` for events of these names, wherever they happen, as long as the page lives.
fn listen<E: FromWasmAbi + 'static>(names: &[&str], act: impl FnMut(E) + 'static) {
    let act = Closure::<dyn FnMut(E)>::new(act).into_js_value();
    for name in names {
        window().add_event_listener_with_callback(name, act.unchecked_ref()).expect("events have names");
    }
}

/// Moves the focus, so that it does not fall to the page when what had it goes away.
fn focus(selector: &str) {
    let element = document().query_selector(selector).ok().flatten();
    if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        // A disabled button does not take it; then the page has it, as without this.
        let _ = element.focus();
    }
}
