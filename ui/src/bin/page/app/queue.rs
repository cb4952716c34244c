//! Files on their way in: how far all of them are, what each is at, and why some are not in.

use assistant::{Job, JobStage, QueueState};
use sycamore::prelude::*;
use ui::{Jobs, QueueRequest, words};
use wasm_bindgen::prelude::*;
use web_sys::{HtmlInputElement, SubmitEvent};

use super::link::Link;
use super::model::{App, LeftOut};
use super::shelf::cross;
use super::{focus, folders};

/// Rows of files that only wait; the others are counted.
const MAX_WAITING_ROWS: usize = 4;

pub fn view(app: App, link: Link) -> View {
    let shown = create_memo(move || app.queue.with(shown));
    let more = move || {
        let n_listed = shown.with(Vec::len) + app.queue.with(|queue| queue.n_done);
        match app.queue.with(|queue| queue.n_jobs).saturating_sub(n_listed) {
            0 => View::new(),
            n_files => view! { p(class="more") { (words::more_waiting(n_files as u64)) } },
        }
    };
    view! {
        section(aria-label=words::ADDING) {
            (summary(app, link))
            (notes(app))
            (folders::gone_view(app, link))
            ul(class="jobs", id="jobs") {
                (comparing(app, link))
                (arriving(link))
                Keyed(list=app.left_out, key=|file| file.n, view=move |file| left_out(app, file))
                Keyed(list=shown, key=|job| (job.id.0, job.stage, job.error.clone()), view=move |job| row(app, link, job))
            }
            (more)
            (dismiss_all(app, link))
        }
    }
}

/// The jobs that have a row: those at work or in trouble, and the first of those that wait.
fn shown(queue: &QueueState) -> Vec<Job> {
    let mut n_waiting = 0;
    let mut is_shown = |job: &&Job| match job.stage {
        JobStage::Done => false,
        JobStage::Paused if job.error.is_some() => true,
        JobStage::Waiting | JobStage::Paused => {
            n_waiting += 1;
            n_waiting <= MAX_WAITING_ROWS
        }
        _ => true,
    };
    queue.jobs.iter().filter(|job| is_shown(job)).cloned().collect()
}

