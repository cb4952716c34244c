//! The generators: which there are, which suit this machine, and what becomes of their files.

use assistant::Offer;
use js_sys::Reflect;
use sycamore::prelude::*;
use ui::{GivenModel, ModelsEvent, ModelsRequest, Request, RequestId, words};
use wasm_bindgen::prelude::*;
use web_sys::{File, HtmlElement};

use super::link::{Link, Pending};
use super::model::App;
use super::{confirm, copies, focus};

/// Where the name of the chosen generator is kept.
const CHOSEN: &str = "generator";
/// What is kept there after the generator was deleted.
pub const OFF: &str = "off";

/// Something that is done with a model at the moment.
#[derive(Clone, PartialEq)]
pub struct Work {
    pub request: RequestId,
    /// The model, where its name is known.
    model: Option<String>,
    /// How far it is.
    pub text: String,
}

/// Whether a model is on its way.
pub fn is_coming(app: App, id: &str) -> bool {
    app.model_work.with(|all| all.iter().any(|work| work.model.as_deref() == Some(id)))
}

pub fn view(app: App, link: Link) -> View {
    let is_open = create_signal(false);
    let toggle = move |_| {
        is_open.update(|open| *open = !*open);
        if is_open.get_untracked() {
            link.models(ModelsRequest::List, Vec::new());
        }
    };
    let expanded = move || if is_open.get() { "true" } else { "false" };
    view! {
        div(class="models") {
            (work(app, link))
            button(class="link", id="show-models", r#type="button", aria-expanded=expanded, aria-controls="models",
                on:click=toggle) { (words::MODELS) }
            div(id="models", hidden=move || !is_open.get()) {
                ul(class="rows") {
                    Keyed(list=move || app.offers.get_clone(), key=|offer| format!("{offer:?}"),
                        view=move |offer| row(app, link, offer))
                }
                p(class="meta") { (words::MODELS_HINT) }
            }
        }
    }
}

