//! The question before something is deleted. It stands where it was asked for and takes the focus; Escape
//! is a no.

use sycamore::prelude::*;
use ui::words;
use wasm_bindgen::prelude::*;
use web_sys::{HtmlElement, KeyboardEvent};

/// What a yes does: its label, and the deed.
pub type Yes = (String, Box<dyn Fn()>);

/// `keep` is the no: it closes the question and gives the focus back.
pub fn view(question: String, yes: Vec<Yes>, keep: impl Fn() + Copy + 'static) -> View {
    let no = create_node_ref();
    on_mount(move || {
        if let Some(button) = no.try_get() {
            // A button that is on the page can take the focus.
            let _ = button.unchecked_into::<HtmlElement>().focus();
        }
    });
    let on_key = move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            event.stop_propagation();
            keep();
        }
    };
    let deeds = yes.into_iter().map(|(label, act)| {
        view! { button(class="button small danger", r#type="button", on:click=move |_| act()) { (label) } }
    });
    let deeds = deeds.collect::<Vec<_>>();
    view! {
        div(class="confirm", role="group", on:keydown=on_key) {
            p(role="alert") { (question) }
            div(class="pair") {
                (deeds)
                button(class="button small keep", r#type="button", r#ref=no, on:click=move |_| keep()) { (words::KEEP) }
            }
        }
    }
}
