//! Files on their way in: how far all of them are, and what each is at.

use sycamore::prelude::*;
use ui::{Stage, estimate, words};
use web_sys::SubmitEvent;

use super::focus;
use super::link::Link;
use super::model::{App, Job, JobState};
use super::shelf::cross;

/// Rows of files that only wait; the others are counted.
const MAX_WAITING_ROWS: usize = 4;

pub fn view(app: App, link: Link) -> View {
    let shown = create_memo(move || {
        let mut n_waiting = 0;
        let mut is_shown = |job: &&Job| {
            let is_waiting = job.state.with(|state| *state == JobState::Waiting);
            n_waiting += usize::from(is_waiting);
            !is_waiting || n_waiting <= MAX_WAITING_ROWS
        };
        app.jobs.with(|all| all.iter().filter(|job| is_shown(job)).cloned().collect::<Vec<_>>())
    });
    let more = move || match app.jobs.with(Vec::len) - shown.with(Vec::len) {
        0 => View::new(),
        n_files => view! { p(class="more") { (words::more_waiting(n_files as u64)) } },
    };
    view! {
        section(aria-label=words::ADDING) {
            (summary(app, link))
            ul(class="jobs", id="jobs") {
                Keyed(list=shown, key=|job| job.id, view=move |job| row(app, link, job))
            }
            (more)
        }
    }
}

/// The queue as a whole, with what can be done about it; shown while something waits or is at work.
fn summary(app: App, link: Link) -> View {
    let is_busy = create_selector(move || app.is_reading());
    View::from_dynamic(move || {
        if !is_busy.get() {
            return View::new();
        }
        let found = create_memo(move || {
            let batch = app.batch.get_clone();
            let mut files = batch.ended;
            app.jobs.with(|all| files.extend(all.iter().filter(|job| job.is_busy()).map(Job::portion)));
            let worked_ms = batch.since_ms.map_or(0.0, |since_ms| platform::now_ms() - since_ms);
            estimate(&files, worked_ms)
        });
        let line = move || words::queue(&found.get());
        let left = move || found.get().left_ms.map_or_else(String::new, words::time_left);
        let (value, max) =
            (move || found.get().done_bytes.to_string(), move || found.get().total_bytes.max(1).to_string());
        let cancel_all = move |_| {
            let busy =
                |all: &Vec<Job>| all.iter().filter(|job| job.is_busy()).map(|job| job.id).collect::<Vec<_>>();
            let busy = app.jobs.with_untracked(busy);
            // The last one first, so that none is begun on the way.
            busy.into_iter().rev().for_each(|id| link.cancel(id));
            focus("#drop button");
        };
        view! {
            div(class="queue", id="queue") {
                div(class="queue-line") { h3(class="small-head") { (words::ADDING) } span(class="meta") { (left) } }
                p(class="meta") { (line) }
                progress(value=value, max=max, aria-label=words::ADDING)
                div(class="pair") {
                    button(class="button small", id="cancel-all", r#type="button", on:click=cancel_all) { (words::CANCEL_ALL) }
                }
            }
        }
    })
}

fn row(app: App, link: Link, job: Job) -> View {
    let Job { id, name, n_bytes, file, state, n_pages } = job;
    let class = move || match state.get_clone() {
        JobState::Failed(_) => "job failed",
        JobState::Locked(_) => "job locked",
        _ => "job",
    };
    let told_of = name.clone();
    let facts = move || words::file_facts(n_bytes, n_pages.get());
    let body = move || match state.get_clone() {
        JobState::Waiting => view! { p(class="meta") { (words::WAITING) } },
        JobState::Working(stage) => stage_view(stage, facts()),
        JobState::Failed(message) => reason(&told_of, &message),
        JobState::Locked(message) => {
            let reason = reason(&told_of, &message);
            let form = password_form(app, link, id, (told_of.clone(), file.clone()));
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

fn stage_view(stage: Stage, facts: String) -> View {
    let text = words::stage(&stage);
    let bar = match stage {
        Stage::Embedding { n_done, n_total } => {
            let (done, total) = (n_done.to_string(), n_total.max(1).to_string());
            view! { progress(value=done, max=total, aria-hidden="true") }
        }
        _ => view! { progress(aria-hidden="true") },
    };
    view! { p(class="meta") { (facts) " · " (text) } (bar) }
}

/// Why a file is not in. The name stands above already; it is repeated for screen readers only.
fn reason(name: &str, message: &str) -> View {
    let (spoken, seen) = match message.strip_prefix(name) {
        Some(rest) => (name.to_owned(), rest.to_owned()),
        None => (String::new(), message.to_owned()),
    };
    view! { p(class="reason", role="alert") { span(class="sr") { (spoken) } (seen) } }
}

fn password_form(app: App, link: Link, id: u32, named: (String, web_sys::File)) -> View {
    let password = create_signal(String::new());
    let field_id = format!("password-{id}");
    let label_for = field_id.clone();
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        let given = password.get_clone_untracked();
        if !given.is_empty() {
            app.drop_job(id);
            link.add(vec![named.clone()], Some(&given));
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
