//! The documents: adding them, the list, and deleting.

use sycamore::prelude::*;
use ui::{DocumentRow, words};
use wasm_bindgen::prelude::*;
use web_sys::{DragEvent, FileList, HtmlInputElement, KeyboardEvent};

use super::link::Link;
use super::model::{App, Source};
use super::{focus, queue, source};

pub fn view(app: App, link: Link) -> View {
    let is_open = create_signal(false);
    let is_empty = move || app.documents.with(Vec::is_empty);
    let head = move || words::count(app.documents.with(Vec::len) as u64, "document", "documents");
    // Where the shelf folds, there is nothing to unfold before the first document.
    let is_folded = move || !is_open.get() && !app.documents.with(Vec::is_empty);
    let body = move || if is_folded() { "shelf-body folded" } else { "shelf-body" };
    let expanded = move || if is_folded() { "false" } else { "true" };
    let count = move || match app.documents.with(Vec::len) {
        0 => String::new(),
        n_documents => words::grouped(n_documents as u64),
    };
    view! {
        aside(class="shelf", aria-label=words::DOCUMENTS) {
            button(class="toggle", hidden=is_empty, r#type="button", aria-expanded=expanded, aria-controls="shelf-body",
                on:click=move |_| is_open.update(|open| *open = !*open)) { span { (head) } }
            div(class="shelf-head") {
                h2 { (words::DOCUMENTS) }
                span(class="count") { (count) }
            }
            (queue::view(app, link))
            div(id="shelf-body", class=body) {
                (drop_zone(app, link))
                (documents(app, link))
            }
        }
    }
}

fn drop_zone(app: App, link: Link) -> View {
    let input = create_node_ref();
    let class = move || if app.dragging.get() { "drop over" } else { "drop" };
    let is_off = move || !app.is_open();
    let choose = move |_| input_of(input).click();
    let take = move |_| {
        let input = input_of(input);
        take_files(app, link, input.files());
        // The same file may be chosen again after a failure.
        input.set_value("");
    };
    view! {
        div(class=class, id="drop") {
            button(class="button", r#type="button", on:click=choose, disabled=is_off) { (words::CHOOSE) }
            p { (words::DROP_HERE) }
            input(id="files", r#type="file", multiple=true, hidden=true, aria-label=words::CHOOSE,
                accept=words::ACCEPTED, r#ref=input, on:change=take)
        }
    }
}

fn input_of(input: NodeRef) -> HtmlInputElement {
    input.get().unchecked_into()
}

/// Files dropped anywhere on the page.
pub fn take_drop(app: App, link: Link, event: &DragEvent) {
    take_files(app, link, event.data_transfer().and_then(|data| data.files()));
}

fn take_files(app: App, link: Link, files: Option<FileList>) {
    if !app.is_open() {
        return;
    }
    let files = files.into_iter().flat_map(|list| (0..list.length()).filter_map(move |i| list.get(i)));
    let files: Vec<_> = files.map(|file| (file.name(), file)).collect();
    match files.is_empty() {
        true => app.announcement.set(words::NOTHING_USABLE.into()),
        false => link.add(files, None),
    }
}

fn documents(app: App, link: Link) -> View {
    let asked = create_signal(None);
    view! {
        ul(class="rows", id="documents") {
            Keyed(list=app.documents, key=|info| info.id, view=move |info| document_row(link, info, asked))
        }
    }
}

fn document_row(link: Link, info: DocumentRow, asked: Signal<Option<u64>>) -> View {
    let DocumentRow { id, name, kind, n_pages, n_chunks, warnings, .. } = info;
    let meta = words::document_meta(&kind, n_pages, n_chunks.into());
    let (title, label, data_id) = (name.clone(), words::delete_label(&name), id.to_string());
    let (question, source_name) = (words::confirm_delete(&name), name.clone());
    let open = move |_| {
        source::remember_focus();
        let source = Source {
            request: 0,
            name: source_name.clone(),
            page: None,
            start: 0,
            end: 0,
            footnote: None,
            sheets: None,
        };
        link.open(id, source);
    };
    let confirm = move || {
        if asked.get() != Some(id) {
            return View::new();
        }
        confirm_view(link, id, question.clone(), asked)
    };
    let notes =
        warnings.into_iter().map(|warning| view! { p(class="note") { (warning) } }).collect::<Vec<_>>();
    view! {
        li(class="row") {
            div(class="row-line") {
                button(class="doc", r#type="button", on:click=open) {
                    span(class="name", title=title) { (name) }
                    span(class="meta") { (meta) }
                }
                button(class="icon delete", r#type="button", data-id=data_id, aria-label=label, on:click=move |_| asked.set(Some(id))) { (bin()) }
            }
            (notes)
            (confirm)
        }
    }
}

fn confirm_view(link: Link, id: u64, question: String, asked: Signal<Option<u64>>) -> View {
    on_mount(|| focus("#documents .keep"));
    let delete = move |_| {
        asked.set(None);
        link.remove(id);
        focus("#drop button");
    };
    let keep = move || {
        focus(&format!("#documents [data-id='{id}']"));
        asked.set(None);
    };
    let on_key = move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            event.stop_propagation();
            keep();
        }
    };
    view! {
        div(class="confirm", role="group", on:keydown=on_key) {
            p(role="alert") { (question) }
            div(class="pair") {
                button(class="button danger", r#type="button", on:click=delete) { (words::DELETE) }
                button(class="button keep", r#type="button", on:click=move |_| keep()) { (words::KEEP) }
            }
        }
    }
}

pub fn cross() -> View {
    view! { svg(viewBox="0 0 20 20", aria-hidden="true") { path(d="M5 5l10 10M15 5L5 15") } }
}

fn bin() -> View {
    view! {
        svg(viewBox="0 0 20 20", aria-hidden="true") {
            path(d="M3.5 5.500h13M8 5.500V3.500h4v2M5.500 5.500l.7 11h7.6l.7-11M8.300 8.500v5M11.700 8.500v5")
        }
    }
}
