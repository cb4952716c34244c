//! What is said about the engine: getting ready, downloads, failures, the state line.

use std::rc::Rc;

use sycamore::prelude::*;
use ui::{StateLine, Step, words};

use super::link::Link;
use super::model::{App, Phase};
use super::models;

/// The notice above the question, empty when all is well.
pub fn view(app: App, link: Link) -> View {
    let start = move |_| link.start();
    let body = move || match app.phase.get_clone() {
        Phase::Ready => View::new(),
        Phase::Starting(steps) => starting(&steps),
        Phase::OpenFailed(message) => problem(words::OPEN_FAILED, &[message], words::RETRY, start),
        Phase::Damaged(message) => damaged(app, link, message),
        Phase::Fatal(message) => {
            problem(words::FATAL, &[message, words::FATAL_TEXT.into()], words::RESTART, start)
        }
    };
    view! {
        div(id="notice") { (body) }
        (rebuilt(app, link))
        (not_kept(app))
    }
}

/// What became of a damaged knowledge base, and what shall become of its file.
fn rebuilt(app: App, link: Link) -> View {
    View::from_dynamic(move || {
        let lines = app.rebuilt.get_clone();
        if lines.is_empty() {
            return View::new();
        }
        let lines = lines.into_iter().map(|line| view! { p { (line) } }).collect::<Vec<_>>();
        let close = move || {
            app.rebuilt.set(Vec::new());
            super::focus("#question");
        };
        let delete = move |_| {
            link.forget_damaged();
            close();
        };
        view! {
            section(class="notice", id="rebuilt", role="status") {
                h2 { (words::REBUILT) }
                (lines)
                div(class="pair") {
                    button(class="button danger", r#type="button", on:click=delete) { (words::FORGET_DAMAGED) }
                    button(class="button keep", r#type="button", on:click=move |_| close()) { (words::KEEP_DAMAGED) }
                }
            }
        }
    })
}

/// Said as long as it is so: what is added is gone with the tab.
fn not_kept(app: App) -> View {
    let is_kept =
        create_selector(move || app.state.with(|state| state.as_ref().is_none_or(|line| line.keeps_files)));
    View::from_dynamic(move || match is_kept.get() {
        true => View::new(),
        false => view! {
            section(class="notice", id="not-kept", role="status") { h2 { (words::NOT_KEPT) } p { (words::NOT_KEPT_TEXT) } }
        },
    })
}

/// What can be done about a damaged knowledge base.
fn damaged(app: App, link: Link, message: String) -> View {
    let is_off = move || app.copying.with(Option::is_some);
    let at = move || app.copying.get_clone().unwrap_or_default();
    view! {
        section(class="notice bad", role="alert") {
            h2 { (words::DAMAGED) }
            p { (message) }
            p { (words::DAMAGED_TEXT) }
            div(class="pair") {
                button(class="button primary", id="rebuild", r#type="button", disabled=is_off, on:click=move |_| link.rebuild()) { (words::REBUILD) }
                button(class="button", id="rescue", r#type="button", disabled=is_off, on:click=move |_| link.rescue()) { (words::RESCUE) }
                button(class="button", r#type="button", disabled=is_off, on:click=move |_| link.start()) { (words::RETRY) }
            }
            p(role="status") { (at) }
        }
    }
}

fn problem(
    title: &'static str,
    messages: &[String],
    action: &'static str,
    act: impl FnMut(web_sys::MouseEvent) + 'static,
) -> View {
    let lines = messages.iter().cloned().map(|line| view! { p { (line) } }).collect::<Vec<_>>();
    view! {
        section(class="notice bad", role="alert") {
            h2 { (title) }
            (lines)
            div(class="pair") { button(class="button", r#type="button", on:click=act) { (action) } }
        }
    }
}

fn starting(steps: &Rc<Vec<Step>>) -> View {
    let files: Vec<_> = steps.iter().filter_map(file_line).collect();
    let is_fetching = matches!(steps.last(), Some(Step::Fetching { .. }));
    let title = words::step(steps.last());
    let text = match steps.last() {
        Some(Step::Fetching { .. }) => words::DOWNLOADING_TEXT.to_owned(),
        Some(Step::Loading { model }) => model.clone(),
        _ => String::new(),
    };
    let detail = if is_fetching {
        view! { p { (text) } ul(class="files") { (files) } }
    } else {
        view! { p { (text) } progress(aria-label=title) }
    };
    view! { section(class="notice") { h2 { (title) } (detail) } }
}

fn file_line(step: &Step) -> Option<View> {
    let Step::Fetching { model, file, done_bytes, total_bytes, bytes_per_s, left_ms } = step else {
        return None;
    };
    let name = format!("{model} · {file}");
    let sizes = words::download(*done_bytes, *total_bytes, bytes_per_s.zip(*left_ms));
    let (value, max) = (done_bytes.to_string(), (*total_bytes).max(1).to_string());
    let label = name.clone();
    Some(view! {
        li {
            span(class="name") { (name) }
            span { (sizes) }
            progress(value=value, max=max, aria-label=label)
        }
    })
}

/// The line at the foot of the page.
pub fn state_line(app: App) -> View {
    let facts = move || match app.state.get_clone() {
        None if app.phase.with(|phase| matches!(phase, Phase::Starting(_))) => {
            vec![view! { span { (words::STARTING) } }]
        }
        None => Vec::new(),
        Some(state) => facts(app, &state),
    };
    view! { footer(class="state", id="state", aria-label="State") { (facts) } }
}

fn facts(app: App, line: &StateLine) -> Vec<View> {
    let is_persisted = app.persisted.get() == Some(true);

    let StateLine { state, storage, keeps_files } = line;
    let tier = words::tier(&state.tier);
    let mut facts = vec![view! { span(id="tier") { b { (tier.0) } (tier.1) } }];
    for model in [&state.embedder, &state.generator] {
        let (name, problem) = words::model(model, models::is_coming(app, &model.id));
        facts.push(view! { span { (name) (problem) } });
    }
    if !keeps_files {
        facts.push(view! { span(id="storage") { (words::IN_MEMORY) } });
    } else if let Some(storage) = storage {
        let text = words::storage(storage, is_persisted || storage.persisted);
        facts.push(view! { span(id="storage") { (text) } });
    }
    facts
}