/// How far each download or import is, and a way to stop it.
fn work(app: App, link: Link) -> View {
    View::from_dynamic(move || {
        let lines = app.model_work.get_clone().into_iter().map(|Work { request, text, .. }| {
            view! {
                div(class="row-line model-work") {
                    p(class="meta") { (text) }
                    button(class="link", r#type="button", on:click=move |_| link.cancel(request)) { (words::CANCEL) }
                }
            }
        });
        View::from(lines.collect::<Vec<_>>())
    })
}

fn row(app: App, link: Link, offer: Offer) -> View {
    let asks = create_signal(false);
    let facts = words::offer(&offer);
    let Offer { id, here, begun_bytes, used, problem, .. } = offer;
    let problem = match problem {
        Some(problem) => view! { p(class="note") { (problem) } },
        None => View::new(),
    };
    let title = id.clone();
    let class = if used { "row model chosen" } else { "row model" };
    let act = |label: &'static str, request: ModelsRequest| {
        let name = format!("{label}: {id}");
        let is_off = move || app.model_work.with(|all| !all.is_empty()) || !app.is_open();
        let send = move |_| link.models(request.clone(), Vec::new());
        view! { button(class="link", r#type="button", aria-label=name, disabled=is_off, on:click=send) { (label) } }
    };
    let mut actions = Vec::new();
    if !used {
        let label = match (here, begun_bytes) {
            (true, _) => words::USE_MODEL,
            (_, 0) => words::DOWNLOAD_MODEL,
            _ => words::RESUME,
        };
        let id = id.clone();
        let request = if here { ModelsRequest::Use { id } } else { ModelsRequest::Fetch { id } };
        actions.push(act(label, request));
    }
    if here {
        actions.push(act(words::SAVE_MODEL, ModelsRequest::Export { id: id.clone() }));
    }
    let delete_button = create_node_ref();
    if here || begun_bytes > 0 {
        let name = format!("{}: {id}", words::DELETE);
        let ask = move |_| asks.set(true);
        actions.push(view! {
            button(class="link", r#type="button", aria-label=name, r#ref=delete_button, on:click=ask) { (words::DELETE) }
        });
    }
    let confirm = move || match asks.get() {
        false => View::new(),
        true => confirm_delete(link, id.clone(), asks, delete_button),
    };
    view! {
        li(class=class) {
            span(class="name") { (title) }
            span(class="meta") { (facts) }
            (problem)
            div(class="actions") { (actions) }
            (confirm)
        }
    }
}

fn confirm_delete(link: Link, id: String, asks: Signal<bool>, delete_button: NodeRef) -> View {
    let question = words::confirm_delete_model(&id);
    let delete = move || {
        link.models(ModelsRequest::Remove { id: id.clone() }, Vec::new());
        focus("#show-models");
    };
    let keep = move || {
        asks.set(false);
        // The button is there as long as its row.
        let _ = delete_button.get().unchecked_into::<HtmlElement>().focus();
    };
    confirm::view(question, vec![(words::DELETE.into(), Box::new(delete))], keep)
}

/// Takes the models out of files that were dropped or chosen, which have paths below `folder` if they come from one.
/// Returns the other files, and whether there were models.
pub fn take_models(
    link: Link,
    folder: Option<&str>,
    files: Vec<(String, File)>,
) -> (Vec<(String, File)>, bool) {
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let (models, others) = ui::given_models(folder, &paths);
    let has_models = !models.is_empty();
    if has_models {
        link.ask_to_keep();
    }
    for GivenModel { name, files: parts } in models {
        let (of_model, names) = parts.into_iter().map(|(at, inner)| (files[at].1.clone(), inner)).unzip();
        link.models(ModelsRequest::Import { names, name }, of_model);
    }
    (others.into_iter().map(|at| files[at].clone()).collect(), has_models)
}

/// The generator that was chosen in this browser: its name, or `off` after it was deleted.
pub fn chosen() -> Option<String> {
    Reflect::get(&local_storage()?, &CHOSEN.into()).ok()?.as_string()
}

fn choose(name: &str) {
    if let Some(storage) = local_storage() {
        // Where the browser keeps nothing, the choice holds until the page is closed.
        let _ = Reflect::set(&storage, &CHOSEN.into(), &name.into());
    }
}

fn local_storage() -> Option<JsValue> {
    Reflect::get(&window(), &"localStorage".into()).ok().filter(JsValue::is_object)
}

impl Link {
    /// Asks for something about models.
    pub fn models(self, request: ModelsRequest, files: Vec<File>) {
        let app = self.app();
        app.problem.set(None);
        let shows_work = !matches!(request, ModelsRequest::List | ModelsRequest::Export { .. });
        let model = match &request {
            ModelsRequest::Fetch { id } | ModelsRequest::Use { id } => Some(id.clone()),
            _ => None,
        };
        let id = self.send(Request::Models(request), files);
        if shows_work {
            app.model_work
                .update(|all| all.push(Work { request: id, model, text: words::MODEL_WORK.into() }));
        }
    }

    pub(super) fn take_models(self, id: RequestId, ended: Option<Pending>, event: ModelsEvent) {
        let app = self.app();
        let tell = |text: String| {
            app.model_work.update(|all| {
                if let Some(work) = all.iter_mut().find(|work| work.request == id) {
                    work.text = text;
                }
            });
        };
        match event {
            ModelsEvent::Offers(offers) => {
                match ended.map(|pending| pending.request) {
                    Some(Request::Models(ModelsRequest::Use { id })) => choose(&id),
                    // Without one that is in use, the next visit fetches none.
                    Some(Request::Models(ModelsRequest::Remove { .. })) if !offers.iter().any(|o| o.used) => {
                        choose(OFF)
                    }
                    _ => {}
                }
                app.offers.set(offers);
                self.end_model_work(id);
            }
            ModelsEvent::Here { id: model } => {
                self.end_model_work(id);
                app.announcement.set(words::model_here(&model));
                let has_generator =
                    app.state.with_untracked(|line| line.as_ref().is_some_and(|l| l.state.generator.loaded));
                match ended.map(|pending| pending.request) {
                    // Whoever has no generator fetched this one to use it.
                    Some(Request::Models(ModelsRequest::Fetch { .. })) if !has_generator => {
                        self.models(ModelsRequest::Use { id: model }, Vec::new());
                    }
                    _ => self.models(ModelsRequest::List, Vec::new()),
                }
            }
            ModelsEvent::Fetching(p) => {
                let speed = p.bytes_per_s.zip(p.left_ms);
                tell(format!("{} · {}", p.id, words::download(p.done_bytes, p.total_bytes, speed)));
            }
            ModelsEvent::Copying(p) => {
                tell(format!("{} · {}", p.file, words::done_of(p.done_bytes, p.total_bytes)));
            }
            ModelsEvent::Files { files } => platform::spawn_local(async move {
                for (path, name) in files {
                    if let Err(error) = copies::download_as(&path, &name).await {
                        web_sys::console::warn_2(&"A model's file cannot be saved:".into(), &error);
                        app.problem.set(Some(words::NO_DOWNLOAD.into()));
                    }
                }
            }),
        }
    }

    /// If a request did something with a model, that is over, however it ended.
    pub(super) fn end_model_work(self, id: RequestId) -> bool {
        let app = self.app();
        let is_one = app.model_work.with_untracked(|all| all.iter().any(|work| work.request == id));
        if is_one {
            app.model_work.update(|all| all.retain(|work| work.request != id));
        }
        is_one
    }
}
