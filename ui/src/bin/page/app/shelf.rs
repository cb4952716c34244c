//! The documents: adding them, what happens to them on the way, the list, and deleting.

use sycamore::prelude::*;
use ui::{DocumentRow, Stage, words};
use wasm_bindgen::prelude::*;
use web_sys::{DragEvent, FileList, HtmlInputElement, KeyboardEvent, SubmitEvent};

use super::link::Link;
use super::model::{App, Job, JobState, Phase, Source};
use super::{focus, source};

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
            (jobs(app, link))
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
    let is_off = move || app.phase.with(|phase| *phase != Phase::Ready);
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
    if app.phase.with_untracked(|phase| *phase != Phase::Ready) {
        return;
    }
    let files = files.into_iter().flat_map(|list| (0..list.length()).filter_map(move |i| list.get(i)));
    let n_added = files.map(|file| link.add(file, None)).count();
    if n_added == 0 {
        app.announcement.set(words::nothing_usable());
    }
}

fn jobs(app: App, link: Link) -> View {
    view! {
        ul(class="jobs", id="jobs") {
            Keyed(list=app.jobs, key=|job| job.id, view=move |job| job_row(app, link, job))
        }
    }
}

fn job_row(app: App, link: Link, job: Job) -> View {
    let Job { id, name, file, state } = job;
    let class = move || match state.get_clone() {
        JobState::Failed(_) => "job failed",
        JobState::Locked(_) => "job locked",
        _ => "job",
    };
    let told_of = name.clone();
    let body = move || match state.get_clone() {
        JobState::Waiting => view! { p(class="meta") { (words::WAITING) } },
        JobState::Working(stage) => stage_view(stage),
        JobState::Failed(message) => reason(&told_of, &message),
        JobState::Locked(message) => {
            let reason = reason(&told_of, &message);
            let form = password_form(app, link, id, file.clone());
            view! { (reason) (form) }
        }
    };
    let label = move || match state.get_clone() {
        JobState::Waiting | JobState::Working(_) => words::CANCEL,
        _ => words::DISMISS,
    };
    let close = move |_| match state.get_clone_untracked() {
        JobState::Waiting | JobState::Working(_) => link.cancel(id),
        _ => {
            app.drop_job(id);
            focus("#drop button");
        }
    };
    let title = name.clone();
    view! {
        li(class=class) {
            div(class="row-line") {
                div {
                    span(class="name", title=title) { (name) }
                    (body)
                }
                button(class="icon", r#type="button", aria-label=label, title=label, on:click=close) { (cross()) }
            }
        }
    }
}

fn stage_view(stage: Stage) -> View {
    let text = words::stage(&stage);
    let bar = match stage {
        Stage::Embedding { n_done, n_total } => {
            let (done, total) = (n_done.to_string(), n_total.max(1).to_string());
            view! { progress(value=done, max=total, aria-hidden="true") }
        }
        _ => view! { progress(aria-hidden="true") },
    };
    view! { p(class="meta") { (text) } (bar) }
}

/// Why a file is not in. The name stands above already; it is repeated for screen readers only.
fn reason(name: &str, message: &str) -> View {
    let (spoken, seen) = match message.strip_prefix(name) {
        Some(rest) => (name.to_owned(), rest.to_owned()),
        None => (String::new(), message.to_owned()),
    };
    view! { p(class="reason", role="alert") { span(class="sr") { (spoken) } (seen) } }
}

fn password_form(app: App, link: Link, id: u32, file: web_sys::File) -> View {
    let password = create_signal(String::new());
    let field_id = format!("password-{id}");
    let label_for = field_id.clone();
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        let given = password.get_clone_untracked();
        if !given.is_empty() {
            app.drop_job(id);
            link.add(file.clone(), Some(given));
        }
    };
    view! {
        form(class="password", on:submit=send) {
            label(class="sr", r#for=label_for) { (words::PASSWORD) }
            input(id=field_id, r#type="password", autocomplete="off", placeholder=words::PASSWORD, bind:value=password)
            button(class="button", r#type="submit") { (words::UNLOCK) }
        }
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
    let DocumentRow { id, name, kind, n_pages, n_chunks, warnings } = info;
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