/// The queue as a whole, with what can be done about it; shown while something is left to do.
fn summary(app: App, link: Link) -> View {
    let is_busy = create_selector(move || app.queue.with(|queue| queue.n_open > 0));
    let is_paused = create_selector(move || app.queue.with(|queue| queue.n_paused > 0));
    let left = move || match app.queue.with(|queue| queue.left_ms) {
        Some(left_ms) => words::time_left(left_ms),
        None => String::new(),
    };
    let line = move || app.queue.with(words::queue);
    let passages = move || app.queue.with(words::queue_passages);
    let value = move || app.queue.with(|queue| queue.done_bytes).to_string();
    let max = move || app.queue.with(|queue| queue.total_bytes).max(1).to_string();
    let cancel = move |_| {
        link.queue(QueueRequest::Cancel { jobs: Jobs::All });
        focus("#drop button");
    };
    // One button for both, so that the focus stays on it.
    let pause = move |_| match is_busy.get_untracked() {
        true => link.queue(QueueRequest::Pause { jobs: Jobs::All }),
        false => link.queue(QueueRequest::Resume { jobs: Jobs::All }),
    };
    let title = move || if is_busy.get() { words::ADDING } else { words::PAUSED };
    let label = move || if is_busy.get() { words::PAUSE } else { words::RESUME };
    let is_idle = move || !is_busy.get() && !is_paused.get();
    view! {
        div(class="queue", id="queue", hidden=is_idle) {
            div(class="queue-line") { h3(class="small-head") { (title) } span(class="meta", id="time-left") { (left) } }
            p(class="meta", id="queue-files") { (line) }
            p(class="meta", id="queue-passages") { (passages) }
            progress(value=value, max=max, aria-label=words::ADDING)
            div(class="pair") {
                button(class="button small", id="pause", r#type="button", on:click=pause) { (label) }
                button(class="button small", id="cancel-all", r#type="button", on:click=cancel) { (words::CANCEL_ALL) }
            }
        }
    }
}

/// What was noticed about files, such as copies of others.
fn notes(app: App) -> View {
    View::from_dynamic(move || {
        let notes = app.notes.get_clone();
        if notes.is_empty() {
            return View::new();
        }
        let lines = notes.into_iter().map(|note| view! { li { (note) } }).collect::<Vec<_>>();
        view! {
            div(class="notes", id="notes", role="status") {
                div(class="row-line") {
                    ul { (lines) }
                    button(class="icon", r#type="button", aria-label=words::DISMISS, title=words::DISMISS,
                        on:click=move |_| app.notes.set(Vec::new())) { (cross()) }
                }
            }
        }
    })
}

/// A folder that is being compared.
fn comparing(app: App, link: Link) -> View {
    let now = create_selector(move || link.comparing());
    View::from_dynamic(move || {
        let Some((id, folder)) = now.get_clone() else { return View::new() };
        let text = move || words::comparing(&folder, app.comparing.get());
        view! {
            li(class="job") {
                div(class="row-line") {
                    div { p(class="meta") { (text) } progress(aria-hidden="true") }
                    button(class="icon", r#type="button", aria-label=words::CANCEL, title=words::CANCEL,
                        on:click=move |_| link.cancel(id)) { (cross()) }
                }
            }
        }
    })
}

/// Files that the engine has not taken yet.
fn arriving(link: Link) -> View {
    let n_files = create_selector(move || link.n_arriving());
    View::from_dynamic(move || match n_files.get() {
        0 => View::new(),
        n => view! {
            li(class="job") { p(class="meta") { (words::arriving(n as u64)) } progress(aria-hidden="true") }
        },
    })
}

/// A file that was not taken.
fn left_out(app: App, file: LeftOut) -> View {
    let LeftOut { n, name, reason: why } = file;
    let title = name.clone();
    let reason = reason(&name, &why);
    let close = move |_| {
        app.left_out.update(|all| all.retain(|file| file.n != n));
        focus("#drop button");
    };
    view! {
        li(class="job failed") {
            div(class="row-line") {
                div { span(class="name", title=title) { (name) } (reason) }
                button(class="icon", r#type="button", aria-label=words::DISMISS, title=words::DISMISS, on:click=close) { (cross()) }
            }
        }
    }
}

/// Takes away all that has failed, where that is more than a few.
fn dismiss_all(app: App, link: Link) -> View {
    let failed = move || {
        let is_failed = |job: &&Job| job.stage == JobStage::Failed;
        app.queue.with(|queue| queue.jobs.iter().filter(is_failed).map(|job| job.id.0).collect::<Vec<_>>())
    };
    let is_few = create_selector(move || failed().len() + app.left_out.with(Vec::len) < 3);
    let dismiss = move |_| {
        app.left_out.set(Vec::new());
        link.queue(QueueRequest::Cancel { jobs: Jobs::These(failed()) });
        focus("#drop button");
    };
    view! {
        p(class="more", hidden=move || is_few.get()) {
            button(class="link", id="dismiss-all", r#type="button", on:click=dismiss) { (words::DISMISS_ALL) }
        }
    }
}

/// A row is made anew when it comes to another stage; its progress is not.
fn row(app: App, link: Link, job: Job) -> View {
    let (id, name) = (job.id.0, job.file.name.clone());
    let has_failed = job.stage == JobStage::Failed || (job.stage == JobStage::Paused && job.error.is_some());
    let class = match job.stage {
        JobStage::NeedsFile | JobStage::Locked => "job locked",
        _ if has_failed => "job failed",
        _ => "job",
    };
    let why = job.error.as_ref().map(|error| reason(&name, error));
    let body = match job.stage {
        JobStage::Waiting => view! { p(class="meta") { (words::WAITING) } },
        JobStage::Reading | JobStage::Embedding | JobStage::Paused => progress_view(app, &job),
        _ => View::new(),
    };
    let help = match job.stage {
        JobStage::Locked => password_form(link, id),
        JobStage::NeedsFile => file_form(link, id),
        JobStage::Paused => resume_form(link, id),
        _ => View::new(),
    };
    let label = match job.stage {
        JobStage::Failed => words::DISMISS,
        _ => words::CANCEL,
    };
    let close = move |_| {
        link.cancel_job(id);
        focus("#drop button");
    };
    let title = name.clone();
    view! {
        li(class=class) {
            div(class="row-line") {
                div {
                    span(class="name", title=title) { (name) }
                    (why)
                    (body)
                    (help)
                }
                button(class="icon", r#type="button", aria-label=label, title=label, on:click=close) { (cross()) }
            }
        }
    }
}

fn progress_view(app: App, job: &Job) -> View {
    let (id, stage, n_bytes) = (job.id, job.stage, job.file.n_bytes);
    let first = (job.n_pages, job.n_done, job.n_total);
    let now = create_memo(move || {
        let listed = |queue: &QueueState| queue.jobs.iter().find(|job| job.id == id).cloned();
        app.queue.with(listed).map_or(first, |job| (job.n_pages, job.n_done, job.n_total))
    });
    let text = move || {
        let (n_pages, n_done, n_total) = now.get();
        let what = match (stage, n_total) {
            (JobStage::Paused, 0) => words::PAUSED.to_owned(),
            (JobStage::Paused, _) => words::paused_at(n_done.into(), n_total.into()),
            (_, 0) => words::READING.to_owned(),
            _ => words::embedding(n_done.into(), n_total.into()),
        };
        format!("{} · {what}", words::file_facts(n_bytes, n_pages))
    };
    let is_known = create_selector(move || now.get().2 > 0);
    let bar = move || match (is_known.get(), stage) {
        (true, _) => {
            let (value, max) = (move || now.get().1.to_string(), move || now.get().2.to_string());
            view! { progress(value=value, max=max, aria-hidden="true") }
        }
        (false, JobStage::Paused) => View::new(),
        (false, _) => view! { progress(aria-hidden="true") },
    };
    view! { p(class="meta") { (text) } (bar) }
}

/// Why a file is not in. The name stands above already; it is repeated for screen readers only.
fn reason(name: &str, message: &str) -> View {
    let seen = message.strip_prefix(name).unwrap_or(message).to_owned();
    let spoken = if seen.len() < message.len() { name.to_owned() } else { format!("{name}: ") };
    view! { p(class="reason", role="alert") { span(class="sr") { (spoken) } (seen) } }
}

fn password_form(link: Link, job: u64) -> View {
    let password = create_signal(String::new());
    let field_id = format!("password-{job}");
    let label_for = field_id.clone();
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        let password = password.get_clone_untracked();
        if !password.is_empty() {
            link.queue(QueueRequest::Unlock { job, password });
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

/// Asks for a file whose bytes the browser could not keep.
fn file_form(link: Link, job: u64) -> View {
    let input = create_node_ref();
    let field = move || input.get().unchecked_into::<HtmlInputElement>();
    let take = move |_| {
        if let Some(file) = field().files().and_then(|files| files.get(0)) {
            link.give_file(job, file);
        }
        field().set_value("");
    };
    view! {
        div(class="pair") {
            button(class="button small", r#type="button", on:click=move |_| field().click()) { (words::GIVE_FILE) }
            input(r#type="file", hidden=true, aria-label=words::GIVE_FILE, r#ref=input, on:change=take)
        }
    }
}

fn resume_form(link: Link, job: u64) -> View {
    let resume = move |_| link.queue(QueueRequest::Resume { jobs: Jobs::These(vec![job]) });
    view! {
        div(class="pair") {
            button(class="button small resume", r#type="button", on:click=resume) { (words::RESUME) }
        }
    }
}
