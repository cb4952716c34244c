//! The documents: adding them, the list, and deleting.

use sycamore::prelude::*;
use ui::{DocumentRow, LibraryRequest, words};
use wasm_bindgen::prelude::*;
use web_sys::{DragEvent, File, HtmlInputElement, SubmitEvent};

use super::link::Link;
use super::model::{App, Source};
use super::{collections, confirm, conversations, copies, focus, folders, models, queue, source};

pub fn view(app: App, link: Link) -> View {
    let is_open = create_signal(false);
    let is_empty = move || app.documents.with(Vec::is_empty);
    let head = move || words::count(app.documents.with(Vec::len) as u64, "document", "documents");
    // Where the shelf folds, there is nothing to unfold before the first document.
    let is_folded = move || !is_open.get() && !app.documents.with(Vec::is_empty);
    let body = move || if is_folded() { "shelf-body folded" } else { "shelf-body" };
    let expanded = move || if is_folded() { "false" } else { "true" };
    view! {
        aside(class="shelf", aria-label=words::DOCUMENTS) {
            button(class="toggle", hidden=is_empty, r#type="button", aria-expanded=expanded, aria-controls="shelf-body",
                on:click=move |_| is_open.update(|open| *open = !*open)) { span { (head) } }
            div(class="shelf-head", hidden=move || has_choice(app)) { h2 { (words::DOCUMENTS) } }
            (queue::view(app, link))
            (problem(app))
            div(id="shelf-body", class=body) {
                (switch(app))
                div(hidden=move || app.shows_conversations.get()) {
                    (drop_zone(app, link))
                    (collections::view(app, link))
                    (documents(app, link))
                }
                div(hidden=move || !app.shows_conversations.get()) { (conversations::view(app, link)) }
                (models::view(app, link))
                (copies::view(app, link))
            }
        }
    }
}

/// Why something was not done.
fn problem(app: App) -> View {
    View::from_dynamic(move || match app.problem.get_clone() {
        None => View::new(),
        Some(message) => view! {
            div(class="job failed", id="problem", role="alert") {
                div(class="row-line") {
                    div { p(class="reason") { (message) } }
                    button(class="icon", r#type="button", aria-label=words::DISMISS,
                        on:click=move |_| app.problem.set(None)) { (cross()) }
                }
            }
        },
    })
}

/// Whether there is anything to switch between.
fn has_choice(app: App) -> bool {
    !app.documents.with(Vec::is_empty) || !app.conversations.with(Vec::is_empty)
}

/// Documents or conversations.
fn switch(app: App) -> View {
    let choice = move |id: &'static str, label: &'static str, is_conversations: bool| {
        let is_on = move || app.shows_conversations.get() == is_conversations;
        let class = move || if is_on() { "choice chosen" } else { "choice" };
        let pressed = move || if is_on() { "true" } else { "false" };
        view! {
            button(class=class, id=id, r#type="button", aria-pressed=pressed,
                on:click=move |_| app.shows_conversations.set(is_conversations)) { (label) }
        }
    };
    view! {
        div(class="switch", role="group", aria-label=words::SHELF, hidden=move || !has_choice(app)) {
            (choice("show-documents", words::DOCUMENTS, false))
            (choice("show-conversations", words::CONVERSATIONS, true))
        }
    }
}

