//! Collections: which one is looked at and asked, making, renaming and deleting them.

use assistant::{Collection, Contents};
use sycamore::prelude::*;
use ui::{LibraryRequest, words};
use wasm_bindgen::prelude::*;
use web_sys::{HtmlInputElement, KeyboardEvent, SubmitEvent};

use super::link::Link;
use super::model::App;
use super::shelf::{bin, pencil};
use super::{confirm, focus};

/// What is being done to a collection.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    Nothing,
    Making,
    Renaming(u64),
    Deleting(u64),
}

pub fn view(app: App, link: Link) -> View {
    let doing = create_signal(Doing::Nothing);
    let is_hidden = move || app.documents.with(Vec::is_empty) && app.collections.with(Vec::is_empty);
    let n_all = move || words::grouped(app.documents.with(Vec::len) as u64);
    let class = move || if app.within.get().is_none() { "collection chosen" } else { "collection" };
    let pressed = move || if app.within.get().is_none() { "true" } else { "false" };
    let foot = move || match doing.get() {
        Doing::Making => {
            let make = move |name| link.library(LibraryRequest::CreateCollection { name });
            let close = move || {
                doing.set(Doing::Nothing);
                focus("#new-collection");
            };
            name_form(String::new(), words::NEW_COLLECTION, make, close)
        }
        _ => view! {
            button(class="link new-collection", id="new-collection", r#type="button",
                on:click=move |_| doing.set(Doing::Making)) { (words::NEW_COLLECTION) }
        },
    };
    view! {
        nav(class="collections", aria-label=words::COLLECTIONS, hidden=is_hidden) {
            ul(id="collections") {
                li(class="collection-line") {
                    button(class=class, r#type="button", aria-pressed=pressed, on:click=move |_| app.within.set(None)) {
                        span(class="name") { (words::ALL_DOCUMENTS) } span(class="count") { (n_all) }
                    }
                }
                Keyed(list=app.collections, key=|c| (c.id.0, c.name.clone(), c.n_documents),
                    view=move |collection| row(app, link, collection, doing))
            }
            (foot)
        }
    }
}

fn row(app: App, link: Link, collection: Collection, doing: Signal<Doing>) -> View {
    let Collection { id, name, n_documents, .. } = collection;
    let id = id.0;
    let is_chosen = move || app.within.get() == Some(id);
    let class = move || if is_chosen() { "collection chosen" } else { "collection" };
    let pressed = move || if is_chosen() { "true" } else { "false" };
    let body = move || {
        let name = name.clone();
        match doing.get() {
            Doing::Renaming(renamed) if renamed == id => {
                let rename = move |name| {
                    link.library(LibraryRequest::RenameCollection { collection: id, name });
                    focus("#new-collection");
                };
                let close = move || {
                    doing.set(Doing::Nothing);
                    focus("#collections .rename");
                };
                name_form(name, words::COLLECTION_NAME, rename, close)
            }
            Doing::Deleting(deleted) if deleted == id => confirm(app, link, (id, name, n_documents), doing),
            _ => {
                let (rename_label, delete_label) = (words::rename_label(&name), words::delete_label(&name));
                let (title, count) = (name.clone(), words::grouped(n_documents));
                let tools = move || match is_chosen() {
                    false => View::new(),
                    true => {
                        let (rename_label, delete_label) = (rename_label.clone(), delete_label.clone());
                        view! {
                            button(class="icon rename", r#type="button", aria-label=rename_label,
                                on:click=move |_| doing.set(Doing::Renaming(id))) { (pencil()) }
                            button(class="icon delete", r#type="button", aria-label=delete_label,
                                on:click=move |_| doing.set(Doing::Deleting(id))) { (bin()) }
                        }
                    }
                };
                view! {
                    div(class="collection-line") {
                        button(class=class, r#type="button", aria-pressed=pressed, on:click=move |_| app.within.set(Some(id))) {
                            span(class="name", title=title) { (name) } span(class="count") { (count) }
                        }
                        (tools)
                    }
                }
            }
        }
    };
    view! { li { (body) } }
}

/// Asks what becomes of the documents of a collection that is deleted.
fn confirm(app: App, link: Link, (id, name, n_documents): (u64, String, u64), doing: Signal<Doing>) -> View {
    let question = words::confirm_delete_collection(&name, n_documents);
    let delete = move |contents: Contents| -> Box<dyn Fn()> {
        Box::new(move || {
            app.within.set(None);
            doing.set(Doing::Nothing);
            link.library(LibraryRequest::DeleteCollection { collection: id, contents });
            focus("#new-collection");
        })
    };
    let mut yes = vec![(words::DELETE_COLLECTION.into(), delete(Contents::Keep))];
    if n_documents > 0 {
        yes.push((words::with_documents(n_documents), delete(Contents::Delete)));
    }
    let keep = move || {
        doing.set(Doing::Nothing);
        focus("#collections .delete");
    };
    confirm::view(question, yes, keep)
}

/// A field for a name: Enter takes it, Escape and an empty one leave things as they are. `close` gives the focus
/// back to what is there still; `take` moves it on where that goes with the old name.
pub fn name_form(
    name: String,
    label: &'static str,
    take: impl Fn(String) + 'static,
    close: impl Fn() + Copy + 'static,
) -> View {
    let field = create_node_ref();
    let text = create_signal(name.clone());
    on_mount(move || {
        if let Some(field) = field.try_get() {
            let field: HtmlInputElement = field.unchecked_into();
            // A field that is on the page takes the focus.
            let _ = field.focus();
            field.select();
        }
    });
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        let given = text.with_untracked(|text| text.trim().to_owned());
        close();
        if !given.is_empty() && given != name {
            take(given);
        }
    };
    let on_key = move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            event.stop_propagation();
            close();
        }
    };
    view! {
        form(class="name-form", on:submit=send, on:keydown=on_key) {
            input(r#type="text", aria-label=label, placeholder=label, maxlength="200", autocomplete="off",
                r#ref=field, bind:value=text)
            button(class="button small", r#type="submit") { (words::SAVE) }
        }
    }
}