fn drop_zone(app: App, link: Link) -> View {
    let input = create_node_ref();
    let folder = create_node_ref();
    let class = move || if app.dragging.get() { "drop over" } else { "drop" };
    let is_off = move || !app.is_open();
    let choose = move |_| input_of(input).click();
    let take = move |_| {
        let input = input_of(input);
        let files = folders::listed(input.files()).into_iter().map(|file| (file.name(), file));
        take_files(app, link, &files.collect::<Vec<_>>());
        // The same file may be chosen again after a failure.
        input.set_value("");
    };
    let choose_folder = move |_| input_of(folder).click();
    let take_folder = move |_| {
        let input = input_of(folder);
        folders::take_chosen(app, link, input.files());
        input.set_value("");
    };
    view! {
        div(class=class, id="drop") {
            div(class="pair") {
                button(class="button", r#type="button", on:click=choose, disabled=is_off) { (words::CHOOSE) }
                button(class="button", id="choose-folder", r#type="button", title=words::CHOOSE_FOLDER_HINT,
                    on:click=choose_folder, disabled=is_off) { (words::CHOOSE_FOLDER) }
            }
            p { (words::DROP_HERE) }
            input(id="files", r#type="file", multiple=true, hidden=true, aria-label=words::CHOOSE,
                accept=words::ACCEPTED, r#ref=input, on:change=take)
            input(id="folder", r#type="file", hidden=true, aria-label=words::CHOOSE_FOLDER, "webkitdirectory"="",
                r#ref=folder, on:change=take_folder)
        }
    }
}

fn input_of(input: NodeRef) -> HtmlInputElement {
    input.get().unchecked_into()
}

/// Files and folders dropped anywhere on the page.
pub fn take_drop(app: App, link: Link, event: &DragEvent) {
    match event.data_transfer() {
        Some(data) => folders::take_drop(app, link, &data),
        None => app.problem.set(Some(words::NOTHING_USABLE.into())),
    }
}

/// Adds files under their names.
pub fn take_files(app: App, link: Link, files: &[(String, File)]) {
    if !app.is_open() {
        return;
    }
    app.problem.set(None);
    let (documents, _) = models::take_models(link, None, files.to_vec());
    match (documents.is_empty(), files.is_empty()) {
        (_, true) => app.problem.set(Some(words::NOTHING_USABLE.into())),
        (true, false) => {}
        (false, false) => link.add(&documents),
    }
}

fn documents(app: App, link: Link) -> View {
    let (asked, opened) = (create_signal(None), create_signal(None));
    let shown = create_memo(move || {
        let within = app.within.get();
        let is_shown = |row: &&DocumentRow| within.is_none() || row.collection == within;
        app.documents.with(|all| all.iter().filter(is_shown).cloned().collect::<Vec<_>>())
    });
    let empty = move || match app.within.get().is_some() && shown.with(Vec::is_empty) {
        true => view! { p(class="more") { (words::EMPTY_COLLECTION) } },
        false => View::new(),
    };
    view! {
        ul(class="rows", id="documents") {
            Keyed(list=shown, key=|row| (row.id, row.name.clone(), row.collection, row.tags.clone()),
                view=move |row| document_row(app, link, row, (asked, opened)))
        }
        (empty)
    }
}

/// Which row asks whether it shall be deleted, and which shows more about itself.
type Open = (Signal<Option<u64>>, Signal<Option<u64>>);

fn document_row(app: App, link: Link, info: DocumentRow, (asked, opened): Open) -> View {
    let DocumentRow { id, name, kind, n_pages, n_chunks, warnings, collection, tags, .. } = info;
    let meta = words::document_meta(&kind, n_pages, n_chunks.into());
    let (title, label, data_id) = (name.clone(), words::delete_label(&name), id.to_string());
    let (question, source_name) = (words::confirm_delete(&name), name.clone());
    let more_label = words::more_label(&name);
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
        confirm(link, id, question.clone(), asked)
    };
    let shown_tags = if tags.is_empty() { View::new() } else { tag_line(&tags) };
    let details = move || match opened.get() == Some(id) {
        true => details(app, link, (id, collection), &tags),
        false => View::new(),
    };
    let expanded = move || if opened.get() == Some(id) { "true" } else { "false" };
    let toggle = move |_| {
        let is_open = opened.get_untracked() == Some(id);
        opened.set((!is_open).then_some(id));
        if !is_open {
            link.library(LibraryRequest::Copies { document: id });
        }
    };
    let notes =
        warnings.into_iter().map(|warning| view! { p(class="note") { (warning) } }).collect::<Vec<_>>();
    view! {
        li(class="row") {
            div(class="row-line") {
                button(class="doc", r#type="button", on:click=open) {
                    span(class="name", title=title) { (name) }
                    span(class="meta") { (meta) }
                    (shown_tags)
                }
                button(class="icon more-button", r#type="button", aria-label=more_label, aria-expanded=expanded, on:click=toggle) { (dots()) }
                button(class="icon delete", r#type="button", data-id=data_id, aria-label=label, on:click=move |_| asked.set(Some(id))) { (bin()) }
            }
            (notes)
            (details)
            (confirm)
        }
    }
}

fn tag_line(tags: &[String]) -> View {
    let tags = tags.iter().cloned().map(|tag| view! { span(class="tag") { (tag) } }).collect::<Vec<_>>();
    view! { span(class="tags") { (tags) } }
}

/// Where a document is put: its collection, its tags.
fn details(app: App, link: Link, (id, collection): (u64, Option<u64>), tags: &[String]) -> View {
    let move_to = move |event: web_sys::Event| {
        let select = event.target().expect("a change has a target");
        let chosen = js_sys::Reflect::get(&select, &"value".into()).unwrap_or_default().as_string();
        // The option for none has no number.
        let to = chosen.and_then(|value| value.parse().ok());
        link.library(LibraryRequest::MoveDocuments { documents: vec![id], to });
    };
    let options = app.collections.get_clone().into_iter().map(|listed| {
        let (value, is_here) = (listed.id.0.to_string(), Some(listed.id.0) == collection);
        view! { option(value=value, selected=is_here) { (listed.name) } }
    });
    let options = options.collect::<Vec<_>>();
    let text = create_signal(tags.join(", "));
    let set_tags = move |event: SubmitEvent| {
        event.prevent_default();
        let tags = text.with_untracked(|text| words::tags_of(text));
        link.library(LibraryRequest::SetTags { document: id, tags });
    };
    let (select_id, tags_id) = (format!("collection-of-{id}"), format!("tags-of-{id}"));
    let (select_for, tags_for) = (select_id.clone(), tags_id.clone());
    view! {
        div(class="details") {
            label(r#for=select_for) { (words::COLLECTION) }
            select(id=select_id, on:change=move_to) {
                option(value="", selected=collection.is_none()) { (words::NO_COLLECTION) }
                (options)
            }
            label(r#for=tags_for) { (words::TAGS) }
            form(class="name-form", on:submit=set_tags) {
                input(id=tags_id, r#type="text", autocomplete="off", bind:value=text)
                button(class="button small", r#type="submit") { (words::SAVE) }
            }
            (near(app, id))
        }
    }
}

/// The documents that say nearly the same.
fn near(app: App, id: u64) -> View {
    View::from_dynamic(move || {
        let near = app.near.with(|(document, near)| if *document == id { near.clone() } else { Vec::new() });
        let lines = near.into_iter().map(|copy| {
            let text = words::near_copy(&copy);
            view! { p(class="near") { (text) } }
        });
        View::from(lines.collect::<Vec<_>>())
    })
}

fn confirm(link: Link, id: u64, question: String, asked: Signal<Option<u64>>) -> View {
    let delete = move || {
        asked.set(None);
        link.remove(id);
        focus("#drop button");
    };
    let keep = move || {
        asked.set(None);
        focus(&format!("#documents [data-id='{id}']"));
    };
    confirm::view(question, vec![(words::DELETE.into(), Box::new(delete))], keep)
}

pub fn cross() -> View {
    view! { svg(viewBox="0 0 20 20", aria-hidden="true") { path(d="M5 5l10 10M15 5L5 15") } }
}

pub fn bin() -> View {
    view! {
        svg(viewBox="0 0 20 20", aria-hidden="true") {
            path(d="M3.5 5.500h13M8 5.500V3.500h4v2M5.500 5.500l.7 11h7.6l.7-11M8.300 8.500v5M11.700 8.500v5")
        }
    }
}

pub fn pencil() -> View {
    view! { svg(viewBox="0 0 20 20", aria-hidden="true") { path(d="M4 16l.8-3.400L13.400 4l2.600 2.600L7.400 15.200L4 16M11.800 5.600l2.600 2.600") } }
}

fn dots() -> View {
    view! { svg(viewBox="0 0 20 20", aria-hidden="true") { path(d="M5 10h.01M10 10h.01M15 10h.01", stroke-width="2.400") } }
}
